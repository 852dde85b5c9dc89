"""A second opinion on causes: regression of AP on what queries and their true matches show.

Model: fractional logit (Papke and Wooldridge, 1996) of AP, weighted by the number of true matches, on each condition's
signals in units of their spread, with a constant for every camera and the log of the number of true matches beside
them. Effects are average marginal ones: change of AP by one standard deviation, all else alike. Shares of what the
conditions explain: Shapley values of the gain in likelihood over all orders of adding causes (Lindeman, Merenda and
Gold, 1980), so that a cause is not robbed by a correlated one that came before it.
Intervals draw persons; each draw moves one Newton step from the fit (Davidson and MacKinnon, 1999), not to its end.
Differs from the ledger's model: one row a query, graded signals instead of thresholds, and no wrong pictures.
Proof: tests/diagnose/test_regression.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from resight.diagnose.conditions import Conditions
from resight.diagnose.ledger import Ledger
from resight.evaluate.statistics import RESAMPLES

RIDGE: Final = 1e-3
"""In units of one query with one true match; only matters for cameras with next to no query."""
FEWEST: Final = 50
"""Answered queries that a regression needs."""
EXACT: Final = 8
"""With more causes than this, orders are drawn instead of all subsets fitted."""
ORDERS: Final = 32
AT_ONCE: Final = 100

Sight = Literal["query", "match"]


@dataclass(frozen=True, slots=True)
class Slope:
    """What one standard deviation more of a condition goes with, in AP 0..1."""

    cause: str
    where: Sight
    effect: float
    low: float
    high: float
    """95 % interval over persons."""


@dataclass(frozen=True, slots=True)
class Regression:
    """The whole second opinion."""

    slopes: tuple[Slope, ...]
    shares: dict[str, float]
    """Part of what all causes explain together, by cause; sums to 1 unless nothing is explained."""
    explained: float
    """Part of the deviance that cameras and numbers of matches leave, which the causes explain, 0..1."""
    queries: int
    persons: int

    def slope(self, cause: str, where: Sight = "query") -> Slope | None:
        """The slope of one cause at one place, where there is one."""
        return next((one for one in self.slopes if (one.cause, one.where) == (cause, where)), None)


def regress_conditions(
    ledger: Ledger,
    ap: Float[np.ndarray, " Q"],
    conditions: Conditions,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Regression | None:
    """Regress AP on the conditions of a search; `conditions` are those of the queries, then of the gallery."""
    count = len(ap)
    matches = np.bincount(ledger.match_query, minlength=count)
    signals: dict[tuple[str, Sight], Float[np.ndarray, " Q"]] = {}
    for name, scores in conditions.scores.items():
        strength = np.log(np.clip(scores, 1e-9, 1 - 1e-9) / np.clip(1 - scores, 1e-9, 1))
        of_matches = strength[count:][ledger.match_row]
        known = ~np.isnan(of_matches)
        number = np.bincount(ledger.match_query[known], minlength=count)
        total = np.bincount(ledger.match_query[known], of_matches[known], minlength=count)
        signals[name, "query"] = strength[:count]
        signals[name, "match"] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    query = ledger.features.query
    return regress(ap, matches, signals, query.cameras, query.persons, rng=rng, resamples=resamples)


def regress(
    ap: Float[np.ndarray, " Q"],
    matches: Int[np.ndarray, " Q"],
    signals: Mapping[tuple[str, Sight], Float[np.ndarray, " Q"]],
    cameras: Shaped[np.ndarray, " Q"],
    persons: Shaped[np.ndarray, " Q"],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Regression | None:
    """Fit, resample and share; None where there are too few queries, nothing is lost or nothing varies.

    A signal that was not measured for a query stands at its mean.
    """
    rows = np.flatnonzero(np.isfinite(ap) & (matches > 0))
    scaled = {key: _standardised(values[rows]) for key, values in signals.items()}
    columns = {key: values for key, values in scaled.items() if values is not None}
    people = np.unique(persons[rows], return_inverse=True)[1]
    if (
        len(rows) < FEWEST
        or not columns
        or ap[rows].min() == ap[rows].max()
        or people.max(initial=0) < 2 * len(columns)
    ):
        return None
    beside = _nuisance(cameras[rows], matches[rows])
    design = np.column_stack([*columns.values(), beside])
    weights = matches[rows] / matches[rows].mean()
    values = _fit(design, ap[rows], weights)
    effects = _marginal(design, values[None], weights[None], len(columns))[0]
    drawn = _drawn(design, ap[rows], weights, values, people, len(columns), rng=rng, resamples=resamples)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    slopes = [
        Slope(cause, where, *numbers)
        for (cause, where), *numbers in zip(columns, effects.tolist(), low.tolist(), high.tolist(), strict=True)
    ]
    causes = list(dict.fromkeys(cause for cause, _ in columns))
    keys = list(columns)

    def gain(some: frozenset[int]) -> float:
        mine = [place for place, (cause, _) in enumerate(keys) if causes.index(cause) in some]
        part = np.column_stack([design[:, mine], beside])
        return _likelihood(part, ap[rows], weights, _fit(part, ap[rows], weights))

    parts = shapley(len(causes), gain, rng=rng)
    left = _saturated(ap[rows], weights) - gain(frozenset())
    total = sum(parts)
    shares = {cause: part / total if total > 0 else 0.0 for cause, part in zip(causes, parts, strict=True)}
    return Regression(tuple(slopes), shares, total / left if left > 0 else 0.0, len(rows), int(people.max()) + 1)


def shapley(count: int, gain: Callable[[frozenset[int]], float], *, rng: np.random.Generator) -> list[float]:
    """What each of `count` players adds to `gain` on average over all orders, or over some drawn ones if many."""
    known: dict[frozenset[int], float] = {}

    def worth(some: frozenset[int]) -> float:
        if some not in known:
            known[some] = gain(some)
        return known[some]

    if count > EXACT:
        parts = np.zeros(count)
        for order in (rng.permutation(count).tolist() for _ in range(ORDERS)):
            for place, one in enumerate(order):
                parts[one] += worth(frozenset(order[: place + 1])) - worth(frozenset(order[:place]))
        return (parts / ORDERS).tolist()  # type: ignore[no-any-return]
    found = []
    for one in range(count):
        others = [other for other in range(count) if other != one]
        value = 0.0
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for some in itertools.combinations(others, size):
                value += weight * (worth(frozenset((*some, one))) - worth(frozenset(some)))
        found.append(value)
    return found


def _standardised(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"] | None:
    """Mean 0 and spread 1 over what is known, 0 where it is not; None for what hardly varies or is hardly known."""
    known = ~np.isnan(values)
    if known.sum() < FEWEST or known.mean() < 0.5:
        return None
    spread = values[known].std()
    if spread < 1e-9:
        return None
    return np.where(known, (values - values[known].mean()) / spread, 0.0)


def _nuisance(cameras: Shaped[np.ndarray, " N"], matches: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N B"]:
    """A constant for each camera, and the log of the number of true matches where that varies."""
    _, camera = np.unique(cameras, return_inverse=True)
    constants = np.eye(int(camera.max()) + 1)[camera]
    number = np.log(matches)
    return np.column_stack([constants, number - number.mean()]) if number.std() > 0 else constants


def _fit(
    design: Float[np.ndarray, "N K"], ap: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " K"]:
    """Newton's method, with steps that are never larger than 2."""
    values = np.zeros(design.shape[1])
    for _ in range(50):
        rate = _rate(design @ values)
        slope = design.T @ (weights * (ap - rate)) - RIDGE * values
        curve = (design * (weights * rate * (1 - rate))[:, None]).T @ design + RIDGE * np.eye(len(values))
        step = np.linalg.solve(curve, slope)
        values = values + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return values


