"""Random changes that know the person's parts: things pasted before people, parts erased, backgrounds exchanged.

Pictures, soft part maps and what is hidden change together, on the device and for a whole batch. With every chance at 0
the pictures are those of `augment.augment` from the same generator.
Sources of the ideas: pasted occlusion, Zhuo et al., ICME 2018, arXiv:1804.02792; exchanged backgrounds, Tian et al.,
CVPR 2018 (eliminating background bias).
Proof: tests/data/test_augment_parts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resight.data.augment import (
    PIXEL_MEAN,
    PIXEL_SPREAD,
    Augmentation,
    Draw,
    drawing,
    erased,
    flip,
    lit,
    normalise,
    viewed,
    views,
)
from resight.data.label_sets import LIP20
from resight.data.mirror import flip_soft
from resight.data.regrouping import LIP20_PARTS6, regroup_probabilities
from resight.types import IGNORE

CANVAS: Final = 128
"""Cut-outs are kept in squares of so many pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Covering:
    """How often something is put before, or changed around, the person of a training picture."""

    paste: float = 0.0
    """Chance of a pasted object or pedestrian, 0..1."""
    people: float = 0.4
    """Share of pedestrians among what is pasted, 0..1, where there are any."""
    most: float = 0.7
    """A paste that hides more than this share of the person is left out, 0..1."""
    erase_part: float = 0.0
    """Chance that one whole part is erased, 0..1; needs part maps."""
    swap_background: float = 0.0
    """Chance of another picture's background, 0..1; needs part maps."""


@dataclass(frozen=True, slots=True)
class CutOuts:
    """What may be pasted, N cut-outs with their colours times their opacity (normalised pictures, opacity 0..1).

    `extent` is half the height and width of the content in the square's -1..1; `person` says which are pedestrians.
    """

    layers: Float[Tensor, "N 4 S S"]
    extent: Float[Tensor, "N 2"]
    person: Bool[Tensor, " N"]

    def to(self, device: torch.device) -> CutOuts:
        """The same cut-outs on a device."""
        return CutOuts(self.layers.to(device), self.extent.to(device), self.person.to(device))


@dataclass(frozen=True, slots=True)
class Covered:
    """A batch after its changes.

    `maps` show what is left of the person (what is covered is background), `unhidden` the mean of each class before
    anything was put there, `others` 1 where another person was pasted, 0 where certainly none is, 255 unknown.
    """

    images: Float[Tensor, "B 3 h w"]
    maps: Float[Tensor, "B 20 H W"] | None = None
    unhidden: Float[Tensor, "B 20"] | None = None
    others: UInt8[Tensor, "B H W"] | None = None


def cut_outs(objects: Sequence[UInt8[np.ndarray, "_ _ 4"]], people: Sequence[UInt8[np.ndarray, "_ _ 4"]]) -> CutOuts:
    """Bring RGBA cut-outs of any size into one tensor, in their proportions. Raises ValueError where there are none."""
    if not objects and not people:
        raise ValueError("there is nothing to paste")
    layers, extents = zip(*(_canvas(one) for one in (*objects, *people)), strict=True)
    person = torch.arange(len(layers)) >= len(objects)
    return CutOuts(torch.from_numpy(np.stack(layers)), torch.tensor(extents), person)


def _canvas(cutout: UInt8[np.ndarray, "h w 4"]) -> tuple[NDArray[np.float32], tuple[float, float]]:
    high, wide = cutout.shape[:2]
    scale = CANVAS / max(high, wide)
    size = max(2, round(high * scale)), max(2, round(wide * scale))
    opacity = cutout[:, :, 3].astype(np.float32) / 255
    colours = (cutout[:, :, :3].astype(np.float32) - PIXEL_MEAN) / PIXEL_SPREAD * opacity[:, :, None]
    canvas = np.zeros((4, CANVAS, CANVAS), np.float32)
    top, left = (CANVAS - size[0]) // 2, (CANVAS - size[1]) // 2
    for channel, layer in enumerate((*np.moveaxis(colours, 2, 0), opacity)):
        small = Image.fromarray(layer).resize((size[1], size[0]), Image.Resampling.BILINEAR)
        canvas[channel, top : top + size[0], left : left + size[1]] = np.asarray(small)
    return canvas, (size[0] / CANVAS, size[1] / CANVAS)


