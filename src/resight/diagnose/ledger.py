"""Split what a search lost, 1 - mAP, exactly over (query, true match, wrong picture) triples.

A true match t at rank r of a query with n true matches loses (r - hits so far) / r: every wrong picture above it costs
1 / (queries · n · r). Source: derived here. Among t equally far pictures the place of a true match is uniform, so a
nearer wrong picture costs the mean of 1 / rank, (H(b+t) - H(b)) / t, and an equally far one, which stands above it in
half of the orders, (t - (b+1)(H(b+t) - H(b))) / (t (t-1)), after b better pictures, with harmonic numbers H.
Differs from error tables that remove one error after the other: the parts sum to the loss whatever their order.
Triples are never listed: each row of distances is a step function of the wrong picture's distance.
Proof: tests/diagnose/test_ledger.py lists all triples of small searches; benchmarks/diagnose_speed.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import NDArray

from resight.errors import BadFeatures
from resight.evaluate.counting import Places, standings
from resight.evaluate.protocols import Matching, ProtocolName, searched
from resight.evaluate.ties import Standings, harmonic_numbers
from resight.search.distances import distance_blocks, stored_blocks
from resight.search.features import Features

HEAVIEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One answered query as the ledger sees it; T true matches, W wrong pictures nearer or as near as the farthest."""

    query: int
    counted: Int[np.ndarray, " G"]
    """Gallery rows that are not junk; the columns below count among these."""
    matches: Int[np.ndarray, " T"]
    """Columns of the true matches, nearest first."""
    above: Float[np.ndarray, " T"]
    """Cost of each wrong picture that is nearer than this match, in AP of the query."""
    beside: Float[np.ndarray, " T"]
    """Cost of each wrong picture that is exactly as near."""
    lost: Float[np.ndarray, " T"]
    """What the match loses in all, in AP of the query."""
    wrong: Int[np.ndarray, " W"]
    """Columns of the wrong pictures that cost something."""
    passed: Int[np.ndarray, " W"]
    """How many true matches are nearer than, or as near as, each of these."""
    nearer: Int[np.ndarray, " W"]
    """How many are strictly nearer."""
    skipped: Int[np.ndarray, " S"]
    """Columns that are no wrong pictures: the query's own person, ignored ones included."""

    def costs(self, some: Bool[np.ndarray, " T"] | slice = slice(None)) -> Float[np.ndarray, " W"]:
        """What each wrong picture costs at `some` true matches, in AP of the query."""
        chosen = np.zeros(len(self.matches))
        chosen[some] = 1
        after = np.append(np.cumsum((self.above * chosen)[::-1])[::-1], 0)
        level = np.concatenate([[0], np.cumsum(self.beside * chosen)])
        return np.asarray(after[self.passed] + level[self.passed] - level[self.nearer])


@dataclass(frozen=True, slots=True)
class Triple:
    """One wrong picture above one true match."""

    query: int
    match: int
    wrong: int
    """Gallery rows."""
    weight: float
    """Share of mAP lost by it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The loss of one search, split in several ways; every table sums to `loss`."""

    loss: float
    """1 - mAP, 0..1."""
    answered: int
    by_query: Float[np.ndarray, " Q"]
    """Each query's part of the loss; 0 for queries without a true match."""
    match_query: Int[np.ndarray, " M"]
    match_row: Int[np.ndarray, " M"]
    """Gallery row of each true match of each query."""
    by_match: Float[np.ndarray, " M"]
    match_loss: Float[np.ndarray, " M"]
    """1 - expected precision at each true match, 0..1: what it lost, not weighted by the number of queries."""
    by_wrong: Float[np.ndarray, " G"]
    """Each gallery picture's part as a wrong answer; 0 for junk."""
    persons: Shaped[np.ndarray, " P"]
    """Persons of the gallery without junk, sorted."""
    by_persons: Float[np.ndarray, "P P"]
    """Loss of the queries of one person (row) by pictures of another (column)."""
    ahead: Int[np.ndarray, "P P"]
    """Queries of one person (row) for which another (column) stands before every true match."""
    cameras: Shaped[np.ndarray, " C"]
    by_wrong_camera: Float[np.ndarray, "C C"]
    """Loss by the query's camera (row) and the wrong picture's (column)."""
    by_match_camera: Float[np.ndarray, "C C"]
    """Loss by the query's camera (row) and the true match's (column)."""
    heaviest: tuple[Triple, ...]
    """Heaviest triples first; wrong pictures that are exactly as near as the match are not listed."""
    features: Features
    """What was searched: pooled where the protocol pools."""


