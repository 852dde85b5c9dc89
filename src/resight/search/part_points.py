"""Queries and gallery compared over the parts that both crops show, as re-ranking needs them: all against all.

The part distance is the cosine one of part_distances.py. For whole bodies at length 1 it is half the squared distance,
so that both blend; parts are held once more, times how visible they are.
Proof: tests/search/test_part_distances.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resight.search.features import Features, check_features
from resight.search.neighbours import Pictures
from resight.search.part_distances import SHARED, PartTable, blend, part_table
from resight.search.points import Points, as_points
from resight.search.rows import ZERO_LENGTH

PAIRS_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class PartPoints:
    """Queries, then gallery, with whole bodies and parts."""

    features: Features
    whole: Points
    table: PartTable
    share: float
    """Of the part distance in the whole distance, above 0 and up to 1."""

    def __len__(self) -> int:
        return len(self.table.rows)

    @property
    def asks(self) -> int:
        return len(self.features.query.features)

    @property
    def largest(self) -> float:
        return max(1.0, self.whole.largest)

    def tiles(self, side: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        room = [np.empty(min(side, len(self)) ** 2, dtype=np.float32) for _ in range(PartTable.ROOM)]
        for start, other, tile in self.whole.tiles(side) if self.share < 1 else _empty_tiles(len(self), side):
            rows, columns = (
                self.table.take(slice(at, at + many)) for at, many in zip((start, other), tile.shape, strict=True)
            )
            blend(tile, rows, columns, share=self.share, room=room)
            yield start, other, tile

    def halves(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        return self.exact_halves(rows, columns).astype(np.float32)

    def exact_halves(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        whole = self.whole.exact_halves(rows, columns) if self.share < 1 else np.ones(len(rows))
        found = np.empty(len(rows), dtype=np.float64)
        for start in range(0, len(rows), PAIRS_AT_ONCE):
            at = slice(start, start + PAIRS_AT_ONCE)
            (first, seen), (second, shown) = self._given(rows[at]), self._given(columns[at])
            weight = seen * shown
            total = weight.sum(axis=1)
            apart = 1 - (weight * np.einsum("npd,npd->np", first, second)).sum(axis=1) / np.maximum(total, SHARED)
            blended = self.share * np.maximum(apart, 0) + (1 - self.share) * whole[at]
            found[at] = np.where(total < SHARED, whole[at], blended)
        return np.round(found, 12)

    def _given(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Parts at length 1, n P D, and how visible they are, n P."""
        query, gallery = self.features.query, self.features.gallery
        asks = rows < self.asks
        parts = np.empty((len(rows), *query.parts.shape[1:]))  # type: ignore[union-attr]
        visible = np.empty(parts.shape[:2])
        for mine, side, first in (asks, query, 0), (~asks, gallery, self.asks):
            parts[mine] = side.parts[rows[mine] - first]  # type: ignore[index]
            visible[mine] = side.visible[rows[mine] - first]  # type: ignore[index]
        lengths = np.sqrt(np.einsum("npd,npd->np", parts, parts))
        parts *= np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > ZERO_LENGTH)[:, :, None]
        return parts, visible


def points_of(features: Features) -> Pictures:
    """Check features and prepare them for `nearest`, with their parts where these count. Raises BadFeatures."""
    whole = as_points(features.query.features, features.gallery.features)
    if features.part_share == 0:
        return whole
    check_features(features)
    sides = [part_table(side, "cosine") for side in (features.query, features.gallery)]
    rows = np.concatenate([side.rows for side in sides])
    return PartPoints(features, whole, PartTable(rows, sides[0].part_count, "cosine"), features.part_share)


def _empty_tiles(count: int, side: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Room for the tiles on and above the diagonal."""
    buffer = np.empty(min(side, count) ** 2, dtype=np.float32)
    for start in range(0, count, side):
        for other in range(start, count, side):
            shape = min(side, count - start), min(side, count - other)
            yield start, other, buffer[: shape[0] * shape[1]].reshape(shape)
