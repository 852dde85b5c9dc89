"""Read rank strips that other tools have painted: a query and its ten nearest pictures in one file.

Layout: 128 pixels high; the query 64 wide at x = 0, then ten pictures 64 wide at x = 72 + 72 i, each in a frame of 3
pixels, green where right and red where wrong. JPEG spreads the paint, so crops are cut 6 pixels inside the frame.
A strip knows neither how many true matches there are nor what lies beyond its ten pictures: it gives the rank of the
first true match, or that there is none among the ten, never AP.
Proof: tests/diagnose/test_strips.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, UInt8

from resight.data.images import read_picture
from resight.errors import BadPicture

HEIGHT: Final = 128
WIDTH: Final = 64
STEP: Final = 72
RANKS: Final = 10
FRAME: Final = 3
BLEED: Final = 6
"""Pixels at each side that paint may have reached."""
SURE: Final = 90
"""Grey levels between green and red that a frame shows at least."""

Paint = Literal["green", "red"]


@dataclass(frozen=True, slots=True)
class Strip:
    """One strip: R ranks, crops without their frames."""

    path: Path
    query: UInt8[np.ndarray, "H W 3"]
    crops: tuple[UInt8[np.ndarray, "h w 3"], ...]
    right: Bool[np.ndarray, " R"]

    @property
    def first_hit(self) -> int | None:
        """Rank of the first true match, 1 to 10; None where the strip shows none."""
        return int(self.right.argmax()) + 1 if self.right.any() else None


def read_strip(path: Path, *, true: Paint = "green") -> Strip:
    """Read one strip; `true` is the paint of true matches (some tools paint them red). Raises BadPicture."""
    pixels = read_picture(path)
    expected = (HEIGHT, STEP * RANKS + WIDTH)
    if pixels.shape[:2] != expected:
        raise BadPicture(
            f"{path} is {pixels.shape[1]} × {pixels.shape[0]} pixels, a strip {expected[1]} × {expected[0]}: "
            f"a query {WIDTH} wide at x = 0 and {RANKS} pictures at x = {STEP}, {2 * STEP} and so on."
        )
    tiles = [pixels[:, STEP * rank : STEP * rank + WIDTH] for rank in range(1, RANKS + 1)]
    greener = np.array([_greener(tile) for tile in tiles])
    unsure = np.flatnonzero(np.abs(greener) < SURE)
    if len(unsure):
        raise BadPicture(
            f"{path}: the picture at rank {int(unsure[0]) + 1} has no green or red frame of {FRAME} pixels; "
            "this is no strip of a known layout."
        )
    inside = slice(BLEED, -BLEED)
    return Strip(
        path, pixels[:, :WIDTH], tuple(tile[inside, inside] for tile in tiles), (greener > 0) == (true == "green")
    )


def _greener(tile: UInt8[np.ndarray, "H W 3"]) -> float:
    """Median of green less red on the frame: its middle line, which JPEG keeps best."""
    line = FRAME // 2
    values = tile.astype(np.int64)
    border = np.concatenate([values[line], values[-1 - line], values[:, line], values[:, -1 - line]])
    return float(np.median(border[:, 1] - border[:, 0]))
