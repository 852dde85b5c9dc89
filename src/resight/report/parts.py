"""Label maps as pictures: overlays, their legend, and one sheet of many crops.

Proof: tests/commands/test_parse.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from resight.data.files import write_beside
from resight.data.label_sets import LabelSet

OPACITY: Final = 0.55
"""Of the parts over the picture; the background stays as it is."""
_CELL: Final = (96, 192)
_GAP: Final = 6
_LINE: Final = 22

Pixels = UInt8[np.ndarray, "H W 3"]


def colours(labels: LabelSet) -> UInt8[np.ndarray, "256 3"]:
    """Colour of each value of a map."""
    return np.array(labels.palette(), np.uint8).reshape(256, 3)


def overlay(pixels: Pixels, parts: UInt8[np.ndarray, "H W"], labels: LabelSet) -> Pixels:
    """Lay the parts' colours over their picture; both have the same size."""
    share = np.where(parts > 0, OPACITY, 0.0)[..., None]
    return np.asarray(pixels * (1 - share) + colours(labels)[parts] * share + 0.5, dtype=np.uint8)


def cell(pixels: Pixels, parts: UInt8[np.ndarray, "H W"], labels: LabelSet) -> UInt8[np.ndarray, "h w 3"]:
    """A picture and its overlay side by side at the sheet's cell size, as small as it will be shown."""
    both = [_fitted(pixels), _fitted(overlay(pixels, parts, labels))]
    return np.concatenate(both, axis=1)


def _fitted(pixels: Pixels) -> UInt8[np.ndarray, "h w 3"]:
    high, wide = pixels.shape[:2]
    share = min(_CELL[0] / wide, _CELL[1] / high)
    size = (max(1, round(wide * share)), max(1, round(high * share)))
    sheet = Image.new("RGB", _CELL, (255, 255, 255))
    sheet.paste(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), ((_CELL[0] - size[0]) // 2, 0))
    return np.asarray(sheet)


def write_sheet(path: Path, cells: Sequence[Pixels], labels: LabelSet, *, title: str, columns: int = 8) -> None:
    """Write cells of one size as one PNG with a title and a legend of the classes."""
    columns = max(1, min(columns, len(cells)))
    rows = -(-len(cells) // columns)
    wide, high = 2 * _CELL[0] + _GAP, _CELL[1] + _GAP
    across = max(columns * wide + _GAP, 420)
    names = legend(labels, across - 2 * _GAP)
    top = _GAP + _LINE + names.height + _GAP
    sheet = Image.new("RGB", (across, top + rows * high), (255, 255, 255))
    ImageDraw.Draw(sheet).text((_GAP, _GAP), title, fill=(28, 30, 36), font=ImageFont.load_default(16))
    sheet.paste(names, (_GAP, _GAP + _LINE))
    for number, one in enumerate(cells):
        row, column = divmod(number, columns)
        sheet.paste(Image.fromarray(one), (_GAP + column * wide, top + row * high))
    with write_beside(path) as partial:
        sheet.save(partial, "PNG")


def legend(labels: LabelSet, width: int) -> Image.Image:
    """Names of the classes beside their colours, in lines of at most `width` pixels."""
    font = ImageFont.load_default(14)
    places: list[tuple[int, int]] = []
    x = line = 0
    for name in labels.classes[1:]:
        needs = round(font.getlength(name)) + 34
        if x and x + needs > width:
            x, line = 0, line + 1
        places.append((x, line * _LINE))
        x += needs
    picture = Image.new("RGB", (width, (line + 1) * _LINE), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    for number, (name, (left, top)) in enumerate(zip(labels.classes[1:], places, strict=True), start=1):
        draw.rectangle((left, top + 3, left + 15, top + 17), fill=tuple(int(v) for v in colours(labels)[number]))
        draw.text((left + 20, top + 2), name, fill=(28, 30, 36), font=font)
    return picture
