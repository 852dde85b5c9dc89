"""How well conditions measured on real query crops agree with labels by eye.

    python benchmarks/label_agreement.py ~/market1501

Labels: labels/market1501-queries.csv, 180 queries of Market-1501, which taught nothing; only those are measured. AUC
of the whole set by the weights of the draw, and of the labelled pictures as they are (harder: odd pictures were drawn
more often), with 95 % intervals over persons. Writes results/label_agreement.json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import measuring
import numpy as np

from resight.commands.conditions import conditions_of, open_parser
from resight.diagnose.labelled import agreement, read_labels
from resight.diagnose.thresholds import read_thresholds

LABELS = Path(__file__).parent / "labels" / "market1501-queries.csv"
AIMS = {"low_light": 0.95, "low_res": 0.90, "multi_person": 0.90, "occlusion": 0.85}
"""What the project set itself."""


def main() -> None:
    """Measure the labelled queries and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--parser", default=None)
    options = parser.parse_args()
    labels = read_labels(LABELS)
    opened = open_parser(options.parser, flip=True)
    found = conditions_of([options.data / file for file in labels.files], labels.files, opened, read_thresholds())
    persons = np.array([Path(file).name.split("_")[0] for file in labels.files])
    conditions: dict[str, Any] = {}
    for kind, weights in (("whole_set", labels.weights), ("as_labelled", np.ones(len(labels.files)))):
        for one in agreement(
            replace(labels, weights=weights), found.scores, {}, persons, rng=np.random.default_rng(0), draws=1000
        ):
            mine = conditions.setdefault(one.condition, {"yes": one.yes, "no": one.no, "aim": AIMS.get(one.condition)})
            mine[kind] = {"auc": one.auc, "ci95": [one.low, one.high], "chance": one.chance}
    measuring.write_any(
        "label_agreement",
        {
            "pictures": len(labels.files),
            "parser": found.mask,
            "thresholds": found.thresholds.version,
            "conditions": conditions,
        },
    )
    for condition, mine in conditions.items():
        whole, plain = mine["whole_set"]["auc"], mine["as_labelled"]["auc"]
        print(f"{condition:14} AUC {whole:.3f} ({plain:.3f} as labelled), aim {mine['aim']}")


if __name__ == "__main__":
    main()
