"""Thresholds and open-set search against the obvious count over the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import BadFeatures, BadRecipe
from resight.evaluate.open_set import NearTail, evaluate_open_set
from resight.search.distances import distance_matrix
from resight.search.features import Features, Metric, side


def features_of(
    seed: int = 0, *, queries: int = 80, gallery: int = 600, persons: int = 40, metric: Metric = "cosine"
) -> Features:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((persons + 10, 16))
    sides = []
    for count, last in ((queries, persons + 10), (gallery, persons)):  # the last ten persons are strangers
        who = rng.integers(0, last, count)
        sides.append(side(centres[who] + 0.7 * rng.standard_normal((count, 16)), who, rng.integers(0, 4, count)))
    return Features(*sides, metric=metric)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_rates_are_those_of_an_obvious_count(metric: Metric) -> None:
    features = features_of(metric=metric)
    found = evaluate_open_set(features, rng=np.random.default_rng(0), block=7)
    distances = distance_matrix(features)
    same = features.query.persons[:, None] == features.gallery.persons
    counted = same & (features.query.cameras[:, None] != features.gallery.cameras)
    matches, others = distances[counted], distances[~same]
    assert (found.matches, found.non_matches) == (len(matches), len(others))
    for point in (*found.tar_at_far, found.threshold):
        if point.false_rate * len(others) < 1:
            assert np.isnan([point.threshold, point.true_rate]).all()
            continue
        passed = (others <= point.threshold).mean()
        assert (
            point.false_rate - 1.5 / len(others) <= passed <= point.false_rate + 1.5 / len(others)
        )  # blocks round apart
        assert point.true_rate == pytest.approx((matches <= point.threshold).mean(), abs=1e-6)
    nearest = np.where(counted, distances, np.inf).min(axis=1), np.where(same, np.inf, distances).min(axis=1)
    known = counted.any(axis=1)
    assert found.searches == known.sum() < len(known)
    for point in found.dir_at_far[:1]:
        assert (nearest[1] <= point.threshold - 1e-6).mean() <= point.false_rate
        detected = (nearest[0] < nearest[1]) & (nearest[0] <= point.threshold)
        assert point.true_rate == pytest.approx(detected[known].mean())
    assert np.isnan(found.dir_at_far[-1].true_rate)


@given(st.integers(0, 1000), st.sampled_from([0.5, 0.03, 0.004, 0.0001]), st.integers(1, 60))
@settings(max_examples=40)
def test_the_tail_is_exact_where_kept_and_never_lets_too_many_pass(seed: int, rate: float, kept: int) -> None:
    values = np.random.default_rng(seed).gamma(2, 0.1, 2000).astype(np.float32)
    values[::7] = values[0]  # many equal ones
    tail = NearTail(4.0, bins=512, kept=kept)
    for piece in np.array_split(values, 9):
        tail.add(piece)
    threshold = tail.threshold(rate)
    allowed = int(rate * len(values))
    if allowed == 0:
        assert np.isnan(threshold)
        return
    passed = (values <= threshold).sum()
    assert passed <= allowed
    if allowed < kept:
        next_one = np.sort(values)[allowed]
        assert passed == (values < next_one).sum()


def test_a_perfect_model_accepts_everybody_and_a_collapsed_one_nobody() -> None:
    who = np.repeat(np.arange(30), 4)
    cameras = np.tile(np.arange(4), 30)
    perfect = side(np.eye(30)[who], who, cameras)
    found = evaluate_open_set(Features(perfect, perfect), rng=np.random.default_rng(0))
    assert [point.true_rate for point in found.tar_at_far[:3]] == [1, 1, 1]
    assert found.dir_at_far[0].true_rate == 1
    assert found.calibration.log_loss < 0.01
    collapsed = side(np.ones((120, 8)), who, cameras)
    found = evaluate_open_set(Features(collapsed, collapsed), rng=np.random.default_rng(0))
    assert [point.true_rate for point in found.tar_at_far[:3]] == [0, 0, 0]
    assert found.calibration.log_loss == pytest.approx(np.log(2), abs=1e-3)


def test_what_cannot_be_measured_is_refused() -> None:
    rng = np.random.default_rng(0)
    one = side(np.eye(3), np.arange(3), np.zeros(3))
    with pytest.raises(BadFeatures, match="0 pairs of one person"):
        evaluate_open_set(Features(one, one), rng=rng)
    with pytest.raises(BadRecipe, match="between 0 and 1"):
        evaluate_open_set(features_of(), rng=rng, false_match_rate=1.5)
    with pytest.raises(BadRecipe, match="cuhk03-np"):
        evaluate_open_set(features_of(), rng=rng, protocol="cuhk03")


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, again = (evaluate_open_set(features_of(), rng=np.random.default_rng(5)) for _ in range(2))
    assert first.calibration == again.calibration
    assert first.threshold == again.threshold


def test_thresholds_of_euclidean_parts_reach_as_far_as_their_distances() -> None:
    rng = np.random.default_rng(0)
    sides = []
    for count in (300, 900):
        rows, parts = 0.1 * rng.standard_normal((count, 4)), 30 * rng.standard_normal((count, 3, 8))
        who, where = rng.integers(0, 30, count), rng.integers(0, 4, count)
        sides.append(side(rows, who, where, parts=parts, visible=rng.random((count, 3))))
    features = Features(*sides, "euclidean", 1.0)
    found = evaluate_open_set(features, rng=rng, false_match_rate=0.6)  # more than are kept exactly
    others = distance_matrix(features)[features.query.persons[:, None] != features.gallery.persons]
    assert (others <= found.threshold.threshold).mean() == pytest.approx(0.6, abs=0.01)
