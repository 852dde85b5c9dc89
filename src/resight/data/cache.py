"""The one home of decoded pictures on disk: each picture is decoded once, then read as rows of one array.

Proof: tests/data/test_cache.py.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resight.data.arrays import write_mapped
from resight.data.images import read_resized, real_file


def cache_folder() -> Path:
    """`$RESIGHT_CACHE`, else `$XDG_CACHE_HOME/resight`, else `~/.cache/resight`; not made here."""
    if "RESIGHT_CACHE" in os.environ:
        return Path(os.environ["RESIGHT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resight"


def fingerprint(paths: Sequence[Path], *more: object) -> str:
    """Twelve hex digits that change when a name, a size, a time of change, the order or one of `more` changes."""
    digest = hashlib.sha256(repr(more).encode())
    for path in paths:
        facts = real_file(path).stat()
        digest.update(f"{path.absolute()}|{facts.st_size}|{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


def decoded_pictures(
    paths: Sequence[Path], *, height: int, width: int, told: Callable[[int], None] | None = None
) -> NDArray[np.uint8]:
    """All pictures at one size, N height width 3 RGB, as a read-only array on disk; decoded at the first call only.

    `told(n)` is called as pictures are read. Raises BadPicture with the name of the first file that cannot be read.
    """
    path = cache_folder() / f"pictures-{fingerprint(paths, height, width)}.npy"
    if not path.exists():

        def decode(array: NDArray[np.uint8]) -> None:
            with ThreadPoolExecutor(2) as pool:
                for row, picture in enumerate(pool.map(lambda name: read_resized(name, height, width), paths)):
                    array[row] = picture
                    if told:
                        told(1)

        write_mapped({path: (len(paths), height, width, 3)}, decode)
    pictures: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return pictures
