"""Light to the 8-bit crop that a camera's detector hands on.

Proof: tests/people/test_people.py, in whole pictures.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from resight.data.degrade import LUMINANCE, expose, gains, move, shrink, soften, to_grey_levels
from resight.people.cameras import Camera


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
    picture = to_grey_levels(_shoulder(shown) ** camera.contrast)
    return shrink(picture, height=max(8, round(native)))


def _shoulder(light: np.ndarray) -> np.ndarray:
    """Roll bright light off softly, as cameras do, instead of clipping it."""
    return np.asarray(np.where(light < 0.7, light, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3)), np.float32)
