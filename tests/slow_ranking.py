"""The obvious versions of scoring: sort the pictures, walk down the list."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Row = list[tuple[float, bool]]
"""(distance, right) for each counted gallery picture of one query."""


@dataclass(frozen=True, slots=True)
class RowScores:
    ap: float
    ap_trapezoid: float
    inp: float
    first_hit: np.ndarray


def score_ranked(right: list[bool], ranks: int) -> RowScores:
    """Score one ranked list of right and wrong answers, nearest first."""
    hits, precise, trapezoid, last = 0, 0.0, 0.0, 0
    first = np.zeros(ranks)
    for rank, is_right in enumerate(right, start=1):
        if not is_right:
            continue
        before = hits / (rank - 1) if rank > 1 else 1.0
        hits += 1
        precise += hits / rank
        trapezoid += (before + hits / rank) / 2
        last = rank
        first[rank - 1 :] = 1
    return RowScores(precise / hits, trapezoid / hits, hits / last, first)


def score_row(row: Row, ranks: int) -> RowScores:
    """Average over every order of every group of equal distances."""
    groups = [[right for value, right in row if value == distance] for distance in sorted({d for d, _ in row})]
    scores = [
        score_ranked(list(itertools.chain(*orders)), ranks) for orders in itertools.product(*map(_orders, groups))
    ]
    return RowScores(
        float(np.mean([one.ap for one in scores])),
        float(np.mean([one.ap_trapezoid for one in scores])),
        float(np.mean([one.inp for one in scores])),
        np.mean([one.first_hit for one in scores], axis=0),
    )


def _orders(group: list[bool]) -> list[list[bool]]:
    """All different orders of right and wrong; each stands for equally many orders of the pictures."""
    places = itertools.combinations(range(len(group)), sum(group))
    return [[place in right for place in range(len(group))] for right in places]


def score_matrix(
    distances: np.ndarray,
    query: tuple[np.ndarray, np.ndarray],
    gallery: tuple[np.ndarray, np.ndarray],
    ranks: int,
    *,
    cameras_count: bool = True,
) -> list[RowScores | None]:
    """Score each query, None without a right answer; `query` and `gallery` are (persons, cameras)."""
    return [
        score_row(row, ranks) if any(right for _, right in row) else None
        for row in _counted_rows(distances, query, gallery, cameras_count)
    ]


def _counted_rows(
    distances: np.ndarray,
    query: tuple[np.ndarray, np.ndarray],
    gallery: tuple[np.ndarray, np.ndarray],
    cameras_count: bool,
) -> Iterator[Row]:
    for row, person, camera in zip(distances, *query, strict=True):
        counted: Row = []
        for distance, other, other_camera in zip(row, *gallery, strict=True):
            if str(other) == "-1" or (cameras_count and other == person and other_camera == camera):
                continue
            counted.append((float(distance), bool(other == person)))
        yield counted
