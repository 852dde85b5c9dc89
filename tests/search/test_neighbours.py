"""The nearest neighbours of all pictures, against a sort of every row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import BadFeatures
from resight.search import neighbours
from resight.search.neighbours import SPARE, nearest, tile_count
from resight.search.points import as_points
from slow_rerank import crowd, slow_order


def found_in(features, k, *, tile, asks=1):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "TILE", tile)
        seen = []
        points = as_points(features[:asks], features[asks:])
        found = nearest(points, k, look=lambda start, other, block: seen.append((start, other, block.copy())))
        assert len(seen) == tile_count(len(features))
    return found, seen


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    pictures=st.integers(2, 130),
    width=st.integers(2, 24),
    k=st.integers(2, 40),
    tile=st.sampled_from([7, 32, 64, 1024]),
    copies=st.integers(0, 40),
    zeros=st.integers(0, 3),
)
def test_neighbours_are_those_of_a_sort_whatever_the_tile(seed, pictures, width, k, tile, copies, zeros):
    features = crowd(seed, pictures=pictures, width=width, copies=copies, zeros=zeros)
    distances, order = slow_order(features)
    found, _ = found_in(features, k, tile=tile)
    k = min(k, pictures)
    np.testing.assert_array_equal(found.order, order[:, :k])
    np.testing.assert_allclose(2 * found.halves, np.take_along_axis(distances, order[:, :k], 1), atol=1e-6)
    np.testing.assert_allclose(2 * found.farthest, distances.max(axis=1), atol=1e-6)


def test_the_tiles_hold_half_of_every_squared_distance_once():
    features = crowd(3, pictures=100, width=8)
    distances, _ = slow_order(features)
    whole = np.full((100, 100), np.nan)
    for start, other, block in found_in(features, 5, tile=32)[1]:
        whole[start : start + block.shape[0], other : other + block.shape[1]] = 2 * block
    upper = np.triu_indices(100)
    np.testing.assert_allclose(whole[upper], distances[upper], atol=1e-6)
    assert np.isnan(whole[64:, :64]).all()


def test_many_more_equal_pictures_than_are_kept_come_in_file_order():
    rng = np.random.default_rng(0)
    features = np.repeat(rng.standard_normal((3, 16)), 3 * SPARE, axis=0)[rng.permutation(9 * SPARE)]
    _, order = slow_order(features.astype(np.float32))
    found, _ = found_in(features.astype(np.float32), 21, tile=100)
    np.testing.assert_array_equal(found.order, order[:, :21])


def test_a_feature_of_zeros_is_equally_far_from_all_and_takes_them_in_file_order():
    features = crowd(1, pictures=300, width=16)
    features[150] = 0
    found, _ = found_in(features, 11, tile=64)
    assert found.order[150].tolist() == [150, *range(10)]


def test_order_is_that_of_float64_where_float32_cannot_tell():
    base = np.eye(2, 64)[0]
    steps = np.array([0, 5, 3, 4, 1, 2]) * 2e-5  # cosines differ by some 1e-9
    features = np.stack([base + step * np.eye(2, 64)[1] for step in steps] + [np.ones(64), -np.ones(64)])
    found, _ = found_in(features.astype(np.float32), 6, tile=1024)
    assert found.order[0].tolist() == [0, 4, 5, 2, 3, 1]


def test_close_features_keep_their_relative_precision():
    rng = np.random.default_rng(5)
    features = (10 + 0.1 * rng.standard_normal((200, 64))).astype(np.float32)  # cosines above 0.999
    distances, _ = slow_order(features)
    found, _ = found_in(features, 10, tile=64)
    np.testing.assert_allclose(2 * found.farthest, distances.max(axis=1), rtol=2e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_named(bad):
    features = crowd(0, pictures=20, width=4)
    features[13, 2] = bad
    with pytest.raises(BadFeatures, match="gallery features row 8 holds NaN or infinite"):
        as_points(features[:5], features[5:])


def test_sides_that_do_not_fit_are_refused():
    with pytest.raises(BadFeatures, match="4 wide and gallery features 5"):
        as_points(np.ones((2, 4), np.float32), np.ones((3, 5), np.float32))
    with pytest.raises(BadFeatures, match=r"\(0, 4\) for the queries"):
        as_points(np.ones((0, 4), np.float32), np.ones((3, 4), np.float32))
