"""Scenes to light and exact maps, by mitsuba on the CPU.

Source: Jakob et al., "Mitsuba 3", 2022 (BSD). One thread, the `scalar_rgb` variant: each pixel's chance is seeded by
its place, so a pixel that a change does not reach keeps its noise. Proof: tests/people/test_people.py.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from resight.people.anatomy import missing_extra
from resight.people.cameras import Camera
from resight.people.mesh import Mesh, joined, normals
from resight.people.places import Panel, build_site
from resight.people.raster import Seen, rasterise
from resight.people.scene import Scene, View, view_of

SAMPLES = 8
"""Paths of light for each pixel."""
DEPTH = 3
"""Of these paths: light from sun and sky, and once reflected."""
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


@functools.cache
def _mitsuba() -> Any:
    try:
        import drjit
        import mitsuba
    except ImportError as error:
        raise missing_extra() from error
    mitsuba.set_variant("scalar_rgb")
    drjit.set_thread_count(1)
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    return mitsuba


def draw(scene: Scene, *, height: int, width: int) -> Rendered:
    """Light and maps of a scene at H W pixels; the same scene gives the same bytes."""
    view = view_of(scene, height, width)
    meshes = [scene.person, *scene.things]
    near, label = _look(joined(meshes), view)
    starts = np.cumsum([0, *(len(mesh.faces) for mesh in meshes)])
    which = np.searchsorted(starts, near.face, side="right")  # 0 where nothing is seen
    thing = which == len(meshes) if scene.occluder else np.zeros(which.shape, bool)
    person = np.where(thing, 0, which).astype(np.uint8)
    shown = _light(scene, view)
    parts = _look(scene.body, view)[1]
    visible, part_visible = _seen(scene, view, person, parts)
    keypoints = _keypoints(scene, view, person, near.depth)
    label = np.where(person == 1, label, 0).astype(np.uint8)
    return Rendered(shown, label, person, parts, thing, keypoints, visible, part_visible)


def _light(scene: Scene, view: View) -> np.ndarray:
    mi = _mitsuba()
    camera = scene.camera
    turn, rise = np.deg2rad(scene.sun_azimuth), np.deg2rad(scene.sun_elevation)
    direction = [-np.cos(rise) * np.sin(turn), np.cos(rise) * np.cos(turn), -np.sin(rise)]
    sky = np.array([0.92, 1.0, 1.12]) * camera.sky if scene.sun else np.ones(3) * camera.sky
    world: dict[str, Any] = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": DEPTH},
        "sky": {"type": "constant", "radiance": {"type": "rgb", "value": sky.tolist()}},
        "person": _shape(scene.person),
        **_place(camera, scene.shift),
    }
    if scene.sun:
        sun = (np.array([1.1, 1.0, 0.86]) * scene.sun * np.pi).tolist()
        world["sun"] = {"type": "directional", "direction": direction, "irradiance": {"type": "rgb", "value": sun}}
    for number, mesh in enumerate(scene.things):
        world[f"other{number}"] = _shape(mesh)
    world["sensor"] = _sensor(view)
    picture = np.array(mi.render(mi.load_dict(world), spp=SAMPLES, seed=scene.seed))[:, :, :3]
    full = camera.sun * np.sin(np.deg2rad(camera.sun_elevation)) + camera.sky
    return np.asarray(picture / full, dtype=np.float32)


def _sensor(view: View) -> dict[str, Any]:
    mi = _mitsuba()
    look = mi.ScalarTransform4f().look_at(view.eye.tolist(), view.target.tolist(), [0, 0, 1])
    film = {"type": "hdrfilm", "width": view.width, "height": view.height, "rfilter": {"type": "box"}}
    return {
        "type": "perspective",
        "fov": view.fov,
        "fov_axis": "y",
        "near_clip": 0.1,
        "to_world": look,
        "film": film,
        "sampler": {"type": "independent", "sample_count": SAMPLES},
    }


def _shape(mesh: Mesh) -> Any:
    mi = _mitsuba()
    properties = mi.Properties()
    properties["mesh_bsdf"] = _paint()
    shape = mi.Mesh("mesh", len(mesh.vertices), len(mesh.faces), props=properties, has_vertex_normals=True)
    shape.add_attribute("vertex_color", 3, np.ascontiguousarray(mesh.colours, np.float32).ravel())
    values = mi.traverse(shape)
    values["vertex_positions"] = np.ascontiguousarray(mesh.vertices, np.float32).ravel()
    values["faces"] = np.ascontiguousarray(mesh.faces, np.uint32).ravel()
    values["vertex_normals"] = normals(mesh.vertices.astype(float), mesh.faces).astype(np.float32).ravel()
    values.update()
    return shape


@functools.cache
def _paint() -> Any:
    """Matt surface, on both sides, of each corner's own colour."""
    paint = {"type": "diffuse", "reflectance": {"type": "mesh_attribute", "name": "vertex_color"}}
    return _mitsuba().load_dict({"type": "twosided", "paint": paint})


