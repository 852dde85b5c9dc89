"""The nearest neighbours of every picture among all pictures, exact, without a matrix of all distances.

Distances are computed tile by tile in float32; each pair is computed once and serves both ends. Where float32 cannot
tell which of two neighbours comes first, float64 does; neighbours that agree to twelve digits come in file order.
Differs from a sort of each row: a tile leaves behind only what beats the row's k-th best so far, so memory is O(N k).
Limit: of more than 64 pictures that are equally near as far as float32 can tell, the first in file order are kept.
Proof: tests/search/test_neighbours.py; benchmarks/rerank_speed.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

TILE: Final = 1536
"""Rows and columns of one tile: large enough for a fast product, 9 MiB of distances."""
STRIP: Final = 96
"""Rows of a tile that are looked at together: half a MiB, which stays in the processor's cache meanwhile."""
NOISE: Final = 8e-6
"""Distances that differ by less, over the largest squared length, are looked at again in float64 (ten times the error
seen in float32 products of width 2048)."""
FLAT: Final = 1e-12
"""Half squared distances up to here are rounding: such features are equal."""
SPARE: Final = 64
"""How many neighbours beyond the k-th are kept where float32 cannot tell them apart."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest pictures of every picture, nearest first; each is its own first neighbour."""

    order: NDArray[np.int32]
    """N k: which pictures."""
    halves: NDArray[np.float32]
    """N k: half their squared distances."""
    farthest: NDArray[np.float32]
    """N: half the squared distance to the picture that is farthest of all."""


