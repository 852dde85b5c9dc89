"""Brush for toy people: shapes in body units, painted as rounded parts on a transparent layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]
View = Literal["front", "back", "left", "right"]
Pattern = Literal["plain", "stripes", "pinstripes", "checks", "block", "dots", "open", "print"]

ZOOM: Final = 3
"""Everything is drawn this many times larger than it is shown."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How a person stands in one picture; `feet` is where the soles are, in pixels of the shown picture."""

    view: View
    stride: float
    """Width of the step, -1..1."""
    feet: Point
    unit: float
    """Pixels of the shown picture per body unit."""


class Layer:
    """A transparent layer in body units; the left view mirrors it."""

    def __init__(self, size: tuple[int, int], pose: Pose, breadth: float) -> None:
        """Make an empty layer for a picture of `size` (width, height)."""
        self.image = Image.new("RGBA", (size[0] * ZOOM, size[1] * ZOOM))
        self._scale = pose.unit * ZOOM
        self._feet = (pose.feet[0] * ZOOM, pose.feet[1] * ZOOM)
        self._breadth = breadth * (-1 if pose.view == "left" else 1)

    def at(self, x: float, y: float) -> Point:
        """Pixel of a body point."""
        return self._feet[0] + x * self._scale * self._breadth, self._feet[1] + (y - 100) * self._scale

    def paint(self, paint: Colour | NDArray[np.uint8], *shapes: Shape, depth: float = 0.42) -> None:
        """Paint the union of `shapes`, darker by `depth` (0..1) at the rim and lit from the left."""
        mask = Image.new("L", self.image.size)
        draw = ImageDraw.Draw(mask)
        for shape in shapes:
            shape(draw, self)
        box = mask.getbbox()
        if box is None:
            return
        near = (max(box[0] - 8, 0), max(box[1] - 8, 0), box[2] + 8, box[3] + 8)
        cut = mask.crop(near)
        light = np.asarray(cut.filter(ImageFilter.GaussianBlur(2.2 * self._scale)), np.float32) / 255
        lit = np.linspace(1.06, 0.94, light.shape[1], dtype=np.float32)[None]
        shade = np.clip((1 - depth + depth * np.minimum(light * 1.15, 1)) * lit, 0, 1.1)[..., None]
        if isinstance(paint, tuple):
            cloth = np.asarray(paint, np.float32)[None, None]
        else:
            cloth = np.asarray(Image.fromarray(paint).crop(near), np.float32)
        self.image.paste(Image.fromarray(np.clip(cloth * shade, 0, 255).astype(np.uint8)), near[:2], cut)

    def cloth(self, kind: Pattern, first: Colour, second: Colour, view: View) -> NDArray[np.uint8]:
        """Patterned cloth as large as the layer."""
        width, height = self.image.size
        across = (np.arange(width) - self._feet[0])[None] / (self._scale * self._breadth)
        down = (np.arange(height) - self._feet[1])[:, None] / self._scale + 100
        x, y = np.broadcast_arrays(across, down)
        match kind:
            case "stripes":
                where = (y - 19) % 7 < 3
            case "pinstripes":
                where = x % 4 < 1.2
            case "checks":
                where = (x % 8 < 4) ^ ((y - 19) % 8 < 4)
            case "block":
                where = y > 34
            case "dots":
                where = (((x + 2 * ((y // 5) % 2)) % 5 - 2.5) ** 2 + (y % 5 - 2.5) ** 2) < 2.6
            case "open":
                where = (np.abs(x) < 3.4) & (view == "front")
            case "print":
                wide = 4.4 if view == "back" else 3.2
                where = (np.abs(x) < wide) & (np.abs(y - 29) < wide) & (view in ("front", "back"))
            case "plain":
                where = np.zeros(x.shape, bool)
        return np.where(where[..., None], np.asarray(second, np.uint8), np.asarray(first, np.uint8))


Shape = Callable[[ImageDraw.ImageDraw, Layer], None]


def poly(*points: Point) -> Shape:
    """A filled polygon."""

    def draw(pen: ImageDraw.ImageDraw, layer: Layer) -> None:
        pen.polygon([layer.at(*point) for point in points], fill=255)

    return draw


def oval(x: float, y: float, rx: float, ry: float) -> Shape:
    """A filled ellipse around (x, y)."""

    def draw(pen: ImageDraw.ImageDraw, layer: Layer) -> None:
        (x0, top), (x1, bottom) = layer.at(x - rx, y - ry), layer.at(x + rx, y + ry)
        pen.ellipse((min(x0, x1), top, max(x0, x1), bottom), fill=255)

    return draw


def limb(points: Sequence[Point], radii: Sequence[float]) -> Shape:
    """A rounded tube through `points` with one radius per point."""
    parts = [oval(x, y, radius, radius) for (x, y), radius in zip(points, radii, strict=True)]
    for (x0, y0), (x1, y1), r0, r1 in zip(points, points[1:], radii, radii[1:], strict=False):
        length = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-6)
        nx, ny = (y1 - y0) / length, (x0 - x1) / length
        parts.append(
            poly(
                (x0 + nx * r0, y0 + ny * r0),
                (x1 + nx * r1, y1 + ny * r1),
                (x1 - nx * r1, y1 - ny * r1),
                (x0 - nx * r0, y0 - ny * r0),
            )
        )

    def draw(pen: ImageDraw.ImageDraw, layer: Layer) -> None:
        for part in parts:
            part(pen, layer)

    return draw


def dim(colour: Colour, share: float) -> Colour:
    """The colour with a `share` (0..1) of its light."""
    red, green, blue = (round(channel * share) for channel in colour)
    return red, green, blue


def between(a: Point, b: Point, share: float) -> Point:
    """The point a `share` (0..1) of the way from `a` to `b`."""
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
