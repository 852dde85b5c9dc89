"""Score a ranked search: CMC, mean average precision by both definitions, and mINP.

Source: AP at hits as in Zheng et al., ICCV 2015's Python descendants; AP by trapezoid as in its MATLAB code; mINP Ye et
al., TPAMI 2021. One right answer at rank 2 has AP 0.50 by the first and 0.25 by the second: never mix them.
Differs: pictures are counted, not ranked (how many are nearer than each right answer), so no row is ever fully sorted
unless that is cheaper; equals score their expected value; sums are float64; a query without a right answer is in no
mean but reported; CMC never falls, however short the gallery.
Proof: tests/evaluate/test_ranking.py; benchmarks/evaluate_speed.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from resight.errors import BadFeatures
from resight.evaluate import ties
from resight.evaluate.counting import Places, standings
from resight.evaluate.protocols import (
    Labels,
    Matching,
    PairFilter,
    ProtocolName,
    draw_single_shots,
    match,
    rules_of,
    searched,
)
from resight.search.distances import distance_blocks
from resight.search.features import Features, check_ids

RANKS: Final = 50
"""Length of the CMC curve, rank 1 first."""
SINGLE_SHOT_DRAWS: Final = 10
ROWS_AT_ONCE: Final = 64
"""Rows of a given matrix looked at together: scratch memory, not accuracy."""
PAIRS_AT_ONCE: Final = 1 << 18
"""Same-person pairs looked at together; a single query may have more."""


@dataclass(frozen=True, slots=True)
class RankingScores:
    """Scores of one query-gallery run, each in 0..1, higher is better; NaN where nothing could be answered.

    Per query, NaN for those without a right answer: `ap`, `ap_trapezoid`, `inp` (Q), `first_hit` (Q R, the probability
    that a right answer is among the first 1 … 50; 0 or 1 unless pictures are equally far).
    """

    mean_ap: float
    mean_ap_trapezoid: float
    mean_inp: float
    cmc: Float[np.ndarray, " R"]
    answered: int
    unanswerable: int
    protocol: ProtocolName
    ap: Float[np.ndarray, " Q"]
    ap_trapezoid: Float[np.ndarray, " Q"]
    inp: Float[np.ndarray, " Q"]
    first_hit: Float[np.ndarray, "Q R"]
    persons: NDArray[np.generic]
    files: Shaped[np.ndarray, " Q"]

    @property
    def rank1(self) -> Float[np.ndarray, " Q"]:
        """Per query: the probability that the first picture is right."""
        return self.first_hit[:, 0]


def score_features(
    features: Features,
    *,
    protocol: ProtocolName = "market",
    block: int | None = None,
    rng: np.random.Generator | None = None,
    only: PairFilter | None = None,
) -> RankingScores:
    """Score from features, `block` queries at a time (None: as many as fit into 32 MiB of distances).

    `rng` draws for `cuhk03` only; None is seed 0. `only` says which pairs of one person (query rows, gallery rows)
    count as right answers; the others are ignored. Raises BadFeatures for what cannot be scored.
    """
    if rules_of(protocol).pooled and only is not None:
        raise BadFeatures(f"`{protocol}` pools pictures, so a choice among pairs of pictures has no meaning there.")
    features, matching = searched(features, protocol, draws=True)
    matching = replace(matching, only=only)
    first, last = int(matching.counted[0]), int(matching.counted[-1]) + 1  # junk at either end costs no products
    inside = matching.counted - first
    blocks = (
        (part.start, part.distances) for part in distance_blocks(features, rows=block, columns=slice(first, last))
    )
    return _score(blocks, inside, last - first, matching, features.query, protocol, rng)


def score_distances(
    distances: NDArray[np.generic],
    query: Labels,
    gallery: Labels,
    *,
    protocol: ProtocolName = "market",
    rng: np.random.Generator | None = None,
) -> RankingScores:
    """Score a matrix of distances, Q G, smaller is more alike; its values are compared as they are, never rounded."""
    shape = len(query.persons), len(gallery.persons)
    if distances.shape != shape:
        raise BadFeatures(f"distances have the shape {distances.shape}, but there are {shape[0]} queries × {shape[1]}.")
    check_ids(query, gallery)
    rules = rules_of(protocol)
    if rules.pooled:
        raise BadFeatures(f"`{protocol}` pools the features of several pictures: pass features, not distances.")
    matching = match(query, gallery, rules)
    return _score(_rows_of(distances, query), matching.counted, shape[1], matching, query, protocol, rng)


def _rows_of(distances: NDArray[np.generic], query: Labels) -> Iterator[tuple[int, NDArray[np.generic]]]:
    for start in range(0, len(distances), ROWS_AT_ONCE):
        rows = distances[start : start + ROWS_AT_ONCE]
        finite = np.isfinite(rows.min(axis=1)) & np.isfinite(rows.max(axis=1))  # both keep NaN
        if not finite.all():
            row = start + int(finite.argmin())
            files = getattr(query, "files", None)
            name = "" if files is None else f" ({files[row]})"
            raise BadFeatures(f"distances row {row}{name} holds NaN or infinite values; compute it again.")
        yield start, rows


def _score(
    blocks: Iterable[tuple[int, NDArray[np.generic]]],
    columns: Int[np.ndarray, " G"],
    width: int,
    matching: Matching,
    query: Labels,
    protocol: ProtocolName,
    rng: np.random.Generator | None,
) -> RankingScores:
    """Score blocks whose `columns` are the counted gallery pictures."""
    queries = len(query.persons)
    table = _Table(queries, ties.harmonic_numbers(len(columns)))
    draws = []
    if rules_of(protocol).single_shot:
        rng = rng or np.random.default_rng(0)
        draws = [draw_single_shots(matching, rng) for _ in range(SINGLE_SHOT_DRAWS)]
    counts = np.cumsum(matching.pair_counts())
    for start, rows in blocks:
        first = start
        while first < start + len(rows):
            budget = (counts[first - 1] if first else 0) + PAIRS_AT_ONCE
            last = min(start + len(rows), max(first + 1, int(np.searchsorted(counts, budget, side="right"))))
            some = rows[first - start : last - start]
            if len(columns) < width:
                some = np.take(some, columns, axis=1)
            pairs = matching.pairs(first, last)
            positives = Places(pairs.rows[~pairs.ignored], pairs.columns[~pairs.ignored])
            if not draws:
                ignored = Places(pairs.rows[pairs.ignored], pairs.columns[pairs.ignored])
                table.add(first, some, positives, ignored)
            for picks, order in draws:
                shot, right = _single_shot(some, positives, matching, picks, order, first)
                table.add(first, shot, right, Places.none())
            first = last
    return table.scores(query, protocol, times=max(1, len(draws)))


def _single_shot(
    rows: NDArray[np.generic],
    positives: Places,
    matching: Matching,
    picks: Int[np.ndarray, " P"],
    order: Int[np.ndarray, " G"],
    first: int,
) -> tuple[NDArray[np.generic], Places]:
    """Take the drawn columns, with each query's own person replaced by the first allowed picture in the drawn order."""
    shot = rows[:, picks]
    by_order = np.lexsort((order[positives.columns], positives.rows))
    row, at = np.unique(positives.rows[by_order], return_index=True)
    own = matching.query_person[first + row]
    shot[row, own] = rows[row, positives.columns[by_order][at]]
    return shot, Places(row, own)


