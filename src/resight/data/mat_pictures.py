"""Pictures inside CUHK03's MATLAB file, by the names that `data.cuhk03_mat` gives them.

A name is the slot of a picture: `cuhk-03.mat/labeled/1_001_1_01.png` is pair, person, view and slot. Needs the extra
`matlab`. Proof: tests/data/test_cuhk03_mat.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from resight.errors import BadPicture, DatasetNotFound, MissingExtra

_NAME: Final = re.compile(r"(\d)_(\d{3})_([12])_(\d\d)\.png")


def read_inside(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Read one picture of a MATLAB file by the name that the readers give it."""
    pair, person, _, slot = (int(part) for part in slot_of(path).groups())
    try:
        with open_mat(path.parent.parent) as file:
            people = file[file[path.parent.name][()].ravel()[pair - 1]]
            pixels = file[people[slot - 1, person - 1]][()].T
    except (KeyError, IndexError, ValueError, OSError, DatasetNotFound) as error:
        raise BadPicture(f"Cannot read the picture {path} out of its MATLAB file: {error}.") from error
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise BadPicture(f"The MATLAB file has no picture {path.name}: its slot is empty.")
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def slot_of(path: Path) -> re.Match[str]:
    """Pair, person, view and slot (groups 1 to 4) that a name says."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise BadPicture(
            f"{path} names no picture of CUHK03: names look like `1_001_1_01.png` (pair, person, view, slot)."
        )
    return match


@contextmanager
def open_mat(path: Path) -> Iterator[Any]:
    """The file as h5py reads it; raises MissingExtra, and DatasetNotFound for another kind of file."""
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra(f"Reading {path.name} needs h5py", extra="matlab") from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DatasetNotFound(f"{path} is not a MATLAB 7.3 file (HDF5): unpack cuhk03_release.zip again.") from error
    with file:
        try:
            yield file
        except KeyError as error:
            raise DatasetNotFound(f"{path} is not laid out as cuhk-03.mat: {error}.") from error
