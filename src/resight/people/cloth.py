"""Colours and patterns of clothes, skin and hair, as linear reflectance.

Shares of colours follow what people in streets wear: much black, grey, blue and white.
benchmarks/people_looks.py measures what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float

Pattern = Literal["plain", "stripes", "hoops", "checks", "print", "two-tone", "speckle"]

COLOURS: Final[dict[str, tuple[tuple[int, int, int], float]]] = {  # sRGB grey levels, share among upper garments
    "black": ((40, 40, 42), 0.20),
    "charcoal": ((62, 63, 66), 0.09),
    "grey": ((128, 128, 129), 0.11),
    "light-grey": ((186, 186, 185), 0.07),
    "white": ((232, 231, 229), 0.21),
    "navy": ((36, 41, 62), 0.08),
    "blue": ((58, 84, 134), 0.055),
    "light-blue": ((150, 172, 198), 0.04),
    "denim": ((82, 94, 114), 0.01),
    "pale-denim": ((126, 140, 158), 0.005),
    "turquoise": ((66, 140, 146), 0.012),
    "green": ((70, 116, 76), 0.022),
    "olive": ((95, 96, 58), 0.02),
    "yellow": ((214, 184, 84), 0.018),
    "orange": ((206, 112, 64), 0.015),
    "red": ((170, 48, 54), 0.042),
    "dark-red": ((98, 28, 36), 0.02),
    "pink": ((220, 164, 176), 0.03),
    "purple": ((100, 74, 118), 0.015),
    "brown": ((96, 66, 45), 0.02),
    "beige": ((205, 186, 155), 0.04),
}
TROUSERS: Final[dict[str, float]] = {
    **{"black": 0.30, "charcoal": 0.13, "grey": 0.08, "navy": 0.12, "denim": 0.15, "pale-denim": 0.07, "white": 0.05},
    **{"beige": 0.08, "brown": 0.03, "olive": 0.03, "blue": 0.01, "red": 0.006, "pink": 0.006, "light-grey": 0.03},
}
BAGS: Final[dict[str, float]] = {
    **{"black": 0.4, "charcoal": 0.12, "navy": 0.1, "grey": 0.08, "brown": 0.08, "blue": 0.05, "red": 0.05},
    **{"dark-red": 0.04, "white": 0.06, "beige": 0.05, "pink": 0.03, "olive": 0.03, "purple": 0.02, "yellow": 0.01},
}
SKIN: Final = ((232, 196, 174), (214, 172, 146), (192, 148, 120), (160, 116, 90), (118, 82, 62), (82, 57, 46))
HAIR: Final[dict[str, tuple[tuple[int, int, int], float]]] = {
    "black": ((36, 33, 32), 0.62),
    "dark-brown": ((54, 43, 36), 0.2),
    "brown": ((88, 62, 43), 0.08),
    "blond": ((176, 142, 92), 0.04),
    "grey": ((140, 138, 136), 0.04),
    "red": ((120, 58, 34), 0.02),
}
LOUD: Final[dict[str, float]] = {
    **{"stripes": 0.16, "hoops": 0.24, "checks": 0.18, "print": 0.28, "two-tone": 0.09, "speckle": 0.05}
}
"""Shares among the cloth that is not plain."""


@dataclass(frozen=True, slots=True)
class Cloth:
    """What a garment is made of."""

    colour: tuple[float, float, float]
    """Linear reflectance of the ground."""
    second: tuple[float, float, float]
    """Of the stripes, the print, the other tone."""
    pattern: Pattern = "plain"
    width: float = 0.05
    """Of a stripe, metres."""
    seed: int = 0
    """Of print and weave."""


def linear(colour: tuple[int, int, int]) -> np.ndarray:
    """Grey levels 0..255 (sRGB) as linear reflectance 0..1."""
    value = np.asarray(colour, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def pick(rng: np.random.Generator, shares: dict[str, float]) -> Any:
    """One of the names, each by its share; shares below 0 count as 0 and need not sum to 1."""
    weights = np.clip(np.array(list(shares.values())), 0, None)
    return list(shares)[int(rng.choice(len(shares), p=weights / weights.sum()))]


def draw_colour(rng: np.random.Generator, shares: dict[str, float] | None = None) -> tuple[float, float, float]:
    """One colour of cloth, shifted a little in lightness and tint."""
    shares = shares or {name: share for name, (_, share) in COLOURS.items()}
    return varied(COLOURS[pick(rng, shares)][0], rng)


def varied(colour: tuple[int, int, int], rng: np.random.Generator, spread: float = 0.16) -> tuple[float, float, float]:
    """Linear colour near to one in grey levels."""
    found = linear(colour) * np.exp(rng.normal(0, spread)) * np.exp(rng.normal(0, spread * 0.25, 3))
    red, green, blue = np.clip(found, 0.006, 0.85).tolist()
    return (red, green, blue)


def draw_cloth(rng: np.random.Generator, *, shares: dict[str, float] | None = None, plain: float = 0.6) -> Cloth:
    """Ground, second colour and pattern of one garment."""
    colour, second = draw_colour(rng, shares), draw_colour(rng)
    if abs(np.mean(colour) - np.mean(second)) < 0.06:
        second = varied((236, 234, 230) if np.mean(colour) < 0.3 else (35, 36, 40), rng)
    pattern: Pattern = "plain" if rng.random() < plain else pick(rng, LOUD)
    return Cloth(colour, second, pattern, float(rng.uniform(0.02, 0.07)), int(rng.integers(2**31)))


def cloth_colours(
    cloth: Cloth, places: Float[np.ndarray, "V 3"], front: Float[np.ndarray, " V"], sleeve: Float[np.ndarray, " V"]
) -> Float[np.ndarray, "V 3"]:
    """Colour at places on the body at rest (metres); `front` is 1 on the chest side, `sleeve` 1 on the arms."""
    ground, second = np.asarray(cloth.colour), np.asarray(cloth.second)
    across, height = places[:, 0], places[:, 2]
    rng = np.random.default_rng(cloth.seed)
    step = 2 * cloth.width
    if cloth.pattern == "stripes":
        share = (np.mod(across, step) < cloth.width).astype(float)
    elif cloth.pattern == "hoops":
        share = (np.mod(height, step) < cloth.width).astype(float)
    elif cloth.pattern == "checks":
        share = 0.5 * (np.mod(across, step) < cloth.width) + 0.5 * (np.mod(height, step) < cloth.width)
    elif cloth.pattern == "two-tone":
        split = float(rng.uniform(0.3, 0.5)) if rng.random() < 0.5 else None
        share = sleeve if split is None else (height > split).astype(float)
    elif cloth.pattern == "speckle":
        waves = rng.normal(0, 45, (6, 3))
        share = (np.sin(places @ waves.T + rng.uniform(0, 6, 6)).sum(1) > 0.8).astype(float)
    elif cloth.pattern == "print":
        share = _print(across, height, front, rng)
    else:
        share = np.zeros(len(places))
    weave = _weave(places, rng)
    mixed = ground + share[:, None] * (second - ground)
    return np.asarray(np.clip(mixed * weave[:, None], 0, 0.9), np.float32)


def _print(across: np.ndarray, height: np.ndarray, front: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A few blocks and discs on the chest, others on the back."""
    share = np.zeros(len(across))
    for side in (1, 0):
        on = front > 0.5 if side else front <= 0.5
        for _ in range(int(rng.integers(1, 4)) if side or rng.random() < 0.5 else 0):
            x, z = rng.uniform(-0.06, 0.06), rng.uniform(0.22, 0.44)
            wide, tall = rng.uniform(0.03, 0.13), rng.uniform(0.02, 0.12)
            far = np.abs((across - x) / wide) ** 4 + np.abs((height - z) / tall) ** 4
            share = np.maximum(share, on * (far < 1))
    return share


def _weave(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Unevenness of real cloth: folds that lie darker and lighter, about a tenth."""
    waves = rng.normal(0, 1, (5, 3)) * np.array([16, 16, 9])
    folds = np.sin(places @ waves.T + rng.uniform(0, 6, 5)).mean(1)
    return np.asarray(1 + 0.2 * folds)
