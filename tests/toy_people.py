"""Toy people: drawn persons seen by drawn cameras, and small data sets of them in Market-1501's layout.

Everything follows from a seed: the same seed draws the same pixels. Nobody in these pictures exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from toy_body import Bag, Hair, Lower, ToyPerson, draw_body
from toy_canvas import ZOOM, Colour, Pattern, Pose, View
from toy_scenes import SCENE_WIDTH, ToyCamera, make_cameras

WIDTH: Final = 64
HEIGHT: Final = 128

Trouble = Literal["none", "pillar", "bush", "car", "neighbour", "dark", "blurred", "cut"]
TROUBLES: Final[tuple[Trouble, ...]] = get_args(Trouble)[1:]

_SKINS: Final[tuple[Colour, ...]] = ((244, 208, 178), (228, 180, 144), (196, 142, 104), (150, 102, 72), (104, 70, 52))
_HAIRS: Final[tuple[Colour, ...]] = (
    (44, 34, 32), (84, 56, 40), (136, 88, 50), (206, 164, 96), (168, 70, 40), (176, 172, 170),
)  # fmt: skip
_CLOTHES: Final[tuple[Colour, ...]] = (
    (200, 52, 52), (232, 126, 48), (240, 196, 72), (76, 148, 84), (48, 132, 140), (62, 104, 176), (42, 54, 96),
    (124, 84, 160), (222, 130, 160), (236, 232, 224), (150, 152, 158), (52, 52, 58), (140, 100, 70), (168, 196, 120),
)  # fmt: skip
_LEGS: Final[tuple[Colour, ...]] = (
    (58, 78, 122), (38, 44, 66), (50, 50, 54), (168, 148, 116), (112, 116, 122), (124, 74, 58), (214, 208, 196),
    (84, 108, 78),
)  # fmt: skip


def make_person(rng: np.random.Generator) -> ToyPerson:
    """Invent a person."""
    upper, second, bag = (_CLOTHES[i] for i in rng.permutation(len(_CLOTHES))[:3])
    styles: tuple[Hair, ...] = get_args(Hair)
    patterns: tuple[Pattern, ...] = get_args(Pattern)
    lowers: tuple[Lower, ...] = get_args(Lower)
    bags: tuple[Bag, ...] = get_args(Bag)
    return ToyPerson(
        height=float(rng.uniform(0.82, 0.95)),
        breadth=float(rng.uniform(0.9, 1.2)),
        skin=_pick(_SKINS, rng),
        hair=_pick(_HAIRS, rng),
        hair_style=styles[rng.choice(len(styles), p=(0.32, 0.24, 0.12, 0.12, 0.06, 0.14))],
        upper=upper,
        upper_second=second,
        pattern=patterns[rng.choice(len(patterns), p=(0.28, 0.16, 0.06, 0.1, 0.1, 0.06, 0.14, 0.1))],
        sleeves="long" if rng.random() < 0.55 else "short",
        lower=_pick(_LEGS, rng),
        lower_kind=lowers[rng.choice(len(lowers), p=(0.56, 0.18, 0.16, 0.1))],
        shoes=_pick(((40, 38, 42), (232, 230, 226), (120, 76, 52), (176, 60, 60)), rng),
        bag=bags[rng.choice(len(bags), p=(0.42, 0.26, 0.18, 0.14))],
        bag_colour=bag,
    )


def make_people(count: int, rng: np.random.Generator, *, look_alikes: float = 0.2) -> tuple[ToyPerson, ...]:
    """Invent `count` persons; a share of them dress like the one before and differ in hair, bag and build only."""
    people: list[ToyPerson] = []
    alike = 0
    for _ in range(count):
        fresh = make_person(rng)
        alike = alike + 1 if people and alike < 2 and rng.random() < look_alikes else 0
        if alike:
            same = people[-1]
            fresh = replace(
                fresh, upper=same.upper, upper_second=same.upper_second, pattern=same.pattern, sleeves=same.sleeves,
                lower=same.lower, lower_kind=same.lower_kind, shoes=same.shoes,
            )  # fmt: skip
        people.append(fresh)
    return tuple(people)


def draw_person(
    person: ToyPerson,
    camera: ToyCamera,
    rng: np.random.Generator,
    *,
    view: View | None = None,
    trouble: Trouble = "none",
) -> NDArray[np.uint8]:
    """Draw one crop, HEIGHT x WIDTH x 3; without `view` one that the camera often sees."""
    if view is None:
        front, back, side = camera.views
        views: tuple[View, ...] = ("front", "back", "left", "right")
        view = views[rng.choice(4, p=(front, back, side / 2, side / 2))]
    size = (WIDTH, HEIGHT)
    pose = _stand(person, rng, view=view, cut=trouble == "cut")
    x = int(rng.integers(0, SCENE_WIDTH - WIDTH)) * ZOOM
    picture = camera.place.crop((x, 0, x + WIDTH * ZOOM, HEIGHT * ZOOM))
    if trouble == "neighbour":
        sign = 1 if rng.random() < 0.5 else -1
        other = make_person(rng)
        beside = _stand(other, rng, view=view, cut=False)
        beside = replace(beside, feet=(beside.feet[0] + sign * float(rng.uniform(17, 22)), beside.feet[1] - 3))
        _place(picture, other, beside, size)
    _place(picture, person, pose, size)
    _hide(picture, trouble, rng)
    if trouble == "blurred":
        picture = picture.filter(ImageFilter.BoxBlur((3.2 * ZOOM, 0.6 * ZOOM)))
    return camera.expose(picture, rng, light=0.34 if trouble == "dark" else float(rng.uniform(0.9, 1.06)))


@dataclass(frozen=True, slots=True)
class ToyCounts:
    """How large a toy data set is; `per_camera` pictures of each person in each camera that sees the person."""

    train_persons: int = 4
    persons: int = 4
    cameras: int = 3
    per_camera: int = 2
    junk: int = 2
    distractors: int = 4
    trouble: float = 0.15
    """Share of pictures with something in the way, 0..1."""
    look_alikes: float = 0.2
    """Share of persons who dress like the one before, 0..1."""


def draw_market(counts: ToyCounts, *, seed: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield file name (below the root) and pixels of each picture of a toy data set in Market-1501's layout.

    Each test person has one query in half of the cameras and the other pictures in the gallery. Junk (-1) shows badly
    cut people, distractors (0000) show people who are nobody else's match.
    """
    rng = np.random.default_rng(seed)
    cameras = make_cameras(counts.cameras, rng)
    people = make_people(counts.train_persons + counts.persons, rng, look_alikes=counts.look_alikes)
    frame = 0
    for number, person in enumerate(people, start=1):
        train = number <= counts.train_persons
        asked = set(rng.permutation(counts.cameras)[: max(counts.cameras // 2, 1)].tolist())
        for camera in cameras:
            for shot in range(1, counts.per_camera + 1):
                frame += int(rng.integers(20, 90))
                query = shot == 1 and camera.number - 1 in asked
                folder = "bounding_box_train" if train else "query" if query else "bounding_box_test"
                trouble = TROUBLES[int(rng.integers(len(TROUBLES) - 1))] if rng.random() < counts.trouble else "none"
                name = f"{folder}/{number:04d}_c{camera.number}s1_{frame:06d}_{shot:02d}.jpg"
                yield name, draw_person(person, camera, rng, trouble=trouble)
    for mark, how_many in (("-1", counts.junk), ("0000", counts.distractors)):
        for _ in range(how_many):
            frame += int(rng.integers(20, 90))
            camera = cameras[int(rng.integers(len(cameras)))]
            picture = draw_person(make_person(rng), camera, rng, trouble="cut" if mark == "-1" else "none")
            yield f"bounding_box_test/{mark}_c{camera.number}s1_{frame:06d}_00.jpg", picture


def write_market(root: Path, counts: ToyCounts | None = None, *, seed: int = 0, quality: int = 88) -> Path:
    """Write a toy data set in Market-1501's layout below `root` and return `root`."""
    for name in ("bounding_box_train", "query", "bounding_box_test"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, picture in draw_market(counts or ToyCounts(), seed=seed):
        Image.fromarray(picture).save(root / name, quality=quality, optimize=True)
    return root


def _stand(person: ToyPerson, rng: np.random.Generator, *, view: View, cut: bool) -> Pose:
    unit = person.height * HEIGHT / 100 * float(rng.uniform(0.96, 1.03))
    feet = (WIDTH / 2 + float(rng.uniform(-3, 3)), HEIGHT - 5 + float(rng.uniform(-2, 2)))
    if cut:
        unit *= 1.7
        feet = (feet[0] + float(rng.uniform(-14, 14)), feet[1] + float(rng.choice((70.0, -4.0))))
    return Pose(view, float(rng.uniform(0.35, 1.0)) * (1 if rng.random() < 0.5 else -1), feet, unit)


def _place(picture: Image.Image, person: ToyPerson, pose: Pose, size: tuple[int, int]) -> None:
    x, y = (value * ZOOM for value in pose.feet)
    wide = 15 * pose.unit * ZOOM
    shadow = Image.new("L", picture.size)
    ImageDraw.Draw(shadow).ellipse((x - wide, y - wide * 0.2, x + wide * 1.2, y + wide * 0.22), fill=110)
    picture.paste((30, 30, 40), (0, 0), shadow.filter(ImageFilter.GaussianBlur(5)))
    body = draw_body(person, pose, size)
    picture.paste(body, (0, 0), body)


def _hide(picture: Image.Image, trouble: Trouble, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(picture)

    def box(left: float, top: float, right: float, bottom: float, colour: Colour, radius: float = 0) -> None:
        corners = tuple(value * ZOOM for value in (left, top, right, bottom))
        draw.rounded_rectangle(corners, radius * ZOOM, fill=colour)

    if trouble == "pillar":
        x = float(rng.choice((8.0, 38.0))) + float(rng.uniform(-4, 4))
        box(x, -2, x + 17, 130, (138, 134, 128))
        box(x + 1, -2, x + 6, 130, (164, 160, 152))
    elif trouble == "bush":
        for _ in range(46):
            radius = float(rng.uniform(4, 9))
            cx, cy = float(rng.uniform(-2, 66)), float(rng.uniform(86, 132))
            green = int(rng.integers(-22, 23))
            box(cx - radius, cy - radius, cx + radius, cy + radius, (70 + green // 2, 116 + green, 58), radius)
    elif trouble == "car":
        paint = _pick(((176, 44, 48), (220, 220, 224), (54, 84, 128), (66, 70, 74)), rng)
        box(-12, 78, 80, 118, paint, 9)
        box(4, 68, 60, 90, paint, 8)
        box(8, 71, 56, 82, (150, 178, 192), 4)
        for x in (2, 50):
            box(x, 108, x + 18, 126, (34, 34, 38), 9)
            box(x + 5, 113, x + 13, 121, (170, 170, 174), 4)


def _pick(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    return colours[int(rng.integers(len(colours)))]
