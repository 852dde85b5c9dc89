"""Known causes of failure, planted on demand with a dose, and the twin that is the same draw without the cause.

Causes in the scene (occlusion, second person, truncation) change what is rendered; causes of the sensor (low light,
low resolution, colour cast, motion blur) go through `data/degrade.py`. Proof: tests/people/test_truth.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from resight.data.degrade import Side
from resight.errors import UnknownName
from resight.people.occluders import OCCLUDERS, beside, placed, silhouette, somebody
from resight.people.scene import Scene, truncated, view_of

UNITS: Final = {
    "occlusion": "share of the body hidden",
    "multi_person": "share of the crop",
    "truncation": "share of the box that slipped off",
    "low_light": "stops taken away",
    "low_res": "native height of the crop in pixels",
    "color_cast": "stops of red over blue",
    "motion_blur": "pixels of movement at a height of 128",
}
IN_SCENE: Final = ("occlusion", "multi_person", "truncation")


@dataclass(frozen=True, slots=True)
class Cause:
    """One planted cause."""

    name: str
    dose: float
    """As asked for, in the unit of UNITS; the table holds what was reached."""
    kind: str = ""
    """Which occluder, which side."""


@dataclass(frozen=True, slots=True)
class SensorCause:
    """What a cause does to the sensor."""

    stops: float = 0.0
    native: float | None = None
    warmth: float = 0.0
    blur: float = 0.0
    angle: float = 0.0


def check_causes(names: tuple[str, ...]) -> None:
    """Raise UnknownName for a cause that is not in the table."""
    for name in names:
        if name not in UNITS:
            raise UnknownName("cause", name, UNITS)


def draw_cause(name: str, rng: np.random.Generator) -> Cause:
    """A cause with a dose and kind by chance."""
    if name == "occlusion":
        return Cause(name, float(rng.uniform(0.12, 0.65)), list(OCCLUDERS)[int(rng.integers(len(OCCLUDERS)))])
    if name == "truncation":
        sides: tuple[Side, ...] = ("bottom", "top", "left", "right")
        return Cause(name, float(rng.uniform(0.15, 0.5)), sides[int(rng.choice(4, p=(0.6, 0.14, 0.13, 0.13)))])
    if name == "color_cast":
        return Cause(name, float(rng.uniform(0.6, 1.4) * rng.choice([-1, 1])))
    low, high = {"multi_person": (0.1, 0.4), "low_light": (1.5, 4.0), "low_res": (14, 40), "motion_blur": (4, 14)}[name]
    return Cause(name, float(rng.uniform(low, high)))


def plant(scene: Scene, cause: Cause, rng: np.random.Generator) -> Scene:
    """The scene with a cause of the scene; others leave it as it is."""
    if cause.name == "truncation":
        return truncated(scene, share=cause.dose, side=cause.kind)  # type: ignore[arg-type]
    if cause.name == "occlusion":
        view = view_of(scene, 128, 64)
        body = silhouette(scene.body, view)
        thing = OCCLUDERS[cause.kind](rng)
        near = {"car": 1.6, "bicycle": 0.8, "umbrella": 0.75}.get(cause.kind, float(rng.uniform(0.6, 1.5)))
        side = 1 if rng.random() < 0.5 else -1
        before = np.array([0.0, -near])
        found = placed(thing, share=cause.dose, body=body, view=view, before=before, side=side)
        return replace(scene, others=(found,)) if cause.kind == "person" else replace(scene, occluder=found)
    if cause.name == "multi_person":
        other = somebody(rng)
        side = 1 if rng.random() < 0.5 else -1
        away = float(rng.choice([-0.5, 0.6, 1.2], p=[0.35, 0.35, 0.3]))
        found = beside(other, share=cause.dose, person=scene.person, view=view_of(scene, 128, 64), away=away, side=side)
        return replace(scene, others=(found,))
    return scene


def spoiling(cause: Cause | None, rng: np.random.Generator) -> SensorCause:
    """What a cause does to the sensor; nothing for causes of the scene."""
    angle = float(rng.uniform(-0.3, 0.3))
    if cause is None or cause.name in IN_SCENE:
        return SensorCause()
    return {
        "low_light": SensorCause(stops=-cause.dose),
        "low_res": SensorCause(native=cause.dose),
        "color_cast": SensorCause(warmth=cause.dose),
        "motion_blur": SensorCause(blur=cause.dose, angle=angle),
    }[cause.name]


def draw_native(scene: Scene, spoil: SensorCause) -> float:
    """Native height of the crop after the cause."""
    return scene.native if spoil.native is None else min(spoil.native, scene.native)
