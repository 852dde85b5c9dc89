"""Who somebody is: body, skin, hair, clothes and what is carried, drawn by chance and written as plain numbers.

Proof: tests/people/test_people.py.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from resight.people.body import Pose, Shape
from resight.people.cloth import BAGS, HAIR, SKIN, TROUSERS, Cloth, draw_cloth, pick, varied

HairStyle = Literal["bald", "crop", "short", "bob", "long", "ponytail", "bun"]
Upper = Literal["t-shirt", "shirt", "long-sleeve", "sleeveless"]
Lower = Literal["trousers", "shorts", "skirt", "long-skirt", "dress", "jumpsuit"]
Outer = Literal["none", "jacket", "open-jacket", "coat", "open-coat"]
Hat = Literal["none", "cap", "hat", "beanie"]
Bag = Literal["none", "rucksack", "shoulder-bag", "handbag", "shopping-bag"]
Shoes = Literal["trainers", "boots", "sandals"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """One person. Colours are linear reflectances; `warmth` is how dressed for cold weather somebody is, 0..1."""

    shape: Shape
    skin: tuple[float, float, float]
    hair_style: HairStyle
    hair_colour: tuple[float, float, float]
    upper: Upper
    upper_cloth: Cloth
    lower: Lower
    lower_cloth: Cloth
    outer: Outer
    outer_cloth: Cloth
    shoes: Shoes
    shoe_cloth: Cloth
    sock_height: float
    """Where socks end: 2 at the ankle, 1 below the knee; 3 none."""
    sock_cloth: Cloth
    hat: Hat
    hat_cloth: Cloth
    scarf: bool
    scarf_cloth: Cloth
    gloves: bool
    glasses: bool
    bag: Bag
    bag_cloth: Cloth
    bag_side: Literal["left", "right"]
    length: float
    """0..1: how long hems and sleeves are within their kind."""
    slack: float
    """0..1: how loose the clothes are."""


def draw_identity(rng: np.random.Generator) -> Identity:
    """Somebody by chance: mostly young adults, dressed for a mild day, some for a cold or a hot one."""
    woman = rng.random() < 0.5
    warmth = float(rng.beta(0.9, 2.3))
    age = float(np.clip(rng.choice([0.36, 0.66, 0.72, 0.93], p=[0.03, 0.5, 0.37, 0.1]) + rng.normal(0, 0.03), 0.3, 1))
    races = rng.dirichlet([0.4, 1.2, 0.7])
    shape = Shape(
        gender=float(np.clip(rng.normal(0.93 if woman else 0.07, 0.05), 0, 1)),
        age=age,
        muscle=float(np.clip(rng.normal(0.5, 0.14), 0.1, 0.95)),
        weight=float(np.clip(rng.normal(0.47, 0.17), 0.08, 0.98)),
        height=float(np.clip(rng.normal(0.42, 0.09), 0.1, 0.8)),
        proportions=float(np.clip(rng.normal(0.55, 0.15), 0.15, 0.95)),
        african=float(races[0]),
        asian=float(races[1]),
        caucasian=float(races[2]),
    )
    tone = np.clip(rng.normal(1.5, 0.7) + 2.6 * races[0], 0, len(SKIN) - 1.01)
    skin = _between(SKIN, float(tone), rng)
    lower = _lower(woman, warmth, rng)
    upper = pick(rng, {"t-shirt": max(1.35 - 2 * warmth, 0.1), "shirt": 0.14, "long-sleeve": 0.06 + 0.9 * warmth})
    if woman and warmth < 0.4 and rng.random() < 0.2:
        upper = "sleeveless"
    outer = pick(
        rng,
        {"none": 1.3 - 1.2 * warmth, "jacket": warmth * 0.6, "open-jacket": warmth * 0.5}
        | {"coat": 0.35 * warmth, "open-coat": 0.15 * warmth},
    )
    trousers = lower in ("trousers", "shorts", "jumpsuit")
    return Identity(
        shape=shape,
        skin=skin,
        hair_style=_hair_style(woman, age, rng),
        hair_colour=_hair_colour(age, rng),
        upper=upper,
        upper_cloth=draw_cloth(rng, plain=0.62),
        lower=lower,
        lower_cloth=draw_cloth(rng, shares=TROUSERS if trousers else None, plain=0.96 if trousers else 0.62),
        outer=outer,
        outer_cloth=draw_cloth(rng, plain=0.85),
        shoes=pick(rng, {"trainers": 0.6, "boots": 0.02 + 0.35 * warmth, "sandals": 0.3 * (1 - warmth)}),
        shoe_cloth=draw_cloth(
            rng,
            shares={"black": 0.42, "white": 0.24, "grey": 0.12, "brown": 0.1, "red": 0.02}
            | {"navy": 0.06, "light-grey": 0.06, "beige": 0.05},
            plain=0.8,
        ),
        sock_height=float(rng.choice([3.0, 1.95, 1.75, 1.25], p=[0.4, 0.36, 0.2, 0.04])),
        sock_cloth=draw_cloth(rng, shares={"white": 0.45, "black": 0.3, "grey": 0.25}, plain=0.9),
        hat=pick(rng, {"none": 0.84, "cap": 0.08, "hat": 0.03, "beanie": 0.06 * warmth + 0.01}),
        hat_cloth=draw_cloth(rng, plain=0.8),
        scarf=bool(rng.random() < 0.02 + 0.15 * warmth),
        scarf_cloth=draw_cloth(rng, plain=0.5),
        gloves=bool(rng.random() < 0.01 + 0.1 * warmth**2),
        glasses=bool(rng.random() < 0.07),
        bag=pick(
            rng,
            {"none": 0.45, "rucksack": 0.25, "shoulder-bag": 0.13, "handbag": 0.12 if woman else 0.02}
            | {"shopping-bag": 0.07},
        ),
        bag_cloth=draw_cloth(rng, shares=BAGS, plain=0.75),
        bag_side="left" if rng.random() < 0.5 else "right",
        length=float(rng.random()),
        slack=float(rng.beta(1.6, 3)),
    )


def look_alike(identity: Identity, share: float, rng: np.random.Generator) -> Identity:
    """Somebody else who has each attribute of `identity` with a chance of `share`, 0..1; the body is another."""
    other = draw_identity(rng)
    names = [field.name for field in fields(Identity) if field.name != "shape"]
    same = {name: getattr(identity, name) for name in names if rng.random() < share}
    return replace(other, **same)


def draw_pose(identity: Identity, rng: np.random.Generator) -> Pose:
    """A moment of walking or standing that fits what is carried."""
    walks = rng.random() < 0.85
    lifts = {"left": 0.0, "right": 0.0}
    bends = {side: float(np.clip(rng.normal(18, 7), 5, 45)) for side in lifts}
    chance = rng.random()
    busy = "left" if rng.random() < 0.5 else "right"
    if chance < 0.05:  # a telephone at the ear
        lifts[busy], bends[busy] = 28.0, 128.0
    elif chance < 0.12:  # a telephone or a book before the chest
        lifts[busy], bends[busy] = 12.0, 92.0
    elif chance < 0.15:  # both hands before the body
        lifts, bends = dict.fromkeys(lifts, 10.0), dict.fromkeys(bends, 70.0)
    elif identity.bag == "rucksack" and chance < 0.22:
        lifts[busy], bends[busy] = 10.0, 118.0
    if identity.bag in ("handbag", "shopping-bag"):
        lifts[identity.bag_side], bends[identity.bag_side] = 0.0, 10.0
    spread = 7 + 10 * float(identity.shape.weight) * float(identity.shape.weight)
    return Pose(
        phase=float(rng.random()),
        stride=float(np.clip(rng.normal(0.95, 0.18), 0.4, 1.3)) if walks else float(rng.uniform(0, 0.12)),
        swing=float(np.clip(rng.normal(0.9, 0.3), 0.1, 1.5)),
        lean=float(rng.normal(3.5, 2.5)),
        twist=float(rng.normal(6, 2)),
        head_turn=float(rng.normal(0, 18)),
        head_nod=float(rng.normal(8, 8)),
        left_lift=lifts["left"],
        right_lift=lifts["right"],
        left_bend=bends["left"],
        right_bend=bends["right"],
        left_spread=float(spread + rng.normal(0, 2)),
        right_spread=float(spread + rng.normal(0, 2)),
        stance=float(rng.normal(1.5, 1)) if walks else float(rng.uniform(2, 7)),
    )


def _lower(woman: bool, warmth: float, rng: np.random.Generator) -> Lower:
    shares = {"trousers": 0.75 + 1.2 * warmth, "shorts": 1.05 * (1 - warmth) ** 2.5}
    if woman:
        shares |= {"skirt": 0.22 * (1.1 - warmth), "long-skirt": 0.06, "dress": 0.3 * (1.1 - warmth), "jumpsuit": 0.05}
    else:
        shares["jumpsuit"] = 0.02
    found: Lower = pick(rng, shares)
    return found


def _hair_style(woman: bool, age: float, rng: np.random.Generator) -> HairStyle:
    shares = {"bob": 0.22, "long": 0.33, "ponytail": 0.28, "bun": 0.08, "short": 0.09}
    if not woman:
        shares = {"crop": 0.4, "short": 0.52, "bald": 0.05 + 0.15 * (age > 0.85), "bob": 0.03}
    found: HairStyle = pick(rng, shares)
    return found


def _hair_colour(age: float, rng: np.random.Generator) -> tuple[float, float, float]:
    shares = {name: share for name, (_, share) in HAIR.items()}
    if age > 0.85:
        shares["grey"] = 1.5
    return varied(HAIR[pick(rng, shares)][0], rng)


def _between(
    steps: tuple[tuple[int, int, int], ...], place: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    first, share = int(place), place - int(place)
    mixed = [(1 - share) * a + share * b for a, b in zip(steps[first], steps[first + 1], strict=True)]
    return varied((int(mixed[0]), int(mixed[1]), int(mixed[2])), rng, spread=0.08)
