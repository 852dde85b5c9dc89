"""k-reciprocal re-ranking against a slow dense version written from the paper, and laws."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resight.errors import BadFeatures, BadRecipe
from resight.search import neighbours
from resight.search import rerank as module
from resight.search.rerank import rerank
from slow_rerank import crowd, slow_order, slow_rerank

PAPER = {"k1": 20, "k2": 6, "lambda_": 0.3}


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    pictures=st.integers(2, 80),
    asks=st.integers(1, 40),
    width=st.integers(2, 24),
    k1=st.integers(1, 30),
    k2=st.integers(1, 12),
    lambda_=st.sampled_from([0.0, 0.3, 0.85, 1.0]),
    tile=st.sampled_from([16, 50, 1024]),
    copies=st.integers(0, 30),
)
def test_equals_the_dense_version_to_a_millionth(seed, pictures, asks, width, k1, k2, lambda_, tile, copies):
    features = crowd(seed, pictures=pictures, width=width, copies=copies)
    query, gallery = np.split(features, [min(asks, pictures - 1)])
    numbers = {"k1": k1, "k2": k2, "lambda_": lambda_}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "TILE", tile)
        patch.setattr(module, "CELLS_AT_ONCE", 300)
        patch.setattr(module, "ROWS_AT_ONCE", 40)
        found = rerank(query, gallery, **numbers)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_rerank(query, gallery, **numbers), atol=1e-6, rtol=0)


@pytest.mark.parametrize("numbers", [PAPER, {"k1": 7, "k2": 3, "lambda_": 0.85}])
def test_equals_the_dense_version_on_more_people(numbers):
    query, gallery = np.split(crowd(7, pictures=420, width=48, copies=30, zeros=3), [90])
    found = rerank(query, gallery, **numbers)
    np.testing.assert_allclose(found, slow_rerank(query, gallery, **numbers), atol=1e-6, rtol=0)


def test_neighbourhoods_beyond_the_number_of_pictures_mean_all_of_them():
    query, gallery = np.split(crowd(7, pictures=30, width=8), [9])
    numbers = {"k1": 500, "k2": 400, "lambda_": 0.1}
    np.testing.assert_allclose(
        rerank(query, gallery, **numbers), slow_rerank(query, gallery, **numbers), atol=1e-6, rtol=0
    )


def test_lambda_one_gives_the_original_distances_back():
    query, gallery = np.split(crowd(2, pictures=150, width=16), [30])
    squared, _ = slow_order(np.concatenate([query, gallery]))
    original = squared[:30, 30:] / squared[:30].max(axis=1, keepdims=True)
    np.testing.assert_allclose(rerank(query, gallery, k1=20, k2=6, lambda_=1.0), original, atol=1e-6, rtol=0)


@pytest.mark.parametrize("row", [np.ones(8), np.zeros(8), np.full(8, 1e-30), np.full(8, 1e30), np.arange(8) / 3])
@pytest.mark.parametrize("lambda_", [0.0, 0.3, 1.0])
def test_equal_features_give_numbers_not_nan(row, lambda_):
    features = np.tile(row, (150, 1)).astype(np.float32)
    found = rerank(features[:40], features[40:], k1=20, k2=6, lambda_=lambda_)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6
    if lambda_ == 1:
        assert not found.any()


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=4859)
def test_the_length_of_a_feature_does_not_count(seed):
    features = crowd(seed, pictures=80, width=12)
    powers = 2.0 ** np.random.default_rng(seed).integers(-30, 30, (80, 1))
    longer = (features * powers).astype(np.float32)
    found, wanted = (rerank(rows[:20], rows[20:], **PAPER) for rows in (longer, features))
    np.testing.assert_allclose(found, wanted, atol=1e-6, rtol=0)  # seed 4859: one digit of float32 apart


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_shuffling_the_gallery_shuffles_the_columns(seed):
    features = crowd(seed, pictures=90, width=12)
    query, gallery = np.split(features, [20])
    turn = np.random.default_rng(seed).permutation(70)
    shuffled = rerank(query, np.ascontiguousarray(gallery[turn]), **PAPER)
    np.testing.assert_allclose(shuffled, rerank(query, gallery, **PAPER)[:, turn], atol=1e-6)


def test_distances_stay_between_0_and_1_and_the_own_copy_is_nearest():
    gallery = crowd(4, pictures=200, width=32)
    found = rerank(gallery[:30].copy(), gallery, **PAPER)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6
    assert (found.argmin(axis=1) == np.arange(30)).all()


def test_pictures_of_one_person_come_nearer_than_before():
    rng = np.random.default_rng(3)
    persons = np.arange(300) % 25
    features = rng.standard_normal((25, 24))[persons] + 1.2 * rng.standard_normal((300, 24))
    query, gallery = np.split(features.astype(np.float32), [50])

    def average_precision(distances):
        hits = np.take_along_axis(persons[50:] == persons[:50, None], distances.argsort(axis=1), 1)
        return (hits * hits.cumsum(axis=1) / np.arange(1, 251)).sum(axis=1) / hits.sum(axis=1)

    before = average_precision(rerank(query, gallery, k1=12, k2=6, lambda_=1.0)).mean()
    assert average_precision(rerank(query, gallery, k1=12, k2=6, lambda_=0.3)).mean() > before + 0.05


def test_the_result_goes_where_it_is_asked_to_go(tmp_path):
    query, gallery = np.split(crowd(6, pictures=120, width=8), [25])
    wanted = rerank(query, gallery, **PAPER)
    file = np.lib.format.open_memmap(tmp_path / "r.npy", mode="w+", dtype=np.float32, shape=wanted.shape)
    part = np.full((25, 200), np.float32(7))
    assert rerank(query, gallery, **PAPER, out=file) is file
    rerank(query, gallery, **PAPER, out=part[:, 100:195])
    np.testing.assert_array_equal(np.load(tmp_path / "r.npy"), wanted)
    np.testing.assert_array_equal(part[:, 100:195], wanted)
    assert (part[:, :100] == 7).all()


def test_features_may_be_read_only_and_stay_as_they_were():
    features = crowd(6, pictures=60, width=8)
    before = features.copy()
    features.flags.writeable = False
    rerank(features[:10], features[10:], **PAPER)
    np.testing.assert_array_equal(features, before)


def test_progress_counts_up_to_all_tiles():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "TILE", 16)
        told: list[tuple[int, int]] = []
        features = crowd(6, pictures=60, width=8)
        rerank(features[:10], features[10:], **PAPER, told=lambda done, total: told.append((done, total)))
    assert told == [(done, 10) for done in range(1, 11)]


def test_no_matrix_of_all_pictures_is_made():
    count = 6000
    features = crowd(8, pictures=count, width=16)
    tracemalloc.start()
    try:
        rerank(features[:50], features[50:], **PAPER)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * count * count / 2  # one float32 matrix of all pairs would be 144 MB


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"k1": 0}, "k1 is 0: it counts neighbours"),
        ({"k2": -3}, "k2 is -3"),
        ({"lambda_": 2.0}, "lambda is 2.0: .* from 0 to 1"),
        ({"lambda_": float("nan")}, "lambda is nan"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers, message):
    features = crowd(0, pictures=20, width=4)
    with pytest.raises(BadRecipe, match=message):
        rerank(features[:5], features[5:], **{**PAPER, **numbers})


def test_features_with_nan_are_refused():
    features = crowd(0, pictures=20, width=4)
    features[3, 1] = np.nan
    with pytest.raises(BadFeatures, match="query features row 3"):
        rerank(features[:5], features[5:], **PAPER)
