"""The second opinion finds planted slopes, ignores a confounding camera, and agrees with slow versions of itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from resight.diagnose.regression import regress, shapley


def made(seed, *, harm=(0.8, 0.0), cameras=4, persons=150, each=3, camera_effect=0.0, per_person=0.5):
    """AP that falls by `harm` log odds for each unit of two signals; harder cameras show more of the second."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), each)
    camera = rng.integers(0, cameras, len(person))
    first = rng.standard_normal(len(person))
    second = rng.standard_normal(len(person)) + camera_effect * camera
    raised = (
        1
        - harm[0] * first
        - harm[1] * second
        - camera_effect * camera
        + per_person * rng.standard_normal(persons)[person]
    )
    ap = 1 / (1 + np.exp(-(raised + 0.5 * rng.standard_normal(len(person)))))
    signals = {("low_light", "query"): first, ("low_res", "query"): second}
    return ap, rng.integers(1, 6, len(person)), signals, camera, person


def test_a_planted_slope_is_found_and_an_idle_signal_is_not():
    found = regress(*made(0), rng=np.random.default_rng(0), resamples=400)
    light, detail = found.slopes
    assert light.high < 0
    assert detail.low < 0 < detail.high
    assert found.shares["low_light"] > 0.9
    assert sum(found.shares.values()) == pytest.approx(1)
    assert 0 < found.explained < 1


def test_a_hard_camera_that_shows_a_condition_more_often_is_no_cause():
    covered = 0
    for seed in range(20):
        found = regress(*made(seed, harm=(0, 0), camera_effect=1.0), rng=np.random.default_rng(seed), resamples=200)
        slope = found.slope("low_res")
        covered += slope.low <= 0 <= slope.high
    assert covered >= 16
    ap, matches, signals, camera, person = made(1, harm=(0, 0), camera_effect=1.0)
    assert np.corrcoef(ap, signals["low_res", "query"])[0, 1] < -0.4  # what the raw comparison would have blamed
    del matches, camera, person


def test_the_effect_is_what_one_standard_deviation_more_does_to_the_fit():
    ap, matches, signals, camera, person = made(2, per_person=0)
    found = regress(ap, matches, signals, camera, person, rng=np.random.default_rng(0), resamples=100)
    values = signals["low_light", "query"] / signals["low_light", "query"].std()
    raised = np.log(ap / (1 - ap))
    slope = np.polyfit(values, raised, 1)[0]
    assert found.slope("low_light").effect == pytest.approx(slope * (ap * (1 - ap)).mean(), rel=0.1)


def test_intervals_are_those_of_fitting_every_draw_anew():
    ap, matches, signals, camera, person = made(3)
    found = regress(ap, matches, signals, camera, person, rng=np.random.default_rng(0), resamples=1000).slopes[0]
    rng = np.random.default_rng(1)
    slow = []
    for _ in range(60):
        drawn = np.concatenate([np.flatnonzero(person == one) for one in rng.integers(0, 150, 150)])
        again = regress(
            ap[drawn],
            matches[drawn],
            {k: v[drawn] for k, v in signals.items()},
            camera[drawn],
            np.arange(len(drawn)),
            rng=rng,
            resamples=2,
        )
        slow.append(again.slopes[0].effect)
    assert (found.high - found.low) / 3.92 == pytest.approx(np.std(slow), rel=0.35)


@pytest.mark.parametrize("count", [3, 9])
def test_shapley_values_are_means_over_orders_and_sum_to_the_whole(count):
    worths = np.random.default_rng(0).random(count)

    def gain(some):
        return sum(worths[one] for one in some) + (0.5 if {0, 1} <= some else 0)

    found = shapley(count, gain, rng=np.random.default_rng(0))
    assert sum(found) == pytest.approx(worths.sum() + 0.5)
    if count == 3:
        slow = np.zeros(3)
        for order in itertools.permutations(range(3)):
            for place, one in enumerate(order):
                slow[one] += (gain(frozenset(order[: place + 1])) - gain(frozenset(order[:place]))) / 6
        assert found == pytest.approx(slow.tolist())
    assert found[2:] == pytest.approx(worths[2:].tolist())


def test_too_few_queries_nothing_lost_and_nothing_measured_have_no_second_opinion():
    ap, matches, signals, camera, person = made(0)
    rng = np.random.default_rng(0)
    assert (
        regress(ap[:30], matches[:30], {k: v[:30] for k, v in signals.items()}, camera[:30], person[:30], rng=rng)
        is None
    )
    assert regress(np.ones_like(ap), matches, signals, camera, person, rng=rng) is None
    assert regress(ap, matches, dict.fromkeys(signals, np.full(len(ap), np.nan)), camera, person, rng=rng) is None
