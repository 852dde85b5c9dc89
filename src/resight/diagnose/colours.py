"""From linear light to CIE L*a*b* (1976), under D65 and with the primaries of sRGB.

Proof: tests/diagnose/test_signals.py compares with known colours.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from resight.data.degrade import LUMINANCE


def lightness_of(light: Float[np.ndarray, "*S 3"]) -> Float[np.ndarray, "*S"]:
    """CIE L* (0..100) of linear light under D65."""
    bright = light @ LUMINANCE
    return np.where(bright > 0.008856, 116 * np.cbrt(bright) - 16, 903.3 * bright)


def to_lab(light: Float[np.ndarray, "*S 3"]) -> Float[np.ndarray, "*S 3"]:
    """CIE L*a*b* of linear light (sRGB primaries, D65)."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = light @ (to_xyz / to_xyz.sum(1, keepdims=True)).T
    curved = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    x, y, z = curved[..., 0], curved[..., 1], curved[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
