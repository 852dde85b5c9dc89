"""Light to the 8-bit crop that a camera's detector hands on.

Proof: tests/people/test_truth.py, in whole pictures.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from resight.data.degrade import LUMINANCE, expose, gains, move, shrink, soften, to_grey_levels
from resight.people.cameras import Camera

KNEE: Final = 0.75
"""Light from which on it is rolled off."""
MIDDLE_GREY: Final = 104
"""Grey level that more contrast leaves where it is."""


def develop(
    light: Float[np.ndarray, "H W 3"],
    camera: Camera,
    *,
    native: float,
    stops: float,
    rng: np.random.Generator,
    warmth: float = 0.0,
    blur: float = 0.0,
    angle: float = 0.0,
) -> UInt8[np.ndarray, "H W 3"]:
    """Develop linear light: blur, exposure in `stops`, noise, colours of the camera, native height and 8 bits.

    `native` is the height of the crop in native pixels, `blur` a movement in output pixels; `warmth` comes on top of
    the camera's.
    """
    scale = light.shape[0] / native
    shown = soften(move(light, length=blur, angle=angle), sigma=camera.sigma * max(scale, 0.5))
    shown = shown * gains(camera.warmth + warmth, camera.tint)
    grey = (shown @ LUMINANCE)[:, :, None]
    shown = grey + camera.saturation * (shown - grey)
    shown = expose(shown, stops=stops - 0.1, rng=rng, full_well=camera.full_well)
    small = shrink(to_grey_levels(_shoulder(shown)), height=max(8, round(native)))
    return _finished(small.astype(np.float32), camera)


def _finished(picture: np.ndarray, camera: Camera) -> UInt8[np.ndarray, "H W 3"]:
    """What cameras do to please: a curve with more contrast, and edges made sharper, which leaves halos."""
    edges = picture - ndimage.gaussian_filter(picture, (1.0, 1.0, 0), mode="nearest")
    curved = MIDDLE_GREY + (picture + camera.sharpening * edges - MIDDLE_GREY) * camera.contrast
    lifted = camera.black + np.clip(curved, 0, 255) * (1 - camera.black / 255)
    return np.asarray(lifted + 0.5, np.float32).astype(np.uint8)


def _shoulder(light: np.ndarray) -> np.ndarray:
    """Roll bright light off softly, as cameras do, instead of clipping it."""
    return np.asarray(
        np.where(light < KNEE, light, KNEE + (1 - KNEE) * np.tanh((light - KNEE) / (1 - KNEE))), np.float32
    )
