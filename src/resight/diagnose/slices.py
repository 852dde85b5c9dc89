"""Groups of queries whose loss no cause explains: a list to look through, corrected for how many were tried.

Source: the idea of Slice Finder (Chung et al., ICDE 2019): one property at a time, effect and test.
Differs: the test compares means over persons, since pictures of one person fail together.
Proof: tests/diagnose/test_slices.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Shaped

from resight.diagnose.causes import RATE, false_discovery

FEWEST: Final = 10


@dataclass(frozen=True, slots=True)
class Slice:
    """Queries that share one property; means of the unexplained loss in AP, 0..1."""

    kind: str
    """`camera`, `matches`, `low` or `high`."""
    name: str
    queries: int
    mean: float
    rest: float


def unexplained_slices(
    loss: Float[np.ndarray, " Q"],
    persons: Shaped[np.ndarray, " Q"],
    properties: Mapping[tuple[str, str], Bool[np.ndarray, " Q"]],
    *,
    most: int = 12,
) -> tuple[Slice, ...]:
    """Which properties go with more unexplained loss than the other queries have; largest difference first."""
    from scipy.stats import ttest_ind

    tried: list[Slice] = []
    chances: list[float] = []
    for (kind, name), has in properties.items():
        inside, outside = (_by_person(loss[some], persons[some]) for some in (has, ~has))
        if min(int(has.sum()), int((~has).sum())) < FEWEST or min(len(inside), len(outside)) < FEWEST:
            continue
        if inside.std() == 0 and outside.std() == 0:
            continue
        tried.append(Slice(kind, name, int(has.sum()), float(loss[has].mean()), float(loss[~has].mean())))
        chances.append(float(ttest_ind(inside, outside, equal_var=False, alternative="greater").pvalue))
    passed = false_discovery(np.array(chances), rate=RATE)
    found = [one for one, fine in zip(tried, passed, strict=True) if fine]
    return tuple(sorted(found, key=lambda one: one.rest - one.mean)[:most])


def query_properties(
    cameras: Shaped[np.ndarray, " Q"], matches: Sequence[int], signals: Mapping[str, Float[np.ndarray, " Q"]]
) -> dict[tuple[str, str], Bool[np.ndarray, " Q"]]:
    """Cameras, how many true matches there are, and the outer fifths of each measured signal."""
    found: dict[tuple[str, str], Bool[np.ndarray, " Q"]] = {}
    for camera in np.unique(cameras):
        found["camera", str(camera)] = np.asarray(cameras == camera)
    counts = np.asarray(matches)
    for count in np.unique(counts[counts > 0])[:8]:
        found["matches", str(count)] = np.asarray(counts == count)
    for name, values in signals.items():
        known = ~np.isnan(values)
        if known.sum() < 5 * FEWEST:
            continue
        low, high = np.quantile(values[known], (0.2, 0.8))
        if low < high:
            found["low", name] = known & (values <= low)
            found["high", name] = known & (values >= high)
    return found


def _by_person(values: Float[np.ndarray, " N"], persons: Shaped[np.ndarray, " N"]) -> Float[np.ndarray, " P"]:
    _, number = np.unique(persons, return_inverse=True)
    return np.asarray(np.bincount(number, values) / np.maximum(np.bincount(number), 1))
