"""Which keypoints of a rendered person can be seen.

Proof: tests/people/test_render.py.
"""

from __future__ import annotations

import numpy as np

from resight.people.scene import Scene, View

OUTSIDE, HIDDEN, VISIBLE = 0, 1, 2


def keypoint_states(scene: Scene, view: View, person: np.ndarray) -> np.ndarray:
    """Keypoints 17 3: x, y in pixels; 0 outside the box, 1 hidden, 2 visible.

    Visible means that the pixel belongs to the person and that no surface of the person lies more than 15 cm before
    the joint: joints sit inside limbs, and an arm behind the trunk is hidden.
    """
    places = view.project(scene.keypoints.astype(float))
    state = np.full(len(places), OUTSIDE)
    x, y = np.rint(places).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < view.width) & (y < view.height)
    near = _nearest(scene, places)
    depth = np.linalg.norm(scene.keypoints - scene.eye, axis=1)
    for row in np.flatnonzero(inside):
        seen = person[y[row], x[row]] == 1 and depth[row] - near[row] < 0.15
        state[row] = VISIBLE if seen else HIDDEN
    return np.concatenate([places, state[:, None]], axis=1).astype(np.float32)


def _nearest(scene: Scene, places: np.ndarray) -> np.ndarray:
    """Distance of the person's nearest surface along the ray through each keypoint, metres; infinite where none."""
    rays = scene.keypoints - scene.eye
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    corners = scene.person.vertices[scene.person.faces].astype(float)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    out = np.cross(first, second)
    found = np.full(len(places), np.inf)
    for row, ray in enumerate(rays):
        slant = out @ ray
        slant = np.where(np.abs(slant) < 1e-12, 1e-12, slant)
        offset = corners[:, 0] - scene.eye
        length = np.einsum("fd,fd->f", out, offset) / slant
        moment = np.cross(offset, ray)
        u = np.einsum("fd,fd->f", second, moment) / slant
        v = -np.einsum("fd,fd->f", first, moment) / slant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (length > 0)
        if hit.any():
            found[row] = length[hit].min()
    return found
