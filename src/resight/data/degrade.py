"""The one home of what spoils a picture: shrinking, darkening, blurring, cutting, casting, covering, compressing.

Pictures are H W 3 uint8 in sRGB; what light does is done in linear light (`to_linear`, 0..1). Every dose has a natural
unit, a dose of nothing leaves the picture as it is, and chance comes in as a generator.
Proof: tests/data/test_degrade.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy import ndimage

Picture = UInt8[np.ndarray, "H W 3"]
Light = Float[np.ndarray, "H W 3"]
Patch = Float[np.ndarray, "_ _ 4"]
"""Colours times opacity (0..255) and opacity (0..1)."""
Side = Literal["bottom", "top", "left", "right"]
LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Share of red, green and blue in the brightness of linear light."""
GROWTH: Final = 1.2
GROWTHS: Final = 14
"""Steps by which an object grows at most until it can hide enough."""
LARGEST: Final = 1_500
"""No object is pasted larger than this, in pixels."""
FULL_WELL: Final = 6_000.0
"""Electrons of a white pixel of a small camera."""


def to_linear(picture: Picture) -> Light:
    """Grey levels 0..255 (sRGB) as linear light 0..1."""
    return np.asarray(_LINEAR[picture])


def to_grey_levels(light: Light) -> Picture:
    """Linear light as grey levels 0..255 (sRGB); what is brighter than 1 is clipped."""
    value = np.clip(light, 0, 1)
    curved = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)
    return np.asarray(curved * 255 + 0.5, dtype=np.uint8)


_STEPS: Final = np.arange(256) / 255
_LINEAR: Final = np.where(_STEPS <= 0.04045, _STEPS / 12.92, ((_STEPS + 0.055) / 1.055) ** 2.4).astype(np.float32)


def expose(
    light: Light, *, stops: float, rng: np.random.Generator | None, full_well: float = FULL_WELL, read: float = 6.0
) -> Light:
    """Light times 2^stops, then the noise of a sensor: of the photons (shot) and of reading, in electrons.

    `rng` None leaves out the noise. Darker light holds fewer photons, so its noise is larger beside it.
    """
    electrons = np.clip(light, 0, None) * (2.0**stops) * full_well
    if rng is not None:
        electrons = electrons + rng.normal(size=light.shape) * np.sqrt(electrons + read**2)
    return np.asarray(np.clip(electrons / full_well, 0, 1), dtype=np.float32)


def darken(picture: Picture, *, stops: float, rng: np.random.Generator) -> Picture:
    """Take `stops` (0 or more) of exposure away, with the noise that comes with little light; 0 changes nothing."""
    if stops < 0:
        raise ValueError(f"stops is {stops}; darkening takes 0 or more")
    return picture if stops == 0 else to_grey_levels(expose(to_linear(picture), stops=-stops, rng=rng))


def shrink(picture: Picture, *, height: int) -> Picture:
    """Detail of a crop that was `height` pixels high, at the old size; a height above the picture's changes nothing."""
    high, wide = picture.shape[:2]
    if height < 1:
        raise ValueError(f"height is {height} pixels; at least 1 is needed")
    if height >= high:
        return picture
    small = (max(1, round(wide * height / high)), height)
    image = Image.fromarray(picture).resize(small, Image.Resampling.BOX)
    return np.asarray(image.resize((wide, high), Image.Resampling.BILINEAR))


def soften(light: Light, *, sigma: float) -> Light:
    """Light out of focus: a Gaussian of `sigma` pixels."""
    return light if sigma <= 0 else np.asarray(ndimage.gaussian_filter(light, (sigma, sigma, 0), mode="nearest"))


def move(light: Light, *, length: float, angle: float) -> Light:
    """Light smeared along a line of `length` pixels at `angle` radians (0 sideways): the blur of movement."""
    if length <= 0:
        return light
    steps = max(3, int(np.ceil(length * 2)) | 1)
    found = np.zeros_like(light)
    for share in np.linspace(-0.5, 0.5, steps):
        shift = (share * length * np.sin(angle), share * length * np.cos(angle), 0)
        found += ndimage.shift(light, shift, order=1, mode="nearest") / steps
    return found


def blur(picture: Picture, *, length: float, angle: float = 0.0) -> Picture:
    """Movement of `length` pixels during the exposure, at `angle` radians (0 sideways); 0 changes nothing."""
    return picture if length <= 0 else to_grey_levels(move(to_linear(picture), length=length, angle=angle))


def cast(picture: Picture, *, warmth: float = 0.0, tint: float = 0.0) -> Picture:
    """Colour of the light: `warmth` in stops of red over blue, `tint` of green over both; 0 and 0 change nothing."""
    if warmth == 0 and tint == 0:
        return picture
    return to_grey_levels(to_linear(picture) * gains(warmth, tint))


def gains(warmth: float, tint: float) -> Float[np.ndarray, 3]:
    """Factors of red, green and blue for a warmth and a tint in stops; their product is 1."""
    return np.asarray(2.0 ** np.array([warmth / 2 - tint / 3, 2 * tint / 3, -warmth / 2 - tint / 3]), np.float32)


def cut_box(height: float, width: float, *, share: float, side: Side = "bottom") -> tuple[float, float, float, float]:
    """Box (top, left, bottom, right) that remains when a share of a picture is cut away at one side."""
    if not 0 <= share < 1:
        raise ValueError(f"share is {share}; 0 to below 1 can be cut away")
    top, left, bottom, right = 0.0, 0.0, height, width
    if side == "bottom":
        bottom -= share * height
    elif side == "top":
        top += share * height
    elif side == "left":
        left += share * width
    else:
        right -= share * width
    return top, left, bottom, right


