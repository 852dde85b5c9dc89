"""Turn a distance into the probability that two pictures show one person.

Source: beta calibration, Kull, Silva Filho and Flach, AISTATS 2017: a logistic curve over the logarithms of the score.
Differs: it is fitted on distances d over a scale s, as logit p = c - a d/s - b log(d/s), with a, b >= 0, so that
a larger distance never makes one person more likely. Matches and non-matches weigh alike: the probability is that of a
pair for which both were equally likely before looking; `probability` moves it to any other prior.
Proof: tests/evaluate/test_calibration.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import NDArray

SMALLEST: Final = 1e-4
"""Shares of the scale below which a distance counts as this far: the logarithm stays finite for copies."""
BINS: Final = 15


@dataclass(frozen=True, slots=True)
class CalibrationSample:
    """Pairs to fit and judge on, M of them."""

    distances: Float[np.ndarray, " M"]
    same: Bool[np.ndarray, " M"]
    query_person: Int[np.ndarray, " M"]
    gallery_person: Int[np.ndarray, " M"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted curve and how well it did on persons that it was not fitted on."""

    offset: float
    slope: float
    log_slope: float
    scale: float
    expected_error: float
    """Expected calibration error on held-out persons, 0..1, over 15 equally filled bins; NaN when not measured."""
    log_loss: float
    """Mean negative log-likelihood on held-out persons in nats; always saying one half gives 0.693."""
    fitted_persons: int
    held_out_persons: int

    def probability(self, distances: Shaped[np.ndarray, ...], *, prior: float = 0.5) -> Float[np.ndarray, ...]:
        """Probability of one person, 0..1, given the share of pairs that show one person before looking."""
        return _sigmoid(self.logit(distances) + np.log(prior) - np.log1p(-prior))

    def logit(self, distances: Shaped[np.ndarray, ...]) -> Float[np.ndarray, ...]:
        """Log-likelihood ratio: log odds of one person at equal priors."""
        linear, log = _terms(np.asarray(distances, dtype=np.float64), self.scale)
        return np.asarray(self.offset - self.slope * linear - self.log_slope * log)


def calibrate(sample: CalibrationSample, *, rng: np.random.Generator) -> Calibration:
    """Fit on the pairs within one random half of the persons and judge on those within the other half."""
    persons = np.unique(np.concatenate([sample.query_person, sample.gallery_person]))
    fitted = rng.permutation(np.arange(len(persons)) % 2 == 0)
    halves = [fitted[np.searchsorted(persons, one)] for one in (sample.query_person, sample.gallery_person)]
    fit, judge = halves[0] & halves[1], ~halves[0] & ~halves[1]
    curve = _fit(sample.distances[fit], sample.same[fit])
    if curve is None:  # too few persons to split: the curve of all pairs, not judged
        curve = _fit(sample.distances, sample.same) or (0.0, 0.0, 0.0, 1.0)
        return Calibration(*curve, np.nan, np.nan, len(persons), 0)
    found = Calibration(*curve, np.nan, np.nan, int(fitted.sum()), int((~fitted).sum()))
    weights = _balanced(sample.same[judge])
    if weights is None:
        return found
    logits = found.logit(sample.distances[judge])
    error = expected_calibration_error(_sigmoid(logits), sample.same[judge], weights)
    return replace(found, expected_error=error, log_loss=_log_loss(logits, sample.same[judge], weights))


def expected_calibration_error(
    probabilities: Float[np.ndarray, " M"], same: Bool[np.ndarray, " M"], weights: Float[np.ndarray, " M"]
) -> float:
    """Weighted mean gap between what was promised and what came, over bins of equal weight, 0..1."""
    order = np.argsort(probabilities, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    bins = np.minimum((share * BINS - 1e-9).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights[order] * (probabilities[order] - same[order]), minlength=BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def _fit(distances: NDArray[np.float32], same: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """Maximum likelihood with both slopes at least 0; None when one kind of pair is missing."""
    from scipy.optimize import minimize

    weights = _balanced(same)
    if weights is None:
        return None
    scale = float(np.median(distances[~same])) or 1.0
    terms = np.stack([np.ones(len(distances)), *(-term for term in _terms(distances.astype(np.float64), scale))])
    signs = np.where(same, 1.0, -1.0)

    def loss(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (curve @ terms)
        steps = -weights * signs * _sigmoid(-margins)
        ridge = 1e-6 * curve  # separable pairs have no finite best curve
        return float(weights @ np.logaddexp(0, -margins) + ridge @ curve / 2), terms @ steps + ridge

    limits = [(None, None), (0, None), (0, None)]
    found = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=limits)
    offset, slope, log_slope = (float(value) for value in found.x)
    return offset, slope, log_slope, scale


def _terms(distances: NDArray[np.float64], scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    linear = distances / scale
    return linear, np.log(np.maximum(linear, SMALLEST))


def _balanced(same: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Weights that sum to one half for each kind of pair; None when one kind is missing."""
    matches = int(same.sum())
    if matches in (0, len(same)):
        return None
    return np.where(same, 0.5 / matches, 0.5 / (len(same) - matches))


def _log_loss(logits: NDArray[np.float64], same: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    return float(weights @ np.logaddexp(0, np.where(same, -logits, logits)))


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0, -logits)))
