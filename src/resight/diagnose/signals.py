"""Signals: what pixels and a map of the person say about a crop, as literal tables of named measurements.

Every signal is measured at the file's own size for a batch of equally large crops, N H W 3, inside the person's mask
where it is about the person. Without a map the mask is an ellipse in the middle of the crop (`prior_mask`), and signals
that need a map are NaN: not measured. No embedder is asked, so that signals can judge one.
Sources: effective height as the smallest one whose area-down, bicubic-up residual is below 2 % of the variance; slope
of the radial spectrum (Field, JOSA A 1987, for natural pictures); structure tensor (Bigun and Granlund, ICCV 1987).
Proof: tests/diagnose/test_signals.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from resight.data.degrade import LUMINANCE, to_linear
from resight.data.labels import LabelSet
from resight.diagnose.colours import lightness_of, warmth_of
from resight.diagnose.looks import CARRIED, CLOTHES, FEET, HEAD, LOOKED_FOR, SKIN, pixels_of

Values = Float[np.ndarray, " N"]
HEIGHTS: Final = (128, 112, 96, 80, 64, 56, 48, 40, 32, 24, 20, 16, 12)
"""Of a crop 128 pixels high: effective heights that are tried, interpolated between."""
RESIDUAL: Final = 0.02
DARK: Final = 20.0
"""CIE L* below which a pixel is dark."""
EDGE: Final = 0.25
"""Share of the upper or lower border that a person without head or feet touches; at the sides twice as much."""
USUAL: Final = {"top": 0.038, "bottom": 0.027}
"""Share of the crop that a whole head and whole feet cover: medians over rendered people."""


@dataclass(frozen=True, slots=True)
class Crops:
    """Equally large crops with what several signals share; `labels` None where no parser looked."""

    pixels: UInt8[np.ndarray, "N H W 3"]
    light: Float[np.ndarray, "N H W 3"]
    """Linear light, 0..1."""
    lightness: Float[np.ndarray, "N H W"]
    """CIE L*, 0..100."""
    mask: Bool[np.ndarray, "N H W"]
    labels: UInt8[np.ndarray, "N H W"] | None
    label_set: LabelSet | None
    second: Values
    """Share of the crop that another person covers, 0..1; NaN where nobody says."""

    def classes(self, *names: str) -> Bool[np.ndarray, "N H W"] | None:
        """Pixels of some classes of the map; None without a map, or where its label set lacks all of them."""
        if self.labels is None or self.label_set is None or not set(names) & set(self.label_set.classes):
            return None
        return pixels_of(self.labels, self.label_set, names)


@dataclass(frozen=True, slots=True)
class Signal:
    """One measurement of a crop."""

    name: str
    unit: str
    measure: Callable[[Crops], Values]
    needs: Literal["pixels", "map", "second"]
    direction: Literal[1, -1]
    """1: more of it is worse to match; -1: less is worse."""
    cause: str
    """Cause that it speaks for; empty where it only describes."""


def prepare(
    pixels: UInt8[np.ndarray, "N H W 3"],
    labels: UInt8[np.ndarray, "N H W"] | None = None,
    label_set: LabelSet | None = None,
    second: Values | None = None,
) -> Crops:
    """Bring crops into the form that signals read; maps without a single person pixel fall back to the prior."""
    light = to_linear(pixels)
    mask = np.broadcast_to(prior_mask(*pixels.shape[1:3]), pixels.shape[:3])
    if labels is not None:
        seen = np.asarray(labels > 0)
        mask = np.where(np.asarray(seen.any((1, 2)))[:, None, None], seen, mask)
    unknown = np.full(len(pixels), np.nan)
    return Crops(pixels, light, lightness_of(light), mask, labels, label_set, unknown if second is None else second)


@functools.cache
def prior_mask(height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """Where a person stands in most crops: an ellipse of half-axes 0.45 height and 0.31 width."""
    y = (np.arange(height) + 0.5) / height - 0.5
    x = (np.arange(width) + 0.5) / width - 0.5
    return np.asarray((y[:, None] / 0.45) ** 2 + (x / 0.31) ** 2 <= 1)


def native_height(crops: Crops) -> Values:
    """Height of the crop in its file."""
    return np.full(len(crops.pixels), float(crops.pixels.shape[1]))


def effective_height(crops: Crops) -> Values:
    """Smallest height, in pixels of the file, at which next to nothing is lost; between two by the residual's log."""
    grey = crops.light @ LUMINANCE
    grey = np.sqrt(np.maximum(grey, 0)).astype(np.float32)  # near what is seen, without another table
    high, wide = grey.shape[1:]
    variance = np.maximum(grey.var((1, 2)), 1e-6)
    residuals = [np.zeros(len(grey))]
    for height in HEIGHTS[1:]:
        rows, columns = (_there_and_back(size, max(1, round(size * height / 128))) for size in (high, wide))
        kept = np.matmul(np.matmul(rows, grey), columns.T)
        residuals.append(((grey - kept) ** 2).mean((1, 2)) / variance)
    table = np.log(np.maximum(np.array(residuals), RESIDUAL * 1e-3))
    passed = np.log(RESIDUAL)
    above = np.argmax(np.vstack([table > passed, np.ones((1, len(grey)), np.bool_)]), axis=0)
    upper = np.clip(above, 1, len(HEIGHTS) - 1)
    each = np.arange(len(grey))
    low, high_value = table[upper - 1, each], table[upper, each]
    share = np.clip((passed - low) / np.maximum(high_value - low, 1e-9), 0, 1)
    heights = np.log(np.array(HEIGHTS, np.float64))
    found = np.exp(heights[upper - 1] + share * (heights[upper] - heights[upper - 1]))
    return np.asarray(found * high / 128)


