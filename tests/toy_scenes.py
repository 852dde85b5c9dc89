"""Places and cameras for toy people: each camera has a street of its own, its own light, colours, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from toy_canvas import ZOOM, Colour

SCENE_WIDTH: Final = 192
SCENE_HEIGHT: Final = 128
_HORIZON: Final = 62


@dataclass(frozen=True, slots=True)
class ToyCamera:
    """One camera: the place it looks at and what it does to light."""

    number: int
    """Counted from 1, as in file names."""
    place: Image.Image
    """SCENE_WIDTH x SCENE_HEIGHT, ZOOM times larger; a crop shows a third of it."""
    gain: tuple[float, float, float]
    """Red, green and blue light, about 1."""
    gamma: float
    """Below 1 lifts shadows, above 1 deepens them."""
    haze: float
    """Share of grey laid over everything, 0..0.3."""
    sharpness: float
    """Share of the resolution that the lens keeps, 0.4..1."""
    noise: float
    """Standard deviation of the grain, in grey levels 0..255."""
    views: tuple[float, float, float]
    """How often people are seen from the front, the back and the side; sums to 1."""

    def expose(self, picture: Image.Image, rng: np.random.Generator, *, light: float = 1.0) -> NDArray[np.uint8]:
        """Turn a large drawn picture into the small one that this camera records."""
        width, height = picture.width // ZOOM, picture.height // ZOOM
        small = (max(round(width * self.sharpness), 8), max(round(height * self.sharpness), 16))
        seen = picture.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BICUBIC)
        values = np.asarray(seen, np.float32) / 255
        values = values**self.gamma * np.asarray(self.gain, np.float32) * light
        values = values * (1 - self.haze) + 0.72 * self.haze * light
        values = values * 255 + rng.normal(0, self.noise, values.shape).astype(np.float32)
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def make_cameras(count: int, rng: np.random.Generator) -> tuple[ToyCamera, ...]:
    """Return `count` cameras; the first four look at a square, a park, a shop and an underpass."""
    return tuple(_camera(number, rng) for number in range(1, count + 1))


def _camera(number: int, rng: np.random.Generator) -> ToyCamera:
    places = (_square, _park, _shop, _underpass)
    looks: tuple[tuple[tuple[float, float, float], float, float, float, float], ...] = (
        ((1.03, 1.0, 0.95), 0.92, 0.02, 0.95, 2.0),
        ((0.96, 1.04, 0.94), 1.0, 0.1, 0.8, 2.5),
        ((1.0, 0.99, 1.04), 0.85, 0.0, 1.0, 1.5),
        ((0.76, 0.8, 0.9), 1.1, 0.03, 0.68, 5.0),
    )
    views = ((0.6, 0.2, 0.2), (0.15, 0.6, 0.25), (0.2, 0.2, 0.6), (0.4, 0.4, 0.2))
    kind = (number - 1) % len(places)
    gain, gamma, haze, sharpness, noise = looks[kind]
    drift = rng.uniform(0.97, 1.03, 3)
    place = places[kind](rng).filter(ImageFilter.GaussianBlur(ZOOM * 0.7))
    red, green, blue = (float(a * b) for a, b in zip(gain, drift, strict=True))
    return ToyCamera(number, place, (red, green, blue), gamma, haze, sharpness, noise, views[kind])


class _Brush:
    """Draws in pixels of the shown picture on the large one."""

    def __init__(self, sky: Colour, ground: Colour) -> None:
        self.image = Image.new("RGB", (SCENE_WIDTH * ZOOM, SCENE_HEIGHT * ZOOM), sky)
        self._draw = ImageDraw.Draw(self.image)
        shade = np.linspace(0.86, 1.08, (SCENE_HEIGHT - _HORIZON) * ZOOM)[:, None, None]
        floor = np.clip(np.asarray(ground) * shade, 0, 255).astype(np.uint8)
        self.image.paste(Image.fromarray(np.repeat(floor, self.image.width, axis=1)), (0, _HORIZON * ZOOM))

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        self._draw.rectangle((x * ZOOM, y * ZOOM, (x + width) * ZOOM - 1, (y + height) * ZOOM - 1), fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self._draw.ellipse(tuple(v * ZOOM for v in (x - radius, y - radius, x + radius, y + radius)), fill=colour)

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, width: float) -> None:
        self._draw.line(tuple(v * ZOOM for v in (x0, y0, x1, y1)), fill=colour, width=max(round(width * ZOOM), 1))

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        self._draw.polygon([(x * ZOOM, y * ZOOM) for x, y in points], fill=colour)


def _near(colour: Colour, rng: np.random.Generator, spread: int = 10) -> Colour:
    red, green, blue = (
        int(np.clip(c + d, 0, 255)) for c, d in zip(colour, rng.integers(-spread, spread + 1, 3), strict=True)
    )
    return red, green, blue


def _square(rng: np.random.Generator) -> Image.Image:
    brush = _Brush((205, 220, 232), (196, 186, 170))
    x = -6.0
    while x < SCENE_WIDTH:
        width = float(rng.uniform(26, 44))
        wall = _near((188, 150, 124), rng, 28)
        top = float(rng.uniform(2, 20))
        brush.box(x, top, width, _HORIZON - top, wall)
        for row in np.arange(top + 5, _HORIZON - 14, 13).tolist():
            for column in np.arange(x + 4, x + width - 7, 10).tolist():
                brush.box(column, row, 5, 8, (96, 112, 128))
                brush.box(column, row, 5, 1.2, (228, 222, 210))
        x += width
    for y in (66, 73, 83, 98, 118):
        brush.line(0, y, SCENE_WIDTH, y, (178, 168, 152), 0.7)
    for end in range(-260, 460, 26):
        brush.line(96 + (end - 96) * 0.35, _HORIZON, end, SCENE_HEIGHT, (178, 168, 152), 0.7)
    return brush.image


def _park(rng: np.random.Generator) -> Image.Image:
    brush = _Brush((198, 222, 236), (122, 158, 92))
    brush.shape([(60, _HORIZON), (132, _HORIZON), (230, 128), (-40, 128)], (206, 192, 160))
    for _ in range(13):
        x, y = float(rng.uniform(-5, SCENE_WIDTH + 5)), float(rng.uniform(12, 36))
        brush.box(x - 1.6, y, 3.2, _HORIZON + 3 - y, (104, 82, 64))
        for _ in range(6):
            dx, dy = rng.uniform(-9, 9, 2)
            brush.disc(x + dx, y + dy * 0.7, float(rng.uniform(6, 11)), _near((84, 128, 74), rng, 18))
    brush.box(0, _HORIZON - 3, SCENE_WIDTH, 4, (92, 130, 78))
    return brush.image


def _shop(rng: np.random.Generator) -> Image.Image:
    brush = _Brush((226, 218, 206), (172, 172, 178))
    for number, x in enumerate(range(-4, SCENE_WIDTH, 50)):
        frame = ((60, 92, 104), (140, 66, 62), (70, 78, 60), (104, 84, 120))[number % 4]
        brush.box(x, 16, 46, _HORIZON + 4 - 16, frame)
        brush.box(x + 3, 27, 40, 34, (208, 226, 230))
        brush.shape([(x + 10, 27), (x + 20, 27), (x + 8, 61), (x + 3, 61), (x + 3, 50)], (226, 238, 240))
        for stripe in range(8):
            colour = frame if stripe % 2 else (240, 236, 228)
            start = x + stripe * 5.75
            brush.shape([(start, 16), (start + 5.75, 16), (start + 6.5, 27), (start + 0.5, 27)], colour)
        for _ in range(4):
            height = float(rng.uniform(6, 15))
            brush.box(x + float(rng.uniform(5, 36)), 61 - height, 5, height, _near((190, 140, 110), rng, 50))
    brush.box(0, _HORIZON + 3, SCENE_WIDTH, 3, (136, 136, 140))
    for y in (76, 90, 110):
        brush.line(0, y, SCENE_WIDTH, y, (158, 158, 164), 0.7)
    for x in range(-10, SCENE_WIDTH + 20, 22):
        brush.line(x, _HORIZON + 6, x - 8, SCENE_HEIGHT, (158, 158, 164), 0.7)
    return brush.image


def _underpass(rng: np.random.Generator) -> Image.Image:
    brush = _Brush((92, 118, 138), (98, 104, 116))
    for row, y in enumerate(np.arange(8, _HORIZON + 2, 7)):
        for x in np.arange(-12 + (row % 2) * 6, SCENE_WIDTH, 12):
            brush.box(float(x), float(y), 11.2, 6.2, _near((126, 158, 174), rng, 9))
    brush.box(0, 34, SCENE_WIDTH, 5, (214, 168, 84))
    brush.box(0, 0, SCENE_WIDTH, 8, (62, 70, 82))
    for lamp in range(14, SCENE_WIDTH, 58):
        brush.box(lamp, 2, 26, 3.5, (255, 252, 226))
        brush.shape([(lamp + 2, 100), (lamp + 24, 100), (lamp + 34, 122), (lamp - 8, 122)], (128, 134, 142))
    brush.box(0, _HORIZON, SCENE_WIDTH, 3, (66, 72, 82))
    return brush.image
