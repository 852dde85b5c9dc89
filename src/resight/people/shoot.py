"""One picture of the plan from numbers to pixels, maps and truth.

Proof: tests/people/test_truth.py.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from resight.data.degrade import to_grey_levels
from resight.data.labels import BODY10
from resight.people.cameras import Camera, draw_camera
from resight.people.causes import Cause, draw_native, plant, spoiling
from resight.people.cloth import Cloth
from resight.people.figure import make_figure
from resight.people.identity import Identity, draw_identity, draw_pose, look_alike
from resight.people.plan import Plan, Shot, double_of, generator
from resight.people.render import Rendered, draw
from resight.people.scene import Scene, make_scene
from resight.people.sensor import develop

CAUSE, SHADOW = 1, 2
"""Values of a cause map."""
ALL_DETAIL = 256.0
"""Native height in pixels at which a crop lacks nothing, where sizes are not varied."""
FAINT = 1
"""Grey levels, before the sensor's curve, from which on a darker or lighter place counts as shadow."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture with all that is true about it."""

    pixels: np.ndarray
    quality: int
    """Of the JPEG file."""
    label: np.ndarray
    parts: np.ndarray
    persons: np.ndarray
    truth: dict[str, Any]
    """A row of the table."""
    twin: np.ndarray | None = None
    """The same draw without the cause."""
    reach: np.ndarray | None = None
    """Where the cause (1) and its shadow (2) lie; with a twin alone."""


@functools.lru_cache(maxsize=256)
def identity_of(plan: Plan, person: int) -> Identity:
    """Person of a set."""
    rng, double = generator(plan, 11, person), double_of(plan, person)
    identity = draw_identity(rng) if double is None else look_alike(identity_of(plan, double), plan.look_alikes, rng)
    if "cloth" not in plan.plain:
        return identity
    worn = {field.name: getattr(identity, field.name) for field in fields(identity)}
    plain: dict[str, Any] = {
        name: replace(value, pattern="plain") for name, value in worn.items() if isinstance(value, Cloth)
    }
    return replace(identity, **plain)


@functools.lru_cache(maxsize=256)
def camera_of(plan: Plan, number: int) -> Camera:
    """Camera of a set."""
    camera = replace(draw_camera(plan.seed, 1 if "cameras" in plan.plain else number), number=number)
    if "sizes" in plan.plain:
        camera = replace(camera, pixels=(ALL_DETAIL, ALL_DETAIL))
    if "light" in plan.plain:
        camera = replace(camera, sun=0.0, warmth=0.0, tint=0.0, exposure=0.0)
    return camera


def shoot(plan: Plan, shot: Shot) -> Picture:
    """Draw one picture of the plan, and its twin where the plan asks for twins."""
    rng = generator(plan, 13, shot.person, shot.camera, shot.number)
    identity, camera = identity_of(plan, shot.person), camera_of(plan, shot.camera)
    turn = float(rng.uniform(-np.pi, np.pi))
    scene = make_scene(camera, make_figure(identity, draw_pose(identity, rng)), turn=turn, rng=rng)
    chance, noise = int(rng.integers(2**31)), int(rng.integers(2**31))
    planted = scene if shot.cause is None else plant(scene, shot.cause, np.random.default_rng(chance))
    spoil = spoiling(shot.cause, np.random.default_rng(chance))
    shown = draw(planted, height=plan.height, width=plan.width)
    native = draw_native(planted, spoil)

    def developed(rendered: Rendered, *, spoiled: bool) -> np.ndarray:
        return develop(
            rendered.light,
            camera,
            native=native if spoiled else scene.native,
            stops=scene.stops + (spoil.stops if spoiled else 0),
            rng=np.random.default_rng(noise),
            warmth=spoil.warmth if spoiled else 0,
            blur=spoil.blur * plan.height / 128 if spoiled else 0,
            angle=spoil.angle,
        )

    pixels = developed(shown, spoiled=True)
    truth = _truth(shot, planted, shown, native, scene.stops + spoil.stops, turn)
    twin = reach = None
    if plan.twins and shot.cause is not None:
        clean = shown if planted is scene else draw(scene, height=plan.height, width=plan.width)
        twin = developed(clean, spoiled=False)
        reach = _reach(shown, clean, shot)
    return Picture(pixels, camera.quality, shown.label, shown.parts, shown.person, truth, twin, reach)


def _dose(cause: Cause, shown: Rendered) -> float:
    """The dose that was reached: of occluder and second person by counting pixels."""
    if cause.name == "occlusion":
        body = shown.parts > 0
        before = shown.thing | (shown.person > 1)
        return round(float((before & body).sum() / max(int(body.sum()), 1)), 4)
    if cause.name == "multi_person":
        return round(float((shown.person > 1).mean()), 4)
    return round(cause.dose, 4)


def _reach(shown: Rendered, clean: Rendered, shot: Shot) -> np.ndarray:
    """Where a cause of the scene and its shadow lie; a cause of the whole picture reaches everything."""
    if shot.cause is None or shot.cause.name not in ("occlusion", "multi_person"):
        return np.full(shown.label.shape, CAUSE, np.uint8)
    found = np.zeros(shown.label.shape, np.uint8)
    apart = to_grey_levels(shown.light).astype(int) - to_grey_levels(clean.light)
    found[np.abs(apart).max(2) > FAINT] = SHADOW
    found[shown.thing | (shown.person > 1)] = CAUSE
    return found


def _truth(shot: Shot, scene: Scene, shown: Rendered, native: float, stops: float, turn: float) -> dict[str, Any]:
    """The row of one picture: everything that is known about it."""
    row: dict[str, Any] = {
        "file": f"{shot.split}/{shot.name}.jpg",
        "person": shot.person,
        "camera": shot.camera,
        "number": shot.number,
        "cause": "" if shot.cause is None else shot.cause.name,
        "dose": "" if shot.cause is None else _dose(shot.cause, shown),
        "cause_kind": "" if shot.cause is None else shot.cause.kind,
        "view_degrees": round(float(np.rad2deg(turn)), 2),
        "visible": round(shown.visible, 4),
    }
    for name, share in zip(BODY10.classes[1:], shown.part_visible, strict=True):
        row[f"visible_{name.replace(' ', '_')}"] = "" if np.isnan(share) else round(share, 4)
    row |= {
        "second_person": round(float((shown.person > 1).mean()), 4),
        "native_height": round(native, 1),
        "stops": round(stops, 3),
        "in_sun": int(scene.sun > 0),
        "keypoints": " ".join(f"{x:.1f},{y:.1f},{int(state)}" for x, y, state in shown.keypoints),
    }
    return row