def augment_covered(
    pictures: UInt8[Tensor, "B H W 3"],
    maps: Float[Tensor, "B 20 _ _"] | None,
    how: Augmentation,
    covering: Covering,
    cutouts: CutOuts | None,
    *,
    size: tuple[int, int],
    rng: torch.Generator,
) -> Covered:
    """Resize, move, mirror and light as `augment` does, and cover; maps follow on their own grid, sides swapped.

    Raises ValueError where a change needs maps or cut-outs that are not there.
    """
    if maps is None and (covering.erase_part or covering.swap_background):
        raise ValueError("erasing parts and exchanging backgrounds need part maps")
    if cutouts is None and covering.paste:
        raise ValueError("pasting needs cut-outs")
    device = pictures.device
    draw = drawing(len(pictures), device, rng)
    theta = views(draw, how, size=size, device=device)
    images = viewed(normalise(pictures), theta, size)
    images = lit(images, how, draw)
    rectangle = erased(how, draw, size, device)
    if maps is not None:
        maps = _mirrored_views(maps, theta)
        if covering.swap_background:
            images = _swap_background(images, maps, draw(0.0, 1.0) < covering.swap_background)
    unhidden = None if maps is None else maps.mean((2, 3))
    hidden = torch.zeros(len(images), 1, *size, device=device)
    someone = torch.zeros_like(hidden)
    if maps is not None and covering.erase_part:
        hidden = _one_part(maps, draw, covering.erase_part, size)
        images = images * (1 - hidden)
    if cutouts is not None and covering.paste:
        patch, person = _patches(cutouts, covering, draw, size)
        patch = _not_too_much(patch, maps, covering.most)
        images = images * (1 - patch[:, 3:]) + patch[:, :3]
        someone = patch[:, 3:] * person[:, None, None, None]
        hidden = torch.maximum(hidden, patch[:, 3:])
    block = rectangle[:, None]
    images = images.masked_fill(block, 0.0).contiguous(memory_format=torch.channels_last)
    if maps is None:
        return Covered(images)
    hidden = torch.where(block, torch.ones_like(hidden), hidden)
    someone = someone.masked_fill(block, 0.0)
    grid = maps.shape[2], maps.shape[3]
    left = hide(maps, F.adaptive_avg_pool2d(hidden, grid))
    return Covered(images, left, unhidden, _others(left, hidden, someone, grid))


def hide(maps: Float[Tensor, "B K h w"], covered: Float[Tensor, "B 1 h w"]) -> Float[Tensor, "B K h w"]:
    """Maps of what is left when a share (0..1) of each pixel is covered: that share is background."""
    left = maps * (1 - covered)
    return torch.cat([left[:, :1] + covered * maps.sum(1, keepdim=True), left[:, 1:]], 1)


def _mirrored_views(maps: Tensor, theta: Tensor) -> Tensor:
    """Maps through the views of their pictures; in a mirrored view left and right change places."""
    swapped = flip(flip_soft(maps, LIP20))  # the channels alone: the view itself turns the places
    turned = (theta[:, 0, 0] < 0)[:, None, None, None]
    return viewed(torch.where(turned, swapped, maps), theta, (maps.shape[2], maps.shape[3]))


def _swap_background(images: Tensor, maps: Tensor, chosen: Tensor) -> Tensor:
    """Where both this picture and the one half a batch before show background, the other's pixels.

    Pictures of a person stand in a row in a batch, so the other one is of another person.
    """
    other = len(images) // 2
    size = images.shape[2], images.shape[3]
    behind = F.interpolate(maps[:, :1], size, mode="bilinear", align_corners=False)
    share = ((behind > 0.5) & (behind.roll(other, 0) > 0.5) & chosen[:, None, None, None]).to(images.dtype)
    return images * (1 - share) + images.roll(other, 0) * share


