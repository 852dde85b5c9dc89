"""Same person or not: thresholds, open-set search, and a calibrated probability.

Source: verification and open-set identification as in ISO/IEC 19795-1 and Grother et al., NIST IR 8271; beta
calibration after Kull et al., AISTATS 2017, on distances.
Pairs: every counted query-gallery pair of the protocol. Search: each query is searched once with its person in the
gallery (detected and right?) and once as if that person were not enrolled (a false alarm?), so that every query is
also a stranger.
Differs: non-match distances are counted in a fine histogram with the nearest ones kept exactly, so that memory does
not grow with the number of pairs; a rate that too few pairs can show is NaN, never a guess.
Proof: tests/evaluate/test_open_set.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from resight.errors import BadFeatures, BadRecipe
from resight.evaluate.calibration import Calibration, CalibrationSample, calibrate
from resight.evaluate.protocols import Matching, ProtocolName, searched
from resight.search.distances import distance_blocks
from resight.search.features import Features
from resight.search.rows import row_lengths

RATES: Final = (0.1, 0.01, 0.001, 0.0001, 0.00001)
BINS: Final = 1 << 17
KEPT: Final = 1 << 17
"""Nearest non-matches kept exactly: rates up to KEPT / pairs are exact, larger ones to one bin."""
ROWS_AT_ONCE: Final = 16
SAMPLED: Final = 64
"""Random gallery pictures of each query that calibration looks at."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One point of a curve."""

    false_rate: float
    """What was asked: the share of non-matching pairs (or of strangers' searches) that pass, 0..1."""
    threshold: float
    """Distances up to this one pass; NaN when there are too few non-matches to show the rate."""
    true_rate: float
    """Share of matching pairs that pass (or of searches whose nearest picture is right and passes), 0..1."""


@dataclass(frozen=True, slots=True)
class OpenSet:
    """What a search can say about people who may be strangers."""

    threshold: Rate
    """Same person or not, at the chosen false-match rate."""
    tar_at_far: tuple[Rate, ...]
    """Verification: true accept rate at false accept rates."""
    dir_at_far: tuple[Rate, ...]
    """Open-set search: detection and identification rate at false alarm rates."""
    calibration: Calibration
    matches: int
    non_matches: int
    searches: int


def evaluate_open_set(
    features: Features,
    *,
    protocol: ProtocolName = "market",
    false_match_rate: float = 0.001,
    rng: np.random.Generator,
    block: int | None = None,
) -> OpenSet:
    """Measure thresholds and fit a probability; half of the persons fit it, the other half judge it."""
    if not 0 < false_match_rate < 1:
        raise BadRecipe(f"A false-match rate of {false_match_rate:g} makes no sense; choose one between 0 and 1.")
    features, matching = searched(features, protocol)
    seen = _Seen(features, matching, rng)
    for part in distance_blocks(features, rows=block):
        seen.look(part.start, np.take(part.distances, matching.counted, axis=1))
    matches = np.sort(np.concatenate(seen.matches)) if seen.matches else np.zeros(0, dtype=np.float32)
    if len(matches) == 0 or seen.tail.count == 0:
        raise BadFeatures(
            f"{len(matches)} pairs of one person and {seen.tail.count} of two under `{protocol}`: "
            "a threshold needs both; check persons and cameras, or pass `--protocol occluded`."
        )
    sample = CalibrationSample(*(np.concatenate(column) for column in zip(*seen.sampled, strict=True)))
    return OpenSet(
        threshold=_verification(false_match_rate, matches, seen.tail),
        tar_at_far=tuple(_verification(rate, matches, seen.tail) for rate in RATES),
        dir_at_far=tuple(_identification(rate, seen.nearest_match, seen.nearest_other) for rate in RATES),
        calibration=calibrate(sample, rng=rng),
        matches=len(matches),
        non_matches=seen.tail.count,
        searches=int(np.isfinite(seen.nearest_match).sum()),
    )