@functools.cache
def _there_and_back(size: int, small: int) -> Float[np.ndarray, "S S"]:
    """Matrix that shrinks a line by area and stretches it again by cubic interpolation, as Pillow does."""
    eye = Image.fromarray(np.eye(size, dtype=np.float32))  # each column is one pixel of the line
    down = eye.resize((size, small), Image.Resampling.BOX)
    return np.asarray(down.resize((size, size), Image.Resampling.BICUBIC), np.float32)


def spectral_slope(crops: Crops) -> Values:
    """How fast power falls with frequency, from 0.03 to 0.45 cycles a pixel; more negative is smoother."""
    grey = np.sqrt(np.maximum(crops.light @ LUMINANCE, 0)).astype(np.float32)
    high, wide = grey.shape[1:]
    window = np.outer(np.hanning(high + 2)[1:-1], np.hanning(wide + 2)[1:-1]).astype(np.float32)
    power = np.abs(np.fft.rfft2((grey - grey.mean((1, 2), keepdims=True)) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(high)[:, None], np.fft.rfftfreq(wide))
    edges = np.geomspace(0.03, 0.45, 13)
    ring = np.digitize(radius, edges).ravel()
    inside = [np.flatnonzero(ring == number) for number in range(1, len(edges))]
    flat = power.reshape(len(grey), -1)
    rings = [(np.log(np.sqrt(a * b)), rows) for a, b, rows in zip(edges, edges[1:], inside, strict=False) if len(rows)]
    x = np.array([middle for middle, _ in rings])
    y = np.log(np.array([flat[:, rows].mean(1) for _, rows in rings]) + 1e-8)
    x = x - x.mean()
    return np.asarray((x @ (y - y.mean(0))) / (x @ x))


def motion_blur(crops: Crops) -> Values:
    """How much more fine detail is lost sideways than upright: by movement, since lost focus takes both.

    Log of the power of second differences over that of differences four pixels apart, upright less sideways.
    """
    grey = crops.lightness
    fine = [np.square(np.diff(grey, n=2, axis=axis)).mean((1, 2)) for axis in (1, 2)]
    coarse = [np.square(one).mean((1, 2)) for one in (grey[:, 4:] - grey[:, :-4], grey[:, :, 4:] - grey[:, :, :-4])]
    upright, sideways = (np.log((f + 1e-6) / (c + 1e-6)) for f, c in zip(fine, coarse, strict=True))
    return np.asarray(upright - sideways, np.float64)


def anisotropy(crops: Crops) -> Values:
    """Anisotropy of the gradients' structure tensor inside the person, 0..1; upright people are never quite 0."""
    y, x = np.gradient(crops.lightness, axis=(1, 2))
    yy, xx, xy = (np.where(crops.mask, one, 0).sum((1, 2)) for one in (y * y, x * x, x * y))
    return np.asarray(np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-9))


def lightness_mean(crops: Crops) -> Values:
    """Mean L* inside the person."""
    return _mean(crops.lightness, crops.mask)


def lightness_quantile(crops: Crops, share: float) -> Values:
    """Quantile of L* inside the person."""
    return np.array([np.quantile(row[inside], share) for row, inside in zip(crops.lightness, crops.mask, strict=True)])


def dark_share(crops: Crops) -> Values:
    """Share of the person that is dark, 0..1."""
    return _mean((crops.lightness < DARK).astype(np.float64), crops.mask)


def clipped(crops: Crops, *, low: bool) -> Values:
    """Share of the crop whose darkest (brightest) channel has run out of grey levels."""
    out = crops.pixels.max(3) <= 2 if low else crops.pixels.min(3) >= 253
    return np.asarray(out.mean((1, 2)), np.float64)


def warmth(crops: Crops) -> Values:
    """Colour of the whole crop along the line from blue to yellow light, in CIE a*b*."""
    return warmth_of(crops.pixels)


def light_index(crops: Crops) -> Values:
    """L* of skin and of what surrounds the person: dark where light is missing, not where clothes are dark."""
    skin = crops.classes(*SKIN)
    if skin is None or crops.labels is None:
        return np.full(len(crops.pixels), np.nan)
    ring = np.asarray(crops.labels == 0)
    both = np.stack([_mean(crops.lightness, skin), _mean(crops.lightness, ring)])
    return _nanmean(both)


