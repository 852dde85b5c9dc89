"""Market-1501's training pictures with machine-made joints, and with outlines where an earlier parser drew them.

Joints: 14 a person, https://github.com/layumi/market1501_body_point. Proof: tests/data/test_parsing_sets.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from resight.data.parsing_layouts import Half, ParsingPicture, all_there
from resight.data.reid_layouts import MARKET_NAME, match_name
from resight.errors import DatasetNotFound

KEYPOINTS_FILE: Final = "keypoints14.npz"
OUTLINES: Final = "outlines"
VALIDATION_PERSONS: Final = 100
"""Highest-numbered training persons of Market-1501, on which choices are made."""
SHOULDERS: Final = 0.8
"""Width of the shoulders, joint to joint, over the length of the trunk, neck to hips, seen from the front."""


def market_keypoints(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield Market-1501's training pictures with their 14 machine-made joints; the 100 highest persons are `val`.

    Maps of an earlier parser in `outlines/` (`resight parse bounding_box_train --out outlines`) stand in `persons`.
    """
    names, points = train_keypoints(root / KEYPOINTS_FILE)
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
    for row in sorted(range(len(names)), key=names.__getitem__):
        if (persons[row] < first) == (half == "train"):
            view = facing(points[row]), math.nan
            outline = outlines / Path(names[row]).with_suffix(".png") if outlines.is_dir() else None
            hidden = math.nan if outline is None else 0.0  # of most; what is pasted in front comes on top
            yield ParsingPicture(
                *(folder / names[row], None, outline, source, half), points=points[row], view=view, hidden=hidden
            )


def facing(points: Float32[np.ndarray, "14 2"]) -> float:
    """Cosine of the view from the joints: the left shoulder lies right of the right one when seen from the front."""
    neck, right, left, *hips = points[[1, 2, 5, 8, 11]]
    shoulders = SHOULDERS * float(np.linalg.norm(np.mean(hips, 0) - neck))
    return float(np.clip((left[0] - right[0]) / max(shoulders, 1.0), -1, 1))


def train_keypoints(path: Path) -> tuple[list[str], Float32[np.ndarray, "N 14 2"]]:
    """Names and joints (x, y from 0) of the training pictures; the file's other arrays are never opened."""
    try:
        with np.load(path, allow_pickle=False) as content:
            names, points = content["train_name"], content["train_xy"]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetNotFound(f"{path} cannot be read as training key points ({error}).") from error
    if points.shape != (len(names), 14, 2):
        raise DatasetNotFound(f"{path} holds joints of shape {points.shape} for {len(names)} pictures; not N × 14 × 2.")
    return [str(name) for name in names], points.astype(np.float32) - 1  # counted from 1 in the file
