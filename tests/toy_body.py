"""Draw the body of a toy person.

A body is 100 units high: crown at 0, shoulders 20, waist 42, hips 51, knees 74, soles 100; x runs to the right of the
spine. Parts are painted one over the other and darkened towards their rims, which makes flat shapes look round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toy_canvas import Colour, Layer, Pattern, Point, Pose, View, between, dim, limb, oval, poly

Hair = Literal["short", "long", "bun", "curly", "bald", "cap"]
Lower = Literal["trousers", "shorts", "skirt", "dress"]
Bag = Literal["none", "backpack", "shoulder", "tote"]

_INK: Final[Colour] = (38, 33, 40)


@dataclass(frozen=True, slots=True)
class ToyPerson:
    """How one toy person is built and dressed; the same in every picture."""

    height: float
    """Share of the picture's height, 0.78..0.95."""
    breadth: float
    """Width of the body, 0.85..1.25; 1 is average."""
    skin: Colour
    hair: Colour
    hair_style: Hair
    upper: Colour
    upper_second: Colour
    pattern: Pattern
    sleeves: Literal["long", "short"]
    lower: Colour
    lower_kind: Lower
    shoes: Colour
    bag: Bag
    bag_colour: Colour


def draw_body(person: ToyPerson, pose: Pose, size: tuple[int, int]) -> Image.Image:
    """Return the person as RGBA, ZOOM times `size` (width, height), transparent around."""
    layer = Layer(size, pose, person.breadth)
    side = pose.view in ("left", "right")
    cloth = layer.cloth(person.pattern, person.upper, person.upper_second, pose.view)
    if person.bag == "backpack" and pose.view != "back":
        _backpack(layer, person.bag_colour, pose.view)
    if person.hair_style == "long" and pose.view != "back":
        locks = [limb([(-2.4, 6), (-3.8, 20)], [5.0, 3.4])] if side else [
            limb([(sign * 3.4, 6), (sign * 4.2, 21)], [4.2, 2.8]) for sign in (-1, 1)
        ]  # fmt: skip
        layer.paint(person.hair, *locks)
    if side:
        _arms(layer, person, (cloth * 0.82).astype(np.uint8), pose, swing=-pose.stride)
    _legs(layer, person, pose, side=side)
    _torso(layer, person, cloth, side=side)
    if person.bag == "backpack" and pose.view == "front":
        layer.paint(person.bag_colour, *(limb([(x, 19), (x * 0.95, 34)], [1.3, 1.1]) for x in (-6.5, 6.5)))
    _head(layer, person, pose.view, side=side)
    _arms(layer, person, cloth, pose, swing=pose.stride)
    if person.bag == "backpack" and pose.view == "back":
        _backpack(layer, person.bag_colour, "back")
    if person.bag == "shoulder":
        _shoulder_bag(layer, person.bag_colour, pose.view, side=side)
    if person.bag == "tote":
        _tote(layer, person.bag_colour, pose.view, side=side)
    return layer.image


def _torso(layer: Layer, person: ToyPerson, cloth: NDArray[np.uint8], *, side: bool) -> None:
    wide, waist, hip = (7.2, 6.4, 7.0) if side else (11.2, 8.2, 9.2)
    hem = 54 if person.pattern in ("open", "pinstripes") else 50
    right: list[Point] = [(3.4, 17.4), (wide, 21), (waist, 40), (hip, hem)]
    left = [(-x, y) for x, y in reversed(right)]
    shoulders = [oval(sign * (wide - 2.6), 21.4, 2.9, 3.0) for sign in (-1, 1)]
    layer.paint(person.skin, limb([(0, 13), (0, 20)], [3.0, 3.4]))
    layer.paint(cloth, poly(*right, *left), *shoulders, oval(0, hem, hip, 1.6))
    if person.lower_kind == "dress":
        spread = hip + 3.2
        layer.paint(
            cloth, poly((-waist, 40), (waist, 40), (spread, 69), (-spread, 69)), oval(0, 69, spread, 1.8)
        )  # fmt: skip


def _legs(layer: Layer, person: ToyPerson, pose: Pose, *, side: bool) -> None:
    for sign in (-1, 1):
        step = pose.stride * sign
        if side:
            hip, knee = (0.4 * sign, 51.0), (4.5 * step + 1.2, 73.0)
            ankle = (9.5 * step - 0.6, 95 - 1.6 * max(-step, 0))
            toe = (5.0, 3.0)
        else:
            lift = 2.2 * max(step, 0)
            hip, knee, ankle = (4.6 * sign, 51.0), (4.9 * sign, 73 - lift), (4.8 * sign, 95 - lift)
            toe = (1.2 * sign, 3.4 if pose.view == "front" else 2.2)
        light = 0.84 if side and sign < 0 else 1.0
        heel = (ankle[0] - (1.0 if side else 0.0), ankle[1] + 2.8)
        layer.paint(dim(person.skin, light), limb([hip, knee, ankle], [4.0, 3.0, 2.2]))
        layer.paint(dim(person.shoes, light), limb([heel, (ankle[0] + toe[0], ankle[1] + toe[1])], [2.3, 2.2]))
        cloth = dim(person.lower, light)
        if person.lower_kind == "trousers":
            layer.paint(cloth, limb([hip, knee, between(knee, ankle, 0.92)], [4.9, 4.0, 3.2]))
        elif person.lower_kind == "shorts":
            layer.paint(cloth, limb([hip, between(hip, knee, 0.85)], [5.0, 4.7]))
    if person.lower_kind == "skirt":
        wide = 7.0 if side else 9.2
        layer.paint(
            person.lower,
            poly((1 - wide, 46), (wide - 1, 46), (wide + 2.8, 70), (-wide - 2.8, 70)),
            oval(0, 70, wide + 2.8, 1.7),
        )


