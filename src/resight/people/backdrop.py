"""What lies behind people in a view: each pixel's ray meets the textures of the place.

Proof: tests/people/test_places.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from resight.people.mesh import turned
from resight.people.paint import TEXELS
from resight.people.places import Site
from resight.people.scene import View

Shift = tuple[float, float]
KERB: Final = 0.14
"""Width of the kerb's stones, metres."""
TALL: Final = 3.9
"""From this height on, metres, a backdrop goes on upwards."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """Surfaces behind people at N pixels."""

    colours: np.ndarray
    """N 3: linear reflectance."""
    points: np.ndarray
    """N 3: where the nearest surface lies, metres."""
    upright: np.ndarray
    """N bool: whether that is a backdrop and not the ground."""
    front: np.ndarray
    """Unit normal of the backdrops, 3."""


def backdrop(site: Site, view: View, where: np.ndarray, *, yaw: float, shift: Shift, walk: float) -> Backdrop:
    """The place at the pixels of `where` (H W bool), row by row.

    It is turned by `yaw` radians and moved by `shift` metres; its walking people have gone `walk` metres on.
    """
    every = view.rays()
    rays = every[where].astype(np.float32)
    about = turned(yaw)
    one, two, z = np.ascontiguousarray(rays.T)
    x, y = (one * about[0, n] + two * about[1, n] for n in (0, 1))  # no matrix product: its last bits depend on N
    eye = view.eye @ about - np.array([shift[0], shift[1], 0])
    far = (-eye[2] / np.minimum(z, -1e-4)).astype(np.float32)
    texel = TEXELS * view.pixel * far
    east, north = x * far + np.float32(eye[0]), y * far + np.float32(eye[1])
    colours = _tile(site.ground, east, north, texel)
    behind = np.flatnonzero(north > site.kerb)
    if len(behind):
        colours[behind] = _tile(site.beyond, east[behind], north[behind], texel[behind])
        colours[behind[north[behind] < site.kerb + KERB]] *= np.float32(0.72)
    upright = np.zeros(len(rays), bool)
    ahead = float((every.mean((0, 1)) @ about)[1])
    for screen in reversed(site.screens):
        reach = np.where(y > 1e-3, (screen.behind - eye[1]) / np.maximum(y, 1e-3), np.inf).astype(np.float32)
        at = np.flatnonzero((reach < far) & (reach > 0))
        if not len(at):
            continue
        there_is = reach[at]
        across = x[at] * there_is + np.float32(eye[0] + walk * screen.walks)
        wide = TEXELS * view.pixel * (screen.behind - float(eye[1])) / max(ahead, 0.1)
        sample, there = _upright(screen.texture, across, z[at] * there_is + np.float32(eye[2]), wide)
        colours[at] += (sample - colours[at]) * there
        solid = at[there[:, 0] > 0.5]
        far[solid] = reach[solid]
        upright[solid] = True
    return Backdrop(colours, rays * far[:, None] + view.eye, upright, about @ np.array([0.0, -1, 0]))


def _level(halvings: tuple[np.ndarray, ...], texel: np.ndarray) -> np.ndarray:
    """Which halving has texels about as wide as pixels that are `texel` texels wide."""
    return np.asarray(np.clip(np.rint(np.log2(np.maximum(texel, 1))), 0, len(halvings) - 1), np.int64)


def _tile(halvings: tuple[np.ndarray, ...], east: np.ndarray, north: np.ndarray, texel: np.ndarray) -> np.ndarray:
    """Colours N 3 of a ground tile at places, metres; `texel` is how many texels a pixel is wide."""
    found = np.empty((len(east), 3), np.float32)
    level = _level(halvings, texel)
    for step in np.flatnonzero(np.bincount(level)).tolist():
        mine = np.flatnonzero(level == step)
        texture, scale = halvings[step], np.float32(TEXELS / 2**step)
        rows = np.floor(north[mine] * scale).astype(np.int64) % texture.shape[0]
        columns = np.floor(east[mine] * scale).astype(np.int64) % texture.shape[1]
        found[mine] = texture.reshape(-1, 4)[rows * texture.shape[1] + columns, :3]
    return found


def _upright(
    halvings: tuple[np.ndarray, ...], across: np.ndarray, height: np.ndarray, texel: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colours N 3 of an upright texture and how much of it is there, N 1; tall ones go on above, others end."""
    step = int(_level(halvings, np.array([texel]))[0])
    texture, scale = halvings[step], TEXELS / 2**step
    high = np.floor(height * scale).astype(np.int64)
    columns = np.floor(across * scale).astype(np.int64) % texture.shape[1]
    rows = texture.shape[0] - 1 - high
    found = texture.reshape(-1, 4)[np.clip(rows, 0, texture.shape[0] - 1) * texture.shape[1] + columns]
    ends = (rows < 0) & (halvings[0].shape[0] < TALL * TEXELS) | (high < 0)
    return found[:, :3], np.where(ends[:, None], 0, found[:, 3:])
