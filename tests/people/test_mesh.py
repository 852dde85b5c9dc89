from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from resight.people.mesh import cut, ellipsoid, joined, kept, moved, normals, painted, tube


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@given(st.floats(-0.9, 0.9), st.integers(0, 100))
def test_the_two_sides_of_a_cut_make_up_the_whole_surface(height: float, seed: int) -> None:
    vertices, faces = ellipsoid((0, 0, 0), (1, 0.7, 1))
    field = vertices[:, 2] - height + np.random.default_rng(seed).normal(0, 0.01, len(vertices))
    total = 0.0
    for side in (1, -1):
        new, pairs, shares = cut(faces.astype(np.int64), side * field)
        corners = np.concatenate(
            [vertices, vertices[pairs[:, 0]] * (1 - shares)[:, None] + vertices[pairs[:, 1]] * shares[:, None]]
        )
        total += area(corners, new)
    assert abs(total - area(vertices, faces)) < 1e-6


def test_a_cut_runs_where_the_field_is_zero() -> None:
    vertices, faces = ellipsoid((0, 0, 0), (1, 1, 1))
    _, pairs, shares = cut(faces.astype(np.int64), vertices[:, 2] - 0.25)
    made = vertices[pairs[:, 0]] * (1 - shares)[:, None] + vertices[pairs[:, 1]] * shares[:, None]
    assert np.allclose(made[:, 2], 0.25)


def test_normals_of_a_sphere_point_along_its_radii() -> None:
    vertices, faces = ellipsoid((0, 0, 0), (1, 1, 1), rings=24, sides=48)
    inner = np.abs(vertices[:, 2]) < 0.9
    along = (normals(vertices, faces) * vertices).sum(1)[inner]
    assert (np.abs(along) > 0.99).all()
    assert len(np.unique(np.sign(along))) == 1


def test_turning_keeps_distances_and_a_quarter_turn_takes_the_front_to_the_own_left() -> None:
    mesh = painted(*tube(np.array([[0, 0, 0], [0, -1.0, 0]]), 0.1), (0.5, 0.5, 0.5))
    turned = moved(mesh, turn=np.pi / 2, to=(0, 0, 2))
    assert np.allclose(turned.vertices[:, 2].mean(), 2, atol=1e-6)
    assert turned.vertices[:, 0].max() > 0.99


def test_joining_and_keeping_give_back_the_parts() -> None:
    one = painted(*ellipsoid((0, 0, 0), (1, 1, 1)), (0.1, 0.2, 0.3), 5)
    two = painted(*ellipsoid((3, 0, 0), (1, 2, 1)), (0.3, 0.2, 0.1), 9)
    both = joined([one, two])
    back = kept(both, both.labels == 9)
    assert np.allclose(back.vertices, two.vertices)
    assert np.array_equal(back.faces, two.faces)
    assert (back.labels == 9).all()