def cut(picture: Picture, *, share: float, side: Side = "bottom") -> Picture:
    """Cut a share of the picture away and stretch the rest to the old size, as a detector's short box does."""
    if share == 0:
        return picture
    high, wide = picture.shape[:2]
    top, left, bottom, right = cut_box(high, wide, share=share, side=side)
    image = Image.fromarray(picture)
    return np.asarray(image.resize((wide, high), Image.Resampling.BILINEAR, box=(left, top, right, bottom)))


def cover(picture: Picture, patch: Picture, mask: Bool[np.ndarray, "H W"] | Float[np.ndarray, "H W"]) -> Picture:
    """Picture with another one laid over it where `mask` (0..1) says."""
    share = np.asarray(mask, np.float32)[:, :, None]
    return np.asarray(picture * (1 - share) + patch * share + 0.5, dtype=np.uint8)


def compress(picture: Picture, *, quality: int) -> Picture:
    """Picture after JPEG of a quality 1..100."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def paste(picture: Picture, patch: Patch) -> Picture:
    """Picture behind an object whose colours are given times their opacity."""
    return np.asarray(picture * (1 - patch[:, :, 3:]) + patch[:, :, :3] + 0.5, dtype=np.uint8)


def fill(picture: Picture, mask: Float[np.ndarray, "H W"], keep: Bool[np.ndarray, "H W"]) -> Picture:
    """Picture with the masked place (0..1) in one colour: the mean of what is neither masked nor in `keep`.

    The control of an occlusion: it hides as much, by the same outline, but shows nothing new.
    """
    around = (mask < 0.01) & ~keep
    colour = picture[around].mean(axis=0) if around.any() else picture.reshape(-1, 3).mean(axis=0)
    return cover(picture, np.broadcast_to(colour.round().astype(np.uint8), picture.shape).copy(), mask)


def slide_in(
    cutout: UInt8[np.ndarray, "h w 4"],
    body: Bool[np.ndarray, "H W"],
    *,
    shares: Sequence[float],
    side: Side,
    size: float,
    place: float,
) -> list[Patch] | None:
    """Slide an object in from a side of the picture until it hides each share of the body; None where it cannot.

    `cutout` is RGBA. `size` is the object's smaller side over the picture's width at first; it grows by steps until the
    largest share can be hidden while the object still meets the picture's border, so that one size serves all shares.
    `place` (0..1) is where along the border its middle stands, over the body's own extent. Shares (0..1) are hit
    exactly, by fractions of a pixel: the hidden share is the mean opacity over the body. Patches are H W 4, 0..1.
    """
    turns = {"bottom": 0, "left": 1, "top": 2, "right": 3}[side]  # quarter turns that bring the side down
    turned, below = np.rot90(body, turns), np.rot90(cutout, turns)
    high, wide = turned.shape
    columns = np.flatnonzero(turned.any(axis=0))
    middle = columns[0] + place * (columns[-1] - columns[0])
    scale = size * body.shape[1] / min(cutout.shape[:2])
    for _ in range(GROWTHS):
        shape = max(2, round(below.shape[0] * scale)), max(2, round(below.shape[1] * scale))
        if max(shape) > LARGEST:
            return None
        thing = _resized(below, shape)
        left = round(middle - shape[1] / 2)
        strip = np.zeros((shape[0], wide, 4), np.float32)
        first, last = max(left, 0), min(left + shape[1], wide)
        if first < last:
            strip[:, first:last] = thing[:, first - left : last - left]
        hidden = _hidden_shares(strip[:, :, 3], turned)
        if hidden.max(initial=0) >= max(shares):
            patches = [_slid(strip, hidden, share, high) for share in shares]
            return [np.ascontiguousarray(np.rot90(patch, -turns)) for patch in patches]
        scale *= GROWTH
    return None


def _resized(cutout: UInt8[np.ndarray, "h w 4"], shape: tuple[int, int]) -> Patch:
    """Object at another size, its colours times its opacity, all 0..255 but the opacity, which is 0..1."""
    opacity = cutout[:, :, 3:].astype(np.float32) / 255
    layers = [*np.moveaxis(cutout[:, :, :3] * opacity, 2, 0), opacity[:, :, 0]]
    size = shape[1], shape[0]
    small = [np.asarray(Image.fromarray(layer).resize(size, Image.Resampling.BILINEAR)) for layer in layers]
    return np.stack(small, axis=2)


def _hidden_shares(opacity: Float[np.ndarray, "h W"], body: Bool[np.ndarray, "H W"]) -> Float[np.ndarray, " S"]:
    """Share of the body that is hidden with 0, 1, … rows of the object inside the picture, from its top row on."""
    high, rows = len(body), len(opacity)
    together = body.astype(np.float64) @ opacity.T.astype(np.float64)  # picture row × object row
    inside = high - np.arange(high)[:, None] + np.arange(rows)[None]  # rows inside when the two lie on each other
    shares = np.bincount(inside.ravel(), together.ravel(), minlength=rows + 1)[: min(rows, high) + 1]
    return np.asarray(shares / body.sum())


def _slid(strip: Patch, hidden: Float[np.ndarray, " S"], share: float, high: int) -> Patch:
    """Object so far inside that it hides the share: between two whole rows, a blend of both places."""
    after = int(np.argmax(hidden >= share))
    before = max(after - 1, 0)
    gap = hidden[after] - hidden[before]
    part = (share - hidden[before]) / gap if gap > 0 else 0.0
    patch = np.zeros((high, *strip.shape[1:]), np.float32)
    for inside, weight in ((before, 1 - part), (after, part)):
        if inside:
            patch[high - inside :] += np.float32(weight) * strip[:inside]
    return patch
