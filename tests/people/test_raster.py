from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.people.raster import rasterise, shares


def slowly(places: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Each pixel against each triangle."""
    found, far = np.full(size, -1), np.full(size, np.inf)
    for y in range(size[0]):
        for x in range(size[1]):
            for number, face in enumerate(faces):
                corners = np.column_stack([places[face, :2], np.ones(3)])
                if abs(np.linalg.det(corners)) < 1e-9:
                    continue
                share = np.linalg.solve(corners.T, [x, y, 1])
                if (share >= 0).all() and (depth := 1 / (share / places[face, 2]).sum()) < far[y, x] - 1e-9:
                    found[y, x], far[y, x] = number, depth
    return found, far


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_pixels_see_what_a_search_through_all_triangles_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.column_stack([rng.uniform(-4, 14, 12), rng.uniform(-4, 18, 12), rng.uniform(1, 9, 12)])
    faces = rng.permuted(np.tile(np.arange(12), (6, 1)), axis=1)[:, :3]
    seen = rasterise(places, faces, size=(14, 10))
    face, depth = slowly(places, faces, (14, 10))
    assert np.allclose(seen.depth, depth)
    same = np.sort(faces[seen.face], axis=2) == np.sort(faces[face], axis=2)
    assert same.all()  # a triangle that stands in the list twice may be named by either number


def test_nothing_is_seen_of_what_lies_outside_or_behind_the_eye() -> None:
    places = np.array([[50.0, 50, 2], [60, 50, 2], [50, 60, 2], [1, 1, -3], [8, 1, -3], [1, 8, -3]])
    seen = rasterise(places, np.array([[0, 1, 2], [3, 4, 5]]), size=(10, 10))
    assert (seen.face == -1).all()
    assert np.isinf(seen.depth).all()


def test_shares_mix_the_corners_to_the_point_that_the_pixel_sees() -> None:
    rng = np.random.default_rng(3)
    places = np.column_stack([rng.uniform(-4, 14, 12), rng.uniform(-4, 18, 12), rng.uniform(1, 9, 12)])
    faces = np.arange(12).reshape(4, 3)
    seen = rasterise(places, faces, size=(14, 10))
    on = seen.face >= 0
    weights = shares(places, faces[seen.face[on]], on)
    assert np.allclose(weights.sum(1), 1)
    assert (weights > -1e-9).all()
    space = np.column_stack([places[:, :2] * places[:, 2:], places[:, 2]])  # a pinhole's inverse
    found = np.einsum("nc,ncd->nd", weights, space[faces[seen.face[on]]])
    assert np.allclose(found[:, 2], seen.depth[on])
    y, x = np.nonzero(on)
    assert np.allclose(found[:, :2] / found[:, 2:], np.column_stack([x, y]))
