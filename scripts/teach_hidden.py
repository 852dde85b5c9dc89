"""Teach parser-lite by eye-made labels whether something hides a part of the person; nothing else of it changes.

    python scripts/teach_hidden.py runs/parser ~/market1501 --people PEOPLE --out runs/parser-taught

What hides people on streets (bicycles, rails, umbrellas, bags) is in no picture whose truth is exact, so the last layer
is fitted to labels of Market-1501's training pictures (benchmarks/labels/market1501-train.csv; `unsure` is left out)
and, with a small weight, to rendered people (hidden from HIDDEN on). The layer is linear and the rest is frozen: a
logistic regression with a ridge, yes and no weighing the same. Labels of queries (market1501-queries.csv) are never
read here; `resight label --check` compares with them.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float

from resight.data.augment import normalise
from resight.data.images import read_picture, resize
from resight.data.parsing_sets import find_parsing_set
from resight.parsers.lite import Hides, fields
from resight.parsers.lite_losses import HIDDEN
from resight.parsing import ParserModel, load_parser, save_parser

LABELS: Final = Path(__file__).resolve().parent.parent / "benchmarks" / "labels" / "market1501-train.csv"
RIDGE: Final = 0.03
OF_PEOPLE: Final = 0.05
"""Weight of all rendered people together beside that of all labelled pictures."""
PEOPLE: Final = 1500
BATCH: Final = 32


def seen(model: ParserModel, paths: list[Path]) -> Float[np.ndarray, "N E"]:
    """What the last layer looks at, for each picture."""
    network: Any = model.network
    rows = []
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH):
            pixels = np.stack([resize(read_picture(path), *model.size) for path in paths[start : start + BATCH]])
            context, _ = network.head.context(network.backbone(normalise(torch.from_numpy(pixels)))[-1])
            rows.append(fields(context).double().numpy())
    return np.concatenate(rows)


def fitted(
    rows: Float[np.ndarray, "N E"], hidden: Bool[np.ndarray, " N"], weights: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " E"], float]:
    """Weights and bias of the logistic regression on rows as they are; the ridge is on standardised ones."""
    from scipy.optimize import minimize

    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    inputs = torch.from_numpy(np.c_[(rows - mean) / spread, np.ones(len(rows))])
    sign, share = torch.from_numpy(np.where(hidden, 1.0, -1.0)), torch.from_numpy(weights / weights.sum())

    def loss(values: Float[np.ndarray, " F"]) -> tuple[float, Float[np.ndarray, " F"]]:
        layer = torch.from_numpy(values).requires_grad_()
        wrong = (share * torch.nn.functional.softplus(-sign * (inputs @ layer))).sum()
        whole = wrong + RIDGE / 2 * layer[:-1].square().sum()
        whole.backward()
        assert layer.grad is not None
        return float(whole.detach()), layer.grad.numpy()

    found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    layer = found[:-1] / spread
    return layer, float(found[-1] - layer @ mean)


def evenly(hidden: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Weights that sum to 1, yes and no half each."""
    return np.where(hidden, 0.5 / max(hidden.sum(), 1), 0.5 / max((~hidden).sum(), 1))


def main() -> None:
    """Fit the last layer and write the weights as a run of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run of parser-lite")
    parser.add_argument("market", type=Path)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", type=Path, default=LABELS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_parser(options.run)
    with options.labels.open(encoding="utf-8", newline="") as file:
        labelled = [row for row in csv.DictReader(file) if row["occlusion"] in ("yes", "no")]
    records = [one for one in find_parsing_set(options.people).pictures("train") if np.isfinite(one.hidden)]
    records = [one for one in records if one.hidden < HIDDEN[0] or one.hidden > HIDDEN[1]]
    drawn = np.random.default_rng(0).permutation(len(records))[:PEOPLE]
    chosen = [records[row] for row in sorted(drawn.tolist())]
    by_eye = np.array([row["occlusion"] == "yes" for row in labelled])
    rendered = np.array([one.hidden > HIDDEN[1] for one in chosen])
    paths = [options.market / row["file"] for row in labelled] + [one.picture for one in chosen]
    weights = np.concatenate([evenly(by_eye), OF_PEOPLE * evenly(rendered)])
    layer, bias = fitted(seen(model, paths), np.concatenate([by_eye, rendered]), weights)
    network: Any = model.network
    hides = Hides(network.head.context.whole.out_features)
    with torch.no_grad():
        hides.look.weight.copy_(torch.from_numpy(layer[None]))
        hides.look.bias.fill_(bias)
    network.head.hides = hides
    options.out.mkdir(parents=True, exist_ok=True)
    save_parser(options.out / "model.safetensors", network.state_dict(), model.settings)
    for name in ("config.toml", "run.json"):
        shutil.copyfile(options.run / name, options.out / name)
    print(
        f"{options.out}: {by_eye.sum()} of {len(by_eye)} labelled pictures, {rendered.sum()} of {len(rendered)} people"
    )


if __name__ == "__main__":
    main()
