"""What each component of CE2P is worth: context, then high resolution, then edges, on a ResNet-18 and one small budget.

    python benchmarks/ce2p_components.py --people PEOPLE --work WORK [--ccp ~/ccp] [--seeds 1 2 3] [--steps 400]

Each row trains CE2P in the seven parts on rendered training persons (with --ccp also on Clothing Co-Parsing 1-800) at
96 × 48 pixels and is scored on the rendered persons held back. A row that WORK holds is not trained again, so that the
script may be stopped and called again. Writes results/ce2p_components.json: every seed, and for each added component
the mean gain over the seeds with its 95 % interval (Student's t); an interval that holds 0 makes the order "undecided".
Small pictures, small network, few steps: the order is the claim, not the scores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import measuring

ROWS = {
    "context": {"high_resolution": False, "edge": False},
    "+ high resolution": {"edge": False},
    "+ edge": {},
}


def train_row(kind: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one row from scratch and score it."""
    import torch

    from resight.data.label_sets import PARTS7
    from resight.data.parsing_targets import table_for
    from resight.losses import set_loss
    from resight.parsers.ce2p import CE2P, ce2p_objective
    from resight.parsing import ParserModel, ParserSettings
    from resight.train.loop import poly, training_steps
    from resight.train.parser import pixels_named
    from resight.train.parser_recipe import ParserRecipe, Shares
    from resight.train.parser_validation import held_out, validate
    from resight.train.parsing_pictures import load_parsing_set
    from resight.train.parsing_sources import find_source

    torch.set_num_threads(options.threads)
    torch.manual_seed(seed)
    recipe = ParserRecipe(
        parser="ce2p", labels="parts7", height=96, width=48, batch=16, steps=options.steps, seed=seed, shares=Shares()
    )
    sources = [find_source(root) for root in (options.people, options.ccp) if root is not None]
    table = table_for([source.source for source in sources], PARTS7)
    data = load_parsing_set(sources, table, recipe)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sets = data.set_rows(device)
    network = CE2P(classes=7, backbone="resnet18", deep_stem=False, **ROWS[kind]).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.02)

    def pixel_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return set_loss(logits.float(), labels.long(), sets)

    batches = data.batches(recipe, range(1, options.steps + 1), process=0, processes=1, device=device)
    started, cpu = time.monotonic(), time.process_time()
    for _ in training_steps(
        network,
        optimizer,
        batches,
        lambda found, truth: ce2p_objective(found, truth.labels, pixel_loss=pixel_loss),
        rate=lambda step: options.rate * poly(step, steps=options.steps, warmup=20, power=0.9),
        accuracy=partial(pixels_named, sets=sets),
    ):
        pass
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    settings = ParserSettings(parser="ce2p", labels="parts7", height=96, width=48, backbone="resnet18")
    scores = validate(ParserModel(network.eval(), settings, device), held_out([options.people]))
    return {
        "mean_iou": scores["people"]["mean_iou"],
        "side_confusion": scores["people"]["side_confusion"],
        "parameters": sum(value.numel() for value in network.parameters()),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
    }


def verdict(rows: dict[str, dict[str, Any]], seeds: list[int], less: str, more: str) -> dict[str, Any]:
    """Mean gain of a row over another one with the same seeds, its interval, and what that decides."""
    from resight.evaluate.statistics import seed_spread

    gains = [rows[f"{more}, seed {seed}"]["mean_iou"] - rows[f"{less}, seed {seed}"]["mean_iou"] for seed in seeds]
    spread = seed_spread(gains)
    decided = "undecided"
    if spread.low > 0:
        decided = f"{less} < {more}"
    elif spread.high < 0:
        decided = f"{more} < {less}"
    ends = None if spread.low != spread.low else [spread.low, spread.high]
    return {"mean_gain": spread.mean, "ci95": ends, "verdict": decided}


def main() -> None:
    """Train what is missing, one row after the other, and write what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of finished rows")
    parser.add_argument("--ccp", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    budget = f"{options.steps} steps, rate {options.rate:g}, {'with' if options.ccp else 'without'} ccp"
    rows: dict[str, dict[str, Any]] = {}
    for seed in options.seeds:
        for kind in ROWS:
            name = f"{kind}, seed {seed}"
            path = options.work / f"{name}, {budget}.json".replace(" ", "-")
            if not path.exists():
                path.write_text(json.dumps(train_row(kind, seed, options)))
            rows[name] = json.loads(path.read_text())
            print(name, rows[name])
    kinds = list(ROWS)
    steps = {f"{less} to {more}": verdict(rows, options.seeds, less, more) for less, more in itertools.pairwise(kinds)}
    recipe = {
        "size": [96, 48],
        "batch": 16,
        "backbone": "resnet18, plain stem, from scratch",
        "labels": "parts7",
    }
    measuring.write_any("ce2p_components", {"budget": budget, "recipe": recipe, "rows": rows, "steps": steps})


if __name__ == "__main__":
    main()