class NearTail:
    """Counts of distances in fine bins, with the smallest kept exactly; memory does not grow."""

    def __init__(self, largest: float, *, bins: int = BINS, kept: int = KEPT) -> None:
        self.largest, self.bins, self.kept = largest, bins, kept
        self.count = 0
        self._counts = np.zeros(bins, dtype=np.int64)
        self._near: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def add(self, distances: NDArray[np.float32]) -> None:
        """Count some distances, 0..largest; infinite ones are not there."""
        values = distances[np.isfinite(distances)]
        self.count += len(values)
        places = np.minimum(values * (self.bins / self.largest), self.bins - 1).astype(np.int64)
        self._counts += np.bincount(places, minlength=self.bins)
        if len(self._near) == self.kept:
            values = values[values < self._near.max()]
        near = np.concatenate([self._near, values])
        self._near = np.partition(near, self.kept - 1)[: self.kept] if len(near) > self.kept else near

    def threshold(self, rate: float) -> float:
        """Give the largest threshold that no more than `rate` of the distances pass; NaN with fewer than 1 / rate."""
        allowed = int(rate * self.count * (1 + 1e-12))
        if allowed == 0:
            return float("nan")
        if allowed < len(self._near):
            return _just_below(float(np.partition(self._near, allowed)[allowed]))
        if allowed >= self.count:
            return self.largest
        full = int(np.searchsorted(np.cumsum(self._counts), allowed, side="right"))  # the bin that goes too far
        return _just_below(full * self.largest / self.bins)


class _Seen:
    """What remains of the blocks of distances after each has been looked at."""

    def __init__(self, features: Features, matching: Matching, rng: np.random.Generator) -> None:
        self.matching, self.rng = matching, rng
        largest = 2.0 if features.metric == "cosine" else _farthest(features)
        self.tail = NearTail(largest * (1 + 1e-6))
        self.matches: list[NDArray[np.float32]] = []
        self.sampled: list[tuple[NDArray[np.generic], ...]] = []
        stranger = -1 - np.arange(len(features.query.persons))  # a number of their own
        self.person = np.where(matching.query_person < 0, stranger, matching.query_person)
        self.nearest_match = np.full(len(features.query.persons), np.inf, dtype=np.float32)
        self.nearest_other = np.full(len(features.query.persons), np.inf, dtype=np.float32)

    def look(self, start: int, distances: NDArray[np.float32]) -> None:
        """Take in the distances of some consecutive queries to all counted gallery pictures; changes them."""
        last = start + len(distances)
        pairs = self.matching.pairs(start, last)
        right = ~pairs.ignored
        rows, columns = pairs.rows[right], pairs.columns[right]
        values = distances[rows, columns]
        self.matches.append(values)
        np.minimum.at(self.nearest_match, start + rows, values)
        person = self.person[start + rows]
        self.sampled.append((values, np.ones(len(rows), np.bool_), person, person))
        distances[pairs.rows, pairs.columns] = np.inf  # what is left is other people
        for first in range(0, len(distances), ROWS_AT_ONCE):
            self.tail.add(distances[first : first + ROWS_AT_ONCE].ravel())
        self.nearest_other[start:last] = distances.min(axis=1, initial=np.inf)
        rows = np.repeat(np.arange(len(distances)), SAMPLED)
        columns = self.rng.integers(0, distances.shape[1], len(rows))
        other = np.isfinite(distances[rows, columns])
        rows, columns = rows[other], columns[other]
        sampled = distances[rows, columns]
        kind = np.zeros(len(rows), np.bool_)
        self.sampled.append((sampled, kind, self.person[start + rows], self.matching.person[columns]))


def _farthest(features: Features) -> float:
    """Bound every Euclidean distance, of whole bodies and of parts."""
    sides = features.query, features.gallery
    kinds = [[row_lengths(side.features).max() for side in sides]]
    if features.part_share > 0:
        parts = [side.parts for side in sides if side.parts is not None]
        kinds.append([row_lengths(one.reshape(-1, one.shape[2])).max() for one in parts])
    return max(1e-6, *(float(sum(lengths)) for lengths in kinds))


def _verification(rate: float, matches: NDArray[np.float32], others: NearTail) -> Rate:
    threshold = others.threshold(rate)
    if np.isnan(threshold):
        return Rate(rate, threshold, float("nan"))
    return Rate(rate, threshold, float(np.searchsorted(matches, threshold, side="right")) / len(matches))


def _identification(rate: float, match: Float[np.ndarray, " Q"], other: Float[np.ndarray, " Q"]) -> Rate:
    """Detect and identify at a false alarm rate; equally near right and wrong answers count half."""
    alarms = np.sort(other[np.isfinite(other)])
    allowed = int(rate * len(alarms) * (1 + 1e-12))
    known = np.isfinite(match)
    if allowed == 0 or not known.any():
        return Rate(rate, float("nan"), float("nan"))
    threshold = _just_below(float(alarms[allowed])) if allowed < len(alarms) else float(alarms[-1])
    right = (match < other) + 0.5 * (match == other)
    return Rate(rate, threshold, float((right * (match <= threshold))[known].mean()))


def _just_below(value: float) -> float:
    return float(np.nextafter(np.float32(value), np.float32(-np.inf)))
