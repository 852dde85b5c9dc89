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
    one, two, three = (places[faces[:, corner]] for corner in range(3))
    least, most = np.minimum(np.minimum(one, two), three), np.maximum(np.maximum(one, two), three)
    low = np.ceil(np.maximum(least[:, :2], 0)).astype(np.int64)
    top = np.floor(np.minimum(most[:, :2], [wide - 1, high - 1])).astype(np.int64)
    count = np.maximum(top - low + 1, 0)
    count[least[:, 2] < NEAR] = 0
    pairs = count[:, 0] * count[:, 1]
    face = np.repeat(np.arange(len(faces)), pairs)
    within = np.arange(len(face)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    x = low[face, 0] + within % np.maximum(count[face, 0], 1)
    y = low[face, 1] + within // np.maximum(count[face, 0], 1)
    a, b, c = one[face, :2], two[face, :2], three[face, :2]
    area = _cross(b - a, c - a)
    point = np.stack([x, y], axis=1)
    first, second = _cross(b - point, c - point), _cross(c - point, a - point)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = first / area, second / area
        third = 1 - first - second
        inside = (first >= 0) & (second >= 0) & (third >= 0)
        near = first / one[face, 2] + second / two[face, 2] + third / three[face, 2]
    face, pixel, near = face[inside], (y * wide + x)[inside], near[inside]
    order = np.lexsort((face, -near, pixel))
    pixel, first_of = np.unique(pixel[order], return_index=True)
    found, far = np.full(high * wide, -1), np.full(high * wide, np.inf)
    found[pixel], far[pixel] = face[order][first_of], 1 / near[order][first_of]
    return Seen(found.reshape(high, wide), far.reshape(high, wide))


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