@runtime_checkable
class Pictures(Protocol):
    """Queries, then gallery, with some way to compare any two: `Points`, or `PartPoints` that know parts."""

    def __len__(self) -> int: ...

    @property
    def asks(self) -> int:
        """How many are queries: the first ones."""
        ...

    @property
    def largest(self) -> float:
        """What float32's errors grow with: the largest squared length."""
        ...

    def tiles(self, side: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """First row, first column and half the squared distances of each tile on and above the diagonal."""
        ...

    def halves(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Half the squared distance of each pair rows[i], columns[i]."""
        ...

    def exact_halves(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The same in float64, to twelve digits."""
        ...


Look = Callable[[int, int, NDArray[np.float32]], None]
"""Called with each tile: its first row, its first column, half the squared distances (overwritten by the next tile)."""


def tile_count(pictures: int) -> int:
    """How many tiles `nearest` goes through."""
    side = -(-pictures // TILE)
    return side * (side + 1) // 2


def nearest(points: Pictures, k: int, *, look: Look) -> Neighbours:
    """Find the k nearest pictures of every picture (itself included, all N where k is larger) and the farthest one.

    `look` sees the tiles on and above the diagonal, in order; what it does not need it ignores.
    """
    found = _Found(points, min(k, len(points)))
    for start, other, tile in points.tiles(TILE):
        found.take(tile, start, other)
        look(start, other, tile)
    order, halves = found.sorted()
    return Neighbours(order, halves, found.farthest)


class _Found:
    """The best neighbours found so far, as three flat lists that are thinned now and then."""

    def __init__(self, points: Pictures, k: int) -> None:
        self.points, self.k = points, k
        self.noise = np.float32(max(NOISE * points.largest, FLAT))
        self.limits = np.full(len(points), np.inf, dtype=np.float32)  # a neighbour must be this near
        self.farthest = np.zeros(len(points), dtype=np.float32)
        self.lists: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = []
        self.fresh = 0

    def take(self, tile: NDArray[np.float32], start: int, other: int) -> None:
        """Note what may be among the k nearest of the tile's rows and, off the diagonal, of its columns."""
        height, width = tile.shape
        row_limits, column_limits = self.limits[start : start + height], self.limits[other : other + width]
        if start == 0:  # the first tile that these pictures meet
            np.minimum(column_limits, _kth_at_most(tile, self.k) + self.noise, out=column_limits)
        places = []
        for at in range(0, height, STRIP):
            strip = tile[at : at + STRIP]
            far_rows, far_columns = self.farthest[start + at :][: len(strip)], self.farthest[other : other + width]
            np.maximum(far_rows, strip.max(axis=1), out=far_rows)
            np.maximum(far_columns, strip.max(axis=0), out=far_columns)
            near = strip <= row_limits[at : at + STRIP, None]
            if start != other:
                near |= strip <= column_limits
            places.append(np.flatnonzero(near) + at * width)
        flat = np.concatenate(places)
        rows, columns = flat // width, flat % width
        halves = np.maximum(tile[rows, columns], 0)
        mine = (halves <= row_limits[rows]) & (rows + start != columns + other)
        self._note(rows[mine] + start, columns[mine] + other, halves[mine])
        if start != other:
            mine = halves <= column_limits[columns]
            self._note(columns[mine] + other, rows[mine] + start, halves[mine])
        if self.fresh > max(self.k * len(self.limits), TILE * TILE // 4):
            self._thin()

    def _note(self, rows: NDArray[np.intp], columns: NDArray[np.intp], halves: NDArray[np.float32]) -> None:
        self.lists.append((rows.astype(np.int32), columns.astype(np.int32), halves))
        self.fresh += len(rows)

    def _thin(self) -> None:
        """Tighten the limits to the k-th best and drop what lies beyond them."""
        rows, columns, halves = (np.concatenate(parts) for parts in zip(*self.lists, strict=True))
        keys = np.sort(_keys(rows, halves))
        counts = np.bincount(rows, minlength=len(self.limits))
        full = np.flatnonzero(counts >= self.k - 1)
        kth = np.full(len(self.limits), np.inf, dtype=np.float32)
        bits = keys[(np.cumsum(counts) - counts)[full] + self.k - 2] & 0xFFFFFFFF
        kth[full] = bits.astype(np.int32).view(np.float32)
        keep = halves <= (kth + self.noise)[rows]
        rows, columns, halves = rows[keep], columns[keep], halves[keep]
        np.minimum(self.limits, kth + self.noise, out=self.limits)
        crowded = np.bincount(rows, minlength=len(self.limits)) > self.k + SPARE
        if crowded.any():  # keep what is surely nearer, then what comes first in file order
            suspects = np.flatnonzero(crowded[rows])
            unsure = halves[suspects] >= (kth - self.noise)[rows[suspects]]
            keys = rows[suspects].astype(np.int64) << 32 | np.where(unsure, columns[suspects] + 1, 0)
            suspects = suspects[np.argsort(keys)]
            spare = suspects[_places(rows[suspects]) >= self.k + SPARE]
            rows, columns, halves = (np.delete(values, spare) for values in (rows, columns, halves))
            self.limits[crowded] = np.minimum(self.limits, kth - self.noise)[crowded]
        self.lists, self.fresh = [(rows, columns, halves)], 0

    def sorted(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The k nearest of each picture, itself first: which (N k) and half their squared distances (N k)."""
        self._thin()
        rows, columns, halves = self.lists[0]
        order = np.argsort(_keys(rows, halves), kind="stable")
        rows, columns, halves = rows[order], columns[order], halves[order]
        places = _places(rows)
        tied = (rows[1:] == rows[:-1]) & (halves[1:] - halves[:-1] <= self.noise)  # with the one before
        unsure = np.flatnonzero(np.append(tied, False) | np.insert(tied, 0, False))
        runs = np.insert(np.cumsum(~tied), 0, 0)[unsure]
        exact = halves[unsure].astype(np.float64)
        kth = halves[places == self.k - 2][rows[unsure]]
        crowd = (np.bincount(rows)[rows[unsure]] >= self.k + SPARE) & (exact >= kth - self.noise)
        exact[crowd] = kth[crowd]
        few = unsure[~crowd]
        exact[~crowd] = self.points.exact_halves(rows[few].astype(np.intp), columns[few].astype(np.intp))
        order = np.lexsort((columns[unsure], exact, runs))
        columns[unsure], halves[unsure] = columns[unsure][order], exact[order]
        best = places < self.k - 1
        itself = np.arange(len(self.limits), dtype=np.int32)[:, None]
        return (
            np.hstack([itself, columns[best].reshape(-1, self.k - 1)]),
            np.hstack([np.zeros_like(itself, dtype=np.float32), halves[best].reshape(-1, self.k - 1)]),
        )


def _kth_at_most(tile: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """A bound on the k-th smallest of each column, quickly: the k-th smallest of the minima of 4 k groups."""
    if len(tile) < k:
        return np.full(tile.shape[1], np.inf, dtype=np.float32)
    groups = min(len(tile), 4 * k)
    size = len(tile) // groups
    minima = tile[: groups * size].reshape(size, groups, -1).min(axis=0)
    bound: NDArray[np.float32] = np.partition(minima, k - 1, axis=0)[k - 1]
    return bound


def _keys(rows: NDArray[np.int32], halves: NDArray[np.float32]) -> NDArray[np.int64]:
    """Numbers that sort by row, then by distance: the bits of floats from 0 up sort as whole numbers do."""
    return (rows.astype(np.int64) << 32) | halves.view(np.int32)


def _places(rows: NDArray[np.int32]) -> NDArray[np.intp]:
    """How many entries of the same row stand before each entry; rows must be sorted."""
    return np.arange(len(rows)) - np.searchsorted(rows, rows)
