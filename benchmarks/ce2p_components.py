"""What each component of CE2P is worth: context, then high resolution, then edges, on a ResNet-18 and one small budget.

    python benchmarks/ce2p_components.py --people PEOPLE --work WORK [--seeds 1 2 3] [--steps 300]

Each row trains CE2P in the seven parts on rendered training persons at 96 × 48 pixels, from scratch, and is scored on
rendered persons held back. A row that WORK holds is not trained again, so that the script may be stopped and called
again; what is there is written after every row. Writes results/ce2p_components.json: every seed, and for each added
component the mean gain with two 95 % intervals, over seeds (Student's t) and over the same pictures (bootstrap). The
order is "undecided" unless neither holds 0. Small pictures, small network, few steps: the order is the claim, not the
scores.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import parser_training

ROWS = {
    "context": {"high_resolution": False, "edge": False},
    "+ high resolution": {"edge": False},
    "+ edge": {},
}
PICTURES = 300
"""Held-back ones that a row is scored on."""


def train_row(
    kind: str, seed: int, state: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train one row from scratch and score it; facts, and sums by picture."""
    import torch

    from resight.parsers.ce2p import CE2P
    from resight.parsing import ParserModel, ParserSettings
    from resight.train.parser_recipe import ParserRecipe

    torch.set_num_threads(options.threads)
    torch.manual_seed(seed)
    recipe = ParserRecipe(
        **{"parser": "ce2p", "backbone": "resnet18", "labels": "parts7", "height": 96, "width": 48, "warmup": 20},
        **{"batch": options.batch, "steps": options.steps, "learning_rate": options.rate, "seed": seed},
    )
    data = parser_training.parsing_data(options.people, recipe)
    network = CE2P(classes=7, backbone="resnet18", deep_stem=False, **ROWS[kind])
    facts: dict[str, Any] = parser_training.train(network, recipe, data, state=state)
    settings = ParserSettings(parser="ce2p", labels="parts7", height=96, width=48, backbone="resnet18")
    model = ParserModel(network.eval(), settings, torch.device("cpu"))
    sums = parser_training.people_scorer(options.people, PICTURES)(model)
    facts["parameters"] = sum(value.numel() for value in network.parameters())
    return facts, {"people": sums}


def verdict(less: str, more: str, found: dict[str, Any]) -> str:
    """Which row is better, if both intervals of the gain say so."""
    ends = (found["ci95_seeds"], found["ci95_pictures"])
    if None in ends or not np.isfinite(ends).all():
        return "undecided"
    if min(low for low, _ in ends) > 0:
        return f"{less} < {more}"
    return f"{more} < {less}" if max(high for _, high in ends) < 0 else "undecided"


def summary(held: dict[tuple[str, int], dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Scores of each row, and gains of each component over the seeds that have both rows."""
    rows: dict[str, Any] = {}
    for (kind, seed), row in held.items():
        score = float(parser_training.mean_iou(row["sums"]["people"].sum(0)))
        facts = {key: value for key, value in row.items() if key != "sums"}
        rows.setdefault(kind, {})[f"seed {seed}"] = {"mean_iou": score, **facts}
    for seeds in rows.values():
        seeds["mean_iou"] = float(np.mean([one["mean_iou"] for one in seeds.values()]))
    steps = {}
    for less, more in itertools.pairwise(ROWS):
        both = [seed for seed in options.seeds if (less, seed) in held and (more, seed) in held]
        if both:
            sums = ([held[kind, seed]["sums"]["people"] for seed in both] for kind in (less, more))
            found = parser_training.paired(*sums) | {"seeds": both}
            steps[f"{less} to {more}"] = found | {"verdict": verdict(less, more, found)}
    recipe = {"size": [96, 48], "backbone": "resnet18, plain stem, from scratch", "labels": "parts7"}
    recipe |= {"batch": options.batch, "steps": options.steps, "rate": options.rate, "pictures": PICTURES}
    missing = [f"{kind}, seed {seed}" for seed in options.seeds for kind in ROWS if (kind, seed) not in held]
    return {"recipe": recipe, "rows": rows, "steps": steps, "not_measured": missing}


def main() -> None:
    """Train what is missing, one row after the other, and write what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of finished rows")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    held: dict[tuple[str, int], dict[str, Any]] = {}
    for seed in options.seeds:
        for kind in ROWS:
            name = parser_training.slug("components", kind, seed, options.steps, options.batch, f"{options.rate:g}")
            print(f"{kind}, seed {seed}", flush=True)
            held[kind, seed] = parser_training.kept_row(
                options.work / f"{name}.npz", lambda state, kind=kind, seed=seed: train_row(kind, seed, state, options)
            )
            measuring.write_any("ce2p_components", summary(held, options))


if __name__ == "__main__":
    main()
