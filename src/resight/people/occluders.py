"""Things that stand between a camera and a person, and the search for the place where they hide a wanted share.

Proof: tests/people/test_truth.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from resight.people.cloth import draw_colour
from resight.people.figure import make_figure
from resight.people.identity import draw_identity, draw_pose
from resight.people.mesh import Mesh, ellipsoid, joined, moved, painted, tube
from resight.people.raster import rasterise
from resight.people.scene import View
from resight.people.things import bicycle, box, bush, car


def pole(rng: np.random.Generator) -> Mesh:
    """A post or pillar that is higher than people."""
    path = np.array([[0, 0, 0], [0, 0, 2.0], [0, 0, 4.0]])
    return painted(
        *tube(path, float(rng.uniform(0.07, 0.2)), sides=12),
        draw_colour(rng, {"grey": 2, "black": 1, "white": 1, "olive": 0.4}),
    )


def wall(rng: np.random.Generator) -> Mesh:
    """The end of a wall or hoarding."""
    colour = draw_colour(rng, {"grey": 1, "light-grey": 1, "beige": 1, "white": 1, "brown": 1})
    return box((-1.6, -0.1, 0), (1.6, 0.1, float(rng.uniform(0.9, 2.4))), colour)


def sign(rng: np.random.Generator) -> Mesh:
    """A board on a pole."""
    low = float(rng.uniform(0.4, 1.2))
    board = box((-0.35, -0.02, low), (0.35, 0.02, low + 0.7), draw_colour(rng))
    return joined(
        [board, painted(*tube(np.array([[0, 0.03, 0], [0, 0.03, low], [0, 0.03, 2.2]]), 0.03), (0.3, 0.3, 0.3))]
    )


def umbrella(rng: np.random.Generator) -> Mesh:
    """An open umbrella held low before somebody."""
    corners, faces = ellipsoid((0, 0, 1.25), (0.55, 0.55, 0.4), rings=8, sides=14)
    top = faces[corners[faces][:, :, 2].min(1) > 1.24]
    return joined(
        [
            painted(corners, top, draw_colour(rng)),
            painted(*tube(np.array([[0, 0, 0.6], [0, 0, 1.1], [0, 0, 1.65]]), 0.012), (0.05, 0.05, 0.05)),
        ]
    )


def bush_body(rng: np.random.Generator) -> Mesh:
    """A bush, large."""
    made = bush(rng)
    return Mesh((made.vertices * 1.15).astype(np.float32), made.faces, made.colours, made.labels)


def somebody(rng: np.random.Generator) -> Mesh:
    """Another person, dressed and in a pose of their own."""
    identity = draw_identity(rng)
    figure = make_figure(identity, draw_pose(identity, rng))
    return moved(joined(figure.meshes), turn=float(rng.uniform(0, 2 * np.pi)))


OCCLUDERS: Final[dict[str, Callable[[np.random.Generator], Mesh]]] = {
    "pole": pole,
    "wall": wall,
    "sign": sign,
    "umbrella": umbrella,
    "bush": bush_body,
    "bicycle": bicycle,
    "car": car,
    "person": somebody,
}


MOST_HIDDEN: Final = 0.5
"""Share of the wanted person that a second one before them may hide: with more, the crop would be the other's."""


def silhouette(mesh: Mesh, view: View) -> np.ndarray:
    """Pixels that a mesh covers, H W bool."""
    return rasterise(view.project(mesh.vertices.astype(float)), mesh.faces, size=(view.height, view.width)).face >= 0


def placed(mesh: Mesh, *, share: float, body: np.ndarray, view: View, before: np.ndarray, side: int) -> Mesh:
    """The thing put at `before` (x, y on the ground), then moved sideways until it hides about `share` of `body`.

    `body` is the person's silhouette (H W bool); `side` is where the thing comes from, 1 or -1. What cannot hide that
    much is left where it hides most.
    """
    total = max(int(body.sum()), 1)
    across = np.array([before[1], -before[0]]) / max(float(np.hypot(*before)), 1e-6)
    offsets = np.linspace(2.6, -0.4, 26) * side
    best, least = mesh, 9.0
    for offset in offsets.tolist():
        spot = before + across * offset
        tried = moved(mesh, to=(float(spot[0]), float(spot[1]), 0.0))
        hidden = float((silhouette(tried, view) & body).sum()) / total
        if abs(hidden - share) < least:
            best, least = tried, abs(hidden - share)
        if hidden >= share:
            break
    return best


def beside(other: Mesh, *, share: float, person: Mesh, view: View, away: float, side: int) -> Mesh:
    """Somebody `away` metres behind the person (before, where negative), so near that a share of the crop shows them.

    They come from `side`, 1 or -1, until they cover about `share`, or hide half of the person. Where so much cannot be
    seen of them, they stand where most is.
    """
    wanted = silhouette(person, view)
    total = max(int(wanted.sum()), 1)
    best, least = other, 9.0
    for aside in np.linspace(1.4, 0.0, 29).tolist():
        tried = moved(other, to=(aside * side, away, 0.0))
        covers = silhouette(tried, view)
        if away < 0 and (covers & wanted).sum() / total > MOST_HIDDEN:
            break
        seen = float((covers & ~wanted if away > 0 else covers).mean())
        if abs(seen - share) < least:
            best, least = tried, abs(seen - share)
        if seen >= share:
            break
    return best
