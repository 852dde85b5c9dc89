"""Market-1501's machine-made joints, 14 a person: https://github.com/layumi/market1501_body_point.

Proof: tests/data/test_keypoints.py.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from resight.data.label_meanings import KEYPOINTS14
from resight.errors import DatasetNotFound
from resight.types import SPLITS, Split

KEYPOINTS_FILE: Final = "keypoints14.npz"

Joints = dict[str, Float32[np.ndarray, "14 2"]]
"""By file name: x and y in pixels from 0, NaN where a joint is not known, in the order of `KEYPOINTS14`."""


def read_keypoints(path: Path, *wanted: Split) -> dict[Split, Joints]:
    """Joints of the splits that are wanted, of all that are there when none is named; others are never opened.

    Raises DatasetNotFound, saying what the file needs, when it cannot be read or lacks a wanted split.
    """
    asked = wanted or SPLITS
    needs = f"it needs SPLIT_xy (N × {len(KEYPOINTS14)} × 2, pixels) and SPLIT_name (N file names) for " + (
        " and ".join(wanted) or "one split or more"
    )
    found: dict[Split, Joints] = {}
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            for split in asked:
                if wanted or {f"{split}_xy", f"{split}_name"} <= set(file.files):
                    found[split] = _joints(file[f"{split}_xy"], file[f"{split}_name"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetNotFound(f"{path} cannot be read as a keypoints file ({error}): {needs}.") from error
    if not found:
        raise DatasetNotFound(f"{path} holds no keypoints: {needs}.")
    return found


def _joints(xy: np.ndarray, names: np.ndarray) -> Joints:
    """Raises ValueError for another shape or kind."""
    if xy.dtype.kind != "f" or xy.shape != (len(names), len(KEYPOINTS14), 2):
        raise ValueError(f"joints are {xy.dtype} of the shape {xy.shape} for {len(names)} pictures")
    return dict(zip(map(str, names), xy.astype(np.float32) - 1, strict=True))  # counted from 1 in the file
