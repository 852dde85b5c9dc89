"""Distances between queries and gallery, in blocks of query rows: neither the full matrix nor a second gallery is made.

Cosine: 1 - q.g / (|q| |g|), 0..2; a feature of zeros is at 1 from everything. Euclidean: |q - g|, 0 and up.
Differs from one big matrix product: a product rounds the same feature differently at different places of the matrix,
so gallery rows of equal bytes take the distance of the first of them. Equal features are equally far, always.
Proof: tests/search/test_distances.py; benchmarks/evaluate_speed.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resight.search.features import Features, Metric
from resight.types import Side

BLOCK_BYTES: Final = 32 << 20
"""Size of one block of distances; larger ones make the matrix product no faster."""
FEWEST_ROWS: Final = 16
"""Rows of a block however large the gallery is: fewer would read all gallery features for next to nothing."""
ROWS_AT_ONCE: Final = 1024
TINY_SQUARE: Final = 1e-18
"""Squares near the lower end of float32 lose digits: they are summed again in float64."""
ZERO_LENGTH: Final = 1e-30
"""A shorter feature counts as zeros: its direction is rounding error."""


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
    gallery = features.gallery.features[columns]
    copies, originals = equal_rows(gallery)
    scale = _gallery_terms(gallery, features.metric)
    queries = features.query.features
    if rows is None:
        rows = max(FEWEST_ROWS, BLOCK_BYTES // (4 * max(1, len(gallery))))
    rows = min(rows, len(queries))
    values = np.empty((rows, len(gallery)), dtype=np.float32)
    for start in range(0, len(queries), rows):
        some = queries[start : start + rows]
        block = values[: len(some)]
        lengths = row_lengths(some)
        if features.metric == "cosine":
            np.matmul(some * _inverse(lengths)[:, None], gallery.T, out=block)
        else:
            np.matmul(some * np.float32(-2), gallery.T, out=block)
        for row, length in zip(block, lengths, strict=True):  # row by row: a row stays in the processor's cache
            _finish(row, scale, length, features.metric)
            if len(copies):
                row[copies] = row[originals]
        yield Block(start, block)


def distance_matrix(features: Features) -> NDArray[np.float32]:
    """All distances at once, Q G: for small sets and for the re-ranking of a few."""
    matrix = np.empty((len(features.query.features), len(features.gallery.features)), dtype=np.float32)
    for block in distance_blocks(features):
        matrix[block.start : block.start + len(block.distances)] = block.distances
    return matrix


def normalised(side: Side) -> NDArray[np.float32]:
    """Bring the features of one side to length 1 (zeros stay zeros), N D: a copy."""
    return side.features * _inverse(row_lengths(side.features))[:, None]


def row_lengths(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean length of each row, N; summed in float64 where squares would vanish in float32."""
    squares = np.einsum("nd,nd->n", features, features).astype(np.float64)
    tiny = np.flatnonzero(squares < TINY_SQUARE)
    for start in range(0, len(tiny), ROWS_AT_ONCE):
        rows = tiny[start : start + ROWS_AT_ONCE]
        squares[rows] = np.square(features[rows], dtype=np.float64).sum(axis=1)
    return np.asarray(np.sqrt(squares))


def equal_rows(features: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows whose bytes equal an earlier row's: (copies, originals), both of one length."""
    words = np.ascontiguousarray(features).view(np.uint32)
    sums = np.add.reduce(words, axis=1, dtype=np.uint32)  # equal rows have equal sums; the few others are told apart
    order = np.argsort(sums, kind="stable")
    alike = sums[order][1:] == sums[order][:-1]
    suspects = np.sort(order[np.append(alike, False) | np.insert(alike, 0, False)])
    first: dict[bytes, int] = {}
    originals = np.array(
        [first.setdefault(hashlib.blake2b(words[row].data, digest_size=16).digest(), int(row)) for row in suspects],
        dtype=np.intp,
    )
    return suspects[originals != suspects], originals[originals != suspects]


def _inverse(lengths: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > ZERO_LENGTH).astype(np.float32)


def _gallery_terms(gallery: NDArray[np.float32], metric: Metric) -> NDArray[np.float32]:
    lengths = row_lengths(gallery)
    return -_inverse(lengths) if metric == "cosine" else np.square(lengths).astype(np.float32)


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
