"""Distances in blocks: equal to the formula, never negative, and exactly equal for equal features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from resight.search.distances import distance_blocks, distance_matrix
from resight.search.features import Features, Metric, side
from resight.search.rows import equal_rows, normalised, row_lengths


def features_of(query: np.ndarray, gallery: np.ndarray, metric: Metric = "cosine") -> Features:
    sides = (side(one, np.arange(len(one)), np.arange(len(one))) for one in (query, gallery))
    return Features(*sides, metric=metric)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 30), st.integers(1, 40), st.integers(0, 1000))


@given(sizes, st.sampled_from(["cosine", "euclidean"]), st.sampled_from([None, 1, 2, 4]))
@settings(max_examples=50)
def test_blocks_hold_what_the_formula_says(shape: tuple[int, int, int, int], metric: Metric, rows: int | None) -> None:
    queries, gallery, width, seed = shape
    rng = np.random.default_rng(seed)
    features = features_of(rng.standard_normal((queries, width)), rng.standard_normal((gallery, width)), metric)
    blocks = [(block.start, block.distances.copy()) for block in distance_blocks(features, rows=rows)]
    joined = np.concatenate([distances for _, distances in blocks])
    assert [start for start, _ in blocks] == list(range(0, queries, rows or queries))
    assert joined == pytest.approx(cdist(features.query.features, features.gallery.features, metric), abs=1e-3)
    assert (joined >= 0).all()


def test_some_columns_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    features = features_of(rng.standard_normal((4, 6)), rng.standard_normal((20, 6)))
    (block,) = distance_blocks(features, columns=slice(3, 11))
    assert block.distances == pytest.approx(distance_matrix(features)[:, 3:11], abs=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("width", [1, 3, 64, 129])
def test_equal_features_are_equally_far_wherever_they_stand(metric: Metric, width: int) -> None:
    rng = np.random.default_rng(width)
    originals = rng.standard_normal((37, width)).astype(np.float32)
    which = rng.permutation(np.repeat(np.arange(37), 11))
    distances = distance_matrix(features_of(rng.standard_normal((23, width)), originals[which], metric))
    for original in range(37):
        copies = distances[:, which == original]
        assert (copies == copies[:, :1]).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_picture_is_never_less_than_nothing_away_from_itself(metric: Metric) -> None:
    same = np.random.default_rng(0).standard_normal((50, 2048)) * 30
    distances = distance_matrix(features_of(same, same, metric))
    assert (distances >= 0).all()
    assert (distances.argmin(axis=1) == np.arange(50)).all()


def test_cosine_ignores_length_and_zeros_are_halfway() -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.standard_normal((3, 8)), rng.standard_normal((5, 8))
    plain = distance_matrix(features_of(query, gallery))
    for factor in (1e-14, 1e-6, 1e14):
        assert distance_matrix(features_of(query * factor, gallery / factor)) == pytest.approx(plain, abs=1e-5)
    gallery[2] = 0
    assert distance_matrix(features_of(query, gallery))[:, 2].tolist() == [1, 1, 1]
    assert distance_matrix(features_of(query * 0, gallery)).tolist() == np.ones((3, 5)).tolist()


def test_lengths_survive_numbers_whose_squares_vanish() -> None:
    lengths = row_lengths(np.array([[3, 4], [3e-22, 4e-22], [0, 0]], dtype=np.float32))
    assert lengths == pytest.approx([5, 5e-22, 0], rel=1e-6, abs=0)
    unit = normalised(side(np.array([[3, 4], [0, 0]]), np.array([1, 1])))
    assert unit == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=2, max_size=12), st.integers(1, 3))
@settings(max_examples=40)
def test_copies_are_found_and_nothing_else(pattern: list[int], width: int) -> None:
    """Rows that only add up to the same are no copies."""
    kinds = np.array([[1, 2, 3], [3, 2, 1], [2, 2, 2]], dtype=np.float32)[:, :width]
    rows = kinds[pattern]
    copies, originals = equal_rows(rows)
    found = dict(zip(copies.tolist(), originals.tolist(), strict=True))
    for place, row in enumerate(rows):
        first = int(np.flatnonzero((rows == row).all(axis=1))[0])
        assert found.get(place, place) == first
