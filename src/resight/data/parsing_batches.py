"""Training pictures of a parser from crops with room around them, changed at random for a whole batch at once.

A canvas holds the person's box in its middle two thirds, so that boxes can be loose, tight or shifted. Of two people
the wanted one is the one that the box was made for: others are pasted from the same batch, in front or behind.
Chance comes in as generators, so that a resumed run draws what the unbroken run would have drawn. Labels stay uint8.
Proof: tests/data/test_parsing_batches.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from resight.data.augment import normalise
from resight.data.degrade import compress
from resight.types import IGNORE

ROOM: Final = 1.5
"""Sides of a canvas to those of the box in its middle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoiling:
    """How strongly training pictures are changed beyond scale, place and mirror."""

    turn: float = 6.0
    """Largest rotation, degrees."""
    stretch: float = 0.2
    """Largest change of height against width, as a share."""
    light: float = 0.35
    """Largest change of brightness and of contrast, as a share."""
    colour: float = 0.12
    """Largest change of each colour channel against the others, as a share."""
    grey: float = 0.05
    """Chance of a picture without colour, 0..1."""
    low: float = 0.5
    """Chance that detail is lost as in a crop of fewer pixels, 0..1."""
    low_height: float = 40.0
    """Fewest pixels of height that detail is brought down to."""
    compress: float = 0.25
    """Chance of JPEG's blocks, 0..1."""
    noise: float = 0.04
    """Largest deviation of added noise, of a range of -1..1."""
    second: float = 0.35
    """Chance of another person of the batch pasted beside, in front or behind, 0..1."""
    erase: float = 0.25
    """Chance of a block of another picture over the person, which is background then, 0..1."""


@dataclass(frozen=True, slots=True)
class LabelRows:
    """What the training has to know about its labels: rows of a set table.

    `person` says of each row that it is certainly no background; `mirrored` is the row that it becomes in a mirror.
    """

    person: Bool[np.ndarray, " S"]
    mirrored: UInt8[np.ndarray, " S"]
    background: int = 0


@dataclass(frozen=True, slots=True)
class Canvases:
    """Canvases of one batch on the device. Shapes: pictures B H W 3; labels and others B H W.

    `labels` are rows of the set table (255 unknown); `others` is 1 where another person is, 0 where none, 255 unknown.
    `whole` says which rows have an outline of the person, so that it can be cut out or something put behind it.
    """

    pictures: UInt8[Tensor, "B H W 3"]
    labels: UInt8[Tensor, "B H W"]
    others: UInt8[Tensor, "B H W"]
    whole: Bool[Tensor, " B"]
    views: Float[Tensor, "B 2"]
    """Cosine and sine of the angle that the wanted person is seen at (see `parsing_layouts.UNKNOWN_VIEW`)."""
    hidden: Float[Tensor, " B"]
    """Share of the wanted person that something hides in the picture as it is, 0..1; NaN unknown."""


@dataclass(frozen=True, slots=True)
class ParsingBatch:
    """What a parser learns from: images B 3 h w (normalised), labels and others B h w, views B 2, hidden B.

    NaN where a view or a hidden share is unknown.
    """

    images: Float[Tensor, "B 3 h w"]
    labels: UInt8[Tensor, "B h w"]
    others: UInt8[Tensor, "B h w"]
    views: Float[Tensor, "B 2"]
    hidden: Float[Tensor, " B"]


Draw = Callable[..., Tensor]


def changed(
    canvases: Canvases,
    rows: LabelRows,
    how: Spoiling,
    *,
    size: tuple[int, int],
    scale: tuple[float, float],
    shift: float,
    mirror: float,
    rng: torch.Generator,
) -> ParsingBatch:
    """View each canvas through a random box, paste other people and blocks, then spoil the light and the detail.

    `size` is height, width of the result; `scale` 1 and `shift` 0 show the box as it is.
    """
    count, device = len(canvases.pictures), canvases.pictures.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=rng) * (high - low) + low).to(device)

    turned = draw(0.0, 1.0) < mirror
    theta = _views(draw, turned, how, scale=scale, shift=shift)
    images, labels, others = _viewed(canvases, theta, size)
    swap = torch.from_numpy(_lookup(rows.mirrored)).to(device)
    labels = torch.where(turned[:, None, None], swap[labels.long()], labels)
    views = torch.where(turned[:, None], canvases.views * torch.tensor([1.0, -1.0], device=device), canvases.views)
    person = torch.from_numpy(np.append(rows.person, np.zeros(256 - len(rows.person), bool))).to(device)
    seconds = (draw(0.0, 1.0) < how.second) & canvases.whole.roll(1, 0)
    before = person[labels.long()].sum((1, 2))
    images, labels, others = _paste(images, labels, others, person, canvases.whole, seconds, draw, rows.background)
    images, labels, others = _erase(images, labels, others, person, draw, how.erase, rows.background)
    left = person[labels.long()].sum((1, 2)) / before.clamp_min(1)
    hidden = (1 - (1 - canvases.hidden) * left).masked_fill((before == 0) | ~canvases.whole, torch.nan)
    images = _spoil(images, how, draw, rng)
    return ParsingBatch(images.contiguous(memory_format=torch.channels_last), labels, others, views, hidden)


