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

from resight.data.arrays import mapped
from resight.data.files import checksum
from resight.data.images import read_resized, real_file


def cache_folder() -> Path:
    """`$RESIGHT_CACHE`, else `$XDG_CACHE_HOME/resight`, else `~/.cache/resight`; not made here."""
    if "RESIGHT_CACHE" in os.environ:
        return Path(os.environ["RESIGHT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resight"


def fingerprint(paths: Sequence[Path], *more: object) -> str:
    """Twelve hex digits that change when a path, a size, a time of change, the order or one of `more` changes.

    For what is kept in the cache: no file is read.
    """
    digest = hashlib.sha256(repr(more).encode())
    for path in paths:
        facts = real_file(path).stat()
        digest.update(f"{path.absolute()}|{facts.st_size}|{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


class Contents(dict[Path, int]):
    """Checksums of pictures' files, each read once; -1 where there is none to read."""

    def __missing__(self, file: Path) -> int:
        held = real_file(file)
        if held != file:  # one MATLAB file holds many pictures
            found = self[held]
        else:
            try:
                found = checksum(file)
            except OSError:
                found = -1
        self[file] = found
        return found


def identity(paths: Sequence[Path], *more: object) -> str:
    """Twelve hex digits that change when what a file holds, its name, the order or one of `more` changes.

    Names count from the folder that holds all, so that a set that was moved or copied is the same; each file is read.
    """
    digest, contents = hashlib.sha256(repr(more).encode()), Contents()
    whole = [path.absolute() for path in paths]
    above = os.path.commonpath([path.parent for path in whole]) if whole else ""
    for path in whole:
        digest.update(f"{path.relative_to(above).as_posix()}|{contents[path]}\n".encode())
    return digest.hexdigest()[:12]


def decoded_pictures(
    paths: Sequence[Path], *, height: int, width: int, told: Callable[[int], None] | None = None
) -> NDArray[np.uint8]:
    """All pictures at one size, N height width 3 RGB, as a read-only array on disk; decoded at the first call only.

    `told(n)` is called as pictures are read. Raises BadPicture with the name of the first file that cannot be read.
    """

    def decode(array: NDArray[np.uint8]) -> None:
        with ThreadPoolExecutor(2) as pool:
            for row, picture in enumerate(pool.map(lambda name: read_resized(name, height, width), paths)):
                array[row] = picture
                if told:
                    told(1)

    path = cache_folder() / f"pictures-{fingerprint(paths, height, width)}.npy"
    return mapped({path: (len(paths), height, width, 3)}, decode)[0]
