"""Features of queries and gallery as points of length 1 whose distances one matrix product gives.

Distances are squared Euclidean (a feature of zeros stays zeros). The points are shifted by about their common mean,
which moves no distance and keeps small ones precise in float32. Nothing is copied but one panel of rows at a time.
Proof: tests/search/test_neighbours.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resight.errors import BadFeatures

ROWS_AT_ONCE: Final = 1024
PAIRS_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class Points:
    """Queries, then gallery, as points of length 1: no second copy of the features, only what it takes to make one."""

    query: NDArray[np.float32]
    """Q D, as given."""
    gallery: NDArray[np.float32]
    """G D, as given."""
    scales: NDArray[np.floating[Any]]
    """N: one over the length, 0 where that is 0; float64 where float32 could not hold one."""
    middle: NDArray[np.float32]
    """D: about the mean of all points; it is taken off each."""
    half_squares: NDArray[np.float32]
    """N: half the squared length of what is left."""

    def __len__(self) -> int:
        return len(self.scales)

    @property
    def asks(self) -> int:
        """How many of the points are queries: the first ones."""
        return len(self.query)

    @property
    def largest(self) -> float:
        """Largest squared length, which float32's errors grow with."""
        return 2 * float(self.half_squares.max())

    def tiles(self, side: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """Half the squared distances, tile by tile of at most `side` rows and columns, on and above the diagonal.

        Yields first row, first column, and the tile, which the next one overwrites.
        """
        height = min(side, len(self))
        left, right = np.empty((2, height, len(self.middle) + 2), dtype=np.float32)
        buffer = np.empty(height * height, dtype=np.float32)
        for start in range(0, len(self), side):
            rows = self.mirrored(start, left)
            for other in range(start, len(self), side):
                columns = rows if other == start else self.panel(other, right)
                tile = buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns))
                if other == start:
                    _within(rows, tile)
                else:
                    np.matmul(rows, columns.T, out=tile)
                yield start, other, tile

    def panel(self, start: int, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """The points from `start` in the first rows of `out`: D numbers, half their squared length, and 1."""
        stop, asks = min(start + len(out), len(self)), len(self.query)
        panel = out[: stop - start]
        for side, first in (self.query, 0), (self.gallery, asks):
            rows = slice(max(start, first), min(stop, first + len(side)))
            if rows.start < rows.stop:
                given, points = side[rows.start - first : rows.stop - first], panel[rows.start - start :, :-2]
                np.multiply(given, self.scales[rows, None], out=points[: len(given)], casting="same_kind")
        panel[:, :-2] -= self.middle
        panel[:, -2] = self.half_squares[start:stop]
        panel[:, -1] = 1
        return panel

    def mirrored(self, start: int, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a panel is multiplied with for half the squared distances: points negated, 1, half squared length."""
        panel = self.panel(start, out)
        panel[:, :-2] *= -1
        panel[:, -2:] = panel[:, :-3:-1].copy()
        return panel

    def halves(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Half the squared distance of each pair rows[i], columns[i]."""
        found = np.empty(len(rows), dtype=np.float32)
        for at in _chunks(len(rows)):
            apart = self._given(rows[at]) * self.scales[rows[at], None]
            apart -= self._given(columns[at]) * self.scales[columns[at], None]
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


def as_points(query: NDArray[np.float32], gallery: NDArray[np.float32]) -> Points:
    """Check two sides of features (Q D, G D) and prepare them for `nearest`.

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
    count, width = len(query) + len(gallery), query.shape[1]
    scales, middle = np.zeros(count), np.zeros(width, dtype=np.float32)
    for name, side, first in (("query", query, 0), ("gallery", gallery, len(query))):
        for start in range(0, len(side), ROWS_AT_ONCE):
            some = side[start : start + ROWS_AT_ONCE]
            lengths = _lengths(some)
            if not np.isfinite(lengths).all():
                row = start + int(np.isfinite(lengths).argmin())
                raise BadFeatures(f"{name} features row {row} holds NaN or infinite values; embed that picture again.")
            scale = scales[first + start : first + start + len(some)]
            np.divide(1, lengths, out=scale, where=lengths > 0)
            middle += _narrow(scale) @ some / count
    points = Points(query, gallery, _narrow(scales), middle, np.zeros(count, dtype=np.float32))
    panel = np.empty((min(ROWS_AT_ONCE, count), width + 2), dtype=np.float32)
    for start in range(0, count, ROWS_AT_ONCE):
        shifted = points.panel(start, panel)[:, :-2]
        points.half_squares[start : start + ROWS_AT_ONCE] = np.einsum("nd,nd->n", shifted, shifted) / 2
    return points


def _within(rows: NDArray[np.float32], tile: NDArray[np.float32]) -> None:
    """Half the squared distances among mirrored points: a product with itself costs half of one with others."""
    np.matmul(rows[:, :-2], rows[:, :-2].T, out=tile)
    np.subtract(rows[:, -1], tile, out=tile)
    np.add(tile, rows[:, -1:], out=tile)


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


def _narrow(scales: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
    """The same in float32 where it holds them well."""
    fits = (scales == 0) | ((scales > 1e-15) & (scales < 1e15))
    return scales.astype(np.float32) if fits.all() else scales


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, PAIRS_AT_ONCE):
        yield slice(start, start + PAIRS_AT_ONCE)
