"""Intervals and p-values: coverage, exactness, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_1samp

from resight.errors import BadFeatures
from resight.evaluate.statistics import (
    bootstrap_of_sums,
    bootstrap_over_persons,
    over_seeds_and_persons,
    paired_difference,
    person_sums,
    seed_spread,
    sign_flip,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_interval_is_that_of_an_obvious_loop() -> None:
    values, persons = rng().random((60, 2)), rng(1).integers(0, 12, 60)
    fast = bootstrap_over_persons(values, persons, rng=rng(2))
    names, draw = np.unique(persons), rng(3)
    means = []
    for _ in range(1500):
        rows = np.concatenate([np.flatnonzero(persons == name) for name in draw.choice(names, len(names))])
        means.append(values[rows].mean(axis=0))
    assert fast == pytest.approx(np.quantile(means, (0.025, 0.975), axis=0).T, abs=0.015)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    """Queries of one person share their luck: an interval over queries would hold it far less often."""
    held, held_by_queries = 0, 0
    for seed in range(150):
        draw = rng(seed)
        persons = np.repeat(np.arange(40), 5)
        values = np.clip(0.6 + draw.normal(0, 0.2, 40)[persons] + draw.normal(0, 0.05, 200), -9, 9)[:, None]
        low, high = bootstrap_over_persons(values, persons, rng=draw, resamples=400)[0]
        held += low <= 0.6 <= high
        low, high = bootstrap_over_persons(values, np.arange(200), rng=draw, resamples=400)[0]
        held_by_queries += low <= 0.6 <= high
    assert 0.88 <= held / 150 <= 1
    assert held_by_queries / 150 < 0.75


def test_unanswerable_queries_are_left_out() -> None:
    values = np.array([[0.5], [np.nan], [1.0]])
    grouped = person_sums(values, np.array(["a", "b", "b"]))
    assert grouped.sums.tolist() == [[0.5], [1.0]]
    assert grouped.counts.tolist() == [1, 1]


def test_one_person_has_no_interval() -> None:
    assert np.isnan(bootstrap_over_persons(np.ones((4, 3)), np.zeros(4), rng=rng())).all()
    assert np.isnan(bootstrap_over_persons(np.full((4, 3), np.nan), np.arange(4), rng=rng())).all()


def test_the_same_seed_gives_the_same_interval() -> None:
    values, persons = rng().random((50, 1)), rng().integers(0, 9, 50)
    first, again = (bootstrap_over_persons(values, persons, rng=rng(7), resamples=300) for _ in range(2))
    assert np.array_equal(first, again)


@given(st.lists(st.floats(-1, 1, width=16), min_size=2, max_size=9))
@settings(max_examples=20)
def test_few_persons_get_the_exact_p_value(gains: list[float]) -> None:
    exact = permutation_test((np.array(gains),), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(np.array(gains), rng=rng()) == pytest.approx(exact.pvalue, abs=1e-9)


def test_many_persons_get_nearly_the_p_value_of_a_t_test() -> None:
    gains = rng(4).normal(0.02, 0.15, 200)
    assert sign_flip(gains, rng=rng()) == pytest.approx(ttest_1samp(gains, 0).pvalue, abs=0.02)


def test_equal_runs_do_not_differ() -> None:
    scores, persons = rng().random(80), np.arange(80) // 2
    result = paired_difference(scores, scores, persons, rng=rng())
    assert (result.difference, result.low, result.high, result.p_value) == (0, 0, 0, 1)


def test_rounding_is_no_evidence() -> None:
    scores = rng().random(80)
    assert paired_difference(scores, scores + 1e-15, np.arange(80), rng=rng()).p_value == 1


def test_a_small_steady_gain_is_found_by_pairs_where_single_intervals_overlap() -> None:
    persons = np.arange(400) // 4
    first = rng().random(400) * 0.9
    second = first + rng(1).normal(0.01, 0.02, 400)
    result = paired_difference(first, second, persons, rng=rng())
    assert 0 < result.low < result.difference < result.high < 0.02
    assert result.p_value < 0.001
    ends = [bootstrap_over_persons(run[:, None], persons, rng=rng())[0] for run in (first, second)]
    assert ends[0][1] > ends[1][0]


def test_swapping_the_runs_swaps_the_sign_only() -> None:
    persons = np.arange(60) // 3
    first, second = rng(1).random(60), rng(2).random(60)
    there, back = (paired_difference(*runs, persons, rng=rng()) for runs in ((first, second), (second, first)))
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_value == pytest.approx(back.p_value, abs=0.02)
    assert (there.queries, there.persons) == (60, 20)


def test_queries_that_one_run_could_not_answer_are_left_out() -> None:
    first, second = np.array([0.5, np.nan, 0.2]), np.array([0.7, 0.9, np.nan])
    result = paired_difference(first, second, np.array([1, 2, 3]), rng=rng())
    assert result.queries == 1
    assert result.difference == pytest.approx(0.2)
    assert np.isnan(result.low)
    with pytest.raises(BadFeatures, match="nothing to compare"):
        paired_difference(first, np.full(3, np.nan), np.arange(3), rng=rng())


def test_the_spread_over_seeds_is_apart_and_needs_two_seeds() -> None:
    spread = seed_spread([0.70, 0.72, 0.74])
    assert spread.mean == pytest.approx(0.72)
    assert spread.deviation == pytest.approx(0.02)
    assert spread.high - spread.mean == pytest.approx(4.303 * 0.02 / 3**0.5, abs=1e-4)
    assert np.isnan(seed_spread([0.7]).deviation)
    with pytest.raises(BadFeatures, match="at least one seed"):
        seed_spread([])


def test_fewer_than_two_persons_or_pictures_have_no_interval() -> None:
    found = over_seeds_and_persons([np.array([[2.0], [2.2]])], np.array([4.0]), rng=rng())
    assert found.mean == pytest.approx(0.525)
    assert np.isnan([found.low, found.high, found.persons_low, found.persons_high]).all()
    for rows in (np.zeros((0, 2)), np.ones((1, 2))):
        assert np.isnan(bootstrap_of_sums(rows, lambda sums: sums[:, :1] + 1, rng=rng())).all()
