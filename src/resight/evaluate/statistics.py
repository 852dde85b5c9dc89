"""How sure a score is: intervals over persons, paired comparison of two runs, spread over training seeds.

Source: percentile bootstrap, Efron and Tibshirani, 1993; paired sign-flip (randomisation) test as in Smucker et al.,
CIKM 2007. Persons, not queries, are drawn: the pictures of one person succeed and fail together.
Differs from a bootstrap over queries, whose intervals are too narrow. What changes from training to training is in
neither interval: `seed_spread` reports it apart.
Proof: tests/evaluate/test_statistics.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Shaped

from resight.errors import BadFeatures, BadRecipe

RESAMPLES: Final = 2000
FEWEST: Final = 100
MOST: Final = 1_000_000
FLIPS: Final = 10_000
AT_ONCE: Final = 250
"""Resamples drawn together: some ten MB for a thousand persons."""
ROUNDING: Final = 1e-9
"""Scores of one query that differ by less are equal."""
TAILS: Final = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class PersonSums:
    """Per-query values summed within persons: all that drawing persons needs."""

    sums: Float[np.ndarray, "P K"]
    counts: Float[np.ndarray, " P"]
    """Answered queries of each person."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Second run minus first run on the same queries, for one score in 0..1."""

    difference: float
    low: float
    high: float
    """Ends of the 95 % interval: paired bootstrap over persons."""
    p_value: float
    """Two-sided sign-flip test over persons: how often chance alone moves the difference this far from 0."""
    queries: int
    persons: int


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """What training with another seed changes."""

    mean: float
    deviation: float
    """Standard deviation over the seeds (n - 1); NaN with one seed."""
    low: float
    high: float
    """Ends of the 95 % interval of the mean over seeds (Student's t); NaN with one seed."""
    seeds: int


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A score or a difference of scores, over training seeds and persons together."""

    mean: float
    low: float
    high: float
    """Ends of the 95 % interval over seeds and persons; NaN with one seed."""
    persons_low: float
    persons_high: float
    """Ends of the 95 % interval over persons alone."""
    seeds: int
    """Of the method that has fewer."""

    @property
    def verdict(self) -> str:
        """Of a difference: "better" or "worse" where the interval leaves out 0, else "undecided"."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "undecided"


def check_chance(*, seed: int, resamples: int) -> None:
    """Raise BadRecipe for a seed or a number of resamples that no interval can stand on."""
    if seed < 0:
        raise BadRecipe(f"The seed is {seed}; give 0 or a larger whole number.")
    if not FEWEST <= resamples <= MOST:
        raise BadRecipe(f"{resamples:,} resamples make no useful interval; give {FEWEST} to {MOST:,}, best 2,000.")


def person_sums(values: Float[np.ndarray, "Q K"], persons: Shaped[np.ndarray, " Q"]) -> PersonSums:
    """Sum K values of each query within persons; rows with NaN (unanswerable queries) are left out."""
    answered = ~np.isnan(values).any(axis=1)
    _, person = np.unique(persons[answered], return_inverse=True)
    counts = np.bincount(person).astype(np.float64)
    order = np.argsort(person, kind="stable")
    starts = np.cumsum(counts).astype(np.int64) - counts.astype(np.int64)
    if len(counts) == 0:
        return PersonSums(np.zeros((0, values.shape[1])), counts)
    return PersonSums(np.add.reduceat(values[answered][order], starts, axis=0), counts)


