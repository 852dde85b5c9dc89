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
        across = points @ self.axes.T
        share = across[:, :2] / self.cell - 0.5 - self.low
        near = np.flatnonzero((share > -1).all(1) & (share < self.top.shape).all(1))
        across, share = across[near], share[near]
        first = np.floor(share).astype(np.int64)
        part = share - first
        rows, columns = self.top.shape
        height = across[:, 2] + BIAS * self.cell
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            weight = np.abs(1 - row - part[:, 0]) * np.abs(1 - column - part[:, 1])
            at = first + np.array([row, column])
            inside = (at >= 0).all(1) & (at[:, 0] < rows) & (at[:, 1] < columns)
            flat = np.where(inside, at[:, 0] * columns + at[:, 1], 0)
            found[near] += weight * (inside & (self.top.ravel()[flat] > height))
        return found


def height_map(points: Float[np.ndarray, "N 3"], direction: np.ndarray, cell: float) -> Heights:
    """Heights of points along a unit direction."""
    helper = np.array([0.0, 0, 1]) if abs(direction[2]) < 0.9 else np.array([0.0, 1, 0])
    one = np.cross(helper, direction)
    one /= np.linalg.norm(one)
    axes = np.stack([one, np.cross(direction, one), direction])
    across = points @ axes.T
    number = np.floor(across[:, :2] / cell).astype(np.int64)
    low = number.min(0)
    number -= low
    size = number.max(0) + 1
    top = np.full(int(size[0] * size[1]), -np.inf)
    np.maximum.at(top, number[:, 0] * size[1] + number[:, 1], across[:, 2])
    return Heights(axes, cell, low, top.reshape(size))


def spread(mesh: Mesh, spacing: float) -> Float[np.ndarray, "N 3"]:
    """Corners of a mesh, and points on its larger triangles no farther apart than `spacing`, metres."""
    corners = mesh.vertices.astype(float)
    a, b, c = (corners[mesh.faces[:, n]] for n in range(3))
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
    return np.asarray((edge**2).sum(1))


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

    def lit(self, points: Float[np.ndarray, "N 3"], out: Float[np.ndarray, "N 3"]) -> np.ndarray:
        """Light of the sky at points with unit normals, N: 1 on level open ground."""
        directions, weights = sky_directions()
        facing = np.maximum(out @ directions.T, 0) * weights
        found = np.zeros(len(points))
        for number, heights in enumerate(self.sky):
            found += facing[:, number] * (1 - heights.shadow(points))
        return found

    def sunlit(self, points: Float[np.ndarray, "N 3"], out: Float[np.ndarray, "N 3"]) -> np.ndarray:
        """Light of the sun at points with unit normals, N: 1 where it falls at right angles."""
        if self.sun is None:
            return np.zeros(len(points))
        return np.asarray(np.maximum(out @ self.sun_direction, 0) * (1 - self.sun.shadow(points)))


def shadows(meshes: Sequence[Mesh], sun: np.ndarray | None) -> Shadows:
    """Height maps of meshes; `sun` is the unit direction towards it."""
    coarse = np.concatenate([spread(mesh, SKY_CELL) for mesh in meshes])
    sky = tuple(height_map(coarse, direction, SKY_CELL) for direction in sky_directions()[0])
    if sun is None:
        return Shadows(None, np.zeros(3), sky)
    fine = np.concatenate([spread(mesh, SUN_CELL) for mesh in meshes])
    return Shadows(height_map(fine, sun, SUN_CELL), sun, sky)