def _lookup(mirrored: UInt8[np.ndarray, " S"]) -> UInt8[np.ndarray, " 256"]:
    table = np.arange(256, dtype=np.uint8)
    table[: len(mirrored)] = mirrored
    return table


def _views(
    draw: Draw, turned: Tensor, how: Spoiling, *, scale: tuple[float, float], shift: float
) -> Float[Tensor, "B 2 3"]:
    """Where each view looks, in the canvas's -1..1: the box is the middle 1 / ROOM."""
    zoom = torch.exp(draw(math.log(scale[0]), math.log(scale[1]))) / ROOM
    stretch = torch.exp(draw(-how.stretch, how.stretch) / 2)
    angle = draw(-how.turn, how.turn) * math.pi / 180
    theta = torch.zeros(len(turned), 2, 3, device=turned.device)
    side = 1 - 2 * turned.float()
    aspect = 2.0  # a box is about twice as high as wide: a rotation in pixels, told in shares of the sides
    theta[:, 0, 0] = zoom * stretch * angle.cos() * side
    theta[:, 0, 1] = -zoom * stretch * angle.sin() * aspect
    theta[:, 1, 0] = zoom / stretch * angle.sin() / aspect * side
    theta[:, 1, 1] = zoom / stretch * angle.cos()
    theta[:, :, 2] = draw(-shift, shift, 2) * 2 / ROOM
    return theta


