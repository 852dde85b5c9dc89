"""Closed forms for equal distances against the mean over every order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.evaluate.ranking import RANKS, RankingScores, score_distances
from resight.search.features import side
from slow_ranking import Row, score_row

rows = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.booleans()), min_size=1, max_size=9).filter(
    lambda row: any(right for _, right in row)
)


def score(row: Row) -> RankingScores:
    distances = np.array([[distance for distance, _ in row]])
    query = side(np.ones((1, 1)), np.array([1]), np.array([0]))
    gallery = side(np.ones((len(row), 1)), np.array([1 if right else 2 for _, right in row]), np.ones(len(row)))
    return score_distances(distances, query, gallery)


def assert_equal_to_all_orders(row: Row) -> None:
    fast, slow = score(row), score_row(row, RANKS)
    assert fast.mean_ap == pytest.approx(slow.ap, abs=1e-12)
    assert fast.mean_ap_trapezoid == pytest.approx(slow.ap_trapezoid, abs=1e-12)
    assert fast.mean_inp == pytest.approx(slow.inp, abs=1e-12)
    assert fast.cmc == pytest.approx(slow.first_hit, abs=1e-12)


@given(rows)
@settings(max_examples=30)
def test_equal_distances_score_the_mean_over_all_orders(row: Row) -> None:
    assert_equal_to_all_orders(row)


@pytest.mark.parametrize(
    ("equals", "right"), [pair for pair in itertools.product((1, 2, 7, 12), (1, 2, 5)) if pair[1] <= pair[0]]
)
def test_a_group_of_equals_behind_better_answers_scores_the_mean_over_all_orders(equals: int, right: int) -> None:
    group = [(2.0, place < right) for place in range(equals)]
    assert_equal_to_all_orders([(0.0, True), (0.0, False), (1.0, False), *group, (3.0, True)])


def test_a_collapsed_model_scores_like_chance() -> None:
    """10 queries and 9,000 gallery pictures, ten persons in turn: nothing can be told apart."""
    distances = np.zeros((10, 9000), dtype=np.float32)
    query = side(np.ones((10, 1)), np.arange(10), np.zeros(10))
    gallery = side(np.ones((9000, 1)), np.arange(9000) % 10, np.ones(9000))
    scores = score_distances(distances, query, gallery)
    assert scores.mean_ap == pytest.approx(0.1009, abs=5e-5)
    assert scores.cmc[0] == pytest.approx(0.1, abs=1e-12)
    assert scores.mean_inp == pytest.approx(0.1, abs=1e-3)
    assert (np.diff(scores.cmc) >= 0).all()


def test_without_equals_every_rank_is_certain() -> None:
    scores = score([(0.0, False), (1.0, True), (2.0, True), (3.0, False), (4.0, True)])
    assert scores.mean_ap == pytest.approx((1 / 2 + 2 / 3 + 3 / 5) / 3)
    assert scores.mean_ap_trapezoid == pytest.approx(0.4611, abs=5e-5)
    assert scores.mean_inp == pytest.approx(3 / 5)
    assert scores.cmc[:3].tolist() == [0, 1, 1]
