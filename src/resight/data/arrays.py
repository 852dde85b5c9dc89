"""Arrays on disk, written beside and then renamed as all files are (`data.files`).

Proof: tests/data/test_arrays.py.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from resight.data.files import write_beside

ZEROS: Final = bytes(1 << 20)


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> None:
    """Write several arrays as one .npz file."""
    with write_beside(path) as partial, partial.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, allow_pickle=False, **arrays)


def write_mapped(
    shapes: Mapping[Path, tuple[int, ...]],
    fill: Callable[..., None],
    *,
    dtype: DTypeLike = np.uint8,
) -> None:
    """Write .npy files that may be larger than memory: `fill(*arrays)` gets a memory-mapped array for each path.

    None is there before all are filled. Their room on the disk is taken first: a full disk is CannotWrite, no signal.
    `fill` must keep no array, for a mapped file cannot be renamed everywhere.
    """
    with ExitStack() as files:
        partials = [files.enter_context(write_beside(path)) for path in shapes]
        arrays = [
            np.lib.format.open_memmap(partial, mode="w+", dtype=dtype, shape=shape)
            for partial, shape in zip(partials, shapes.values(), strict=True)
        ]
        for partial in partials:
            _reserve(partial)
        fill(*arrays)
        while arrays:
            arrays.pop().flush()


def mapped(
    shapes: Mapping[Path, tuple[int, ...]], fill: Callable[..., None], *, dtype: DTypeLike = np.uint8
) -> list[NDArray[Any]]:
    """Arrays of .npy files, read-only and on disk, in the order given; written first where one is missing."""
    if not all(path.exists() for path in shapes):
        write_mapped(shapes, fill, dtype=dtype)
    return [np.load(path, mmap_mode="r") for path in shapes]


def digest(*arrays: NDArray[Any]) -> str:
    """Twelve hex digits that change with the values, shapes or kinds of arrays; nothing is copied."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()[:12]


def _reserve(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        written = file.seek(len(file.read(128)))
        while written < size:
            written += file.write(ZEROS[: size - written])