def _one_part(maps: Tensor, draw: Draw, chance: float, size: tuple[int, int]) -> Tensor:
    """One of the six parts in some pictures, as a mask of 0 and 1 of the picture's size."""
    parts = regroup_probabilities(maps, LIP20_PARTS6)[:, 1:]
    number = (draw(0.0, 1.0) * parts.shape[1]).long().clamp_max(parts.shape[1] - 1)
    chosen = parts[torch.arange(len(parts), device=parts.device), number][:, None]
    mask = F.interpolate(chosen, size, mode="bilinear", align_corners=False) > 0.5
    return (mask & (draw(0.0, 1.0) < chance)[:, None, None, None]).to(maps.dtype)


def _patches(cutouts: CutOuts, covering: Covering, draw: Draw, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """One cut-out before each chosen picture, colours times opacity: B 4 h w; and whether it is a pedestrian, B."""
    ahead, people = (~cutouts.person).nonzero().flatten(), cutouts.person.nonzero().flatten()
    wants = draw(0.0, 1.0) < covering.people
    pick = draw(0.0, 1.0)
    if not len(people) or not len(ahead):
        number = (pick * len(cutouts.person)).long().clamp_max(len(cutouts.person) - 1)
    else:
        one, other = (group[(pick * len(group)).long().clamp_max(len(group) - 1)] for group in (people, ahead))
        number = torch.where(wants, one, other)
    person = cutouts.person[number]
    extent = cutouts.extent[number]
    high, wide = size
    tall = torch.where(person, draw(0.6, 1.15), draw(0.2, 0.8))  # share of the picture's height, 0..1
    broad = tall * high * extent[:, 1] / extent[:, 0] / wide
    side = torch.where(draw(0.0, 1.0) < 0.5, 1.0, -1.0)
    across = torch.where(person, side * draw(0.35, 1.0), draw(-0.8, 0.8))
    down = torch.where(person, draw(-0.1, 0.5), draw(-0.4, 1.0))
    theta = torch.zeros(len(number), 2, 3, device=extent.device)
    turned = torch.where(draw(0.0, 1.0) < 0.5, 1.0, -1.0)
    theta[:, 0, 0] = turned * extent[:, 1] / broad
    theta[:, 1, 1] = extent[:, 0] / tall
    theta[:, 0, 2] = -theta[:, 0, 0] * across
    theta[:, 1, 2] = -theta[:, 1, 1] * down
    grid = F.affine_grid(theta, [len(number), 4, high, wide], align_corners=False)
    patch = F.grid_sample(cutouts.layers[number], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    chosen = (draw(0.0, 1.0) < covering.paste)[:, None, None, None]
    return patch * chosen, person & chosen[:, 0, 0, 0]


def _not_too_much(patch: Tensor, maps: Tensor | None, most: float) -> Tensor:
    """Leave out what would hide more than `most` of the person, or of the picture where no map says where that is."""
    if maps is None:
        share = patch[:, 3].mean((1, 2))
    else:
        body = 1 - maps[:, 0]
        over = F.adaptive_avg_pool2d(patch[:, 3:], (maps.shape[2], maps.shape[3]))[:, 0]
        share = (body * over).sum((1, 2)) / body.sum((1, 2)).clamp_min(1e-6)
    return patch * (share <= most)[:, None, None, None]


def _others(left: Tensor, hidden: Tensor, someone: Tensor, grid: tuple[int, int]) -> Tensor:
    """1 where another person stands, 0 where the wanted one or a thing is, 255 where nobody looked."""
    pasted, covered = F.adaptive_avg_pool2d(someone, grid)[:, 0], F.adaptive_avg_pool2d(hidden, grid)[:, 0]
    wanted = left[:, 0] < 0.5
    found = torch.full(wanted.shape, IGNORE, dtype=torch.uint8, device=left.device)
    found[wanted | (covered > 0.5)] = 0
    found[pasted > 0.5] = 1
    return found
