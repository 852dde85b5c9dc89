"""Ways to compare people that need no training on people: what a trained model has to beat.

`colour_histograms`: joint colour histograms in horizontal stripes, as re-id before networks used them (Gray and Tao,
ECCV 2008, compare stripes; Hellinger's square root as in Arandjelović and Zisserman, CVPR 2012). `imagenet_model`: a
network that knows ImageNet alone. The settings were chosen on the 100 validation persons of Market-1501.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, UInt8

from resight.data.images import read_resized
from resight.model import Model, ModelSettings, build_embedder
from resight.nn.backbones import imagenet_weights

HEIGHT, WIDTH = 128, 64
STRIPES: Final = 12
HSV_BINS: Final = (12, 4, 4)
LAB_BINS: Final = (6, 10, 10)
LAB_RANGE: Final = ((0.0, 100.0), (-40.0, 40.0), (-40.0, 40.0))
"""Of lightness, green to red and blue to yellow; what lies outside goes to the outermost bin."""
WIDE: Final = 0.11
"""Pixels count by a bell over the middle column, of this width as a share of the picture: people stand there."""


def colour_histograms(paths: Sequence[Path], told: Callable[[int], None] = lambda n: None) -> np.ndarray:
    """Features of picture files, N D float32; compare by cosine."""
    rows = []
    for path in paths:
        rows.append(histogram(read_resized(path, HEIGHT, WIDTH)))
        told(1)
    return np.stack(rows)


def histogram(picture: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, " D"]:
    """Square roots of the shares of joint HSV and Lab colours in each stripe; its length is 1."""
    height, width = picture.shape[:2]
    stripe = np.arange(height) * STRIPES // height
    weights = np.exp(-0.5 * ((np.arange(width) - (width - 1) / 2) / (WIDE * width)) ** 2)
    weight = np.broadcast_to(weights, (height, width)).ravel()
    found = []
    for values, ranges, bins in (
        (hsv(picture), ((0, 1), (0, 1), (0, 1)), HSV_BINS),
        (lab(picture), LAB_RANGE, LAB_BINS),
    ):
        place = np.broadcast_to(stripe[:, None], (height, width)).astype(np.int64)
        for channel, ((low, high), count) in enumerate(zip(ranges, bins, strict=True)):
            step = np.clip((values[:, :, channel] - low) / (high - low) * count, 0, count - 1).astype(np.int64)
            place = place * count + step
        counts = np.bincount(place.ravel(), weight, STRIPES * int(np.prod(bins))).reshape(STRIPES, -1)
        found.append(np.sqrt(counts / counts.sum(1, keepdims=True)).ravel())
    whole = np.concatenate(found)
    return (whole / np.linalg.norm(whole)).astype(np.float32)


def hsv(picture: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """Hue (once round the circle), saturation and value, each 0..1."""
    rgb = picture.astype(np.float64) / 255
    value, low = rgb.max(2), rgb.min(2)
    spread = value - low
    safe = np.where(spread > 0, spread, 1)
    red, green, blue = np.moveaxis(rgb, 2, 0)
    hue = np.select(
        [value == red, value == green], [(green - blue) / safe % 6, (blue - red) / safe + 2], (red - green) / safe + 4
    )
    saturation = spread / np.where(value > 0, value, 1)
    return np.stack([np.where(spread > 0, hue / 6, 0), saturation, value], axis=2)


def lab(picture: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """CIE L*a*b* of sRGB grey levels under D65: lightness 0..100, green to red, blue to yellow."""
    grey = picture.astype(np.float64) / 255
    linear = np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750]])
    to_xyz = np.vstack([to_xyz, [0.0193339, 0.1191920, 0.9503041]])
    xyz = linear @ (to_xyz / to_xyz.sum(1, keepdims=True)).T  # white is 1, 1, 1
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, 2, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=2)


def imagenet_model(*, pooling: str = "average", height: int = 128, width: int = 64) -> Model:
    """EfficientNet-Lite0 as ImageNet left it: pooled features, nothing trained on people."""
    settings = ModelSettings(
        embedder="baseline",
        backbone="efficientnet-lite0",
        pooling=pooling,
        last_stride=1,
        height=height,
        width=width,
        source="ImageNet alone",
    )
    network = build_embedder("baseline", classes=0, backbone=settings.backbone, pooling=pooling, last_stride=1)
    network.backbone.load_state_dict(imagenet_weights(settings.backbone))
    network.eval().to(memory_format=torch.channels_last)
    return Model(network, settings, torch.device("cpu"))
