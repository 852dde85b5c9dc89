"""Training pictures of a parser from crops with room around them, changed at random for a whole batch at once.

A canvas holds the person's box in its middle two thirds, so that boxes can be loose, tight or shifted. Of two people
the wanted one is the one that the box was made for: others are pasted from the same batch, in front or behind.
Chance comes in as generators, so that a resumed run draws what the unbroken run would have drawn. Labels stay uint8.
Proof: tests/data/test_parsing_batches.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from resight.data.augment import Draw, drawing, normalise
from resight.data.degrade import compress
from resight.data.parsing_paste import paste_block, paste_person
from resight.types import IGNORE

COMPANY: Final = (0.001, 0.006)
"""Shares of the crop: up to the first nobody else shows, from the second on (a hand) somebody does."""
MUCH: Final = 0.2
"""Share of the person that surely counts as hidden, whatever else may be before it."""
KNOWN: Final = 0.5
"""Share of the crop of which it must be known whether another person covers it, to say that nobody else shows."""
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
    company: Float[Tensor, " B"]
    """1 where an eye saw a part of another person, 0 where it saw none; NaN where none looked."""


@dataclass(frozen=True, slots=True)
class ParsingBatch:
    """What a parser learns from: images B 3 h w (normalised), labels and others B h w, views B 2, hidden, company B.

    `company` is 1 where another person shows, 0 where nobody does. NaN where something is unknown.
    """

    images: Float[Tensor, "B 3 h w"]
    labels: UInt8[Tensor, "B h w"]
    others: UInt8[Tensor, "B h w"]
    views: Float[Tensor, "B 2"]
    hidden: Float[Tensor, " B"]
    company: Float[Tensor, " B"]


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
    device = canvases.pictures.device
    draw = drawing(len(canvases.pictures), device, rng)
    turned = draw(0.0, 1.0) < mirror
    theta = _views(draw, turned, how, scale=scale, shift=shift)
    images, labels, others = _viewed(canvases, theta, size)
    swap = torch.from_numpy(_lookup(rows.mirrored)).to(device)
    labels = torch.where(turned[:, None, None], swap[labels.long()], labels)
    views = torch.where(turned[:, None], canvases.views * torch.tensor([1.0, -1.0], device=device), canvases.views)
    person = torch.from_numpy(np.append(rows.person, np.zeros(256 - len(rows.person), bool))).to(device)
    seconds = (draw(0.0, 1.0) < how.second) & canvases.whole.roll(1, 0)
    before = person[labels.long()].sum((1, 2))
    images, labels, others = paste_person(
        images, labels, others, person, canvases.whole, seconds, draw, rows.background
    )
    images, labels, others = paste_block(images, labels, others, person, draw, how.erase, rows.background)
    left = person[labels.long()].sum((1, 2)) / before.clamp_min(1)
    hidden = still_hidden(canvases.hidden, left.masked_fill((before == 0) | ~canvases.whole, torch.nan))
    images = _spoil(images, how, draw, rng)
    images = images.contiguous(memory_format=torch.channels_last)
    return ParsingBatch(images, labels, others, views, hidden, seen_company(others, canvases.company))


def still_hidden(before: Float[Tensor, " B"], left: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Share that is hidden after pasting left so much of what showed; NaN unknown.

    At least what was hidden before, and at least what was pasted over: either alone can tell that much is.
    """
    both, pasted = 1 - (1 - before) * left, 1 - left
    least = torch.where(before > MUCH, before, torch.where(pasted > MUCH, pasted, torch.nan))
    return torch.where(both.isnan(), least, both)


def seen_company(others: UInt8[Tensor, "B h w"], by_eye: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """1 where another person shows, 0 where none does, NaN where too little of either is known."""
    share = (others == 1).float().mean((1, 2))
    known = (others != IGNORE).float().mean((1, 2)) > KNOWN
    nobody = (share <= COMPANY[0]) & ((by_eye == 0) | (by_eye.isnan() & known))
    found = torch.where(nobody, 0.0, torch.nan)
    return torch.where((share >= COMPANY[1]) | (by_eye == 1), 1.0, found)


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
