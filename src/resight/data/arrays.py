"""Arrays on disk, written beside and then renamed as all files are (`data.files`).

Proof: tests/data/test_arrays.py.
"""

from __future__ import annotations

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


def _reserve(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        written = file.seek(len(file.read(128)))
        while written < size:
            written += file.write(ZEROS[: size - written])