def ledger_of(features: Features, *, protocol: ProtocolName = "market", heaviest: int = HEAVIEST) -> Ledger:
    """Split 1 - mAP of a search; raises BadFeatures for what cannot be scored or answers no query."""
    features, matching = searched(features, protocol)
    gallery, query = features.gallery, features.query
    names, person = np.unique(gallery.persons[matching.counted], return_inverse=True)
    cameras, camera = np.unique(np.concatenate([query.cameras, gallery.cameras]), return_inverse=True)
    query_camera, gallery_camera = camera[: len(query.cameras)], camera[len(query.cameras) :][matching.counted]
    by_query, by_wrong = np.zeros(len(query.persons)), np.zeros(len(gallery.persons))
    by_persons, ahead = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)), np.int64)
    by_wrong_camera, by_match_camera = np.zeros((2, len(cameras), len(cameras)))
    match_query, match_row, match_loss, shares = [], [], [], []
    heavy = _Heaviest(heaviest)
    answered = 0
    for row in rows_of(features, matching):
        answered += 1
        cost = row.costs()
        count, own = len(row.matches), int(matching.query_person[row.query])
        by_query[row.query] = row.lost.sum()
        by_wrong[matching.counted[row.wrong]] += cost
        by_persons[own] += np.bincount(person[row.wrong], cost, minlength=len(names))
        ahead[own, np.unique(person[row.wrong[row.passed == 0]])] += 1
        by_wrong_camera[query_camera[row.query]] += np.bincount(gallery_camera[row.wrong], cost, minlength=len(cameras))
        by_match_camera[query_camera[row.query]] += np.bincount(
            gallery_camera[row.matches], row.lost, minlength=len(cameras)
        )
        match_query.append(np.full(count, row.query))
        match_row.append(matching.counted[row.matches])
        match_loss.append(row.lost * count)
        shares.append(row.lost)
        heavy.look(row)
    if answered == 0:
        raise BadFeatures(
            f"None of the {len(query.persons)} queries has a true match that `{protocol}` counts: nothing was lost or "
            "won; check persons and cameras with `resight data check`, or pass `--protocol occluded` to count the "
            "query's own camera too, as a set of one camera needs."
        )
    return Ledger(
        loss=float(by_query.sum()) / answered,
        answered=answered,
        by_query=by_query / answered,
        match_query=np.concatenate(match_query),
        match_row=np.concatenate(match_row),
        by_match=np.concatenate(shares) / answered,
        match_loss=np.concatenate(match_loss),
        by_wrong=by_wrong / answered,
        persons=names,
        by_persons=by_persons / answered,
        ahead=ahead,
        cameras=cameras,
        by_wrong_camera=by_wrong_camera / answered,
        by_match_camera=by_match_camera / answered,
        heaviest=heavy.triples(answered),
        features=features,
    )


