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


def test_a_causes_interval_is_that_of_the_sum_over_its_places():
    """Beside the slow way: each draw's shares by hand, summed over places, then the quantiles of the sums."""
    cells = cells_of(*(getattr(planted(1, harm=(0.9, 1.5, 0.6)), name) for name in ("features", "marks")))
    split = split_loss(cells, rng=np.random.default_rng(3), draws=200)
    blamed = np.array([one.blamed for one in split.effects])
    _, covariance = causes._fit(cells, causes._usable(cells))
    chosen = np.ix_(blamed[causes._usable(cells)], blamed[causes._usable(cells)])
    ratios = np.array([one.log_ratio for one in split.effects if one.blamed])
    drawn = np.random.default_rng(3).multivariate_normal(ratios, covariance[chosen], 200, method="eigh")
    factors = [one.factor for one in split.effects if one.blamed]
    loss = cells.loss.sum(0) / cells.answered
    sums = {one.cause: [] for one in split.causes}
    for values in np.maximum(drawn, 0):
        taken = dict.fromkeys(sums, 0.0)
        for pattern, lost in zip(cells.patterns[:, blamed], loss, strict=True):
            raised = values[pattern].sum()
            for factor, value, shown in zip(factors, values, pattern, strict=True):
                taken[factor.cause] += lost * value / raised * (1 - np.exp(-raised)) if shown and raised else 0.0
        for cause, one in taken.items():
            sums[cause].append(one)
    wider = 0
    for one in split.causes:
        np.testing.assert_allclose([one.low, one.high], np.quantile(sums[one.cause], (0.025, 0.975)), atol=1e-9)
        mine = [share for share in split.shares if share.cause == one.cause]
        assert one.loss == pytest.approx(sum(share.loss for share in mine))
        wider += len(mine) > 1 and sum(share.high - share.low for share in mine) > 1.1 * (one.high - one.low)
    assert wider  # ends of intervals do not add
