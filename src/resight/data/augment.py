"""Pictures to tensors, and the random changes of training, on the device and for a whole batch at once.

Source: random erasing, Zhong et al., AAAI 2020, arXiv:1708.04896 (here with the mean colour, as a block per picture).
Chance comes in as a generator, so that a resumed run draws what the unbroken run would have drawn.
Proof: tests/data/test_augment.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

Draw = Callable[..., Tensor]
"""(low, high, *shape) -> evenly distributed numbers, one row of that shape a picture."""
PIXEL_MEAN: Final = 127.0
PIXEL_SPREAD: Final = 128.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How strongly training pictures are changed."""

    flip: float = 0.5
    """Chance of a mirrored picture, 0..1."""
    shift: float = 0.06
    """Largest shift up, down, left or right, as a share of the picture."""
    zoom: float = 0.08
    """Largest change of scale, as a share."""
    light: float = 0.2
    """Largest change of brightness and of contrast, as a share."""
    colour: float = 0.08
    """Largest change of each colour channel against the others, as a share."""
    coarse: float = 0.0
    """Chance that detail is lost, 0..1: the picture was two to four times less high."""
    erase: float = 0.5
    """Chance that a rectangle is erased, 0..1."""
    erase_area: tuple[float, float] = (0.02, 0.35)
    """Smallest and largest erased share of the picture."""


def normalise(pictures: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
    """Grey levels 0..255 to about -1..1, channels first (in memory last, which trains fastest on a CPU)."""
    return ((pictures.float() - PIXEL_MEAN) / PIXEL_SPREAD).permute(0, 3, 1, 2)


def flip(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Mirror left and right; applied twice it is the identity."""
    return images.flip(3)


def augment(
    pictures: UInt8[Tensor, "B H W 3"], how: Augmentation, *, size: tuple[int, int], rng: torch.Generator
) -> Float[Tensor, "B 3 h w"]:
    """Resize, move, mirror, light and erase each picture by its own draw; `size` is height, width in pixels."""
    draw = drawing(len(pictures), pictures.device, rng)
    theta = views(draw, how, size=size, device=pictures.device)
    images = lit(viewed(normalise(pictures), theta, size), how, draw)
    return images.masked_fill(erased(how, draw, size, pictures.device)[:, None], 0.0).contiguous(
        memory_format=torch.channels_last
    )


def drawing(count: int, device: torch.device, rng: torch.Generator) -> Draw:
    """Uniform chance for each picture: `draw(low, high, *shape)` gives `count` × shape numbers on the device."""

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=rng) * (high - low) + low).to(device)

    return draw


def views(draw: Draw, how: Augmentation, *, size: tuple[int, int], device: torch.device) -> Float[Tensor, "B 2 3"]:
    """Where each view looks in its picture's -1..1; a negative first entry is a mirrored one."""
    mirrored = 1 - 2 * (draw(0.0, 1.0) < how.flip).float()
    theta = torch.zeros(len(mirrored), 2, 3, device=device)
    theta[:, 0, 0] = mirrored * (1 + draw(-how.zoom, how.zoom))
    theta[:, 1, 1] = 1 + draw(-how.zoom, how.zoom)
    sides = torch.tensor([size[1], size[0]], device=device)
    theta[:, :, 2] = 2 * (draw(-how.shift, how.shift, 2) * sides).round() / sides  # whole pixels: nothing is blurred
    return theta


def viewed(
    images: Float[Tensor, "B C H W"], theta: Float[Tensor, "B 2 3"], size: tuple[int, int]
) -> Float[Tensor, "B C h w"]:
    """Pictures or maps through their views, at `size`; what lies outside repeats the border."""
    full = images.shape[2:]
    if (full[0], full[1]) != size:
        images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
    grid = F.affine_grid(theta, [len(images), images.shape[1], *size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def lit(images: Float[Tensor, "B 3 h w"], how: Augmentation, draw: Draw) -> Float[Tensor, "B 3 h w"]:
    """Change light, contrast, colour and detail of normalised pictures, each by its own draw."""
    contrast = 1 + draw(-how.light, how.light, 1, 1, 1)
    tint = 1 + draw(-how.colour, how.colour, 3, 1, 1)
    shown = (images * contrast * tint + draw(-how.light, how.light, 1, 1, 1)).clamp(-1, 1)
    return coarsened(shown, how, draw) if how.coarse else shown  # without, no chance is drawn: runs stay the same


def coarsened(images: Float[Tensor, "B C h w"], how: Augmentation, draw: Draw) -> Float[Tensor, "B C h w"]:
    """Take detail away from some pictures: shrunk two, three or four times and stretched again."""
    hit, times = draw(0.0, 1.0) < how.coarse, (draw(0.0, 1.0) * 3).long().clamp(max=2) + 2
    size = images.shape[2], images.shape[3]
    for factor in (2, 3, 4):
        some = (hit & (times == factor))[:, None, None, None]
        if some.any():
            small = [max(1, round(side / factor)) for side in size]
            less = F.interpolate(images, small, mode="bilinear", antialias=True, align_corners=False)
            images = torch.where(some, F.interpolate(less, size, mode="bilinear", align_corners=False), images)
    return images


def erased(how: Augmentation, draw: Draw, size: tuple[int, int], device: torch.device) -> Bool[Tensor, "B h w"]:
    """One rectangle in some pictures, to be filled with the mean grey.

    Its aspect is the picture's own times 0.3 to 3.3, not 0.3 to 3.3 as in the paper: people stand upright.
    """
    block = rectangles(draw, area=how.erase_area, aspect=1.2, size=size, device=device)
    return block & (draw(0.0, 1.0) < how.erase)[:, None, None]


def rectangles(
    draw: Draw, *, area: tuple[float, float], aspect: float, size: tuple[int, int], device: torch.device
) -> Bool[Tensor, "B h w"]:
    """One a picture, somewhere: as large as a share of it in `area`, its aspect the picture's own times e^±`aspect`."""
    high, wide = size
    share, times = draw(*area), draw(-aspect, aspect).exp() * high / wide
    tall = (share * high * wide * times).sqrt().clamp(max=high)
    broad = (share * high * wide / times).sqrt().clamp(max=wide)
    top, left = draw(0.0, 1.0) * (high - tall), draw(0.0, 1.0) * (wide - broad)
    rows = torch.arange(high, device=device)[None]
    columns = torch.arange(wide, device=device)[None]
    inside_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
    inside_columns = (columns >= left[:, None]) & (columns < (left + broad)[:, None])
    return inside_rows[:, :, None] & inside_columns[:, None, :]
