"""From linear light or grey levels to CIE L*a*b* (1976), under D65 and with the primaries of sRGB.

Proof: tests/diagnose/test_signals.py compares with known colours.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from jaxtyping import Float, Int, UInt8

from resight.data.degrade import LUMINANCE, to_linear

WARM: Final = np.array([0.7, 1.0]) / np.hypot(0.7, 1.0)
"""Direction in a*b* from the blue of a clear sky to the yellow of a low sun or a lamp: light differs along it."""


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


def coarse(pixels: UInt8[np.ndarray, "*S 3"]) -> Int[np.ndarray, "*S"]:
    """Number of each pixel's colour among those of five bits a channel: a row of `coarse_lab`."""
    bits = (pixels >> 3).astype(np.int64)
    return np.asarray(bits[..., 0] << 10 | bits[..., 1] << 5 | bits[..., 2])


@functools.cache
def coarse_lab() -> Float[np.ndarray, "32768 3"]:
    """CIE L*a*b* of each colour of five bits a channel."""
    levels = (np.arange(32) * 8 + 4).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    return np.asarray(to_lab(to_linear(colours))[0])


def warmth_of(pixels: UInt8[np.ndarray, "N H W 3"]) -> Float[np.ndarray, " N"]:
    """Mean colour of crops along `WARM`, bright pixels counting more; above 0 towards yellow, below towards blue."""
    rows, lab = coarse(pixels).reshape(len(pixels), -1), coarse_lab()
    light = lab[:, 0]
    return np.asarray((light * (lab[:, 1:] @ WARM))[rows].sum(1) / np.maximum(light[rows].sum(1), 1e-9))
