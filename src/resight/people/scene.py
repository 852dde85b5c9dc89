"""What is in one picture: who stands where before which camera, in which light, and what box a detector draws.

Proof: tests/people/test_truth.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from resight.data.degrade import Side
from resight.people.cameras import Camera
from resight.people.figure import Figure
from resight.people.mesh import Mesh, joined, moved, turned


def _axes(eye: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit directions forward, right and up of an eye that looks at a target and holds its head upright."""
    forward = target - eye
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    return forward, right, np.cross(right, forward)


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera aimed at one box: H W pixels over the field of view."""

    eye: np.ndarray
    target: np.ndarray
    fov: float
    """Of the picture's height, degrees."""
    height: int
    width: int

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points N 3 as N 3: x and y in pixels (centres at whole numbers), depth along the view's axis in metres."""
        forward, right, up = _axes(self.eye, self.target)
        ray = points - self.eye
        depth = ray @ forward
        depth = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        scale = self.height / 2 / np.tan(np.deg2rad(self.fov) / 2)
        x = self.width / 2 + ray @ right / depth * scale - 0.5
        y = self.height / 2 - ray @ up / depth * scale - 0.5
        return np.stack([x, y, depth], axis=1)

    @property
    def pixel(self) -> float:
        """How wide a pixel is at a distance of one metre, metres."""
        return float(2 * np.tan(np.deg2rad(self.fov) / 2) / self.height)

    def rays(self) -> np.ndarray:
        """Directions H W 3 through the pixel centres, one metre along the view's axis."""
        forward, right, up = _axes(self.eye, self.target)
        x = (np.arange(self.width) + 0.5 - self.width / 2) * self.pixel
        y = (self.height / 2 - np.arange(self.height) - 0.5) * self.pixel
        return np.asarray(forward + x[None, :, None] * right + y[:, None, None] * up)

    def finer(self, times: int) -> View:
        """The same view with each pixel divided into `times` × `times`; odd numbers keep its centre."""
        return replace(self, height=self.height * times, width=self.width * times)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that decides a picture."""

    camera: Camera
    person: Mesh
    body: Mesh
    keypoints: np.ndarray
    others: tuple[Mesh, ...]
    """Further persons."""
    occluder: Mesh | None
    eye: np.ndarray
    box: tuple[float, float, float, float]
    """Of the detector in directions from the eye to the person's middle: top, left, bottom, right, as tangents."""
    middle: np.ndarray
    shift: tuple[float, float]
    """Of the place, metres: where in it people pass."""
    yaw: float
    """Of the place, radians: from which side the camera looks at it."""
    walk: float
    """How far people in the background have gone, metres."""
    sun: float
    sun_azimuth: float
    sun_elevation: float
    native: float
    """Height of the box in native pixels."""
    stops: float
    seed: int

    @property
    def things(self) -> tuple[Mesh, ...]:
        """What else there is near the person: other persons, then the occluder."""
        return (*self.others, *([self.occluder] if self.occluder else []))


def make_scene(camera: Camera, figure: Figure, *, turn: float, rng: np.random.Generator) -> Scene:
    """Somebody alone before a camera, in a loose box; `turn` 0 faces the camera, radians to the own left."""
    body = moved(figure.body, turn=turn)
    far = float(rng.random())
    distance = camera.distance[0] + far * (camera.distance[1] - camera.distance[0])
    eye = np.array([0.0, -distance, camera.height + float(rng.normal(0, 0.15))])
    middle = np.array([0.0, 0.0, figure.height / 2])
    top, left, bottom, right = _extent(body.vertices, eye, middle)
    tall = bottom - top
    high = tall * float(np.clip(rng.normal(1.045, 0.04), 0.93, 1.25))
    centre = (top + bottom) / 2 + tall * float(np.clip(rng.normal(0, 0.018), -0.06, 0.06))
    wide = high / 2 * float(np.exp(rng.normal(-0.03, 0.08)))
    across = (left + right) / 2 + wide * float(np.clip(rng.normal(0, 0.05), -0.15, 0.15))
    in_shade = camera.sun == 0 or rng.random() < 0.3
    low, top_pixels = camera.pixels
    return Scene(
        camera=camera,
        person=moved(joined(figure.meshes), turn=turn),
        body=body,
        keypoints=figure.keypoints @ turned(turn).T,
        others=(),
        occluder=None,
        eye=eye,
        box=(centre - high / 2, across - wide / 2, centre + high / 2, across + wide / 2),
        middle=middle,
        shift=(float(rng.uniform(-9, 9)), float(rng.uniform(-0.1, 1.5))),
        yaw=np.deg2rad(camera.yaw + float(rng.normal(0, 6))),
        walk=float(rng.uniform(0, 24)),
        sun=0.0 if in_shade else camera.sun * float(rng.uniform(0.8, 1.2)),
        sun_azimuth=camera.sun_azimuth + float(rng.normal(0, 12)),
        sun_elevation=camera.sun_elevation + float(rng.normal(0, 3)),
        native=low + (top_pixels - low) * (1 - far) * float(rng.uniform(0.85, 1.15)),
        stops=camera.exposure + float(rng.normal(0, 0.15)),
        seed=int(rng.integers(2**31)),
    )


def _extent(vertices: np.ndarray, eye: np.ndarray, middle: np.ndarray) -> tuple[float, float, float, float]:
    """Top, left, bottom and right of points as tangents of the directions from the eye to `middle`."""
    x, y = View(eye, middle, 90.0, 2, 2).project(vertices.astype(float))[:, :2].T - 0.5
    return float(y.min()), float(x.min()), float(y.max()), float(x.max())


def truncated(scene: Scene, *, share: float, side: Side = "bottom") -> Scene:
    """The scene with a box that slipped off the person: a share is lost at one side, more is seen at the other."""
    top, left, bottom, right = scene.box
    down = {"top": share, "bottom": -share}.get(side, 0.0) * (bottom - top)
    across = {"left": share, "right": -share}.get(side, 0.0) * (right - left)
    return replace(scene, box=(top + down, left + across, bottom + down, right + across))


def view_of(scene: Scene, height: int, width: int) -> View:
    """The pinhole camera that shows the scene's box in H W pixels: aimed at the box's middle, as high as the box."""
    top, left, bottom, right = scene.box
    forward, side, up = _axes(scene.eye, scene.middle)
    aim = forward + side * (left + right) / 2 - up * (top + bottom) / 2
    high = max(bottom - top, (right - left) * height / width)
    stretch = float(np.linalg.norm(aim))
    fov = 2 * np.rad2deg(np.arctan(high / 2 / stretch))
    return View(scene.eye, scene.eye + aim * float(np.linalg.norm(scene.middle - scene.eye)), float(fov), height, width)