class _Table:
    """Per-query scores, filled block by block."""

    def __init__(self, queries: int, harmonic: Float[np.ndarray, " N"]) -> None:
        self.harmonic = harmonic
        self.answered = np.zeros(queries, dtype=np.bool_)
        self.ap, self.trapezoid, self.inp = np.zeros((3, queries))
        self.first_hit = np.zeros((queries, RANKS))

    def add(self, first: int, rows: NDArray[np.generic], positives: Places, ignored: Places) -> None:
        """Add what the rows score; the first row is query `first`."""
        if len(positives.rows) == 0:
            return
        at = standings(rows, positives, ignored)
        row, starts, right = np.unique(positives.rows, return_index=True, return_counts=True)
        query = first + row
        self.answered[query] = True
        self.ap[query] += np.add.reduceat(ties.precision_at_hits(at, self.harmonic), starts) / right
        self.trapezoid[query] += np.add.reduceat(ties.trapezoid_at_hits(at, self.harmonic), starts) / right
        ends = starts + right - 1
        order = np.lexsort((at.better, positives.rows))
        nearest, farthest = _pick(at, order[starts]), _pick(at, order[ends])
        self.first_hit[query] += ties.hit_within(nearest, RANKS)
        self.inp[query] += right * ties.inverse_last_rank(farthest)

    def scores(self, query: Labels, protocol: ProtocolName, *, times: int) -> RankingScores:
        """Average over the answered queries, each of which was added `times` times."""
        answered = int(self.answered.sum())
        for values in (self.ap, self.trapezoid, self.inp, self.first_hit):
            values /= times
            values[~self.answered] = np.nan
        files = getattr(query, "files", None)
        return RankingScores(
            mean_ap=float(self._mean(self.ap)[0]),
            mean_ap_trapezoid=float(self._mean(self.trapezoid)[0]),
            mean_inp=float(self._mean(self.inp)[0]),
            cmc=self._mean(self.first_hit),
            answered=answered,
            unanswerable=len(self.answered) - answered,
            protocol=protocol,
            ap=self.ap,
            ap_trapezoid=self.trapezoid,
            inp=self.inp,
            first_hit=self.first_hit,
            persons=query.persons,
            files=np.array([f"query {row}" for row in range(len(self.ap))]) if files is None else files,
        )

    def _mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average each column over the answered queries; NaN where there is none."""
        columns = values.reshape(len(values), -1)
        if not self.answered.any():
            return np.full(columns.shape[1], np.nan)
        return np.asarray(columns[self.answered].mean(axis=0))


def _pick(at: ties.Standings, rows: Int[np.ndarray, " M"]) -> ties.Standings:
    return ties.Standings(at.better[rows], at.better_right[rows], at.equals[rows], at.equals_right[rows])
