"""The nearest neighbours of every picture among all pictures, exact, without a matrix of all distances.

Distances are squared Euclidean between features of length 1 (a feature of zeros stays zeros). They are computed tile by
tile in float32 on features shifted to their common mean, which moves no distance and keeps small ones precise; each
pair is computed once and serves both ends. Where float32 cannot tell which of two neighbours comes first, float64
does; neighbours that agree to twelve digits come in file order.
Differs from a sort of each row: a tile leaves behind only what beats the row's k-th best so far, so memory is O(N k).
Limit: of more than 64 pictures that are equally near as far as float32 can tell, the first in file order are kept.
Proof: tests/search/test_neighbours.py; benchmarks/rerank_speed.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resight.errors import BadFeatures

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
PAIRS_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class Points:
    """Queries, then gallery, as points whose distances a single matrix product gives."""

    query: NDArray[np.float32]
    """Q D, as given."""
    gallery: NDArray[np.float32]
    """G D, as given."""
    rows: NDArray[np.float32]
    """N D+2: the feature of length 1 less the mean of all, half its squared length, and 1."""

    def tile(self, start: int, other: int, left: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Half the squared distances of the rows from `start` to those from `other`, a view of `out`."""
        rows, columns = self.rows[start : start + TILE], self.rows[other : other + TILE]
        tile = out[: len(rows) * len(columns)].reshape(len(rows), len(columns))
        if start != other:
            return np.matmul(left, columns.T, out=tile)
        np.matmul(rows[:, :-2], rows[:, :-2].T, out=tile)  # a product with itself costs half
        np.subtract(rows[:, -2], tile, out=tile)
        return np.add(tile, rows[:, -2:-1], out=tile)

    def mirrored(self, start: int, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the rows from `start` are multiplied with: the feature negated, 1, and half its squared length."""
        rows = self.rows[start : start + TILE]
        left = np.negative(rows, out=out[: len(rows)])
        left[:, -2] = 1
        left[:, -1] = rows[:, -2]
        return left

    def halves(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Half the squared distance of each pair rows[i], columns[i]."""
        found = np.empty(len(rows), dtype=np.float32)
        for at in _chunks(len(rows)):
            apart = self.rows[rows[at], :-2]
            apart -= self.rows[columns[at], :-2]
            found[at] = np.einsum("nd,nd->n", apart, apart) / 2
        return found

    def exact_halves(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The same in float64 from the features as given, to twelve digits."""
        found = np.empty(len(rows), dtype=np.float64)
        for at in _chunks(len(rows)):
            apart = _unit(self._given(rows[at])) - _unit(self._given(columns[at]))
            found[at] = np.square(apart).sum(axis=1) / 2
        return np.round(found, 12)

    def _given(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        given = np.empty((len(rows), self.query.shape[1]), dtype=np.float32)
        asks = rows < len(self.query)
        given[asks] = self.query[rows[asks]]
        given[~asks] = self.gallery[rows[~asks] - len(self.query)]
        return given


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest pictures of every picture, nearest first; each is its own first neighbour."""

    order: NDArray[np.int32]
    """N k: which pictures."""
    halves: NDArray[np.float32]
    """N k: half their squared distances."""
    farthest: NDArray[np.float32]
    """N: half the squared distance to the picture that is farthest of all."""


def as_points(query: NDArray[np.float32], gallery: NDArray[np.float32]) -> Points:
    """Check two sides of features (Q D, G D) and lay them out for `nearest`; takes one copy of both.

    Raises BadFeatures for no rows, unequal widths, and a row with NaN or infinite values, named.
    """
    if query.ndim != 2 or gallery.ndim != 2 or 0 in query.shape or 0 in gallery.shape:
        raise BadFeatures(
            f"Features are {query.shape} for the queries and {gallery.shape} for the gallery; each side needs at least "
            "one row of numbers."
        )
    if query.shape[1] != gallery.shape[1]:
        raise BadFeatures(
            f"Query features are {query.shape[1]} wide and gallery features {gallery.shape[1]}; embed both with one "
            "model."
        )
    width = query.shape[1]
    rows = np.empty((len(query) + len(gallery), width + 2), dtype=np.float32)
    middle = np.zeros(width, dtype=np.float32)
    for name, side, first in (("query", query, 0), ("gallery", gallery, len(query))):
        for start in range(0, len(side), TILE):
            some = side[start : start + TILE]
            lengths = _lengths(some)
            if not np.isfinite(lengths).all():
                row = start + int(np.isfinite(lengths).argmin())
                raise BadFeatures(f"{name} features row {row} holds NaN or infinite values; embed that picture again.")
            unit = rows[first + start : first + start + len(some), :width]
            scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
            np.multiply(some, scale[:, None], out=unit, casting="same_kind")
            middle += unit.sum(axis=0)
    middle /= len(rows)
    for start in range(0, len(rows), TILE):
        some = rows[start : start + TILE, :width]
        some -= middle
        rows[start : start + TILE, width] = np.einsum("nd,nd->n", some, some) / 2
    rows[:, width + 1] = 1
    return Points(query, gallery, rows)


Look = Callable[[int, int, NDArray[np.float32]], None]
"""Called with each tile: its first row, its first column, half the squared distances (overwritten by the next tile)."""


def tile_count(pictures: int) -> int:
    """How many tiles `nearest` goes through."""
    side = -(-pictures // TILE)
    return side * (side + 1) // 2


def nearest(points: Points, k: int, *, look: Look) -> Neighbours:
    """Find the k nearest pictures of every picture (itself included, all N where k is larger) and the farthest one.

    `look` sees the tiles on and above the diagonal, in order; what it does not need it ignores.
    """
    count, width = points.rows.shape
    found, height = _Found(points, min(k, count)), min(TILE, count)
    mirror = np.empty((height, width), dtype=np.float32)
    buffer = np.empty(height * height, dtype=np.float32)
    for start in range(0, count, TILE):
        left = points.mirrored(start, mirror)
        for other in range(start, count, TILE):
            tile = points.tile(start, other, left, buffer)
            found.take(tile, start, other)
            look(start, other, tile)
    order, halves = found.sorted()
    return Neighbours(order, halves, found.farthest)


class _Found:
    """The best neighbours found so far, as three flat lists that are thinned now and then."""

    def __init__(self, points: Points, k: int) -> None:
        self.points, self.k = points, k
        self.noise = np.float32(max(NOISE * 2 * points.rows[:, -2].max(), FLAT))
        self.limits = np.full(len(points.rows), np.inf, dtype=np.float32)  # a neighbour must be this near
        self.farthest = np.zeros(len(points.rows), dtype=np.float32)
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


def _unit(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rows at length 1 in float64; zeros stay zeros."""
    wide = features.astype(np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    wide /= np.where(lengths > 0, lengths, 1)[:, None]
    return wide


def _lengths(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Length of each row; squares that float32 could not hold are summed in float64."""
    squares = np.einsum("nd,nd->n", features, features).astype(np.float64)
    odd = ~((squares > 1e-18) & (squares < 1e30))
    squares[odd] = np.square(features[odd], dtype=np.float64).sum(axis=1)
    return np.asarray(np.sqrt(squares))


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, PAIRS_AT_ONCE):
        yield slice(start, start + PAIRS_AT_ONCE)
