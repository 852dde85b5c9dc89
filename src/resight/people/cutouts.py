"""Textures with see-through gaps, drawn from lines and shapes: bicycles, cars, railings, posts.

They are as in `paint.py`. Proof: tests/people/test_places.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

from resight.people.cloth import draw_colour
from resight.people.paint import METAL, TEXELS, WIDE

PAINTWORK: Final = {"black": 3.0, "grey": 2.0, "light-grey": 1.0, "navy": 0.6, "blue": 0.7, "red": 0.6, "white": 0.6}


def _drawn(tall: float, draw: Callable[[ImageDraw.ImageDraw, float], None]) -> np.ndarray:
    """A see-through texture from lines and shapes, drawn at twice the size; `draw` gets texels a metre."""
    size = (WIDE * TEXELS * 2, int(tall * TEXELS * 2))
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    draw(ImageDraw.Draw(picture), TEXELS * 2)
    small = np.asarray(picture.convert("RGBa").resize((size[0] // 2, size[1] // 2), Image.Resampling.BOX), np.float32)
    there = small[:, :, 3:] / 255
    grey = small[:, :, :3] / np.maximum(there, 1 / 255)
    return np.concatenate([np.clip(grey / 255, 0, 1) ** 2.2, there], axis=2).astype(np.float32)


def _ink(colour: Any) -> tuple[int, int, int]:
    red, green, blue = (np.clip(np.asarray(colour), 0, 1) ** (1 / 2.2) * 255).astype(int).tolist()
    return red, green, blue


def bicycles(rng: np.random.Generator) -> np.ndarray:
    """A row of parked bicycles, close together and turned a little."""
    tall = 1.25

    def draw(on: ImageDraw.ImageDraw, metre: float) -> None:
        at = 0.2
        while at < WIDE - 2:
            squeeze, colour = float(rng.uniform(0.35, 1.0)), _ink(draw_colour(rng, PAINTWORK))
            tyre = _ink(np.full(3, rng.uniform(0.01, 0.08)))

            def spot(
                x: float, z: float, at: float = at, squeeze: float = squeeze, metre: float = metre
            ) -> tuple[float, float]:
                return (at + x * squeeze) * metre, (tall - z) * metre

            for x in (0.34, 1.38):
                left, top = spot(x - 0.33, 0.66)
                right, bottom = spot(x + 0.33, 0.0)
                on.ellipse((left, top, right, bottom), outline=tyre, width=round(0.045 * metre))
                middle = spot(x, 0.33)
                for turn in np.linspace(0, np.pi, 5)[:-1]:
                    end = spot(x + 0.3 * np.cos(turn), 0.33 + 0.3 * np.sin(turn))
                    on.line((*middle, *end), fill=(120, 120, 120, 110), width=1)
            bars = [(0.34, 0.33, 0.75, 0.33), (0.75, 0.33, 0.66, 0.85), (0.34, 0.33, 0.68, 0.75)]
            bars += [(0.75, 0.33, 1.22, 0.8), (0.67, 0.75, 1.22, 0.82), (1.2, 0.95, 1.38, 0.33)]
            for x1, z1, x2, z2 in bars:
                on.line((*spot(x1, z1), *spot(x2, z2)), fill=colour, width=round(0.045 * metre))
            on.line((*spot(1.1, 1.02), *spot(1.26, 1.0)), fill=(30, 30, 30), width=round(0.05 * metre))
            on.ellipse((*spot(0.5, 0.93), *spot(0.82, 0.84)), fill=(28, 26, 26))
            if rng.random() < 0.5:
                on.rectangle((*spot(1.22, 0.98), *spot(1.6, 0.68)), outline=(110, 110, 108), width=3)
            if rng.random() < 0.4:
                on.rectangle((*spot(0.0, 0.72), *spot(0.6, 0.68)), fill=(50, 50, 50))
            at += float(rng.uniform(0.25, 0.9)) + float(rng.random() < 0.1) * 2

    return _drawn(tall, draw)


def cars(rng: np.random.Generator) -> np.ndarray:
    """Parked cars from the side, with gaps."""
    tall = 1.6

    def draw(on: ImageDraw.ImageDraw, metre: float) -> None:
        at = float(rng.uniform(0, 2))
        while at < WIDE - 5:
            shares = {"light-grey": 2.0, "black": 2.0, "white": 2.0, "grey": 1.5, "red": 0.4, "navy": 0.6}
            colour = np.asarray(draw_colour(rng, shares))
            high = float(rng.uniform(0.85, 1.1))
            corners = [(0, 0.3), (0.05, 0.75), (0.3, high - 0.1), (1.0, high), (1.5, 1.48), (3.0, 1.5), (3.7, high)]
            corners += [(4.3, high - 0.15), (4.4, 0.3)]
            on.polygon([((at + x) * metre, (tall - z) * metre) for x, z in corners], fill=_ink(colour))
            low = [((at + x) * metre, (tall - z) * metre) for x, z in [(0, 0.3), (0.03, 0.5), (4.38, 0.5), (4.4, 0.3)]]
            on.polygon(low, fill=_ink(colour * 0.5))
            panes = ([(1.15, high), (1.58, 1.4), (2.2, 1.43), (2.2, high)], [(2.3, high), (2.3, 1.43), (2.95, 1.42)])
            for pane in (panes[0], [*panes[1], (3.5, high)]):
                on.polygon([((at + x) * metre, (tall - z) * metre) for x, z in pane], fill=(42, 48, 54))
            for x in (0.85, 3.5):
                box = ((at + x - 0.32) * metre, (tall - 0.64) * metre, (at + x + 0.32) * metre, tall * metre)
                on.ellipse(box, fill=(22, 22, 22))
                on.ellipse([edge + (18, 18, -18, -18)[n] for n, edge in enumerate(box)], fill=(130, 130, 132))
            at += 4.6 + float(rng.exponential(1.2))

    return _drawn(tall, draw)


def railing(rng: np.random.Generator) -> np.ndarray:
    """A fence of metal bars."""
    tall, gap = float(rng.uniform(0.9, 1.3)), float(rng.uniform(0.1, 0.4))
    colour = _ink(draw_colour(rng, METAL))

    def draw(on: ImageDraw.ImageDraw, metre: float) -> None:
        for high in (0.04, tall * 0.5, tall - 0.15):
            on.line((0, high * metre, WIDE * metre, high * metre), fill=colour, width=round(0.05 * metre))
        for x in np.arange(0, WIDE, gap):
            on.line((x * metre, 0.04 * metre, x * metre, tall * metre), fill=colour, width=round(0.025 * metre))
        for x in np.arange(0, WIDE, 2.0):
            on.line((x * metre, 0, x * metre, tall * metre), fill=colour, width=round(0.07 * metre))

    return _drawn(tall, draw)


def posts(rng: np.random.Generator) -> np.ndarray:
    """Lamp posts, bollards, bins, boxes and signs, a few to each place."""
    tall = 3.6

    def draw(on: ImageDraw.ImageDraw, metre: float) -> None:
        for at in np.cumsum(rng.uniform(1.0, 4.5, 10)):
            kind, colour = rng.random(), _ink(draw_colour(rng, METAL))
            low, high, half = 0.0, float(rng.choice([0.9, 3.6])), float(rng.uniform(0.04, 0.14))
            if kind > 0.8:
                high, half = float(rng.uniform(0.6, 1.3)), float(rng.uniform(0.2, 0.5))
            elif kind > 0.65:
                on.line((at * metre, 0, at * metre, tall * metre), fill=colour, width=round(0.06 * metre))
                low, high, half, colour = 1.1, 1.9, 0.4, _ink(draw_colour(rng))
            box = ((at - half) * metre, (tall - high) * metre, (at + half) * metre, (tall - low) * metre)
            on.rectangle(box, fill=colour)

    return _drawn(tall, draw)
