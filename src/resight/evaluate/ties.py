"""What a query scores when some of its distances are equal: the mean over all orders of each group of equals.

Source: closed forms derived here. In a group of t equals with m right answers, after b better pictures of which p are
right, place j holds a right answer with probability m/t, and then (j-1)(m-1)/(t-1) right answers stand before it in
the group. A ratio that is linear in j over b+j sums to a difference of two harmonic numbers.
Differs from every ranking by argsort: those score whatever order the gallery happens to have, so a collapsed model
can reach 1.0. Without equals the numbers are the usual ones.
Proof: tests/evaluate/test_ties.py lists all orders of small groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Standings:
    """Where right answers stand: one entry for each, of equal length M; a group is all pictures at one distance.

    Shapes: M int64 each.
    """

    better: Int[np.ndarray, " M"]
    """Counted pictures at a smaller distance."""
    better_right: Int[np.ndarray, " M"]
    """How many of those are right."""
    equals: Int[np.ndarray, " M"]
    """Counted pictures at this very distance, itself included."""
    equals_right: Int[np.ndarray, " M"]
    """How many of those are right, itself included."""


def harmonic_numbers(count: int) -> Float[np.ndarray, " N"]:
    """H(0) to H(count): H(n) = 1 + 1/2 + … + 1/n."""
    table = np.zeros(count + 1)
    np.cumsum(1 / np.arange(1, count + 1), out=table[1:])
    return table


def precision_at_hits(at: Standings, harmonic: Float[np.ndarray, " N"]) -> Float[np.ndarray, " M"]:
    """Compute the expected precision at each right answer, averaged over the right answers of its group, 0..1."""
    b, p, t = at.better, at.better_right, at.equals
    slope = _slope(at)
    tied = (slope * t + (p + 1 - slope * (b + 1)) * (harmonic[b + t] - harmonic[b])) / t
    return np.asarray(np.where(t == 1, (p + 1) / (b + 1), tied))


def trapezoid_at_hits(at: Standings, harmonic: Float[np.ndarray, " N"]) -> Float[np.ndarray, " M"]:
    """Compute the expected mean of the precisions just before and at each right answer; before rank 1 that is 1."""
    b, p, t = at.better, at.better_right, at.equals
    slope = _slope(at)
    before = np.maximum(b - 1, 0)
    tied = (slope * t + (p - slope * b) * (harmonic[b + t - 1] - harmonic[before])) / t
    first = (1 + slope * (t - 1)) / t  # b == 0: rank 1 counts 1, every later place has slope·k / k
    alone = p / np.maximum(b, 1)
    just_before = np.where(b == 0, first, np.where(t == 1, alone, tied))
    return np.asarray(just_before + precision_at_hits(at, harmonic)) / 2


def hit_within(first: Standings, ranks: int) -> Float[np.ndarray, "M R"]:
    """Probability that a right answer is among the first 1 … `ranks` pictures, given the group of the nearest one."""
    b, t, m = first.better, first.equals, first.equals_right
    places = np.arange(ranks)
    left = t[:, None] - places  # places of the group not yet looked at, M R
    missed = np.cumprod(np.clip((left - m[:, None]) / np.maximum(left, 1), 0, 1), axis=1)
    within = np.concatenate([np.zeros((len(b), 1)), 1 - missed], axis=1)  # after 0, 1 … places of the group
    return np.take_along_axis(within, np.clip(places + 1 - b[:, None], 0, ranks), axis=1)


def inverse_last_rank(last: Standings) -> Float[np.ndarray, " M"]:
    """Compute the expected 1 / rank of the last right answer, given the group of the farthest one."""
    b, t, m = last.better, last.equals, last.equals_right
    result = np.asarray(1 / (b + t))  # right where the whole group is
    loose = np.flatnonzero(m < t)
    if len(loose):
        groups, of = np.unique(np.stack([b[loose], t[loose], m[loose]], axis=1), axis=0, return_inverse=True)
        result[loose] = np.array([_inverse_last(*group) for group in groups.tolist()])[of.reshape(-1)]
    return result


def _inverse_last(better: int, equals: int, right: int) -> float:
    """Sum over the places l of the last of m right among t: chance m/t at l = t, then (l-m)/(l-1) of l's at l - 1."""
    places = np.arange(equals, right - 1, -1)
    steps = (places[:-1] - right) / (places[:-1] - 1)
    chances = np.cumprod(np.concatenate([[right / equals], steps]))
    return float((chances / (better + places)).sum())


def _slope(at: Standings) -> NDArray[np.float64]:
    """Right answers gained for each further place of the group, given that the place itself is right."""
    return np.asarray((at.equals_right - 1) / np.maximum(at.equals - 1, 1))