def _drawn(
    design: Float[np.ndarray, "N K"],
    ap: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"],
    values: Float[np.ndarray, " K"],
    people: Int[np.ndarray, " N"],
    effects: int,
    *,
    rng: np.random.Generator,
    resamples: int,
) -> Float[np.ndarray, "R E"]:
    """Marginal effects in draws of persons, each one Newton step from `values`."""
    count, width = int(people.max()) + 1, design.shape[1]
    rate = _rate(design @ values)
    slopes, curves = np.zeros((count, width)), np.zeros((count, width, width))
    np.add.at(slopes, people, design * (weights * (ap - rate))[:, None])
    bent = design * (weights * rate * (1 - rate))[:, None]
    for start in range(0, len(design), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        np.add.at(curves, people[some], bent[some, :, None] * design[some, None, :])
    found = []
    for start in range(0, resamples, AT_ONCE):
        size = min(AT_ONCE, resamples - start)
        times = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
        curve = (times @ curves.reshape(count, -1)).reshape(size, width, width) + RIDGE * np.eye(width)
        slope = times @ slopes - RIDGE * values
        moved = values + np.linalg.solve(curve, slope[..., None])[..., 0]
        found.append(_marginal(design, moved, times[:, people] * weights, effects))
    return np.concatenate(found)


def _marginal(
    design: Float[np.ndarray, "N K"], values: Float[np.ndarray, "R K"], weights: Float[np.ndarray, "R N"], effects: int
) -> Float[np.ndarray, "R E"]:
    """Average change of AP by one unit of each of the first `effects` columns."""
    rate = _rate(values @ design.T)
    steep = (weights * rate * (1 - rate)).sum(1) / weights.sum(1)
    return np.asarray(values[:, :effects] * steep[:, None])


def _likelihood(
    design: Float[np.ndarray, "N K"],
    ap: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"],
    values: Float[np.ndarray, " K"],
) -> float:
    """Quasi log likelihood of a Bernoulli whose mean is AP."""
    raised = design @ values
    return float((weights * (ap * raised - np.logaddexp(0, raised))).sum())


def _saturated(ap: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"]) -> float:
    """The same of a model that knows each AP."""
    inside = np.clip(ap, 1e-12, 1 - 1e-12)
    return float((weights * (ap * np.log(inside) + (1 - ap) * np.log(1 - inside))).sum())


def _rate(raised: Shaped[np.ndarray, "*N"]) -> Shaped[np.ndarray, "*N"]:
    return np.asarray(1 / (1 + np.exp(-np.clip(raised, -35, 35))))