def _arms(layer: Layer, person: ToyPerson, cloth: NDArray[np.uint8], pose: Pose, *, swing: float) -> None:
    arms: list[tuple[Point, Point, Point]]
    if pose.view in ("left", "right"):
        arms = [((0.0, 22.5), (-3.5 * swing, 36.0), (-7.0 * swing + 2.5, 48.0))]
    else:
        bend = 1.6 * swing
        arms = [((10.4 * sign, 22.5), (13.2 * sign, 36.0), ((12.6 + sign * bend) * sign, 49.0)) for sign in (-1, 1)]
    for shoulder, elbow, hand in arms:
        layer.paint(person.skin, limb([shoulder, elbow, hand], [2.6, 2.2, 2.0]))
        if person.sleeves == "long":
            layer.paint(cloth, limb([shoulder, elbow, between(elbow, hand, 0.84)], [3.3, 2.9, 2.5]))
        else:
            layer.paint(cloth, limb([shoulder, between(shoulder, elbow, 0.65)], [3.4, 3.2]))


def _head(layer: Layer, person: ToyPerson, view: View, *, side: bool) -> None:
    hair, style = person.hair, person.hair_style
    if style == "curly":
        layer.paint(hair, oval(-0.8 if side else 0, 6.6, 8.4, 7.8))
    if style == "bun":
        layer.paint(hair, oval(-5.5 if side else 0, 0.8, 3.2, 3.0))
    layer.paint(person.skin, oval(0, 8.2, 5.7, 7.2), depth=0.3)
    if view == "back":
        if style != "bald":
            end = {"long": 21.0, "cap": 9.5, "short": 12.5}.get(style, 13.5)
            layer.paint(hair, oval(0, 7.4, 6.2, 7.2), poly((-6.1, 7), (6.1, 7), (5.2, end), (-5.2, end)))
    elif side:
        layer.paint(person.skin, oval(5.6, 9.2, 1.3, 1.2), depth=0)
        layer.paint(_INK, oval(3.2, 7.6, 0.75, 1.0), depth=0)
        if style != "bald":
            nape = poly((-5.9, 7), (-4.8, 13.4), (-2.2, 13), (-0.6, 7), (3.6, 4.6), (3, 1.6), (-3, 0.8))
            layer.paint(hair, nape, oval(-1.2, 4.6, 5.6, 4.2))
    else:
        layer.paint(_INK, *(oval(x, 8.0, 0.8, 1.05) for x in (-2.2, 2.2)), depth=0)
        layer.paint(dim(person.skin, 0.55), limb([(-1.9, 11.4), (0, 12.3), (1.9, 11.4)], [0.5] * 3), depth=0)
        if style != "bald":
            right: list[Point] = [(6.1, 3), (6.1, 9), (4.9, 8.4), (4.3, 4.6)]
            fringe = poly(*right, *((-x, y) for x, y in reversed(right)))
            layer.paint(hair, oval(0, 2.9, 6.1, 3.3), fringe)
    if style == "cap":
        cap = person.upper_second
        layer.paint(cap, oval(0, 3.8, 6.4, 4.4), poly((-6.4, 3.8), (6.4, 3.8), (6.4, 5.6), (-6.4, 5.6)))
        if view != "back":
            layer.paint(dim(cap, 0.8), oval(6.0, 5.7, 4.6, 1.1) if side else oval(0, 5.7, 5.4, 1.1))


def _backpack(layer: Layer, colour: Colour, view: View) -> None:
    if view == "back":
        layer.paint(colour, limb([(-3.2, 25), (3.2, 25), (3.2, 40), (-3.2, 40), (-3.2, 25)], [4.6] * 5))
        layer.paint(dim(colour, 0.72), limb([(-3.4, 37), (3.4, 37)], [3.4, 3.4]))
    elif view == "front":
        layer.paint(dim(colour, 0.8), limb([(-9, 24), (9, 24), (9.4, 40), (-9.4, 40)], [3] * 4))
    else:
        layer.paint(colour, limb([(-8.6, 26), (-9.0, 39)], [5.0, 5.4]))


def _shoulder_bag(layer: Layer, colour: Colour, view: View, *, side: bool) -> None:
    wide = (4.5 if side else 9.5) * (-1 if view == "back" else 1)
    layer.paint(dim(colour, 0.7), limb([(-0.8 * wide, 19), (wide, 47)], [0.9, 0.9]), depth=0)
    layer.paint(colour, limb([(wide - 2.5, 50), (wide + 2.5, 50)], [4.6, 4.6]), depth=0.35)


def _tote(layer: Layer, colour: Colour, view: View, *, side: bool) -> None:
    x = 5.0 if side else -13.5 if view == "back" else 13.5
    layer.paint(dim(colour, 0.75), limb([(x - 2, 56), (x, 49), (x + 2, 56)], [0.7] * 3), depth=0)
    layer.paint(colour, poly((x - 5, 55), (x + 5, 55), (x + 5.8, 70), (x - 5.8, 70)), depth=0.3)