@functools.lru_cache(maxsize=16)
def _panel_paint(camera: Camera, number: int) -> Any:
    """The painted surface of one panel, kept for all pictures of the camera."""
    mi = _mitsuba()
    panel = build_site(camera).panels[number]
    texture = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(panel.texture, np.float32)),
        "raw": True,
        "to_uv": mi.ScalarTransform4f().scale([panel.repeats[0], panel.repeats[1], 1]),
    }
    return mi.load_dict({"type": "twosided", "paint": {"type": "diffuse", "reflectance": texture}})


def _place(camera: Camera, shift: tuple[float, float]) -> dict[str, Any]:
    """The place's shapes, moved so that people pass another spot of it."""
    site = build_site(camera)
    found = {f"panel{n}": _rectangle(panel, camera, n, shift) for n, panel in enumerate(site.panels)}
    if site.clutter is not None:
        offset = np.array([shift[0], max(shift[1], -0.2), 0], np.float32)
        found["clutter"] = _shape(replace(site.clutter, vertices=site.clutter.vertices + offset))
    return found


def _rectangle(panel: Panel, camera: Camera, number: int, shift: tuple[float, float]) -> dict[str, Any]:
    mi = _mitsuba()
    across, up = np.array(panel.across, float) / 2, np.array(panel.up, float) / 2
    centre = np.array(panel.corner, float) + across + up + np.array([shift[0], shift[1], 0])
    out = np.cross(across, up)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = across, up, out / np.linalg.norm(out), centre
    return {"type": "rectangle", "to_world": mi.ScalarTransform4f(matrix), "paint": _panel_paint(camera, number)}


def _look(mesh: Mesh, view: View) -> tuple[Seen, np.ndarray]:
    """What the pixel centres see of a mesh, and its labels there."""
    seen = rasterise(view.project(mesh.vertices.astype(float)), mesh.faces, size=(view.height, view.width))
    return seen, np.where(seen.face >= 0, mesh.labels[seen.face], 0).astype(np.uint8)


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


def _seen(scene: Scene, view: View, person: np.ndarray, parts: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """Shares of the body that are seen, of what would be seen without box and others."""
    top, left, bottom, right = scene.box
    tall, wide = bottom - top, right - left
    around = replace(scene, box=(top - tall, left - wide, bottom + tall, right + wide))
    whole = _look(scene.body, view_of(around, 3 * view.height, 3 * view.width))[1]
    totals = np.bincount(whole.ravel(), minlength=11)[:11].astype(float)
    shown = np.bincount(parts[person == 1].ravel(), minlength=11)[:11]
    shares = [float(min(shown[n] / totals[n], 1.0)) if totals[n] > 0 else float("nan") for n in range(1, 11)]
    return float(min(shown[1:].sum() / max(totals[1:].sum(), 1.0), 1.0)), tuple(shares)
