"""How much of sun and sky reaches each point: shadows from height maps, without chance and so without grain.

What stands near is spread into points; for the sun and for a fixed set of directions of the sky, a grid across the
direction keeps the outermost point of each cell. A point is in shadow where its cell holds something farther out.
Two scenes that share a part share its light to the last bit where the rest casts no shadow.
Proof: tests/people/test_light.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from resight.people.mesh import Mesh

SKY_DIRECTIONS: Final = 16
SKY_CELL, SUN_CELL = 0.045, 0.022
"""Sizes of the grids' cells, metres."""
BIAS: Final = 1.6
"""How far out something must lie to cast a shadow, in cells: less would let a surface shade itself."""

REACH: Final = 2.5
"""How far from what stands near its shadow of the sky is followed, metres."""
DENSE: Final = 9000
"""A mesh with more corners than this has twice as many as the sky's cells need."""


@dataclass(frozen=True, slots=True)
class Heights:
    """Outermost points along one direction."""

    axes: np.ndarray
    """3 3: two directions across, then the direction itself, outwards."""
    cell: float
    low: np.ndarray
    """Number of the first cell, 2."""
    top: np.ndarray
    """Farthest out in each cell, metres; -inf where there is nothing."""

    def shadow(self, points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
        """0 in the light to 1 in shadow, with an edge as wide as a cell."""
        found = np.zeros(len(points))
        rows, columns = self.top.shape
        one, two, out = _along(self.axes, points)
        one, two = one / self.cell - 0.5, two / self.cell - 0.5
        row, column = np.floor(one).astype(np.int64), np.floor(two).astype(np.int64)
        down, right = one - row, two - column
        row, column = row - self.low[0] + 1, column - self.low[1] + 1
        near = np.flatnonzero((row >= 0) & (column >= 0) & (row <= rows) & (column <= columns))
        row, column, down, right = row[near], column[near], down[near], right[near]
        framed = np.pad(self.top, 1, constant_values=-np.inf).ravel()
        at, wide = row * (columns + 2) + column, columns + 2
        height = out[near] + BIAS * self.cell
        upper = (framed[at] > height) * (1 - right) + (framed[at + 1] > height) * right
        lower = (framed[at + wide] > height) * (1 - right) + (framed[at + wide + 1] > height) * right
        found[near] = upper * (1 - down) + lower * down
        return found


def height_map(points: Float[np.ndarray, "N 3"], direction: np.ndarray, cell: float) -> Heights:
    """Heights of points along a unit direction."""
    axes = _axes(direction)
    one, two, out = _along(axes, points)
    row, column = np.floor(one / cell).astype(np.int64), np.floor(two / cell).astype(np.int64)
    low = np.array([row.min(), column.min()])
    size = np.array([row.max(), column.max()]) - low + 1
    top = np.full(int(size[0] * size[1]), -np.inf)
    np.maximum.at(top, (row - low[0]) * size[1] + (column - low[1]), out)
    return Heights(axes, cell, low, top.reshape(size))


def _along(axes: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, ...]:
    """Coordinates of points along three axes; a point's do not depend on what other points there are."""
    x, y, z = points.T
    return tuple(axis[0] * x + axis[1] * y + axis[2] * z for axis in axes)


def _axes(direction: np.ndarray) -> np.ndarray:
    """Two unit directions across a unit direction, then itself, 3 3."""
    helper = np.array([0.0, 0, 1]) if abs(direction[2]) < 0.9 else np.array([0.0, 1, 0])
    one = np.cross(helper, direction)
    one /= np.linalg.norm(one)
    return np.stack([one, np.cross(direction, one), direction])


def spread(mesh: Mesh, spacing: float) -> Float[np.ndarray, "N 3"]:
    """Corners of a mesh, and points on its larger triangles no farther apart than `spacing`, metres."""
    corners = mesh.vertices.astype(float)
    a, b, c = (corners.take(mesh.faces[:, n], axis=0) for n in range(3))
    longest = np.sqrt(np.maximum(np.maximum(_square(b - a), _square(c - b)), _square(a - c)))
    large = np.flatnonzero(longest > spacing)
    found = [corners]
    steps = np.minimum(np.ceil(longest[large] / spacing), 200).astype(int)
    for count in np.unique(steps).tolist():
        chosen = large[steps == count]
        first, second = np.mgrid[: count + 1, : count + 1].reshape(2, -1) / count
        keep = first + second <= 1 + 1e-9
        first, second = first[keep], second[keep]
        points = a[chosen][:, None] * (1 - first - second)[None, :, None]
        points += b[chosen][:, None] * first[None, :, None] + c[chosen][:, None] * second[None, :, None]
        found.append(points.reshape(-1, 3))
    return np.concatenate(found)


def _square(edge: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("nd,nd->n", edge, edge))


def sky_directions() -> tuple[Float[np.ndarray, "S 3"], Float[np.ndarray, " S"]]:
    """Directions over the upper half and their weights: an overcast sky, three times as bright above as at its rim.

    The weights make the light on a level surface 1.
    """
    number = np.arange(SKY_DIRECTIONS) + 0.5
    rise = number / SKY_DIRECTIONS
    turn = number * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - rise**2)
    weight = 1 + 2 * rise
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), rise], axis=1), weight / (weight * rise).sum()


@dataclass(frozen=True, slots=True)
class Shadows:
    """Height maps of what stands near: along the sun (None without sun) and along each direction of the sky."""

    sun: Heights | None
    sun_direction: np.ndarray
    sky: tuple[Heights, ...]
    low: np.ndarray
    """Corner of the box that holds what stands near, 3."""
    high: np.ndarray

    def lit(self, points: Float[np.ndarray, "N 3"], out: np.ndarray) -> np.ndarray:
        """Light of the sky at points with unit normals (N 3, or 3 for all), N: 1 on level open ground."""
        directions, weights = sky_directions()
        facing = np.maximum(out @ directions.T, 0) * weights
        found = np.broadcast_to(facing.sum(-1), len(points)).astype(float)
        near = np.flatnonzero(((points > self.low - REACH) & (points < self.high + REACH)).all(1))
        for number, heights in enumerate(self.sky):
            found[near] -= (facing[..., number] if facing.ndim == 1 else facing[near, number]) * heights.shadow(
                points[near]
            )
        return np.asarray(found)

    def sunlit(self, points: Float[np.ndarray, "N 3"], out: np.ndarray) -> np.ndarray:
        """Light of the sun at points with unit normals (N 3, or 3 for all), N: 1 where it falls at right angles."""
        if self.sun is None:
            return np.zeros(len(points))
        return np.asarray(np.maximum(out @ self.sun_direction, 0) * (1 - self.sun.shadow(points)))


def shadows(meshes: Sequence[Mesh], sun: np.ndarray | None) -> Shadows:
    """Height maps of meshes; `sun` is the unit direction towards it."""
    coarse = np.concatenate([spread(mesh, SKY_CELL)[:: 2 if len(mesh.vertices) > DENSE else 1] for mesh in meshes])
    box = coarse.min(0), coarse.max(0)
    sky = tuple(height_map(coarse, direction, SKY_CELL) for direction in sky_directions()[0])
    if sun is None:
        return Shadows(None, np.zeros(3), sky, *box)
    fine = np.concatenate([spread(mesh, SUN_CELL) for mesh in meshes])
    return Shadows(height_map(fine, sun, SUN_CELL), sun, sky, *box)