def _viewed(canvases: Canvases, theta: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures by a bilinear look-up (halved first where that would alias), maps by the nearest pixel."""
    count = len(theta)
    images = normalise(canvases.pictures)
    while images.shape[2] >= 2 * ROOM * size[0]:
        images = F.avg_pool2d(images, 2)
    grid = F.affine_grid(theta, [count, 3, *size], align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    high, wide = canvases.labels.shape[1:]
    column = ((grid[..., 0] + 1) * wide / 2 - 0.5).round().long()
    row = ((grid[..., 1] + 1) * high / 2 - 0.5).round().long()
    outside = (column < 0) | (column >= wide) | (row < 0) | (row >= high)
    place = (row.clamp(0, high - 1) * wide + column.clamp(0, wide - 1)).reshape(count, -1)
    labels, others = (
        maps.reshape(count, -1).gather(1, place).reshape(count, *size).masked_fill(outside, IGNORE)
        for maps in (canvases.labels, canvases.others)
    )
    return images, labels, others


def _moved(maps: Tensor, right: Int[Tensor, " B"], down: Int[Tensor, " B"], fill: float) -> Tensor:
    """Shift B C H W by whole pixels, each row by its own; what comes in from outside is `fill`."""
    high, wide = maps.shape[2:]
    columns = torch.arange(wide, device=maps.device)[None] - right[:, None]
    rows = torch.arange(high, device=maps.device)[None] - down[:, None]
    inside = ((rows >= 0) & (rows < high))[:, :, None] & ((columns >= 0) & (columns < wide))[:, None]
    place = rows.clamp(0, high - 1)[:, :, None] * wide + columns.clamp(0, wide - 1)[:, None]  # B H W
    flat = place.reshape(len(maps), 1, -1).expand(-1, maps.shape[1], -1)
    found = maps.reshape(len(maps), maps.shape[1], -1).gather(2, flat).reshape(maps.shape)
    return found.masked_fill(~inside[:, None], fill)


def _paste(
    images: Tensor,
    labels: Tensor,
    others: Tensor,
    person: Tensor,
    whole: Tensor,
    chosen: Tensor,
    draw: Draw,
    background: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Put the person of the row before beside the wanted one of the `chosen` rows, in front or behind.

    A paste that would hide more than 45 % of the wanted person is put behind it, or left out where that is unknown.
    """
    high, wide = labels.shape[1:]
    cut = (person[labels.long()] & (others != 1)).roll(1, 0)
    side = torch.where(draw(0.0, 1.0) < 0.5, 1.0, -1.0)
    right = (side * draw(0.25, 0.9) * wide).round().long()
    down = (draw(-0.2, 0.25) * high).round().long()
    patch = _moved(images.roll(1, 0), right, down, 0.0)
    cut = _moved(cut[:, None], right, down, 0.0)[:, 0] & chosen[:, None, None]
    wanted = person[labels.long()]
    hidden = (cut & wanted).sum((1, 2)) / wanted.sum((1, 2)).clamp_min(1)
    front = (draw(0.0, 1.0) < 0.5) & (hidden < 0.45)
    possible = whole & (wanted.sum((1, 2)) > 0)
    cut = torch.where(front[:, None, None], cut, cut & ~wanted & possible[:, None, None])
    images = torch.where(cut[:, None], patch, images)
    return images, labels.masked_fill(cut, background), others.masked_fill(cut, 1)


def _erase(
    images: Tensor, labels: Tensor, others: Tensor, person: Tensor, draw: Draw, chance: float, background: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Lay a block of another picture, upside down, or of one colour over some pictures: it is background there."""
    high, wide = labels.shape[1:]
    area, aspect = draw(0.03, 0.22), draw(-1.0, 1.0).exp() * high / wide
    tall = (area * high * wide * aspect).sqrt().clamp(max=high)
    broad = (area * high * wide / aspect).sqrt().clamp(max=wide)
    top, left = draw(0.0, 1.0) * (high - tall), draw(0.0, 1.0) * (wide - broad)
    rows = torch.arange(high, device=images.device)[None]
    columns = torch.arange(wide, device=images.device)[None]
    block = ((rows >= top[:, None]) & (rows < (top + tall)[:, None]))[:, :, None]
    block = block & ((columns >= left[:, None]) & (columns < (left + broad)[:, None]))[:, None]
    wanted = person[labels.long()]
    hides = (block & wanted).sum((1, 2)) > 0.5 * wanted.sum((1, 2)).clamp_min(1)
    block = block & ((draw(0.0, 1.0) < chance) & ~hides)[:, None, None]
    plain = (draw(0.0, 1.0) < 0.5)[:, None, None, None]
    stuff = torch.where(plain, draw(-1.0, 1.0, 3, 1, 1), images.roll(2, 0).flip(2))
    images = torch.where(block[:, None], stuff, images)
    return images, labels.masked_fill(block, background), others.masked_fill(block, 0)


def _spoil(images: Tensor, how: Spoiling, draw: Draw, rng: torch.Generator) -> Tensor:
    """Light, colour, lost detail, noise and JPEG."""
    contrast = torch.exp(draw(-how.light, how.light, 1, 1, 1))
    tint = torch.exp(draw(-how.colour, how.colour, 3, 1, 1))
    images = ((images * contrast) * tint + draw(-how.light, how.light, 1, 1, 1)).clamp(-1, 1)
    grey = (draw(0.0, 1.0) < how.grey)[:, None, None, None]
    images = torch.where(grey, images.mean(1, keepdim=True), images)
    groups = torch.arange(len(images), device=images.device) % 4
    for number in range(4):  # each quarter of the batch loses its own amount of detail
        if float(torch.rand((), generator=rng)) >= how.low:
            continue
        high, wide = images.shape[2:]
        least = min(1.0, how.low_height / high)
        share = least + (1 - least) * float(torch.rand((), generator=rng))
        mine = groups == number
        if share < 1 and bool(mine.any()):
            small = (max(4, round(high * share)), max(4, round(wide * share)))
            less = F.interpolate(images[mine], small, mode="bilinear", antialias=True, align_corners=False)
            images[mine] = F.interpolate(less, (high, wide), mode="bilinear", align_corners=False)
    if how.noise:
        noise = torch.randn(images.shape, generator=rng).to(images.device)
        images = (images + noise * draw(0.0, how.noise, 1, 1, 1)).clamp(-1, 1)
    return _compressed(images, draw(0.0, 1.0) < how.compress, draw(25, 90))


def _compressed(images: Tensor, chosen: Tensor, quality: Tensor) -> Tensor:
    for row in chosen.nonzero().flatten().tolist():
        grey = ((images[row] + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        through = torch.from_numpy(compress(np.ascontiguousarray(grey), quality=int(quality[row])).copy())
        images[row] = (through.permute(2, 0, 1).float() / 127.5 - 1).to(images.device)
    return images
