"""Grounds, walls and clutter, built by chance: what stands behind and around people.

Textures are linear reflectance, H W 3; a place is textured rectangles and coloured meshes, the same for all pictures
of one camera. Proof: tests/people/test_people.py, in whole pictures.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from resight.people.cameras import Camera
from resight.people.cloth import draw_colour, linear, varied
from resight.people.mesh import Mesh, ellipsoid, joined, moved, painted, tube

TILE = 256


@dataclass(frozen=True)
class Panel:
    """A textured rectangle: `corner` + u `across` + v `up`, with the texture repeated `repeats` times."""

    corner: tuple[float, float, float]
    across: tuple[float, float, float]
    up: tuple[float, float, float]
    texture: np.ndarray
    repeats: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Site:
    """Everything of a place that stands still."""

    panels: tuple[Panel, ...]
    clutter: Mesh | None


def noise(rng: np.random.Generator, *, smooth: float, size: tuple[int, int] = (TILE, TILE)) -> np.ndarray:
    """Cloudy noise that tiles, mean 0, spread 1."""
    found = ndimage.gaussian_filter(rng.normal(size=size), smooth, mode="wrap")
    return np.asarray((found - found.mean()) / max(float(found.std()), 1e-9))


def _surface(rng: np.random.Generator, colour: np.ndarray, grain: float, clouds: float) -> np.ndarray:
    lightness = 1 + grain * noise(rng, smooth=0.7) + clouds * noise(rng, smooth=14)
    return np.clip(colour * lightness[:, :, None], 0.01, 0.9)


def paving(rng: np.random.Generator) -> np.ndarray:
    """Slabs or setts with joints; grey, reddish or beige."""
    base = linear(((150, 146, 140), (165, 130, 115), (176, 168, 150), (120, 120, 122))[int(rng.integers(4))])
    found = _surface(rng, base * rng.uniform(0.7, 1.15), 0.09, 0.06)
    count = int(rng.integers(4, 13))
    size = TILE // count
    rows, columns = np.mgrid[:TILE, :TILE]
    columns = columns + (rows // size % 2) * (size // 2) * int(rng.random() < 0.6)
    stones = rng.normal(1, 0.07, (count + 2, 2 * count + 4))
    found *= stones[np.minimum(rows // size, count + 1), np.minimum(columns // size, 2 * count + 3)][:, :, None]
    joint = (rows % size < 2) | (columns % size < 2)
    return np.asarray(np.where(joint[:, :, None], found * 0.62, found))


def asphalt(rng: np.random.Generator) -> np.ndarray:
    """Grey road."""
    return _surface(rng, linear((112, 112, 114)) * rng.uniform(0.5, 1.5), 0.16, 0.08)


def grass(rng: np.random.Generator) -> np.ndarray:
    """Lawn, green to dry."""
    base = linear((82, 112, 52)) * rng.uniform(0.6, 1.2)
    dry = 0.5 + 0.5 * np.tanh(noise(rng, smooth=9))[:, :, None]
    return np.asarray(_surface(rng, base, 0.32, 0.12) * (1 - 0.35 * dry) + 0.35 * dry * linear((140, 132, 84)) * 0.7)


def leaves(rng: np.random.Generator) -> np.ndarray:
    """Hedge or tree crown: dark gaps and bright leaves."""
    base = linear((70, 100, 48)) * rng.uniform(0.5, 1.1)
    return np.asarray(
        np.clip(base * np.exp(0.75 * noise(rng, smooth=2.2) + 0.3 * noise(rng, smooth=9))[:, :, None], 0.004, 0.6)
    )


def front(rng: np.random.Generator) -> np.ndarray:
    """House front: plaster, brick or tiles, with windows, doors or shutters."""
    base = linear(
        ((196, 188, 170), (160, 96, 78), (206, 205, 200), (140, 140, 138), (178, 160, 128))[int(rng.integers(5))]
    )
    found = _surface(rng, base * rng.uniform(0.6, 1.05), 0.05, 0.08)
    rows, columns = np.mgrid[:TILE, :TILE]
    if rng.random() < 0.4:  # bricks
        shift = (rows // 5 % 2) * 6
        found *= np.where(((rows % 5 == 0) | ((columns + shift) % 12 == 0))[:, :, None], 0.8, 1.0)
    wide, tall = int(rng.integers(26, 70)), int(rng.integers(60, 170))
    step = wide + int(rng.integers(12, 60))
    low = int(rng.integers(0, 60))
    glass = linear((60, 70, 80)) * rng.uniform(0.3, 1.3)
    for left in range(int(rng.integers(0, step)), TILE, step):
        pane = (slice(max(TILE - low - tall, 0), TILE - low), slice(left, left + wide))
        found[pane] = linear((225, 225, 222)) * rng.uniform(0.2, 0.9)
        inner = (slice(max(TILE - low - tall, 0) + 4, TILE - low - 4), slice(left + 4, left + wide - 4))
        found[inner] = glass * (1 + 0.5 * noise(rng, smooth=10)[inner][:, :, None])
    return np.asarray(np.clip(found, 0.008, 0.85))


def far(rng: np.random.Generator) -> np.ndarray:
    """What lies far behind: blurred blocks, trees, vehicles and sky between them."""
    found = np.ones((TILE, TILE, 3)) * linear((150, 160, 165))
    for _ in range(26):
        colour = np.asarray(draw_colour(rng)) if rng.random() < 0.5 else linear((88, 108, 70)) * rng.uniform(0.4, 1.1)
        wide, tall = int(rng.integers(8, 60)), int(rng.integers(20, 190))
        left = int(rng.integers(0, TILE))
        found[TILE - tall :, left : left + wide] = colour * rng.uniform(0.5, 1)
    texture = 1 + 0.25 * noise(rng, smooth=2)[:, :, None]
    return np.asarray(np.clip(ndimage.gaussian_filter(found * texture, (2.5, 2.5, 0)), 0.01, 0.8))


@functools.lru_cache(maxsize=16)
def build_site(camera: Camera) -> Site:
    """Ground, what stands behind, and clutter of one camera's place; people pass round the origin, +y is behind."""
    rng = np.random.default_rng((camera.seed, 7))
    grounds = {"street": asphalt, "lawn": grass, "hedge": paving, "hall": paving}
    ground = grounds.get(camera.place, paving)(rng)
    repeats = 60 / float(rng.uniform(2.5, 5))
    panels = [Panel((-30, -30, 0), (60, 0, 0), (0, 60, 0), ground, (repeats, repeats))]
    if camera.place in ("street", "square") and rng.random() < 0.7:
        other = (grass if rng.random() < 0.5 else paving)(rng)
        edge = float(rng.uniform(1.2, 4))
        panels.append(Panel((-30, edge, 0.04), (60, 0, 0), (0, 26 - edge, 0), other, (16, 7)))
    behind = {"entrance": 2.8, "hall": 3.5, "hedge": 2.4, "street": 9, "lawn": 13, "square": 12}[camera.place]
    behind *= float(rng.uniform(0.8, 1.4))
    textures = {"hedge": leaves, "lawn": leaves, "entrance": front, "hall": front, "street": front}
    wall = textures.get(camera.place, far)(rng)
    tall = 1.7 if camera.place == "hedge" and rng.random() < 0.6 else 9.0
    panels.append(Panel((-30, behind, 0), (60, 0, 0), (0, 0, tall), wall, (60 / max(tall, 3.0) / 1.2, 1)))
    panels.append(Panel((-45, 22, 0), (90, 0, 0), (0, 0, 14), far(rng), (3, 1)))
    return Site(tuple(panels), _clutter(camera, behind, rng))


