"""Bodies of things that people pass: boxes, bicycles, cars, bushes.

Proof: tests/people/test_truth.py, as occluders.
"""

from __future__ import annotations

import numpy as np

from resight.people.cloth import draw_colour, linear, varied
from resight.people.mesh import Mesh, ellipsoid, joined, moved, painted, tube


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
