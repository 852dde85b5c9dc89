"""Market-1501's training pictures with machine-made joints, outlines by an earlier parser and labels by eye.

Outlines and labels are there or not.
Proof: tests/data/test_parsing_sets.py.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from resight.data.keypoints import KEYPOINTS_FILE, read_keypoints
from resight.data.label_meanings import KEYPOINTS14
from resight.data.parsing_layouts import Half, ParsingPicture, all_there
from resight.data.reid_layouts import MARKET_NAME, match_name
from resight.errors import BadLabels, DatasetNotFound

OUTLINES: Final = "outlines"
LABELS_FILE: Final = "labels.csv"
"""As `resight label` writes it: `file`, `multi_person`, `occlusion` by yes, no, unsure."""
MUCH: Final = 0.5
"""Share that counts as hidden where an eye says `yes`."""
VALIDATION_PERSONS: Final = 100
"""Highest-numbered training persons of Market-1501, on which choices are made."""
TRUNK: Final = [*map(KEYPOINTS14.index, ("neck", "right shoulder", "left shoulder", "right hip", "left hip"))]
SHOULDERS: Final = 0.8
"""Width of the shoulders, joint to joint, over the length of the trunk, neck to hips, seen from the front."""


def market_keypoints(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield Market-1501's training pictures with their 14 machine-made joints; the 100 highest persons are `val`.

    Maps of an earlier parser in `outlines/` (`resight parse bounding_box_train --out outlines`) stand in `persons`.
    What `labels.csv` says of somebody else and of what hides a part stands in `company` and `hidden`.
    """
    joints = read_keypoints(root / KEYPOINTS_FILE, "train")["train"]
    names = [*joints]
    folder = root / "bounding_box_train"
    persons = [int(match_name(MARKET_NAME, folder / name, "0002_c1s1_000451_03.jpg")[1]) for name in names]
    known = sorted(set(persons))
    if len(known) <= VALIDATION_PERSONS:
        raise DatasetNotFound(f"{root} has {len(known)} training persons; {VALIDATION_PERSONS} are kept for choices.")
    first = known[-VALIDATION_PERSONS]
    all_there(folder, names)
    outlines = root / OUTLINES
    if outlines.is_dir():
        all_there(outlines, [Path(name).with_suffix(".png").name for name in names])
    answers = by_eye(root / LABELS_FILE)
    for row in sorted(range(len(names)), key=names.__getitem__):
        if (persons[row] < first) == (half == "train"):
            outline = outlines / Path(names[row]).with_suffix(".png") if outlines.is_dir() else None
            company, occlusion = answers.get(f"{folder.name}/{names[row]}", (math.nan, math.nan))
            points = joints[names[row]]
            yield ParsingPicture(
                *(folder / names[row], None, outline, source, half),
                points=points,
                view=(facing(points), math.nan),
                company=company,
                hidden=MUCH * occlusion,
            )


def by_eye(path: Path) -> dict[str, tuple[float, float]]:
    """Of each labelled file: whether another person shows and whether something hides a part; 1, 0, NaN unsure.

    Empty where there is no such file. Raises BadLabels for one that lacks a column.
    """
    if not path.exists():
        return {}
    means = {"yes": 1.0, "no": 0.0}
    with path.open(encoding="utf-8", newline="") as lines:
        try:
            return {
                row["file"]: (means.get(row["multi_person"], math.nan), means.get(row["occlusion"], math.nan))
                for row in csv.DictReader(lines)
            }
        except KeyError as error:
            raise BadLabels(
                f"{path} has no column {error}; labels by eye need file, multi_person, occlusion."
            ) from error


def facing(points: Float32[np.ndarray, "14 2"]) -> float:
    """Cosine of the view from the joints: the left shoulder lies right of the right one when seen from the front."""
    neck, right, left, *hips = points[TRUNK]
    shoulders = SHOULDERS * float(np.linalg.norm(np.mean(hips, 0) - neck))
    return float(np.clip((left[0] - right[0]) / max(shoulders, 1.0), -1, 1))
