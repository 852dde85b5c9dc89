"""Distances between queries and gallery, in blocks of query rows: neither the full matrix nor a second gallery is made.

Parts that both crops show are compared in part_distances.py, for the share that the features say.
Cosine: 1 - q.g / (|q| |g|), 0..2; a feature of zeros is at 1 from everything. Euclidean: |q - g|, 0 and up.
Differs from one big matrix product: a product rounds the same feature differently at different places of the matrix,
so gallery rows of equal bytes take the distance of the first of them. Equal features are equally far, always.
Proof: tests/search/test_distances.py; benchmarks/evaluate_speed.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resight.search.features import Features, Metric
from resight.search.part_distances import PartTable, blend, part_table
from resight.search.rows import equal_rows, inverse, row_lengths

BLOCK_BYTES: Final = 32 << 20
"""Size of one block of distances; larger ones make the matrix product no faster."""
FEWEST_ROWS: Final = 16
"""Rows of a block however large the gallery is: fewer would read all gallery features for next to nothing."""


@dataclass(frozen=True, slots=True)
class Block:
    """Distances of some consecutive queries to the gallery. The array is overwritten by the next block."""

    start: int
    distances: NDArray[np.float32]
    """Rows G: row i belongs to query `start + i`."""


def distance_blocks(features: Features, *, rows: int | None = None, columns: slice = slice(None)) -> Iterator[Block]:
    """Yield the distances of all queries to the gallery pictures in `columns`, `rows` queries at a time.

    `rows` None takes as many as fit into 32 MiB.
    """
    whole = _Whole(features, columns) if features.part_share < 1 else None
    parts = _Parts(features, columns) if features.part_share > 0 else None
    width = len(features.gallery.features[columns])
    queries = len(features.query.features)
    if rows is None:
        rows = max(FEWEST_ROWS, BLOCK_BYTES // (4 * max(1, width)))
    values = np.empty((min(rows, queries), width), dtype=np.float32)
    for start in range(0, queries, len(values)):
        block = values[: queries - start]
        if whole is not None:
            whole.fill(start, block)
        if parts is not None:
            parts.blend(start, block, features.part_share)
        yield Block(start, block)


def stored_blocks(distances: NDArray[np.float32], *, columns: slice = slice(None)) -> Iterator[Block]:
    """The same from distances that are there already, Q G, in memory or in a mapped file."""
    queries, width = distances[:, columns].shape
    rows = max(FEWEST_ROWS, BLOCK_BYTES // (4 * max(1, width)))
    for start in range(0, queries, rows):
        yield Block(start, np.ascontiguousarray(distances[start : start + rows, columns]))


class _Whole:
    """Distances of whole-body features."""

    def __init__(self, features: Features, columns: slice) -> None:
        self.queries, self.gallery = features.query.features, features.gallery.features[columns]
        self.metric = features.metric
        self.copies, self.originals = equal_rows(self.gallery)
        self.terms = _gallery_terms(self.gallery, self.metric)

    def fill(self, start: int, block: NDArray[np.float32]) -> None:
        some = self.queries[start : start + len(block)]
        lengths = row_lengths(some)
        if self.metric == "cosine":
            np.matmul(some * inverse(lengths)[:, None], self.gallery.T, out=block)
        else:
            np.matmul(some * np.float32(-2), self.gallery.T, out=block)
        for row, length in zip(block, lengths, strict=True):  # row by row: a row stays in the processor's cache
            _finish(row, self.terms, length, self.metric)
            if len(self.copies):
                row[self.copies] = row[self.originals]


class _Parts:
    """Distances over parts; the gallery's parts are held once more, times how visible they are."""

    def __init__(self, features: Features, columns: slice) -> None:
        self.query, self.metric = features.query, features.metric
        self.gallery = part_table(features.gallery, self.metric, columns)
        self.equal = equal_rows(self.gallery.rows)
        self.room: list[NDArray[np.float32]] = []

    def blend(self, start: int, block: NDArray[np.float32], share: float) -> None:
        if not self.room:
            self.room = [np.empty_like(block) for _ in range(PartTable.ROOM)]
        some = part_table(self.query, self.metric, slice(start, start + len(block)))
        blend(block, some, self.gallery, share=share, room=self.room, equal=self.equal)


def distance_matrix(features: Features) -> NDArray[np.float32]:
    """All distances at once, Q G: for small sets and for the re-ranking of a few."""
    matrix = np.empty((len(features.query.features), len(features.gallery.features)), dtype=np.float32)
    for block in distance_blocks(features):
        matrix[block.start : block.start + len(block.distances)] = block.distances
    return matrix


def _gallery_terms(gallery: NDArray[np.float32], metric: Metric) -> NDArray[np.float32]:
    lengths = row_lengths(gallery)
    return -inverse(lengths) if metric == "cosine" else np.square(lengths).astype(np.float32)


def _finish(row: NDArray[np.float32], terms: NDArray[np.float32], length: np.float64, metric: Metric) -> None:
    """Turn one row of products into distances, in place."""
    if metric == "cosine":
        np.multiply(row, terms, out=row)
        np.add(row, 1, out=row)
        np.maximum(row, 0, out=row)
    else:
        np.add(row, terms, out=row)
        np.add(row, np.float32(length * length), out=row)
        np.maximum(row, 0, out=row)
        np.sqrt(row, out=row)
