"""What lies behind people in a view: each pixel's ray meets the textures of the place.

Proof: tests/people/test_places.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.people.mesh import turned
from resight.people.paint import TEXELS
from resight.people.places import Site
from resight.people.scene import View


@dataclass(frozen=True, slots=True)
class Backdrop:
    """Surfaces behind people, H W each."""

    colours: np.ndarray
    """H W 3: linear reflectance."""
    points: np.ndarray
    """H W 3: where the nearest surface lies, metres."""
    normals: np.ndarray
    """H W 3."""


def backdrop(site: Site, view: View, *, yaw: float, shift: tuple[float, float], walk: float) -> Backdrop:
    """The place turned by `yaw` radians and moved by `shift` metres; its walking people have gone `walk` metres on."""
    rays = view.rays().reshape(-1, 3)
    own = rays @ turned(-yaw).T
    eye = view.eye @ turned(-yaw).T - np.array([shift[0], shift[1], 0])
    down = np.minimum(own[:, 2], -1e-4)
    far = -eye[2] / down
    ground = own * far[:, None] + eye
    texel = TEXELS * view.pixel * far
    colours = _tile(site.ground, ground, texel)
    behind = ground[:, 1] > site.kerb
    if behind.any():
        colours[behind] = _tile(site.beyond, ground[behind], texel[behind])
        edge = behind & (ground[:, 1] < site.kerb + 0.14)
        colours[edge] *= 0.72
    up = np.array([0.0, 0, 1])
    points, normals = rays * far[:, None] + view.eye, np.tile(up, (len(rays), 1))
    front = turned(yaw) @ np.array([0.0, -1, 0])
    for screen in reversed(site.screens):
        forward = own[:, 1]
        reach = np.where(forward > 1e-3, (screen.behind - eye[1]) / np.maximum(forward, 1e-3), np.inf)
        at = np.flatnonzero((reach < far + 1e-9) & (reach > 0))
        if not len(at):
            continue
        place = own[at] * reach[at, None] + eye
        sample, there = _upright(screen.texture, place, TEXELS * view.pixel * float(np.median(reach[at])), walk * screen.walks)
        colours[at] = colours[at] * (1 - there) + sample * there
        solid = at[there[:, 0] > 0.5]
        points[solid] = rays[solid] * reach[solid, None] + view.eye
        normals[solid] = front
        far[at] = np.where(there[:, 0] > 0.5, reach[at], far[at]) if screen.behind > 0 else far[at]
    shape = (view.height, view.width, 3)
    return Backdrop(colours.reshape(shape), points.reshape(shape), normals.reshape(shape))


def _tile(halvings: tuple[np.ndarray, ...], places: np.ndarray, texel: np.ndarray) -> np.ndarray:
    """Colours N 3 of a ground tile at places; `texel` is how many texels a pixel is wide."""
    found = np.empty((len(places), 3))
    level = np.clip(np.rint(np.log2(np.maximum(texel, 1))), 0, len(halvings) - 1).astype(int)
    for step in np.unique(level).tolist():
        mine = level == step
        texture, scale = halvings[step], TEXELS / 2**step
        rows = np.floor(places[mine, 1] * scale).astype(np.int64) % texture.shape[0]
        columns = np.floor(places[mine, 0] * scale).astype(np.int64) % texture.shape[1]
        found[mine] = texture[rows, columns, :3]
    return found


def _upright(
    halvings: tuple[np.ndarray, ...], places: np.ndarray, texel: float, walk: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colours N 3 of an upright texture and how much of it is there, N 1; above its edge it goes on or ends."""
    step = int(np.clip(np.rint(np.log2(max(texel, 1))), 0, len(halvings) - 1))
    texture, scale = halvings[step], TEXELS / 2**step
    high = np.floor(places[:, 2] * scale).astype(np.int64)
    columns = np.floor((places[:, 0] + walk) * scale).astype(np.int64) % texture.shape[1]
    rows = texture.shape[0] - 1 - high
    found = texture[np.clip(rows, 0, None), columns]
    there = found[:, 3:] * ((rows >= 0) | (halvings[0].shape[0] > 3.9 * TEXELS))[:, None] * (high >= 0)[:, None]
    return found[:, :3], there
