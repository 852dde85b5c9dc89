"""Count how many pictures are nearer than each right answer, and how many are exactly as near.

Source: counting instead of ranking, found by measuring evaluators: a full argsort of every row is nearly all they do.
Differs: a row is sorted by value only, and only as far as its farthest right answer when that is cheaper; pictures
that the protocol ignores are subtracted afterwards.
Proof: tests/evaluate/test_ranking.py compares with sorting; benchmarks/evaluate_speed.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from resight.evaluate.ties import Standings

SHARE_WORTH_PICKING: Final = 8
"""A row is sorted whole unless fewer than one in this many pictures are as near as the farthest right answer."""


@dataclass(frozen=True, slots=True)
class Places:
    """Some entries of a block of distances, ordered by row."""

    rows: Int[np.ndarray, " M"]
    columns: Int[np.ndarray, " M"]

    @classmethod
    def none(cls) -> Places:
        """Name no entry at all."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def standings(rows: NDArray[np.generic], positives: Places, ignored: Places) -> Standings:
    """Where each positive stands among the entries of its row that are not ignored."""
    right, junk = rows[positives.rows, positives.columns], rows[ignored.rows, ignored.columns]
    nearer, not_farther = np.zeros((2, len(right)), dtype=np.int64)
    row_numbers, starts = np.unique(positives.rows, return_index=True)
    farthest = np.maximum.reduceat(right, starts)
    ends = np.append(starts[1:], len(right))
    for row, limit, start, end in zip(row_numbers, farthest, starts, ends, strict=True):
        near = _sorted_up_to(rows[row], limit)
        values = right[start:end]
        nearer[start:end] = near.searchsorted(values, "left")
        not_farther[start:end] = near.searchsorted(values, "right")
    _, ranks = np.unique(np.concatenate([right, junk]), return_inverse=True)
    keys = np.concatenate([positives.rows, ignored.rows]) * (len(ranks) + 1) + ranks
    right_keys, junk_keys = keys[: len(right)], np.sort(keys[len(right) :])
    sorted_right = np.sort(right_keys)
    right_before = np.searchsorted(sorted_right, right_keys, "left")
    right_upto = np.searchsorted(sorted_right, right_keys, "right")
    junk_before = np.searchsorted(junk_keys, right_keys, "left")
    junk_upto = np.searchsorted(junk_keys, right_keys, "right")
    junk_in_earlier_rows = np.searchsorted(ignored.rows, positives.rows, "left")
    better = nearer - (junk_before - junk_in_earlier_rows)
    return Standings(
        better=better,
        better_right=right_before - np.searchsorted(positives.rows, positives.rows, "left"),
        equals=not_farther - (junk_upto - junk_in_earlier_rows) - better,
        equals_right=right_upto - right_before,
    )


def _sorted_up_to(row: NDArray[Any], limit: Any) -> NDArray[Any]:
    """Sort the values of one row that are not above `limit`; larger ones may follow them."""
    near = row <= limit
    if np.count_nonzero(near) * SHARE_WORTH_PICKING < len(row):
        row = row[near]
    return np.sort(row)
