"""Scenes to light and exact maps: a depth buffer of fine pixels, their surfaces lit by sun and sky.

No ray is traced and nothing is drawn by chance, so there is no grain to take away; docs/people.md compares this with
path tracing. Maps are read at the pixel centres, which are fine pixels too. Proof: tests/people/test_truth.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from resight.people.backdrop import backdrop
from resight.people.light import shadows
from resight.people.mesh import Mesh, joined, normals
from resight.people.places import build_site
from resight.people.raster import Seen, rasterise, shares
from resight.people.scene import Scene, View, view_of

FINER: Final = 3
"""Fine pixels along each side of a pixel; odd, so that one of them is its centre."""
SUNLIGHT: Final = (1.08, 1.0, 0.88)
SKYLIGHT: Final = (0.95, 1.0, 1.08)
BOUNCE: Final = 0.8
"""How much of the ground's light reaches what faces it."""
MIDDLE: Final = 0.235
"""Light of open ground in the picture: what the exposure aims at."""
JOINT = 0.15
"""How deep a keypoint may lie below the surface that is seen, metres."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One picture before the sensor, with what is true about it."""

    light: np.ndarray
    """H W 3 linear, 1 is a white surface in full light."""
    label: np.ndarray
    """H W uint8 in `lip20`, of the person alone."""
    person: np.ndarray
    """H W uint8: 0 nobody, 1 the person, 2 and on others."""
    parts: np.ndarray
    """H W uint8 in `body10`: the undressed body, whole where it is hidden too."""
    thing: np.ndarray
    """H W bool: the occluder."""
    keypoints: np.ndarray
    """17 3: x, y in pixels, and 0 outside, 1 hidden, 2 visible."""
    visible: float
    """Share of the body that is seen, 0..1; what the box cuts off counts as hidden."""
    part_visible: tuple[float, ...]
    """The same for each of the ten parts; NaN where a part is hidden by the body itself."""


