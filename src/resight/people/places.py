"""Places, built by chance: a ground with a kerb, and upright backdrops at several distances, one behind the other.

A place is the same for all pictures of one camera; people pass different spots of it, which is where two pictures of
one camera differ. Proof: tests/people/test_places.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from resight.people.cameras import Camera, Place
from resight.people.cloth import pick
from resight.people.cutouts import bicycles, cars, posts, railing
from resight.people.paint import (
    TEXELS,
    WIDE,
    asphalt,
    doorway,
    facade,
    far,
    grass,
    leaves,
    paving,
    steps,
    tiles,
)

Shares = dict[str, float]
Painter = Callable[[np.random.Generator], np.ndarray]
GROUNDS: Final[dict[str, Painter]] = {"paving": paving, "asphalt": asphalt, "tiles": tiles, "grass": grass}
BACKDROPS: Final[dict[str, Painter]] = {
    "facade": facade,
    "doorway": doorway,
    "steps": steps,
    "leaves": leaves,
    "far": far,
    "bicycles": bicycles,
    "cars": cars,
    "railing": railing,
    "posts": posts,
}
KINDS: Final[dict[Place, tuple[Shares, Shares, Shares, tuple[float, float]]]] = {
    # ground, what stands before the wall, the wall, its distance behind the people in metres
    "bicycle-rack": ({"paving": 1}, {"bicycles": 1}, {"far": 1, "facade": 0.5, "leaves": 0.3}, (4, 9)),
    "square": ({"paving": 1}, {"posts": 1, "bicycles": 1}, {"far": 1}, (12, 18)),
    "entrance": ({"tiles": 1, "paving": 1}, {"posts": 0.3, "none": 1}, {"doorway": 1}, (1.6, 4)),
    "stairs": ({"tiles": 1, "paving": 1}, {"none": 1, "railing": 0.5}, {"steps": 1}, (1.4, 4)),
    "street": ({"asphalt": 1}, {"cars": 1, "bicycles": 0.4}, {"facade": 1, "far": 0.6}, (6, 11)),
    "fence": ({"paving": 1, "asphalt": 0.5}, {"railing": 1}, {"far": 1, "leaves": 1}, (3, 8)),
    "wall": ({"paving": 1, "tiles": 0.5}, {"posts": 0.6, "bicycles": 0.6}, {"facade": 1}, (1.6, 4.5)),
    "shops": ({"tiles": 1, "paving": 1}, {"posts": 1, "none": 1}, {"facade": 1, "doorway": 0.5}, (3, 6)),
    "path": ({"paving": 1}, {"leaves": 0.6, "railing": 0.4, "bicycles": 0.6}, {"far": 1}, (7, 14)),
    "hall": ({"tiles": 1}, {"none": 1, "posts": 1}, {"facade": 1, "doorway": 1}, (3, 8)),
    "car-park": ({"asphalt": 1, "paving": 0.5}, {"cars": 1}, {"leaves": 0.5, "far": 1}, (9, 14)),
}
MIPS: Final = 5
"""How many halvings of a texture are kept for what is far."""


@dataclass(frozen=True)
class Screen:
    """An upright texture, H W 4 with its halvings, along x at one distance behind the people."""

    behind: float
    texture: tuple[np.ndarray, ...]
    walks: bool = False
    """Whether it holds people, who are elsewhere in each picture."""


@dataclass(frozen=True)
class Site:
    """Everything of a place that stands still."""

    ground: tuple[np.ndarray, ...]
    beyond: tuple[np.ndarray, ...]
    """The ground behind the kerb."""
    kerb: float
    screens: tuple[Screen, ...]
    """From near to far."""
    brightness: float
    """Mean luminance of the ground: what the camera's exposure is set by."""


@functools.lru_cache(maxsize=32)
def build_site(camera: Camera) -> Site:
    """The place of one camera."""
    rng = np.random.default_rng((camera.seed, 7))
    grounds, before, walls, (nearest, farthest) = KINDS[camera.place]
    ground = GROUNDS[pick(rng, grounds)](rng)
    beyond = GROUNDS[pick(rng, {"paving": 1, "asphalt": 1, "tiles": 0.7, "grass": 0.35})](rng)
    wall = float(rng.uniform(nearest, farthest))
    kinds = [(wall, pick(rng, walls))]
    for _ in range(int(rng.integers(1, 3))):
        kind = pick(rng, before)
        if kind != "none":
            kinds.append((float(rng.uniform(0.3, 0.9)) * wall + 0.3, kind))
    screens = [Screen(behind, halvings(BACKDROPS[kind](rng))) for behind, kind in kinds]
    if wall > 3:
        screens += [Screen(float(rng.uniform(1.5, wall)), halvings(_walkers(rng)), walks=True)]
    screens.append(Screen(24.0, halvings(BACKDROPS["far"](rng))))
    brightness = float((0.5 * ground[:, :, :3] + 0.5 * beyond[:, :, :3]).mean())
    kerb = float(rng.uniform(0.8, max(1.2, 0.8 * wall))) if rng.random() < 0.6 else 99.0
    if kerb > 90:
        brightness = float(ground[:, :, :3].mean())
    order = sorted(screens, key=lambda screen: screen.behind)
    return Site(halvings(ground), halvings(beyond), kerb, tuple(order), brightness)


def halvings(texture: np.ndarray) -> tuple[np.ndarray, ...]:
    """A texture and its halves, quarters and so on; colours are weighted by how much is there."""
    found = [texture.astype(np.float32)]
    for _ in range(MIPS):
        high, wide = (size // 2 * 2 for size in found[-1].shape[:2])
        if min(high, wide) < 4:
            break
        last = found[-1][-high:, :wide]
        there = last[:, :, 3:]
        four = np.concatenate([last[:, :, :3] * there, there], axis=2).reshape(high // 2, 2, wide // 2, 2, 4)
        mean = four.mean((1, 3))
        found.append(np.concatenate([mean[:, :, :3] / np.maximum(mean[:, :, 3:], 1e-3), mean[:, :, 3:]], axis=2))
    return tuple(found)


def _walkers(rng: np.random.Generator) -> np.ndarray:
    """People in the background, drawn once from the same wardrobe: background, not persons of the set."""
    from resight.people.figure import make_figure
    from resight.people.identity import draw_identity, draw_pose
    from resight.people.mesh import joined, moved, normals
    from resight.people.raster import rasterise

    found = np.zeros((2 * TEXELS, WIDE * TEXELS, 4), np.float32)
    for _ in range(int(rng.integers(3, 9))):
        identity = draw_identity(rng)
        mesh = moved(joined(make_figure(identity, draw_pose(identity, rng)).meshes), turn=float(rng.uniform(0, 6.3)))
        places = np.column_stack(
            [mesh.vertices[:, 0] * TEXELS + 40, (2 - mesh.vertices[:, 2]) * TEXELS, mesh.vertices[:, 1] + 100]
        )
        seen = rasterise(places.astype(float), mesh.faces, size=(2 * TEXELS, 80)).face
        lit = 0.55 + 0.35 * normals(mesh.vertices.astype(float), mesh.faces)[:, 2]
        corner = mesh.faces[seen, 0]
        left = int(rng.integers(0, WIDE * TEXELS - 80))
        sprite = mesh.colours[corner] * lit[corner][:, :, None]
        place = found[:, left : left + 80]
        place[:] = np.where((seen >= 0)[:, :, None], np.dstack([sprite, np.ones_like(seen)]), place)
    return found
