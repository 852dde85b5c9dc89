"""What a set of rendered people holds: who is seen by which camera how often, and where each picture goes.

Nothing of a person depends on how many persons are asked for. Proof: tests/people/test_plan.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Final

import numpy as np

from resight import __version__
from resight.errors import BadRecipe, UnknownName
from resight.people.causes import Cause, check_causes, draw_cause

PICTURE_BYTES: Final = 2_100
"""Of a 64 × 128 picture, as measured; larger ones by their area."""
MAP_BYTES: Final = (800, 400)
"""Of a map's head with its colours, and of a 64 × 128 map's pixels."""
ROW_BYTES, PERSON_BYTES = 600, 3_100
"""What tables and folders say of one picture, and of one person."""
BLOCK: Final = 4096
"""Bytes that disks hand out at once: most of what small files take."""
SECONDS_A_PICTURE: Final = 0.09
"""Of one core, at 64 × 128."""
FORMAT: Final = 5
VARIETY: Final = {
    "cameras": "every camera has the place, light, colours and flaws of the first",
    "cloth": "no stripes, checks, prints or second tones: cloth has one colour",
    "sizes": "everybody passes so near that the crop lacks no detail",
    "light": "every camera has an overcast sky, the same exposure and no colour of its own",
}
"""Kinds of variety that can be switched off, and what is left then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A set of rendered people."""

    persons: int
    cameras: int = 6
    pictures: int = 4
    """Of each person in each camera."""
    seed: int = 1
    height: int = 128
    width: int = 64
    causes: tuple[str, ...] = ()
    cause_share: float = 0.5
    """Share of the pictures that get one of the causes."""
    twins: bool = False
    train_share: float = 0.5
    """Share of the persons for training; the others are queries and gallery."""
    look_alikes: float = 0.0
    """Chance with which every second person of a split has each attribute from the one before; 0: no doubles."""
    plain: tuple[str, ...] = ()
    """Kinds of VARIETY that are switched off."""

    def check(self) -> None:
        """Raise BadRecipe or UnknownName for numbers and causes that make no set."""
        least = {"persons": 1, "cameras": 1, "pictures": 1, "seed": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise BadRecipe(f"--{name} is {getattr(self, name)}; it must be at least {low}.")
        most = {"persons": 9999, "cameras": 99, "pictures": 999}
        for name, high in most.items():
            if getattr(self, name) > high:
                raise BadRecipe(f"--{name} is {getattr(self, name)}; it must be at most {high}.")
        if not (16 <= self.height <= 2048 and 8 <= self.width <= 2048):
            raise BadRecipe(f"--size is {self.height}x{self.width}; it must be from 16x8 to 2048x2048.")
        for name in ("cause_share", "train_share", "look_alikes"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadRecipe(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be from 0 to 1.")
        check_causes(self.causes)
        for name in self.plain:
            if name not in VARIETY:
                raise UnknownName("kind of variety", name, VARIETY)

    @property
    def total(self) -> int:
        """Pictures in all, twins not counted."""
        return self.persons * self.cameras * self.pictures

    @property
    def megabytes(self) -> float:
        """Disk space that the set will take, about, in the blocks that disks hand out."""
        area = self.height * self.width / 8192
        picture, label = _on_disk(PICTURE_BYTES * area), _on_disk(MAP_BYTES[0] + MAP_BYTES[1] * area)
        a_picture = picture + 3 * label + self._twin_share * (picture + label) + ROW_BYTES
        return (self.total * a_picture + self.persons * PERSON_BYTES) / 1e6

    @property
    def minutes(self) -> float:
        """Time that one core will take, about."""
        return self.total * (1 + self._twin_share) * SECONDS_A_PICTURE * self.height * self.width / 8192 / 60

    @property
    def _twin_share(self) -> float:
        """Share of the pictures that get a twin."""
        return self.cause_share if self.twins and self.causes else 0.0

    def facts(self) -> dict[str, object]:
        """What decides every byte of the set."""
        made_by = {"resight": __version__, "format": FORMAT}
        return {**asdict(self), "causes": list(self.causes), "plain": list(self.plain), **made_by, **_versions()}


def _on_disk(size: float) -> int:
    """Bytes that a file of `size` bytes takes from the disk."""
    return int(np.ceil(size / BLOCK)) * BLOCK


def _versions() -> dict[str, str]:
    found = {}
    for name in ("anny", "numpy", "scipy", "pillow"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of the plan."""

    person: int
    camera: int
    number: int
    """From 1, within the camera."""
    split: str
    """`bounding_box_train`, `query` or `bounding_box_test`."""
    cause: Cause | None

    @property
    def name(self) -> str:
        """File name without its ending, as Market-1501 writes it."""
        return f"{self.person:04d}_c{self.camera}s1_{self.number:06d}_00"


def learns(person: int, share: float) -> bool:
    """Whether a person (from 1) belongs to the training split; spread evenly over the numbers."""
    return _learnt(person, share) > _learnt(person - 1, share)


def _learnt(person: int, share: float) -> int:
    """How many of the persons up to this one belong to the training split."""
    return int(np.floor(person * share + 1e-9))


def double_of(plan: Plan, person: int) -> int | None:
    """Person whom this one is made to look like: the one before in the same split, for every second one there."""
    if not plan.look_alikes:
        return None
    mine, learnt = learns(person, plan.train_share), _learnt(person, plan.train_share)
    if (learnt if mine else person - learnt) % 2:
        return None
    return next(other for other in range(person - 1, 0, -1) if learns(other, plan.train_share) == mine)


def generator(plan: Plan, purpose: int, *keys: int) -> np.random.Generator:
    """Chance of one purpose: 11 identities, 12 causes, 13 pictures."""
    return np.random.default_rng((plan.seed, purpose, *keys))


def shots(plan: Plan, person: int) -> Iterator[Shot]:
    """The pictures of one person, cameras in order."""
    for camera in range(1, plan.cameras + 1):
        for number in range(1, plan.pictures + 1):
            rng = generator(plan, 12, person, camera, number)
            cause = None
            if plan.causes and rng.random() < plan.cause_share:
                cause = draw_cause(plan.causes[int(rng.integers(len(plan.causes)))], rng)
            yield Shot(person, camera, number, _split(plan, person, camera, number), cause)


def _split(plan: Plan, person: int, camera: int, number: int) -> str:
    """Folder of a picture. A search has what it needs: a query, and the same person in the gallery of another camera.

    The first picture in each camera is a query. Where it is the only one there, it is so in one camera alone, a camera
    that changes from person to person. With one camera no search can be had.
    """
    if learns(person, plan.train_share):
        return "bounding_box_train"
    if plan.pictures > 1:
        return "query" if number == 1 else "bounding_box_test"
    turn = (person - _learnt(person, plan.train_share) - 1) % plan.cameras + 1
    return "query" if plan.cameras > 1 and camera == turn else "bounding_box_test"
