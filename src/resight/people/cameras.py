"""The cameras of a set: where each hangs, what it looks at, its light and its flaws.

Camera k is the same however many are asked for. Proof: tests/people/test_places.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

Place = Literal[
    "bicycle-rack", "square", "entrance", "stairs", "street", "fence", "wall", "shops", "path", "hall", "car-park"
]
PLACES: Final[tuple[Place, ...]] = get_args(Place)


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """One camera; metres, degrees, stops."""

    number: int
    """From 1."""
    seed: int
    """Of the place's own chance."""
    place: Place
    yaw: float
    """From which side it looks at the place."""
    height: float
    distance: tuple[float, float]
    """Nearest and farthest that people pass."""
    pixels: tuple[float, float]
    """Lowest and highest native height of a person, in pixels."""
    sun: float
    """Strength of direct sun, 0 overcast."""
    sky: float
    """Strength of the light from all round."""
    sun_azimuth: float
    sun_elevation: float
    warmth: float
    """Of the colour response, stops of red over blue."""
    tint: float
    """Stops of green."""
    contrast: float
    """Steepness of the response curve, 1 as sRGB."""
    black: float
    """Grey level of black: haze and stray light."""
    sharpening: float
    """How much edges are made sharper, 0 not at all."""
    saturation: float
    """1 as the light is."""
    exposure: float
    """Stops against the automatic exposure."""
    full_well: float
    """Electrons of a white pixel: few make noise."""
    sigma: float
    """Softness in native pixels."""
    quality: int
    """Of the JPEG file."""


def draw_camera(seed: int, number: int) -> Camera:
    """Camera `number` (from 1) of the set with this seed."""
    rng = np.random.default_rng((seed, 2, number))
    order = np.random.default_rng((seed, 3)).permutation(len(PLACES))
    near = float(rng.uniform(5, 9))
    small = float(rng.uniform(75, 140))
    overcast = rng.random() < 0.35
    return Camera(
        number=number,
        seed=int(rng.integers(2**31)),
        place=PLACES[int(order[(number - 1) % len(PLACES)])],
        yaw=float(rng.normal(0, 22)),
        height=float(rng.uniform(2.0, 4.2)),
        distance=(near, near + float(rng.uniform(3, 9))),
        pixels=(small, small + float(rng.uniform(60, 150))),
        sun=0.0 if overcast else float(rng.uniform(0.5, 2.2)),
        sky=float(rng.uniform(0.7, 1.1)),
        sun_azimuth=float(rng.uniform(0, 360)),
        sun_elevation=float(rng.uniform(28, 68)),
        warmth=float(rng.normal(0.02, 0.13)),
        tint=float(rng.normal(-0.03, 0.07)),
        contrast=float(np.exp(rng.normal(0.22, 0.08))),
        black=float(rng.uniform(8, 26)),
        sharpening=float(rng.uniform(0.0, 0.5)),
        saturation=float(np.clip(rng.normal(0.86, 0.13), 0.5, 1.2)),
        exposure=float(rng.normal(0.0, 0.27)),
        full_well=float(np.exp(rng.uniform(np.log(9000), np.log(60000)))),
        sigma=float(rng.uniform(0.25, 0.65)),
        quality=int(rng.integers(72, 95)),
    )