def bootstrap_over_persons(
    values: Float[np.ndarray, "Q K"],
    persons: Shaped[np.ndarray, " Q"],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Float[np.ndarray, "K 2"]:
    """Ends of the 95 % interval of each column's mean; NaN with fewer than two answered persons."""
    grouped = person_sums(values, persons)
    if len(grouped.counts) < 2:
        return np.full((values.shape[1], 2), np.nan)
    means = [
        weights @ grouped.sums / (weights @ grouped.counts)[:, None]
        for weights in _draws(len(grouped.counts), rng, resamples)
    ]
    return np.asarray(np.quantile(np.concatenate(means), TAILS, axis=0).T)


def bootstrap_of_sums(
    rows: Float[np.ndarray, "N D"],
    score: Callable[[Float[np.ndarray, "R D"]], Float[np.ndarray, "R K"]],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Float[np.ndarray, "K 2"]:
    """Ends of the 95 % interval of scores that are computed from sums over drawn units (pictures): ratios, IoU.

    `score` turns R drawn sums of D counts into K scores each. NaN with fewer than two units.
    """
    if len(rows) < 2:
        return np.full((score(rows.sum(axis=0)[None]).shape[1], 2), np.nan)
    found = [score(weights @ rows) for weights in _draws(len(rows), rng, resamples)]
    return np.asarray(np.quantile(np.concatenate(found), TAILS, axis=0).T)


def paired_difference(
    first: Float[np.ndarray, " Q"],
    second: Float[np.ndarray, " Q"],
    persons: Shaped[np.ndarray, " Q"],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    flips: int = FLIPS,
) -> PairedDifference:
    """Compare two runs query by query; queries that either run could not answer are left out."""
    gains = second - first
    gains = np.where(np.abs(gains) < ROUNDING, 0, gains)  # a test of signs would take rounding for evidence
    grouped = person_sums(gains[:, None], persons)
    queries, count = int(grouped.counts.sum()), len(grouped.counts)
    if queries == 0:
        raise BadFeatures("No query is answered by both runs: there is nothing to compare.")
    low, high = bootstrap_over_persons(gains[:, None], persons, rng=rng, resamples=resamples)[0]
    return PairedDifference(
        difference=float(grouped.sums.sum() / queries),
        low=float(low),
        high=float(high),
        p_value=sign_flip(grouped.sums[:, 0], rng=rng, flips=flips),
        queries=queries,
        persons=count,
    )


def sign_flip(gains: Float[np.ndarray, " P"], *, rng: np.random.Generator, flips: int = FLIPS) -> float:
    """Two-sided p-value of the sum of `gains` when each person's gain could as well have been a loss.

    All 2^P sign patterns are tried when there are no more than `flips`; otherwise `flips` random ones, and the
    p-value counts the observed pattern among them, so it is never 0.
    """
    seen = abs(gains.sum()) * (1 - 1e-12)  # sums in another order may differ in the last digit
    if 2 ** len(gains) <= flips:
        patterns = np.arange(2 ** len(gains))[:, None] >> np.arange(len(gains)) & 1
        return float((np.abs((1 - 2 * patterns) @ gains) >= seen).mean())
    extreme = 0
    for start in range(0, flips, AT_ONCE):
        signs = 1.0 - 2 * rng.integers(0, 2, (min(AT_ONCE, flips - start), len(gains)))
        extreme += int((np.abs(signs @ gains) >= seen).sum())
    return (1 + extreme) / (1 + flips)


def seed_spread(scores: Sequence[float]) -> SeedSpread:
    """Describe one score over several trainings that differ in nothing but the seed."""
    from scipy.stats import t

    if not scores:
        raise BadFeatures("No score was given: train with at least one seed.")
    values = np.asarray(scores, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count == 1:
        return SeedSpread(mean, np.nan, np.nan, np.nan, 1)
    deviation = float(values.std(ddof=1))
    half = float(t.ppf(TAILS[1], count - 1)) * deviation / count**0.5
    return SeedSpread(mean, deviation, mean - half, mean + half, count)


def over_seeds_and_persons(
    runs: Sequence[Float[np.ndarray, "_ P"]], counts: Float[np.ndarray, " P"], *, rng: np.random.Generator
) -> OverSeeds:
    """One score's mean over trainings, or with two arrays the second's less the first's, with both sources of chance.

    Each array holds one method's values summed within persons, a row for each seed; `counts` are the queries of each
    person. Interval: the bootstrap over persons of the seeds' mean, and Student's t over seeds (Welch's degrees of
    freedom), whose half widths add as squares do. NaN where a method has one seed: then chance cannot be told.
    """
    from scipy.stats import t

    total = counts.sum()
    gains = runs[-1].mean(axis=0) - (runs[0].mean(axis=0) if len(runs) == 2 else 0)
    drawn = np.concatenate([w @ gains / (w @ counts) for w in _draws(len(counts), rng, RESAMPLES)])
    low, high = np.quantile(drawn, TAILS) if len(counts) > 1 else (np.nan, np.nan)
    mean = float(gains.sum() / total)
    sizes = np.array([len(one) for one in runs])
    if sizes.min() < 2 or len(counts) < 2:
        return OverSeeds(mean, np.nan, np.nan, float(low), float(high), int(sizes.min()))
    errors = np.array([(one.sum(axis=1) / total).var(ddof=1) / len(one) for one in runs])
    spread = errors.sum()
    freedom = spread**2 / (errors**2 / (sizes - 1)).sum() if spread > 0 else 1.0
    half = float(t.ppf(TAILS[1], freedom)) * spread**0.5
    below, above = np.hypot(mean - low, half), np.hypot(high - mean, half)
    return OverSeeds(mean, mean - float(below), mean + float(above), float(low), float(high), int(sizes.min()))


def _draws(persons: int, rng: np.random.Generator, resamples: int) -> Iterator[Float[np.ndarray, "R P"]]:
    """Yield how often each person is drawn, some resamples at a time."""
    for start in range(0, resamples, AT_ONCE):
        rows = min(AT_ONCE, resamples - start)
        drawn = rng.integers(0, persons, (rows, persons)) + persons * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * persons).reshape(rows, persons).astype(np.float64)
