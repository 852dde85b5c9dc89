"""Rank strips as pictures, and the small pictures they are made of.

A strip shows the query, its ten nearest gallery pictures, and below them its true matches, farthest first. Right and
wrong differ by colour (blue and vermilion, which colour-blind people tell apart) and by a drawn mark.
Differs from the usual strips: AP, camera and distance are on the picture, and the second row shows what was missed.
Proof: tests/report/test_pictures.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont, features

from resight.data.files import write_beside
from resight.data.images import read_picture
from resight.errors import BadPicture
from resight.report.facts import Strip, Tile
from resight.search.features import UNREADABLE

Colour = tuple[int, int, int]

RIGHT: Final[Colour] = (0, 114, 178)
WRONG: Final[Colour] = (213, 94, 0)
QUERY: Final[Colour] = (60, 64, 72)
_INK: Final[Colour] = (28, 30, 36)
_SOFT: Final[Colour] = (104, 110, 122)
_PAPER: Final[Colour] = (255, 255, 255)
_ABSENT: Final[Colour] = (222, 224, 230)

HEAD_SHARE: Final = 1 / 6
"""Top of the crop that `blur_head` makes unrecognisable."""
_TILE: Final = (128, 256)
_FRAME: Final = 6
_STEP: Final = _TILE[0] + 2 * _FRAME + 12
_LABELS: Final = 46
"""Height of the two lines under a tile."""
_MARGIN: Final = 28
_QUERY_COLUMN: Final = _STEP + 26

Pixels = UInt8[np.ndarray, "H W 3"]


def blur_head(pixels: Pixels) -> Pixels:
    """Replace the top sixth of a crop by coarse squares of their mean colour; the input is not changed.

    A square is a sixteenth of the height, so that a head keeps two or three of them across.
    """
    rows = int(np.ceil(pixels.shape[0] * HEAD_SHARE))
    width = pixels.shape[1]
    square = max(pixels.shape[0] // 16, 1)
    coarse = (max(round(width / square), 1), max(round(rows / square), 1))
    head = Image.fromarray(pixels[:rows]).resize(coarse, Image.Resampling.BOX)
    hidden = pixels.copy()
    hidden[:rows] = np.asarray(head.resize((width, rows), Image.Resampling.NEAREST))
    return hidden


def shrink(pixels: Pixels, *, width: int = 96, height: int = 192) -> UInt8[np.ndarray, "h w 3"]:
    """Fit a picture into `width` x `height` without stretching it; a smaller one comes back as it is."""
    share = min(width / pixels.shape[1], height / pixels.shape[0])
    if share >= 1:
        return pixels
    size = (max(round(pixels.shape[1] * share), 1), max(round(pixels.shape[0] * share), 1))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def encode(pixels: Pixels, *, quality: int) -> tuple[str, bytes]:
    """Return media type and bytes of a small picture: WebP, or JPEG where Pillow lacks WebP."""
    kind, options = ("WEBP", {"method": 2}) if features.check("webp") else ("JPEG", {"optimize": True})
    out = BytesIO()
    Image.fromarray(pixels).save(out, kind, quality=quality, **options)
    return f"image/{kind.lower()}", out.getvalue()


def draw_strip(strip: Strip, pictures: Mapping[str, Pixels]) -> Image.Image:
    """Draw one strip, about 1,700 x 740; a picture that is not among `pictures` becomes a grey tile with its name."""
    columns = max(len(strip.top), len(strip.matches), 1)
    row_height = _TILE[1] + 2 * _FRAME + _LABELS
    top = _MARGIN + 44
    second = top + 30 + row_height + 10
    size = (_MARGIN + _QUERY_COLUMN + columns * _STEP - 12 + _MARGIN, second + 30 + row_height + _MARGIN - 16)
    sheet = Image.new("RGB", (max(size[0], 760), size[1]), _PAPER)
    draw = ImageDraw.Draw(sheet)
    left = _MARGIN + _QUERY_COLUMN
    _write(draw, (_MARGIN, _MARGIN - 8), f"AP {strip.ap:.3f}", _INK, 30)
    first = f"first true match at rank {strip.first_match}    person {strip.query.person}    {strip.query.file}"
    _write(draw, (left, _MARGIN), first, _SOFT, 21, width=sheet.width - left - _MARGIN)
    _write(draw, (_MARGIN, top), "query", _SOFT, 20)
    _draw_tile(sheet, (_MARGIN, top + 30), strip.query, pictures)
    _write(draw, (left, top), "nearest pictures", _SOFT, 20)
    for place, tile in enumerate(strip.top):
        _draw_tile(sheet, (left + place * _STEP, top + 30), tile, pictures)
    _write(draw, (left, second), matches_title(strip), _SOFT, 20)
    for place, tile in enumerate(strip.matches):
        _draw_tile(sheet, (left + place * _STEP, second + 30), tile, pictures)
    return sheet


def write_strips(folder: Path, strips: tuple[Strip, ...], pictures: Mapping[str, Pixels]) -> Iterator[Path]:
    """Write one PNG per strip into `folder`, worst first by name, and yield each path when its file is whole."""
    digits = max(len(str(len(strips))), 3)
    for number, strip in enumerate(strips, start=1):
        name = "".join(letter if letter.isalnum() else "-" for letter in Path(strip.query.file).stem)[:60]
        path = folder / f"{number:0{digits}d}-ap{strip.ap:.3f}-{name}.png"
        with write_beside(path) as partial:
            draw_strip(strip, pictures).save(partial, "PNG", optimize=False, compress_level=6)
        yield path


def matches_title(strip: Strip) -> str:
    """Say what the second row shows."""
    shown = f"{len(strip.matches)} of {strip.match_count}" if len(strip.matches) < strip.match_count else "all"
    return f"true matches, farthest first ({shown})"


def camera_name(camera: str) -> str:
    """Camera in few letters: `c3` for a number, the name itself otherwise, nothing where unknown."""
    return f"c{camera}" if camera.isdigit() else camera


def rank_name(tile: Tile) -> str:
    """Rank of a tile; `=` says that other pictures are at the same distance."""
    return f"{tile.rank}{'=' if tile.tied else ''}"


def _draw_tile(sheet: Image.Image, at: tuple[int, int], tile: Tile, pictures: Mapping[str, Pixels]) -> None:
    draw = ImageDraw.Draw(sheet)
    x, y = at
    width, height = _TILE
    colour = QUERY if tile.right is None else RIGHT if tile.right else WRONG
    draw.rectangle((x, y, x + width + 2 * _FRAME - 1, y + height + 2 * _FRAME - 1), fill=colour)
    inside = (x + _FRAME, y + _FRAME)
    draw.rectangle((*inside, inside[0] + width - 1, inside[1] + height - 1), fill=_ABSENT)
    pixels = pictures.get(tile.file)
    if pixels is None:
        for line, part in enumerate(_broken(Path(tile.file).name, 13)[:6]):
            _write(draw, (inside[0] + 6, inside[1] + 60 + 22 * line), part, _SOFT, 16, width=width - 10)
    else:
        share = min(width / pixels.shape[1], height / pixels.shape[0])
        size = (max(round(pixels.shape[1] * share), 1), max(round(pixels.shape[0] * share), 1))
        picture = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        sheet.paste(picture, (inside[0] + (width - size[0]) // 2, inside[1] + (height - size[1]) // 2))
    under = y + height + 2 * _FRAME + 3
    if tile.right is None:
        _write(draw, (x, under), f"person {tile.person}", _INK, 19, width=width)
        _write(draw, (x, under + 22), camera_name(tile.camera), _SOFT, 18, width=width)
        return
    badge = _badge(colour, right=tile.right)
    sheet.paste(badge, (x - 4, y - 4), badge)
    _write(draw, (x, under), rank_name(tile), _INK, 21)
    distance = f"{tile.distance:.3f}"
    _write(draw, (x + width + 2 * _FRAME - round(_length(distance, 19)), under + 1), distance, _SOFT, 19)
    where = "  ".join(
        part for part in (camera_name(tile.camera), "" if tile.right else f"person {tile.person}") if part
    )
    _write(draw, (x, under + 23), where, _SOFT, 18, width=width + 8)


def _badge(colour: Colour, *, right: bool, size: int = 38) -> Image.Image:
    """Draw a disc with a tick or a cross, smooth because it is drawn larger."""
    big = Image.new("RGBA", (size * 4, size * 4))
    draw = ImageDraw.Draw(big)
    edge, unit = size * 4 - 1, size * 4 / 20
    draw.ellipse((0, 0, edge, edge), fill=(*_PAPER, 255))
    draw.ellipse((unit, unit, edge - unit, edge - unit), fill=(*colour, 255))
    lines = (
        (((5.6, 10.4), (8.7, 13.6), (14.4, 6.8)),)
        if right
        else (((6.6, 6.6), (13.4, 13.4)), ((13.4, 6.6), (6.6, 13.4)))
    )
    for line in lines:
        points = [(x * unit, y * unit) for x, y in line]
        draw.line(points, fill=(*_PAPER, 255), width=round(2 * unit), joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - unit, y - unit, x + unit, y + unit), fill=(*_PAPER, 255))
    return big.resize((size, size), Image.Resampling.LANCZOS)


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: Colour, size: int, *, width: int = 0
) -> None:
    """Write one line; with `width` a longer text loses its middle."""
    if width and _length(text, size) > width:
        keep = len(text)
        while keep > 4 and _length(_squeezed(text, keep), size) > width:
            keep -= 1
        text = _squeezed(text, keep)
    draw.text(at, text, fill=colour, font=_font(text, size))


def _font(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Choose Pillow's own font, or, for letters that it lacks, the one that matplotlib carries."""
    return _plain_font(size) if text.isascii() else _wide_font(size)


@cache
def _plain_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@cache
def _wide_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    matplotlib = find_spec("matplotlib")  # found, not imported: that would take half a second
    for folder in (matplotlib and matplotlib.submodule_search_locations) or ():
        file = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), round(size * 0.9))
    return _plain_font(size)


def _length(text: str, size: int) -> float:
    return float(_font(text, size).getlength(text))


def _squeezed(text: str, keep: int) -> str:
    return f"{text[: keep // 2]}...{text[len(text) - keep // 2 :]}"


def _broken(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)]


def read_shrunk(files: Iterable[str], folders: Sequence[Path], *, blur_heads: bool) -> dict[str, Pixels]:
    """Read the pictures that can be found below one of the folders, small; what cannot be read is left out."""
    pictures: dict[str, Pixels] = {}
    for file in files:
        for folder in folders:
            try:
                pixels = read_picture(folder / file)
            except BadPicture:
                continue
            pictures[file] = shrink(blur_head(pixels) if blur_heads else pixels)
            break
    return pictures


def stored_root(path: Path) -> Path | None:
    """Read the folder that a features file says its names are relative to, if it says so."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Path(str(arrays["root"])) if "root" in arrays.files else None
    except UNREADABLE:
        return None
