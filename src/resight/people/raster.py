"""Which triangle each pixel centre sees: exact maps of many small triangles, without light, in numpy.

A depth buffer over pairs of a triangle and a pixel centre in its box; at the size of a crop most triangles hold no
centre or one, so this costs a few milliseconds. Proof: tests/people/test_raster.py compares with rays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

NEAR = 0.05
"""Triangles that reach nearer to the eye than this, in metres, are left out."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the pixel centres see."""

    face: Int[np.ndarray, "H W"]
    """Number of the nearest triangle, -1 where there is none."""
    depth: Float[np.ndarray, "H W"]
    """Its distance along the view's axis, metres; infinite where there is none."""


def rasterise(places: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"], *, size: tuple[int, int]) -> Seen:
    """Nearest triangle at each pixel centre of H W pixels.

    `places` are corners as x and y in pixels (centres at whole numbers) and depth in metres.
    """
    high, wide = size
    x, y, depth = (np.ascontiguousarray(column) for column in places.T)
    corners = [np.ascontiguousarray(column) for column in faces.T]
    left, right, top, bottom = *_range(x, corners), *_range(y, corners)
    left, top = np.ceil(np.maximum(left, 0)), np.ceil(np.maximum(top, 0))
    across = np.floor(np.minimum(right, wide - 1)) - left + 1
    down = np.floor(np.minimum(bottom, high - 1)) - top + 1
    held = np.flatnonzero((across > 0) & (down > 0) & (_range(depth, corners)[0] >= NEAR))
    across, down = across[held].astype(np.int64), down[held].astype(np.int64)
    count = across * down
    one = np.repeat(np.arange(len(held)), count)
    within = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
    column = left[held].astype(np.int64)[one] + within % across[one]
    row = top[held].astype(np.int64)[one] + within // across[one]
    a, b, c = (part[held] for part in corners)
    area = (x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a])
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = 1 / area
        first = _share(x, y, b, c, unit, one, column, row)
        second = _share(x, y, c, a, unit, one, column, row)
        third = 1 - first - second
        inside = np.flatnonzero((first >= 0) & (second >= 0) & (third >= 0))
        one, pixel = one[inside], (row * wide + column)[inside]
        near = 1 / depth
        near = first[inside] * near[a][one] + second[inside] * near[b][one] + third[inside] * near[c][one]
    order = np.argsort(near, kind="stable")  # the nearest is written last
    pixel = pixel[order]
    found, far = np.full(high * wide, -1), np.full(high * wide, np.inf)
    found[pixel], far[pixel] = held[one[order]], 1 / near[order]
    return Seen(found.reshape(high, wide), far.reshape(high, wide))


def _range(values: np.ndarray, corners: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Least and most of a value at the three corners of each triangle."""
    a, b, c = (values[corner] for corner in corners)
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _share(
    x: np.ndarray,
    y: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    unit: np.ndarray,
    one: np.ndarray,
    column: np.ndarray,
    row: np.ndarray,
) -> np.ndarray:
    """Share of the corner across from the edge start-end at pixels of triangles `one`."""
    along, up = (x[end] - x[start]) * unit, (y[end] - y[start]) * unit
    base = along * y[start] - up * x[start]
    return np.asarray(along[one] * row - up[one] * column - base[one])


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.asarray(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])


def shares(
    places: Float[np.ndarray, "V 3"], corners: Int[np.ndarray, "N 3"], on: Bool[np.ndarray, "H W"]
) -> Float[np.ndarray, "N 3"]:
    """How near each pixel of `on` (row by row) is to its triangle's corners, in space: shares that sum to 1."""
    y, x = np.nonzero(on)
    point = np.stack([x, y], axis=1)
    a, b, c = (places[corners[:, n]] for n in range(3))
    first, second = _cross(b[:, :2] - point, c[:, :2] - point), _cross(c[:, :2] - point, a[:, :2] - point)
    third = _cross(a[:, :2] - point, b[:, :2] - point)
    found = np.stack([first / a[:, 2], second / b[:, 2], third / c[:, 2]], axis=1)
    return np.asarray(found / found.sum(1, keepdims=True))
