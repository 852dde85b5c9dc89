"""From features and scores to the facts of a report: the worst strips, the distances, the pairs of cameras.

Which gallery pictures count for a query is the protocol's word alone, as in the scores. Pictures at equal distances
are shown in gallery order and marked as tied.
Proof: tests/report/test_strips.py compares with a search that sorts everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from resight.data.sampling import evenly
from resight.evaluate.protocols import Matching, match, rules_of, same_camera
from resight.evaluate.ranking import RankingScores, score_features
from resight.report.facts import CameraPairs, Histogram, Strip, Tile
from resight.search.distances import distance_blocks
from resight.search.features import Features
from resight.types import NO_CAMERA

TOP: Final = 10
"""Pictures in a row of a strip."""
MOST_CAMERAS: Final = 16
"""With more cameras than this on a side the table of pairs is left out."""
_MOST_BINS: Final = 60
_HISTOGRAM_QUERIES: Final = 200


def worst_strips(features: Features, scores: RankingScores, *, count: int, top: int = TOP) -> tuple[Strip, ...]:
    """Find the `count` answered queries of lowest AP, worst first; equal APs in file-name order."""
    answered = np.flatnonzero(np.isfinite(scores.ap))
    order = np.lexsort((features.query.files[answered], scores.ap[answered]))
    return strips_of(features, scores, answered[order[:count]], top=top)


def strips_of(
    features: Features, scores: RankingScores, chosen: Int[np.ndarray, " N"], *, top: int = TOP
) -> tuple[Strip, ...]:
    """Strips of these answered queries, in their order."""
    matching = match(features.query, features.gallery, rules_of(scores.protocol))
    strips: list[Strip] = []
    for query, row in _rows(features, matching, chosen):
        strips.append(_strip(features, matching, query, row, float(scores.ap[query]), top))
    return tuple(strips)


def distance_histogram(features: Features, scores: RankingScores) -> Histogram:
    """Distances of true matches and of others, for up to 200 answered queries evenly spread over the set."""
    matching = match(features.query, features.gallery, rules_of(scores.protocol))
    answered = np.flatnonzero(np.isfinite(scores.ap))
    chosen = answered[evenly(len(answered), _HISTOGRAM_QUERIES)]
    right: list[NDArray[np.float32]] = []
    wrong: list[NDArray[np.float32]] = []
    for query, row in _rows(features, matching, chosen):
        kept, matches = _counted(matching, query)
        right.append(row[matches])
        wrong.append(row[kept & ~matches])
    near, far = np.concatenate(right), np.concatenate(wrong)
    low, high = min(near.min(), far.min(initial=np.inf)), max(near.max(), far.max(initial=-np.inf))
    bins = int(np.clip(2 * np.sqrt(len(near)), 12, _MOST_BINS))
    edges = np.linspace(float(low), max(float(high), float(low) + 1e-6), bins + 1)

    def shares(values: NDArray[np.float32]) -> Float[np.ndarray, " B"]:
        counts, _ = np.histogram(values, bins=bins, range=(edges[0], edges[-1]))
        return counts / max(int(counts.sum()), 1)

    return Histogram(edges, shares(near), shares(far), len(chosen))


def camera_pairs(features: Features, scores: RankingScores) -> CameraPairs | None:
    """Scores within each pair of cameras; None with fewer than two, too many, or unknown cameras."""
    asked, found = np.unique(features.query.cameras), np.unique(features.gallery.cameras)
    unknown = {str(NO_CAMERA), ""}
    if (
        not 2 <= len(found) <= MOST_CAMERAS
        or len(asked) > MOST_CAMERAS
        or unknown & {*map(str, asked), *map(str, found)}
    ):
        return None
    rules = rules_of(scores.protocol)
    protocol = "market" if rules.pooled else scores.protocol
    counted = match(features.query, features.gallery, rules).counted
    mean_ap, rank1 = np.full((2, len(asked), len(found)), np.nan)
    answered = np.zeros((len(asked), len(found)), dtype=np.int64)
    for column, there in enumerate(found):
        gallery = features.gallery.take(counted[features.gallery.cameras[counted] == there])
        for row, here in enumerate(asked):
            if len(gallery.persons) == 0 or (rules.ignored is same_camera and here == there):
                continue
            query = features.query.take(np.flatnonzero(features.query.cameras == here))
            pair = score_features(replace(features, query=query, gallery=gallery), protocol=protocol)
            mean_ap[row, column], rank1[row, column] = pair.mean_ap, pair.cmc[0]
            answered[row, column] = pair.answered
    return CameraPairs(tuple(map(str, asked)), tuple(map(str, found)), mean_ap, rank1, answered)


def _rows(
    features: Features, matching: Matching, queries: Int[np.ndarray, " N"]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield each query's number with its distances to the counted gallery pictures."""
    some = replace(features, query=features.query.take(queries), gallery=features.gallery.take(matching.counted))
    if len(queries) == 0:
        return
    for block in distance_blocks(some):
        for place, row in enumerate(block.distances, start=block.start):
            yield int(queries[place]), row


def _counted(matching: Matching, query: int) -> tuple[Bool[np.ndarray, " G"], Bool[np.ndarray, " G"]]:
    """Which of the gallery pictures without junk count for the query, and which of them are right."""
    pairs = matching.pairs(query, query + 1)
    kept = np.ones(len(matching.counted), dtype=np.bool_)
    kept[pairs.columns[pairs.ignored]] = False
    right = np.zeros_like(kept)
    right[pairs.columns[~pairs.ignored]] = True
    return kept, right


def _strip(features: Features, matching: Matching, query: int, row: NDArray[np.float32], ap: float, top: int) -> Strip:
    kept, right = _counted(matching, query)
    candidates = np.flatnonzero(kept)
    order = candidates[np.argsort(row[candidates], kind="stable")]
    distances = row[order]
    same = distances[1:] == distances[:-1]
    tied = np.append(same, False) | np.insert(same, 0, False)
    hits = np.flatnonzero(right[order])

    def tile(place: int) -> Tile:
        column = int(order[place])
        at = int(matching.counted[column])
        gallery = features.gallery
        return Tile(
            str(gallery.files[at]),
            str(gallery.persons[at]),
            _camera(gallery.cameras[at]),
            rank=place + 1,
            distance=float(distances[place]),
            right=bool(right[column]),
            tied=bool(tied[place]),
        )

    asked = features.query
    return Strip(
        query=Tile(str(asked.files[query]), str(asked.persons[query]), _camera(asked.cameras[query])),
        ap=ap,
        top=tuple(tile(place) for place in range(min(top, len(order)))),
        matches=tuple(tile(int(place)) for place in hits[::-1][:top]),
        match_count=len(hits),
        first_match=int(hits[0]) + 1,
    )


def _camera(camera: np.generic) -> str:
    return "" if str(camera) == str(NO_CAMERA) else str(camera)
