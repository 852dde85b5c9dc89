"""Textures of places, painted by chance: grounds that tile, walls, hedges and what lies far behind.

A texture is H W 4 float32: linear reflectance and how much of it is there (0..1), `TEXELS` to the metre, row 0 on top.
Upright ones go all round after W texels. Proof: tests/people/test_places.py.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from resight.people.cloth import draw_colour, linear

TEXELS: Final = 48
TILE: Final = 288
"""Texels along a ground tile: 6 m."""
WIDE: Final = 24
"""Metres after which an upright texture comes round again."""
GREYS: Final = ((150, 148, 144), (132, 130, 128), (168, 165, 160), (118, 118, 120), (158, 148, 138))
METAL: Final = {"grey": 1.0, "black": 1.0, "white": 0.4, "light-grey": 0.6, "navy": 0.2}


def noise(rng: np.random.Generator, *, smooth: float, size: tuple[int, int] = (TILE, TILE)) -> np.ndarray:
    """Cloudy noise that tiles, mean 0, spread 1."""
    found = ndimage.gaussian_filter(rng.normal(size=size), smooth, mode="wrap")
    return np.asarray((found - found.mean()) / max(float(found.std()), 1e-9))


def _surface(rng: np.random.Generator, colour: np.ndarray, grain: float, clouds: float, tall: int = TILE) -> np.ndarray:
    """Plain ground or wall: H W 4, H `tall` texels."""
    size = (tall, TILE if tall == TILE else WIDE * TEXELS)
    lightness = 1 + grain * noise(rng, smooth=0.7, size=size) + clouds * noise(rng, smooth=20, size=size)
    found = np.ones((*size, 4), np.float32)
    found[:, :, :3] = np.clip(colour * lightness[:, :, None], 0.01, 0.9)
    return found


def _grey(rng: np.random.Generator) -> np.ndarray:
    return np.asarray(linear(GREYS[int(rng.integers(len(GREYS)))]) * rng.uniform(0.7, 1.25))


def paving(rng: np.random.Generator) -> np.ndarray:
    """Slabs or setts with joints, now and then a row of another tone; mostly grey."""
    base = _grey(rng) if rng.random() < 0.85 else linear((165, 132, 118)) * rng.uniform(0.7, 1.1)
    found = _surface(rng, base, 0.08, 0.07)
    long, short = ((8, 8), (16, 16), (24, 12), (12, 6), (36, 18), (32, 32))[int(rng.integers(6))]
    rows, columns = np.mgrid[:TILE, :TILE]
    row = rows // short
    columns = (columns + row % 2 * (long // 2) * int(rng.random() < 0.7)) % TILE
    stones = rng.normal(1, rng.uniform(0.04, 0.12), (TILE // short + 1, TILE // long + 2))
    found[:, :, :3] *= np.clip(stones[row, columns // long], 0.5, 1.6)[:, :, None]
    joint = (rows % short == 0) | (columns % long == 0)
    found[:, :, :3] *= np.where(joint, rng.uniform(0.45, 0.8), 1.0)[:, :, None]
    if rng.random() < 0.4:
        other = rows % TILE < short * int(rng.integers(1, 4))
        found[other, :3] *= rng.uniform(0.55, 1.4)
    return found


def asphalt(rng: np.random.Generator) -> np.ndarray:
    """Grey road with patches, sometimes a painted line."""
    found = _surface(rng, linear((128, 128, 128)) * rng.uniform(0.6, 1.3), 0.1, 0.1)
    if rng.random() < 0.5:
        top = int(rng.integers(0, TILE - 8))
        found[top : top + 7, :, :3] = linear((205, 203, 195)) * rng.uniform(0.6, 1)
    return found


def tiles(rng: np.random.Generator) -> np.ndarray:
    """Light floor of a hall or concrete slabs."""
    found = _surface(rng, linear((176, 174, 168)) * rng.uniform(0.65, 1.1), 0.03, 0.06)
    rows, columns = np.mgrid[:TILE, :TILE]
    size = (24, 36, 48, 72)[int(rng.integers(4))]
    found[:, :, :3] *= np.where((rows % size == 0) | (columns % size == 0), 0.7, 1.0)[:, :, None]
    return found


def grass(rng: np.random.Generator) -> np.ndarray:
    """Lawn, dull green to dry."""
    found = _surface(rng, linear((98, 112, 78)) * rng.uniform(0.7, 1.2), 0.22, 0.15)
    dry = 0.5 + 0.5 * np.tanh(noise(rng, smooth=9))[:, :, None]
    found[:, :, :3] = found[:, :, :3] * (1 - 0.4 * dry) + 0.4 * dry * linear((140, 134, 104))
    return found


def facade(rng: np.random.Generator) -> np.ndarray:
    """House front: plaster, brick, stone or tiles, with dark doors and windows of uneven spacing."""
    tall = 5 * TEXELS
    base = _grey(rng) if rng.random() < 0.7 else linear(((178, 160, 132), (150, 104, 88))[int(rng.integers(2))])
    found = _surface(rng, base, 0.04, 0.12, tall)
    rows, columns = np.mgrid[:tall, : WIDE * TEXELS]
    course = (4, 8, 16, 30, 200)[int(rng.integers(5))]
    joint = (rows % course == 0) | ((columns + rows // course % 2 * course) % (2 * course) == 0)
    found[:, :, :3] *= np.where(joint, 0.78, 1.0)[:, :, None]
    at = float(rng.uniform(0, 2))
    while at < WIDE - 3:
        wide, low = float(rng.uniform(0.8, 2.8)), float(rng.choice([0.0, 0.0, 0.8, 1.1]))
        _opening(found, rng, at, wide, low, float(rng.uniform(2.1, 3.2)))
        at += wide + float(rng.exponential(1.6)) + 0.3
    plinth = int(rng.uniform(0.1, 0.6) * TEXELS)
    solid = found[-plinth:, :, :3].min(2) > 0.12
    found[-plinth:, :, :3][solid] *= rng.uniform(0.5, 0.8)
    return found


def _opening(found: np.ndarray, rng: np.random.Generator, at: float, wide: float, low: float, top: float) -> None:
    """A door or window with its frame, glass that mirrors something, and bars."""
    tall = len(found)
    up, down = max(tall - int(top * TEXELS), 0), tall - int(low * TEXELS)
    left, right = int(at * TEXELS), int((at + wide) * TEXELS)
    found[up:down, left:right, :3] = np.asarray(draw_colour(rng, METAL)) * rng.uniform(0.6, 1)
    inner = (slice(up + 3, down - (3 if low else 0)), slice(left + 3, right - 3))
    glass = linear((64, 68, 72)) * rng.uniform(0.08, 1.0)
    size = found[inner].shape[:2]
    found[inner][:, :, :3] = np.clip(glass * np.exp(0.5 * noise(rng, smooth=12, size=size))[:, :, None], 0.004, 0.7)
    if rng.random() < 0.5:
        step = int(rng.uniform(0.35, 0.9) * TEXELS)
        for bar in range(left + step, right - 4, step):
            found[up:down, bar : bar + 3, :3] = linear((150, 150, 150)) * rng.uniform(0.2, 1)
    if rng.random() < 0.3:
        high, across = up + int(rng.uniform(0.5, 1.2) * TEXELS), left + int(rng.uniform(0.05, 0.5) * TEXELS)
        found[high : high + 28, across : min(across + 22, right - 4), :3] = draw_colour(rng)


def doorway(rng: np.random.Generator) -> np.ndarray:
    """A dark entrance: openings that are nearly black, pillars and a few lights in it."""
    found = _surface(rng, _grey(rng) * 0.7, 0.03, 0.1, 5 * TEXELS)
    at = 0.0
    while at < WIDE - 4:
        wide = float(rng.uniform(2.2, 5))
        left, right = int(at * TEXELS), min(int((at + wide) * TEXELS), WIDE * TEXELS)
        size = (len(found), right - left)
        dark = linear((44, 44, 46)) * np.exp(0.6 * noise(rng, smooth=16, size=size))[:, :, None] * rng.uniform(0.2, 1)
        found[:, left:right, :3] = dark
        for _ in range(int(rng.integers(0, 4))):
            x, y = int(rng.integers(left, right - 12)), int(rng.integers(20, len(found) - 40))
            across, down = rng.integers(3, 30, 2)
            found[y : y + down, x : min(x + across, right), :3] = linear((170, 168, 160)) * rng.uniform(0.15, 0.8)
        at += wide + float(rng.uniform(0.3, 1.1))
    return found


def steps(rng: np.random.Generator) -> np.ndarray:
    """Stairs up to a wall: light treads over dark risers."""
    found = _surface(rng, _grey(rng), 0.05, 0.1, 4 * TEXELS)
    tall, step = len(found), int(rng.uniform(0.13, 0.18) * TEXELS)
    top = int(rng.integers(4, 10))
    for number in range(top):
        row = tall - number * step
        found[row - step : row - step + 3, :, :3] *= 1.35
        found[row - step + 3 : row, :, :3] *= 0.45 + 0.02 * number
    found[: tall - top * step, :, :3] *= rng.uniform(0.3, 1.0)
    for at in np.cumsum(rng.uniform(2, 7, 6)):
        left = int(at * TEXELS) % (WIDE * TEXELS - 20)
        found[: tall - top * step, left : left + int(rng.integers(6, 90)), :3] *= rng.uniform(0.1, 1.3)
    return np.asarray(np.clip(found, 0.004, 1), np.float32)


def leaves(rng: np.random.Generator) -> np.ndarray:
    """Hedge or bushes: dull greens, dark gaps, a ragged upper edge."""
    tall = int(rng.uniform(0.8, 2.6) * TEXELS)
    found = _surface(rng, linear((86, 100, 70)) * rng.uniform(0.5, 1.1), 0.0, 0.0, tall)
    size = found.shape[:2]
    lumps = 0.55 * noise(rng, smooth=1.3, size=size) + 0.45 * noise(rng, smooth=5, size=size)
    found[:, :, :3] = np.clip(found[:, :, :3] * np.exp(lumps)[:, :, None], 0.004, 0.5)
    edge = 6 + 5 * noise(rng, smooth=8, size=(1, size[1])) + 3 * noise(rng, smooth=1.5, size=(1, size[1]))
    found[:, :, 3] = np.arange(tall)[:, None] > edge
    return found


def far(rng: np.random.Generator) -> np.ndarray:
    """What lies far behind: blurred house fronts, trees and gaps of pale sky."""
    tall = 9 * TEXELS
    found = _surface(rng, linear((172, 176, 178)), 0.0, 0.0, tall)
    for _ in range(40):
        kind = rng.random()
        colour = _grey(rng) * rng.uniform(0.3, 1.2)
        if kind < 0.35:
            colour = linear((92, 104, 80)) * rng.uniform(0.3, 1.0)
        elif kind < 0.5:
            colour = np.asarray(draw_colour(rng)) * 0.8
        left, wide = int(rng.integers(0, WIDE * TEXELS)), int(rng.integers(10, 200))
        found[tall - int(rng.integers(40, tall)) :, left : left + wide, :3] = colour
    found[:, :, :3] *= np.exp(0.35 * noise(rng, smooth=4, size=found.shape[:2]))[:, :, None]
    found[:, :, :3] = ndimage.gaussian_filter(found[:, :, :3], (2.5, 2.5, 0), mode=("nearest", "wrap", "nearest"))
    return np.asarray(np.clip(found, 0.005, 1), np.float32)
