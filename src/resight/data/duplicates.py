"""Find pictures that are the same, bit by bit or but for compression, size and brightness.

Two pictures are exact duplicates when their pixels are equal. They are near duplicates when their thumbnails (32×16
colour, mean and contrast taken out) correlate above 0.993 and their means lie within 24 grey levels: so a copy saved
again at JPEG quality 50, at half or double the size, or a tenth brighter is found, while one cut off by a pixel or
taken a moment later mostly is not. On Market-1501 this calls 7 of 650 million pairs alike, all of one person and one
camera. All pairs are compared, coarse (16×8 grey, one matrix product a block) before fine.
Proof: tests/data/test_duplicates.py.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from numpy.typing import NDArray
from PIL import Image

from resight.data.images import read_picture
from resight.errors import BadPicture

HEIGHT: Final = 32
WIDTH: Final = 16
UNLIKE: Final = 0.007
"""Most that near duplicates may differ: one minus the correlation of their thumbnails."""
UNLIKE_COARSE: Final = 0.03
"""The same on 16×8 grey thumbnails, wide enough to let every near duplicate through."""
MEANS_APART: Final = 24.0
"""Grey levels by which the mean colours of near duplicates may differ."""
FLAT: Final = 8.0
"""Contrast (standard deviation) below which a picture counts as flat; noise is not blown up."""
BLOCK: Final = 8_000_000
"""Distances held at a time: 32 MB."""
MOST_PAIRS: Final = 100_000
"""Near duplicates are no longer counted beyond this."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What is left of pictures after one look; row i belongs to the i-th path."""

    digests: list[bytes]
    """Hash of the pixels; empty where the picture could not be read."""
    thumbs: UInt8[np.ndarray, "N 32 16 3"]
    unreadable: dict[int, str]
    """Row -> what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Two pictures that are the same, by their rows in `Looks`."""

    first: int
    second: int
    unlike: float
    """0 for exact duplicates, up to UNLIKE for near ones."""


def look_at(paths: Sequence[Path], told: Callable[..., None] = lambda n: None) -> Looks:
    """Read every picture once and keep a hash and a thumbnail; `told(1)` is called after each."""
    thumbs = np.zeros((len(paths), HEIGHT, WIDTH, 3), np.uint8)
    digests, unreadable = [], {}
    for row, path in enumerate(paths):
        try:
            pixels = read_picture(path)
        except BadPicture as error:
            unreadable[row] = str(error)
            digests.append(b"")
        else:
            digests.append(hashlib.blake2b(pixels.tobytes() + repr(pixels.shape).encode(), digest_size=16).digest())
            thumbs[row] = np.asarray(Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BOX))
        told(1)
    return Looks(digests, thumbs, unreadable)


def alike(looks: Looks, told: Callable[..., None] = lambda n: None) -> list[Alike]:
    """Find the exact and the near duplicates, most alike first; `told(n)` is called as rows are compared.

    Of exact copies only the first is compared further; after MOST_PAIRS near duplicates the search ends.
    """
    same: defaultdict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(looks.digests):
        if digest:
            same[digest].append(row)
    exact = [
        Alike(first, second, 0.0)
        for rows in same.values()
        for first, second in islice(combinations(rows, 2), MOST_PAIRS)
    ]
    rows = np.array([rows[0] for rows in same.values()], np.int64)
    told(len(looks.digests) - len(rows))
    near = list(islice(_near(looks.thumbs, rows, told), MOST_PAIRS))
    return exact + sorted(near, key=lambda pair: pair.unlike)


def _near(
    thumbs: UInt8[np.ndarray, "N 32 16 3"], rows: Int[np.ndarray, " R"], told: Callable[..., None]
) -> Iterator[Alike]:
    grey = thumbs.mean(3, dtype=np.float32).reshape(-1, HEIGHT // 2, 2, WIDTH // 2, 2).mean((2, 4))
    coarse = _even_out(grey.reshape(-1, HEIGHT * WIDTH // 4))[rows]
    squares = (coarse**2).sum(1)
    step = max(1, BLOCK // max(len(rows), 1))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        apart = squares[block, None] + squares[None, start:] - 2 * (coarse[block] @ coarse[start:].T)
        here, there = np.nonzero(np.triu(apart < 2 * coarse.shape[1] * UNLIKE_COARSE, k=1))
        first, second = rows[here + start], rows[there + start]
        for part in range(0, len(first), 4096):
            yield from _confirm(thumbs, first[part : part + 4096], second[part : part + 4096])
        told(min(step, len(rows) - start))


def _confirm(
    thumbs: UInt8[np.ndarray, "N 32 16 3"], first: Int[np.ndarray, " R"], second: Int[np.ndarray, " R"]
) -> Iterator[Alike]:
    a, b = (thumbs[rows].reshape(len(rows), -1).astype(np.float32) for rows in (first, second))
    unlike = ((_even_out(a) - _even_out(b)) ** 2).mean(1) / 2
    means_apart = np.abs(a.reshape(len(a), -1, 3).mean(1) - b.reshape(len(b), -1, 3).mean(1)).max(1, initial=0)
    for row in np.flatnonzero((unlike <= UNLIKE) & (means_apart <= MEANS_APART)):
        yield Alike(int(first[row]), int(second[row]), float(unlike[row]))


def _even_out(values: Float[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """Take mean and contrast out of each row, so that half the mean squared difference is one minus the correlation."""
    centred = values - values.mean(1, keepdims=True)
    even: NDArray[np.float32] = (centred / np.maximum(centred.std(1, keepdims=True), FLAT)).astype(np.float32)
    return even
