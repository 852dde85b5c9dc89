"""Shares of causes: sums, fairness, planted causes first, shams nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from planted import planted
from resight.diagnose import causes
from resight.diagnose.causes import false_discovery, split_loss
from resight.diagnose.marks import cells_of
from resight.evaluate.ranking import score_features


def split_of(one, seed: int = 0):
    return split_loss(cells_of(one.features, one.marks), rng=np.random.default_rng(seed))


@pytest.mark.parametrize("harm", [(0.0, 0.0, 0.0), (0.0, 1.5, 0.0), (0.7, 1.5, 0.4)])
def test_shares_and_the_unexplained_rest_sum_to_the_loss(harm):
    one = planted(0, harm=harm)
    lost = 1 - score_features(one.features).mean_ap
    cells = cells_of(one.features, one.marks)
    split = split_loss(cells, rng=np.random.default_rng(0))
    assert split.loss == pytest.approx(lost, abs=1e-9)
    assert sum(split.by_cause().values()) + split.unexplained.loss == pytest.approx(lost, abs=1e-9)
    assert sum(split.by_place().values()) + split.unexplained.loss == pytest.approx(lost, abs=1e-9)


def test_a_planted_cause_comes_first_and_the_larger_harm_before_the_smaller():
    for seed in range(5):
        found = list(split_of(planted(seed, harm=(0.0, 2.0, 1.1))).by_cause())
        assert found[:2] == ["low_res", "occlusion"]


def test_conditions_that_do_nothing_take_next_to_nothing():
    taken = [sum(split_of(planted(seed)).by_cause().values()) for seed in range(20)]
    assert np.mean(taken) < 0.01


def test_shams_beside_a_real_cause_explain_at_most_a_hundredth():
    taken = []
    for seed in range(10):
        one = planted(seed, harm=(0.0, 1.5))
        shams = one.marks.with_shams(count=2, share=0.2, rng=np.random.default_rng(seed))
        found = split_of(dataclasses.replace(one, marks=shams)).by_cause()
        taken.append(sum(loss for name, loss in found.items() if name.startswith("sham")))
    assert np.mean(taken) < 0.01


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=5), st.integers(0, 5))
def test_a_share_is_the_integral_of_what_a_condition_adds_on_the_way_from_none_to_all(ratios, more):
    """Aumann and Shapley's definition; conditions that are not shown take nothing."""
    values = np.array(ratios + [1.0] * more)
    shown = np.array([1.0] * len(ratios) + [0.0] * more)
    found = causes._shares(shown[None], np.array([1.0]), values)
    total = values @ shown
    for place, value in enumerate(ratios):
        integral = quad(lambda at, value=value: value * np.exp(total * (at - 1)), 0, 1)[0]
        assert found[place] == pytest.approx(integral, rel=1e-6)
    assert found.sum() == pytest.approx(1 - np.exp(-total))
    assert (found[len(ratios) :] == 0).all()


@given(st.lists(st.floats(0, 1), max_size=12))
def test_false_discoveries_pass_as_stepping_up_says(values):
    passed = false_discovery(np.array([*values, np.nan]), rate=0.1)
    ranked = sorted(values)
    bars = [value for rank, value in enumerate(ranked, start=1) if value <= 0.1 * rank / len(ranked)]
    assert not passed[-1]
    assert passed[:-1].tolist() == [bool(bars) and value <= max(bars) for value in values]


def test_a_condition_of_too_few_persons_has_no_estimate():
    one = planted(0, harm=(0.0, 1.0))
    shown = np.zeros_like(one.marks.query)
    shown[:2] = True
    marks = dataclasses.replace(one.marks, query=shown)
    effects = split_loss(cells_of(one.features, marks), rng=np.random.default_rng(0)).effects
    assert all(np.isnan(one.log_ratio) and not one.blamed for one in effects if one.factor.where == "query")


def test_the_fit_does_not_depend_on_how_many_patterns_are_written_out_at_a_time(monkeypatch):
    one = planted(5, harm=(0.7, 1.5, 0.4))
    whole = split_of(one)
    monkeypatch.setattr(causes, "BLOCK", 5)
    parts = split_of(one)
    for a, b in zip(whole.effects, parts.effects, strict=True):
        np.testing.assert_allclose([b.log_ratio, b.error], [a.log_ratio, a.error], rtol=1e-9)
    assert parts.by_cause() == pytest.approx(whole.by_cause(), rel=1e-9)