def _clutter(camera: Camera, behind: float, rng: np.random.Generator) -> Mesh | None:
    """Bicycles, cars, posts, bushes, bins and far people between the people and the wall."""
    makers = (bicycle, car, post, bush, bin_, stranger)
    shares = np.array(
        {"street": (2, 3, 2, 1, 1, 2), "lawn": (1, 0.3, 1, 3, 0.5, 1), "hall": (0.2, 0, 1, 0.3, 1, 2)}.get(
            camera.place, (3, 1, 2, 1, 1, 2)
        ),
        float,
    )
    found = []
    for _ in range(int(rng.integers(6, 16))):
        thing = makers[int(rng.choice(len(makers), p=shares / shares.sum()))](rng)
        place = (float(rng.uniform(-9, 9)), float(rng.uniform(min(1.6, behind - 0.6), max(behind - 0.4, 1.8))), 0.0)
        found.append(
            Mesh((thing.vertices + np.array(place)).astype(np.float32), thing.faces, thing.colours, thing.labels)
        )
    return joined(found) if found else None


def box(low: tuple[float, float, float], high: tuple[float, float, float], colour: object) -> Mesh:
    """Box with slightly rounded edges."""
    middle, half = (np.array(low) + high) / 2, (np.array(high) - low) / 2
    return painted(*ellipsoid(middle.tolist(), half.tolist(), rings=6, sides=12, square=0.3), np.asarray(colour))


