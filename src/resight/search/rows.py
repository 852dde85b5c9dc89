"""Rows of features: their lengths, rows at length 1, and rows that are the same.

Proof: tests/search/test_distances.py.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resight.types import Side

ROWS_AT_ONCE: Final = 1024
TINY_SQUARE: Final = 1e-18
"""Squares near the lower end of float32 lose digits: they are summed again in float64."""
ZERO_LENGTH: Final = 1e-30
"""A shorter feature counts as zeros: its direction is rounding error."""


def normalised(side: Side) -> NDArray[np.float32]:
    """Bring the features of one side to length 1 (zeros stay zeros), N D: a copy."""
    return side.features * inverse(row_lengths(side.features))[:, None]


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


def inverse(lengths: NDArray[np.float64]) -> NDArray[np.float32]:
    """One over each length; 0 where the length counts as zero."""
    return np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > ZERO_LENGTH).astype(np.float32)
