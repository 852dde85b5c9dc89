"""What is laid over a parser's training pictures: a person of the same batch, or a block.

Proof: tests/data/test_parsing_batches.py.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from resight.data.augment import Draw, rectangles


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


def paste_person(
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


def paste_block(
    images: Tensor, labels: Tensor, others: Tensor, person: Tensor, draw: Draw, chance: float, background: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Lay a block of another picture, upside down, or of one colour over some pictures: it is background there."""
    size = labels.shape[1], labels.shape[2]
    block = rectangles(draw, area=(0.03, 0.22), aspect=1.0, size=size, device=images.device)
    wanted = person[labels.long()]
    hides = (block & wanted).sum((1, 2)) > 0.5 * wanted.sum((1, 2)).clamp_min(1)
    block = block & ((draw(0.0, 1.0) < chance) & ~hides)[:, None, None]
    plain = (draw(0.0, 1.0) < 0.5)[:, None, None, None]
    stuff = torch.where(plain, draw(-1.0, 1.0, 3, 1, 1), images.roll(2, 0).flip(2))
    images = torch.where(block[:, None], stuff, images)
    return images, labels.masked_fill(block, background), others.masked_fill(block, 0)