def rows_of(features: Features, matching: Matching, distances: NDArray[np.float32] | None = None) -> Iterator[Row]:
    """Yield each answered query's part of the ledger.

    Distances are those that `resight evaluate` compares, or those given (Q G).
    """
    first, last = int(matching.counted[0]), int(matching.counted[-1]) + 1
    inside = matching.counted - first
    harmonic = harmonic_numbers(len(inside))
    columns = slice(first, last)
    if distances is None:
        blocks = distance_blocks(features, columns=columns)
    else:
        blocks = stored_blocks(distances, columns=columns)
    for block in blocks:
        rows = block.distances if len(inside) == last - first else np.take(block.distances, inside, axis=1)
        pairs = matching.pairs(block.start, block.start + len(rows))
        right = Places(pairs.rows[~pairs.ignored], pairs.columns[~pairs.ignored])
        ignored = Places(pairs.rows[pairs.ignored], pairs.columns[pairs.ignored])
        if len(right.rows) == 0:
            continue
        at = standings(rows, right, ignored)
        above, beside = triple_costs(at, harmonic)
        lost = (at.better - at.better_right) * above + (at.equals - at.equals_right) * beside
        order = np.lexsort((at.better, right.rows))
        numbers, starts, counts = np.unique(right.rows, return_index=True, return_counts=True)
        bounds = np.searchsorted(pairs.rows, np.append(numbers, numbers[-1] + 1))
        for place, (number, start, count) in enumerate(zip(numbers, starts, counts, strict=True)):
            mine = order[start : start + count]
            own = pairs.columns[bounds[place] : np.searchsorted(pairs.rows, number, "right")]
            matches = right.columns[mine]
            wrong, passed, nearer = _wrong_pictures(rows[number], matches, own)
            yield Row(
                query=block.start + int(number),
                counted=matching.counted,
                matches=matches,
                above=above[mine] / count,
                beside=beside[mine] / count,
                lost=lost[mine] / count,
                wrong=wrong,
                passed=passed,
                nearer=nearer,
                skipped=own,
            )


def triple_costs(
    at: Standings, harmonic: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Expected cost, in precision at each true match, of a nearer wrong picture and of an equally far one."""
    b, t = at.better, at.equals
    inverse_ranks = harmonic[b + t] - harmonic[b]
    tied = (t - (b + 1) * inverse_ranks) / (t * np.maximum(t - 1, 1))
    return np.where(t == 1, 1 / (b + 1), inverse_ranks / t), np.where(t == 1, 0, tied)


def _wrong_pictures(
    row: NDArray[np.float32], matches: Int[np.ndarray, " T"], own: Int[np.ndarray, " S"]
) -> tuple[Int[np.ndarray, " W"], Int[np.ndarray, " W"], Int[np.ndarray, " W"]]:
    """Columns no farther than the farthest match, without the own person, and how many matches are no farther."""
    values = row[matches]  # nearest first
    near = row <= values[-1]
    near[own] = False
    wrong = np.flatnonzero(near)
    at = row[wrong]
    return wrong, values.searchsorted(at, "right"), values.searchsorted(at, "left")


class _Heaviest:
    """The triples of largest weight seen so far, at most `most`; among equals the nearest wrong pictures."""

    def __init__(self, most: int) -> None:
        self.most, self.bar = most, 0.0
        self.found: list[tuple[float, int, int, int]] = []

    def look(self, row: Row) -> None:
        """Add the triples of one query that may be among the heaviest."""
        if self.most == 0:
            return
        for place in np.flatnonzero((row.above > self.bar) & (row.lost > 0)):
            before = row.wrong[row.passed <= place][: self.most]
            match, weight = int(row.counted[row.matches[place]]), float(row.above[place])
            self.found += [(weight, row.query, match, int(row.counted[wrong])) for wrong in before]
        if len(self.found) > 8 * self.most:
            self._keep()

    def _keep(self) -> None:
        self.found = sorted(self.found, key=lambda one: (-one[0], one[1:]))[: self.most]
        if len(self.found) == self.most and self.most:
            self.bar = self.found[-1][0]

    def triples(self, answered: int) -> tuple[Triple, ...]:
        """Return the heaviest ones, heaviest first."""
        self._keep()
        return tuple(Triple(query, match, wrong, weight / answered) for weight, query, match, wrong in self.found)
