"""Triangles with what each one is: everything in a rendered scene is one of these.

Proof: tests/people/test_mesh.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles in metres, z up, right-handed; a person faces -y and has the own left at +x."""

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    colours: Float[np.ndarray, "V 3"]
    """Linear reflectance of each corner, 0..1."""
    labels: UInt8[np.ndarray, " F"]
    """Class of each triangle in the label set `lip20` (or `body10` for an undressed body); 0 is none."""


def painted(vertices: np.ndarray, faces: np.ndarray, colour: Sequence[float] | np.ndarray, label: int = 0) -> Mesh:
    """Mesh of one label; `colour` is one colour or one for each corner."""
    colours = np.broadcast_to(np.asarray(colour, np.float32), (len(vertices), 3))
    return Mesh(
        np.asarray(vertices, np.float32),
        np.asarray(faces, np.int32),
        np.array(colours),
        np.full(len(faces), label, np.uint8),
    )


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """All triangles of several meshes as one mesh."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
        np.concatenate([mesh.colours for mesh in meshes]),
        np.concatenate([mesh.labels for mesh in meshes]),
    )


def moved(mesh: Mesh, *, turn: float = 0.0, to: Sequence[float] = (0.0, 0.0, 0.0)) -> Mesh:
    """Mesh turned about the z axis through the origin by `turn` radians (counter-clockwise), then shifted by `to`."""
    vertices = mesh.vertices @ turned(turn).T + np.asarray(to, np.float32)
    return replace(mesh, vertices=vertices.astype(np.float32))


def turned(angle: float) -> np.ndarray:
    """Rotation about z by `angle` radians as a 3 × 3 matrix."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)


def kept(mesh: Mesh, faces: np.ndarray | None = None) -> Mesh:
    """Only the triangles that `faces` (a mask; None all) names, without the corners that nothing uses."""
    chosen = mesh.faces if faces is None else mesh.faces[faces]
    used, inverse = np.unique(chosen, return_inverse=True)
    return Mesh(
        mesh.vertices[used],
        inverse.reshape(chosen.shape).astype(np.int32),
        mesh.colours[used],
        mesh.labels if faces is None else mesh.labels[faces],
    )


def cut(faces: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep the side of a surface where `level` (a number for each corner) is above zero, cut through triangles.

    Returns the new faces and how the new corners arise: corner V + i lies between corners `pairs[i]` at `shares[i]`
    (0 at the first). Faces number old corners 0..V-1 and new ones from V on.
    """
    above = level > 0
    count = above[faces].sum(1)
    whole = faces[count == 3]
    pairs: dict[tuple[int, int], int] = {}
    made: list[tuple[int, int, int]] = []
    crossing = faces[(count == 1) | (count == 2)]

    def between(a: int, b: int) -> int:
        key = (a, b) if a < b else (b, a)
        return len(level) + pairs.setdefault(key, len(pairs))

    for face in crossing.tolist():
        ups = [bool(above[corner]) for corner in face]
        turn = ups.index(True) if sum(ups) == 1 else ups.index(False)
        a, b, c = face[turn:] + face[:turn]
        if sum(ups) == 1:
            made.append((a, between(a, b), between(a, c)))
        else:
            made += [(b, c, between(a, b)), (c, between(a, c), between(a, b))]
    ends = np.array(list(pairs), np.int64).reshape(-1, 2)
    first, second = level[ends[:, 0]], level[ends[:, 1]]
    shares = first / np.where(first == second, 1, first - second)
    return np.concatenate([whole, np.array(made, faces.dtype).reshape(-1, 3)]), ends, shares


def normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normal at each corner, by the area of the triangles around it."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    flat = np.cross(b - a, c - a)
    found = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            found[:, axis] += np.bincount(faces[:, corner], flat[:, axis], minlength=len(vertices))
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))


def ellipsoid(
    centre: Sequence[Any], radii: Sequence[Any], *, rings: int = 8, sides: int = 14, square: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Corners and faces of an ellipsoid; `square` below 1 makes it a box with rounded edges."""
    up = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)[:, None]
    around = np.linspace(-np.pi, np.pi, sides, endpoint=False)[None]

    def power(value: np.ndarray) -> np.ndarray:
        return np.asarray(np.sign(value) * np.abs(value) ** square)

    flat, high = power(np.cos(up)), power(np.sin(up)) * np.ones_like(around)
    unit = np.stack([flat * power(np.cos(around)), flat * power(np.sin(around)), high], axis=-1)
    return (unit * np.asarray(radii) + np.asarray(centre)).reshape(-1, 3), grid_faces(rings + 1, sides, closed=True)


def tube(path: np.ndarray, radius: np.ndarray | float, *, sides: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Corners and faces of a tube along N 3 points, of one radius or one for each point."""
    radii = np.broadcast_to(np.asarray(radius, float), (len(path),))
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    helper = np.where(np.abs(along[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    first = np.cross(along, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    around = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    rings = path[:, None] + radii[:, None, None] * (
        np.cos(around)[None, :, None] * first[:, None] + np.sin(around)[None, :, None] * second[:, None]
    )
    return rings.reshape(-1, 3), grid_faces(len(path), sides, closed=True)


def grid_faces(rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """Triangles between the corners of a rows × columns grid; `closed` joins the last column to the first."""
    row, column = np.mgrid[: rows - 1, : columns if closed else columns - 1]
    right = (column + 1) % columns
    a, b = row * columns + column, row * columns + right
    c, d = a + columns, b + columns
    return np.stack([np.stack([a, b, d], -1), np.stack([a, d, c], -1)], axis=2).reshape(-1, 3).astype(np.int32)