def cloth_lightness(crops: Crops) -> Values:
    """Mean L* of clothes less the light index: dark clothes are negative in any light."""
    clothes = crops.classes(*CLOTHES)
    if clothes is None:
        return np.full(len(crops.pixels), np.nan)
    return np.asarray(_mean(crops.lightness, clothes) - light_index(crops))


def touches(crops: Crops, side: Literal["top", "bottom", "left", "right"]) -> Values:
    """Share of a border that the person touches, 0..1."""
    if crops.labels is None:
        return np.full(len(crops.pixels), np.nan)
    person = crops.labels > 0
    line = {"top": person[:, 0], "bottom": person[:, -1], "left": person[:, :, 0], "right": person[:, :, -1]}[side]
    return np.asarray(line.mean(1), np.float64)


def truncation(crops: Crops) -> Values:
    """How surely the crop cuts the person, 0..1: at the worst border, how much the person touches it.

    Above and below that counts only as far as head or feet are missing, so that who stands on the border is not cut.
    """
    if crops.labels is None:
        return np.full(len(crops.pixels), np.nan)
    worst = np.zeros(len(crops.pixels))
    for side in ("top", "bottom", "left", "right"):
        cut = np.clip(touches(crops, side) / (EDGE if side in USUAL else 2 * EDGE), 0, 1)
        ends = crops.classes(*(HEAD if side == "top" else FEET)) if side in USUAL else None
        if ends is not None:
            cut = cut * np.clip(1 - ends.mean((1, 2)) / USUAL[side], 0, 1)
        worst = np.maximum(worst, cut)
    return worst


def share_of(crops: Crops, classes: Sequence[str]) -> Values:
    """Share of the crop that shows some classes of the map, 0..1; NaN where the parser knows none of them."""
    shown = crops.classes(*classes)
    return np.full(len(crops.pixels), np.nan) if shown is None else np.asarray(shown.mean((1, 2)), np.float64)


def second_share(crops: Crops) -> Values:
    """Share of the crop that another person covers, 0..1."""
    return crops.second


def _mean(values: Float[np.ndarray, "N H W"], mask: Bool[np.ndarray, "N H W"]) -> Values:
    """Mean inside a mask; NaN where it is empty."""
    count = mask.sum((1, 2))
    total = np.where(mask, values, 0).sum((1, 2), dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _nanmean(values: Float[np.ndarray, "R N"]) -> Values:
    known = ~np.isnan(values)
    return np.where(known.any(0), np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def _p(share: float) -> Callable[[Crops], Values]:
    return functools.partial(lightness_quantile, share=share)


SIGNALS: Final = (
    Signal("native_h", "px", native_height, "pixels", -1, ""),
    Signal("eff_h", "px", effective_height, "pixels", -1, "low_res"),
    Signal("slope", "log power a log frequency", spectral_slope, "pixels", -1, "low_res"),
    Signal("motion_blur", "log power", motion_blur, "pixels", 1, "motion_blur"),
    Signal("anisotropy", "0..1", anisotropy, "pixels", 1, ""),
    Signal("lum_mean", "L*", lightness_mean, "pixels", -1, "low_light"),
    Signal("lum_p10", "L*", _p(0.1), "pixels", -1, ""),
    Signal("lum_p50", "L*", _p(0.5), "pixels", -1, ""),
    Signal("lum_p90", "L*", _p(0.9), "pixels", -1, ""),
    Signal("dark_frac", "0..1", dark_share, "pixels", 1, ""),
    Signal("clip_low", "0..1", functools.partial(clipped, low=True), "pixels", 1, ""),
    Signal("clip_high", "0..1", functools.partial(clipped, low=False), "pixels", 1, ""),
    Signal("warmth", "a*b*", warmth, "pixels", 1, ""),
    Signal("light_index", "L*", light_index, "map", -1, "low_light"),
    Signal("cloth_L", "L*, signed", cloth_lightness, "map", -1, ""),
    Signal("cut_top", "0..1", functools.partial(touches, side="top"), "map", 1, ""),
    Signal("cut_bottom", "0..1", functools.partial(touches, side="bottom"), "map", 1, ""),
    Signal("cut_left", "0..1", functools.partial(touches, side="left"), "map", 1, ""),
    Signal("cut_right", "0..1", functools.partial(touches, side="right"), "map", 1, ""),
    Signal("cut", "0..1", truncation, "map", 1, "truncation"),
    *(
        Signal(f"seen_{part}", "0..1", functools.partial(share_of, classes=classes), "map", -1, "")
        for part, classes in LOOKED_FOR.items()
    ),
    Signal("carried", "0..1", functools.partial(share_of, classes=CARRIED), "map", 1, "carried_object"),
    Signal("second_share", "0..1", second_share, "second", 1, "multi_person"),
)
"""What is measured of each picture; what needs the other pictures too, or the parser alone, stands in conditions.py."""
