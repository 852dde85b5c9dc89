"""Score a parser on what no training sees: rendered people, Clothing Co-Parsing 801-884, joints of Market-1501.

    python benchmarks/parser_quality.py --model parser-lite --data PEOPLE ~/ccp ~/market1501 [--name parser-lite]

Rendered people: their queries and gallery in parts7. Clothing Co-Parsing: photos 801-884, cut to the person's loose
box, in street5. Market-1501: the machine-made joints of the 100 highest-numbered training persons, none of the test
split; head: on hat, hair, face or sunglasses; ankles: on a leg or shoe; ankle sides: of those, on the joint's side.
Writes results/parser_quality-NAME.json with 95 % intervals (over pictures; Market-1501: over persons).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import measuring
import numpy as np

AIMS = {
    "people": {"mean_iou": ("at least", 0.80), "side_confusion": ("at most", 0.03)},
    "ccp": {"mean_iou": ("at least", 0.70)},
    "market-keypoints": {"head": ("at least", 0.85), "ankles": ("at least", 0.85)},
}
"""What the project set itself, by set and score."""


def reached(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, object]]:
    """Each aim beside what was measured."""
    found: dict[str, dict[str, object]] = {}
    for name, aims in AIMS.items():
        for key, (way, bound) in aims.items():
            value = scores.get(name, {}).get(key)
            met = None if value is None else (value >= bound if way == "at least" else value <= bound)
            told = "not measured: no such set in --data" if value is None else value
            found[f"{name} {key}"] = {"aim": f"{way} {bound:g}", "measured": told, "reached": met}
    return found


def by_cause(model: Any, roots: list[Path]) -> dict[str, dict[str, float]]:
    """Rendered people by what was planted in their picture ("nothing" for most), in parts7."""
    from resight.data.parsing_sets import find_parsing_set
    from resight.diagnose.tables import read_table
    from resight.train.parser_validation import exact

    groups: dict[str, list[Any]] = {}
    for root in roots:
        if not (root / "people.csv").exists():
            continue
        causes = {Path(row["file"]).name: row["cause"] or "nothing" for row in read_table(root / "people.csv")}
        for record in find_parsing_set(root).pictures("val"):
            groups.setdefault(causes[record.picture.name], []).append(record)
    found = {}
    for cause, records in sorted(groups.items()):
        scores = exact("people", records).score(model, None)
        told = {key: scores[key] for key in ("mean_iou", "pixel_accuracy", "side_confusion")}
        found[cause] = {"pictures": len(records), **told}
    return found


def main() -> None:
    """Score every set whole and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="parser-lite")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--name", help="of the result file; left out, the model's")
    parser.add_argument("--most", type=int, default=100_000, help="pictures of each set")
    parser.add_argument("--input-size", help="height x width that crops are brought to, such as 256x128")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import torch

    from resight.commands.parse import parse_size
    from resight.data.files import sha256
    from resight.parsing import find_parser, load_parser
    from resight.train.parser_validation import held_out, validate

    torch.set_num_threads(options.threads)
    model = load_parser(options.model, size=parse_size(options.input_size))
    weights = find_parser(options.model)
    sets = held_out(options.data, most=options.most)
    started = time.monotonic()
    scores = validate(model, sets, rng=np.random.default_rng(0))
    name = options.name or weights.parent.name
    measuring.write_any(
        f"parser_quality-{name}",
        {
            "model": name,
            "source": model.settings.source,
            "weights_sha256": sha256(weights),
            "parameters": sum(value.numel() for value in model.network.parameters()),
            "input_size": list(model.size),
            "pictures": {one.name: one.pictures for one in sets},
            "scores": scores,
            "people_by_cause": by_cause(model, options.data),
            "aims": reached(scores),
            "seconds": round(time.monotonic() - started, 1),
            "seed": 0,
        },
    )
    for what, row in reached(scores).items():
        print(f"{what}: {row['measured']} ({row['aim']})")


if __name__ == "__main__":
    main()