def draw(scene: Scene, *, height: int, width: int) -> Rendered:
    """Light and maps of a scene at H W pixels; the same scene gives the same bytes."""
    view = view_of(scene, height, width)
    meshes = [scene.person, *scene.things]
    mesh, finer = joined(meshes), view.finer(FINER)
    fine = rasterise(finer.project(mesh.vertices.astype(float)), mesh.faces, size=(finer.height, finer.width))
    middle = slice(FINER // 2, None, FINER)
    near = Seen(fine.face[middle, middle], fine.depth[middle, middle])
    label = np.where(near.face >= 0, mesh.labels[near.face], 0).astype(np.uint8)
    starts = np.cumsum([0, *(len(mesh.faces) for mesh in meshes)])
    which = np.searchsorted(starts, near.face, side="right")  # 0 where nothing is seen
    thing = which == len(meshes) if scene.occluder else np.zeros(which.shape, bool)
    person = np.where(thing, 0, which).astype(np.uint8)
    shown = _averaged(_shine(scene, finer, mesh, fine))
    whole = _whole_body(scene, view)
    parts = whole[height : 2 * height, width : 2 * width]
    visible, part_visible = _seen(whole, person, parts)
    keypoints = _keypoints(scene, view, person, near.depth)
    label = np.where(person == 1, label, 0).astype(np.uint8)
    return Rendered(shown, label, person, parts, thing, keypoints, visible, part_visible)


def _shine(scene: Scene, view: View, mesh: Mesh, seen: Seen) -> np.ndarray:
    """Light at each pixel of a finer view: place behind, meshes before it, both lit by sun and sky."""
    camera = scene.camera
    site = build_site(camera)
    sun = sun_direction(scene) if scene.sun else None
    cast = shadows([scene.person, *scene.things], sun)
    sunlight, skylight = np.array(SUNLIGHT) * scene.sun, np.array(SKYLIGHT if scene.sun else (1, 1, 1)) * camera.sky
    level = skylight + sunlight * (sun[2] if sun is not None else 0)
    on = seen.face >= 0
    behind = backdrop(site, view, ~on, yaw=scene.yaw, shift=scene.shift, walk=scene.walk)
    shown = np.empty((*on.shape, 3), np.float32)
    light = np.empty_like(behind.colours)
    for mine, out in ((~behind.upright, np.array([0.0, 0, 1])), (behind.upright, behind.front)):
        points = behind.points[mine]
        light[mine] = cast.lit(points, out)[:, None] * skylight + cast.sunlit(points, out)[:, None] * sunlight
        light[mine] += BOUNCE * site.brightness * (1 - out[2]) / 2 * level
    shown[~on] = behind.colours * light
    face = seen.face[on]
    corners, number = np.unique(mesh.faces[face], return_inverse=True)
    places = mesh.vertices[corners].astype(float)
    away = _outward(mesh, corners, view.eye)
    bounce = BOUNCE * site.brightness * ((1 - away[:, 2:]) / 2) * level
    lit = cast.lit(places, away)[:, None] * skylight + cast.sunlit(places, away)[:, None] * sunlight + bounce
    shining = mesh.colours[corners] * lit
    weights = shares(view.project(places), number.reshape(-1, 3), on)
    shown[on] = np.einsum("nc,ncd->nd", weights, shining[number.reshape(-1, 3)])
    return np.asarray(shown / (level.mean() * site.brightness) * MIDDLE, np.float32)


def _outward(mesh: Mesh, corners: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Unit normals of some corners, on the side of the eye where they would point away from it."""
    found = normals(mesh.vertices.astype(float), mesh.faces)[corners]
    towards = eye - mesh.vertices[corners]
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    facing = (found * towards).sum(1)
    return np.asarray(np.where((facing < -0.35)[:, None], -found, found))


def sun_direction(scene: Scene) -> np.ndarray:
    """Unit direction towards the sun."""
    turn, rise = np.deg2rad(scene.sun_azimuth), np.deg2rad(scene.sun_elevation)
    return np.array([np.cos(rise) * np.sin(turn), -np.cos(rise) * np.cos(turn), np.sin(rise)])


def _averaged(values: np.ndarray) -> np.ndarray:
    """Means of the finer pixels of each pixel."""
    high, wide = values.shape[0] // FINER, values.shape[1] // FINER
    return np.asarray(values.reshape(high, FINER, wide, FINER, -1).mean((1, 3)))


def _whole_body(scene: Scene, view: View) -> np.ndarray:
    """Parts of the undressed body without things before it, 3H 3W: the box in the middle and as much on each side."""
    top, left, bottom, right = scene.box
    tall, wide = bottom - top, right - left
    around = replace(scene, box=(top - tall, left - wide, bottom + tall, right + wide))
    wider = view_of(around, 3 * view.height, 3 * view.width)
    body = scene.body
    seen = rasterise(wider.project(body.vertices.astype(float)), body.faces, size=(wider.height, wider.width))
    return np.where(seen.face >= 0, body.labels[seen.face], 0).astype(np.uint8)


def _keypoints(scene: Scene, view: View, person: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Keypoints 17 3: x, y in pixels; 0 outside the box, 1 hidden, 2 visible.

    Visible means that the pixel belongs to the person and that nothing of the person lies more than `JOINT` before the
    joint: joints sit inside limbs, and an arm behind the trunk is hidden.
    """
    places = view.project(scene.keypoints.astype(float))
    x, y = np.rint(places[:, :2]).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < view.width) & (y < view.height)
    x, y = np.clip(x, 0, view.width - 1), np.clip(y, 0, view.height - 1)
    seen = (person[y, x] == 1) & (places[:, 2] - depth[y, x] < JOINT)
    return np.column_stack([places[:, :2], np.where(inside, 1 + seen, 0)]).astype(np.float32)


def _seen(whole: np.ndarray, person: np.ndarray, parts: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """Shares of the body that are seen, of what would be seen without box and others."""
    totals = np.bincount(whole.ravel(), minlength=11)[:11].astype(float)
    shown = np.bincount(parts[person == 1].ravel(), minlength=11)[:11]
    found = [float(min(shown[n] / totals[n], 1.0)) if totals[n] > 0 else float("nan") for n in range(1, 11)]
    return float(min(shown[1:].sum() / max(totals[1:].sum(), 1.0), 1.0)), tuple(found)