def bicycle(rng: np.random.Generator) -> Mesh:
    """Two wheels and a frame, seen from the side."""
    colour, turn = draw_colour(rng), np.linspace(0, 2 * np.pi, 17)
    parts = []
    for x in (-0.5, 0.5):
        wheel = np.stack([x + 0.33 * np.cos(turn), 0 * turn, 0.33 + 0.33 * np.sin(turn)], 1)
        parts.append(painted(*tube(wheel, 0.022, sides=5), (0.02, 0.02, 0.02)))
    bars = [
        *([[-0.5, 0, 0.33], [-0.12, 0, 0.33], [-0.2, 0, 0.8]], [[-0.12, 0, 0.33], [0.4, 0, 0.85], [0.5, 0, 0.33]]),
        *([[-0.2, 0, 0.72], [0.38, 0, 0.78]], [[0.42, -0.28, 0.98], [0.38, 0, 0.9], [0.42, 0.28, 0.98]]),
        *([[-0.3, 0, 0.86], [-0.08, 0, 0.88]], [[-0.5, 0, 0.33], [-0.2, 0, 0.75]]),
    ]
    parts += [painted(*tube(np.array(bar, float), 0.024, sides=5), colour) for bar in bars]
    return moved(joined(parts), turn=float(rng.normal(0, 0.5)))


def car(rng: np.random.Generator) -> Mesh:
    """A car-like body: lower body, cabin with dark glass, wheels."""
    colour = varied(
        ((200, 200, 200), (40, 40, 44), (120, 30, 32), (40, 60, 110), (235, 235, 232))[int(rng.integers(5))], rng
    )
    parts = [
        box((-2.1, -0.85, 0.25), (2.1, 0.85, 0.85), colour),
        box((-1.3, -0.75, 0.8), (1.1, 0.75, 1.42), (0.03, 0.035, 0.04)),
    ]
    parts.append(box((-1.15, -0.72, 1.36), (0.95, 0.72, 1.46), colour))
    for x in (-1.3, 1.3):
        for y in (-0.84, 0.84):
            parts.append(painted(*ellipsoid((x, y, 0.32), (0.32, 0.1, 0.32)), (0.02, 0.02, 0.02)))
    return moved(joined(parts), turn=float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.2)))


def post(rng: np.random.Generator) -> Mesh:
    """A lamp post, bollard or pillar."""
    tall = float(rng.choice([1.0, 3.5, 6.0]))
    radius = float(rng.uniform(0.05, 0.16))
    path = np.array([[0, 0, 0], [0, 0, tall / 2], [0, 0, tall]])
    return painted(
        *tube(path, radius, sides=10),
        draw_colour(rng, {"grey": 1, "black": 1, "white": 0.5, "olive": 0.3, "yellow": 0.2}),
    )


def bush(rng: np.random.Generator) -> Mesh:
    """A bush or small tree: lumps of leaves in several greens."""
    parts = []
    tall = float(rng.uniform(0.7, 1.9))
    for _ in range(int(rng.integers(9, 18))):
        centre = rng.normal(0, 1, 3) * np.array([0.32, 0.25, 0.25]) * tall + np.array([0, 0, tall * 0.5])
        corners, faces = ellipsoid(centre.tolist(), (rng.uniform(0.12, 0.3, 3) * tall).tolist(), rings=7, sides=11)
        corners = corners + rng.normal(0, 0.035, corners.shape)
        green = linear((74, 104, 50)) * np.exp(rng.normal(0, 0.35)) * np.exp(rng.normal(0, 0.25, (len(corners), 1)))
        parts.append(painted(np.maximum(corners, [-9, -9, 0.0]), faces, green))
    return joined(parts)


def bin_(rng: np.random.Generator) -> Mesh:
    """A bin, crate or sign on a stand."""
    size = rng.uniform([0.2, 0.2, 0.5], [0.6, 0.4, 1.4])
    return box((-size[0], -size[1], 0), (size[0], size[1], float(size[2])), draw_colour(rng))


def stranger(rng: np.random.Generator) -> Mesh:
    """Somebody far away, as a few lumps: label 0, too coarse to be a person of the set."""
    upper, lower = draw_colour(rng), draw_colour(rng)
    parts = [
        painted(*ellipsoid((0, 0, 1.18), (0.2, 0.13, 0.34)), upper),
        painted(*ellipsoid((0, 0, 1.6), (0.09, 0.1, 0.13)), (0.35, 0.22, 0.16)),
    ]
    for side in (1, -1):
        leg = np.array(
            [[side * 0.09, 0, 0.95], [side * 0.1, rng.normal(0, 0.12), 0.5], [side * 0.11, rng.normal(0, 0.2), 0.03]]
        )
        arm = np.array([[side * 0.2, 0, 1.42], [side * 0.26, 0, 1.1], [side * 0.25, rng.normal(0, 0.15), 0.85]])
        parts += [painted(*tube(leg, 0.075), lower), painted(*tube(arm, 0.05), upper)]
    return moved(joined(parts), turn=float(rng.uniform(0, 6.3)))
