"""A calibrated probability: promised is what comes, and farther is never more likely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from resight.evaluate.calibration import CalibrationSample, calibrate, expected_calibration_error


def sample_of(seed: int, *, pairs: int = 6000, persons: int = 60, apart: float = 6.0) -> CalibrationSample:
    rng = np.random.default_rng(seed)
    same = rng.random(pairs) < 0.3
    distances = np.where(same, rng.beta(2, apart, pairs), rng.beta(apart, 2, pairs)).astype(np.float32)
    query = rng.integers(0, persons, pairs)
    other = (query + rng.integers(1, persons, pairs)) % persons
    return CalibrationSample(distances, same, query, np.where(same, query, other))


def test_promised_is_what_comes_on_persons_never_seen() -> None:
    found = calibrate(sample_of(0), rng=np.random.default_rng(0))
    assert found.expected_error < 0.03
    assert found.log_loss < 0.3
    assert found.fitted_persons == found.held_out_persons == 30
    distances = np.linspace(0.2, 0.8, 13)
    truth = beta.pdf(distances, 2, 6) / (beta.pdf(distances, 2, 6) + beta.pdf(distances, 6, 2))
    assert found.probability(distances) == pytest.approx(truth, abs=0.06)


def test_another_prior_moves_the_odds_and_nothing_else() -> None:
    found = calibrate(sample_of(1), rng=np.random.default_rng(0))
    odds = found.probability(np.array([0.4])) / (1 - found.probability(np.array([0.4])))
    rare = found.probability(np.array([0.4]), prior=0.001)
    assert rare / (1 - rare) == pytest.approx(odds / 999)


@given(st.integers(0, 1000), st.floats(0.5, 8))
@settings(max_examples=8)
def test_a_larger_distance_never_makes_one_person_more_likely(seed: int, apart: float) -> None:
    found = calibrate(sample_of(seed, pairs=300, apart=apart), rng=np.random.default_rng(seed))
    chances = found.probability(np.linspace(0, 2, 60))
    assert (np.diff(chances) <= 1e-12).all()
    assert ((chances >= 0) & (chances <= 1)).all()


def test_without_enough_persons_the_quality_is_not_measured() -> None:
    two = CalibrationSample(
        np.array([0.1, 0.9], dtype=np.float32), np.array([True, False]), np.array([0, 0]), np.array([0, 1])
    )
    found = calibrate(two, rng=np.random.default_rng(0))
    assert np.isnan([found.expected_error, found.log_loss]).all()
    assert found.held_out_persons == 0
    assert found.probability(np.array([0.1])) > found.probability(np.array([0.9]))


def test_the_error_of_a_liar_is_the_size_of_the_lie() -> None:
    same = np.arange(1000) % 2 == 0
    even = np.full(1000, 0.5)
    assert expected_calibration_error(even, same, np.ones(1000)) == pytest.approx(0, abs=0.01)
    assert expected_calibration_error(even + 0.3, same, np.ones(1000)) == pytest.approx(0.3, abs=0.01)
