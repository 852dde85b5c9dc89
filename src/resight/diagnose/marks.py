"""What may be to blame: conditions of pictures and likenesses of pairs, met with the ledger in one pass over the rows.

A triple (query, true match, wrong picture) falls into one cell by its query and by the pattern of conditions that its
three pictures and two pairs show. Cells with their exposure (how many triples there are, lost or not) and loss are all
that a model of causes needs, so neither triples nor distances are kept. Market-1501 has tens of millions of cells and
few that lost anything: both are sparse.
Proof: tests/diagnose/test_marks.py lists all triples of small searches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy import sparse

from resight.diagnose.ledger import Row, rows_of
from resight.errors import BadFeatures
from resight.evaluate.protocols import Matching, ProtocolName, searched
from resight.search.features import Features

Where = Literal["query", "match", "wrong", "pair"]
WHERE: Final[tuple[Where, ...]] = ("query", "match", "wrong", "pair")
"""Which picture of a triple shows a condition; `pair`: query and wrong picture, or query and true match, together."""
BLOCK: Final = 1 << 20
"""Cells that are packed together."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two pictures are in one respect: the product of two descriptors, larger is more alike."""

    cause: str
    """What makes a wrong picture tempting when it is alike."""
    query: Float[np.ndarray, "Q E"]
    gallery: Float[np.ndarray, "G E"]
    levels: tuple[float, ...]
    """Rising; each one passed is a condition of its own."""
    unlike: str | None = None
    """What it is called when a true match is less alike than `least`."""
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class Marks:
    """Conditions of all pictures, K of them, and likenesses of pairs."""

    causes: tuple[str, ...]
    query: Bool[np.ndarray, "Q K"]
    gallery: Bool[np.ndarray, "G K"]
    likenesses: tuple[Likeness, ...] = ()
    unread: tuple[Bool[np.ndarray, " Q"], Bool[np.ndarray, " G"]] | None = None
    """Pictures that could not be read: they show no condition, and are no proof of its absence either."""

    def with_shams(self, *, count: int, share: float, rng: np.random.Generator) -> Marks:
        """Add conditions that are drawn at random and can be to blame for nothing: `sham 1` and so on."""
        query, gallery = (rng.random((len(side), count)) < share for side in (self.query, self.gallery))
        names = tuple(f"sham {number}" for number in range(1, count + 1))
        return replace(
            self,
            causes=self.causes + names,
            query=np.hstack([self.query, query]),
            gallery=np.hstack([self.gallery, gallery]),
        )


@dataclass(frozen=True, slots=True)
class Factor:
    """One column of the model: a cause where it may sit, at a level of likeness."""

    cause: str
    where: Where
    level: float | None = None
    """Of a likeness between query and wrong picture; None for everything else."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Triples of Q queries by the conditions they show: U different patterns of F factors."""

    factors: tuple[Factor, ...]
    patterns: Bool[np.ndarray, "U F"]
    person: Int[np.ndarray, " Q"]
    """Number of each query's person."""
    exposure: sparse.csr_array
    """Q U: triples of each query and pattern, each counted 1 / (true matches of its query)."""
    loss: sparse.csr_array
    """Q U, in AP of single queries: sums to answered · (1 - mAP)."""
    wrong_patterns: Bool[np.ndarray, "V F"]
    """The same by wrong picture alone, for what its own conditions do: M rows, V patterns."""
    wrong_pattern: Int[np.ndarray, " M"]
    wrong_person: Int[np.ndarray, " M"]
    wrong_exposure: Float[np.ndarray, " M"]
    wrong_loss: Float[np.ndarray, " M"]
    answered: int

    @property
    def total(self) -> float:
        """1 - mAP."""
        return float(self.loss.sum()) / self.answered

    @property
    def asked(self) -> Bool[np.ndarray, " Q"]:
        """Queries that have triples."""
        return np.asarray(np.diff(self.exposure.indptr) > 0)


def cells_of(
    features: Features,
    marks: Marks,
    *,
    protocol: ProtocolName = "market",
    distances: NDArray[np.float32] | None = None,
) -> Cells:
    """Sort all triples of a search into cells; raises BadFeatures where marks and features differ in length.

    `distances`, Q G, stand for those of the features where they are given (a re-ranked search).
    """
    for name, given, there in (
        ("query", marks.query, features.query),
        ("gallery", marks.gallery, features.gallery),
    ):
        if len(given) != len(there.persons):
            raise BadFeatures(f"{len(given)} {name} pictures have conditions, but {len(there.persons)} have features.")
    pooled, matching = searched(features, protocol)
    if pooled is not features:
        raise BadFeatures(f"`{protocol}` pools queries, whose conditions would mix: use another protocol.")
    return _Sorter(features, marks, matching, distances).cells()


class _Sorter:
    """One pass over the rows of a search. Codes are numbers of patterns: of queries, of gallery pictures, of pairs."""

    def __init__(
        self, features: Features, marks: Marks, matching: Matching, distances: NDArray[np.float32] | None
    ) -> None:
        self.features, self.marks, self.distances = features, marks, distances
        self.matching = matching
        self.query_patterns, self.query_code = _codes(marks.query)
        self.picture_patterns, code = _codes(marks.gallery[self.matching.counted])
        self.picture_code = code
        self.descriptors = [one.gallery[self.matching.counted].T.astype(np.float32) for one in marks.likenesses]
        self.pair_size = int(np.prod([len(one.levels) + 1 for one in marks.likenesses], dtype=np.int64))
        self.unlike_size = 1 << len(marks.likenesses)

    def cells(self) -> Cells:
        """Walk over all rows."""
        pictures, width = len(self.matching.counted), len(self.picture_patterns) * self.pair_size
        wrong_exposure, wrong_loss = np.zeros((2, pictures * self.pair_size))
        exposure, loss = _Rows(), _Rows()
        answered = 0
        for row in rows_of(self.features, self.matching, self.distances):
            answered += 1
            pair, unlike = self._pairs(row)
            code = self.picture_code * self.pair_size + pair
            counted = np.ones(pictures, np.bool_)
            counted[row.skipped] = False
            there = np.bincount(code[counted], minlength=width)
            place = np.arange(pictures) * self.pair_size + pair
            wrong_exposure[place[counted]] += 1
            wrong_loss[place[row.wrong]] += row.costs()
            match_code = self.picture_code[row.matches] * self.unlike_size + unlike
            seen = np.flatnonzero(there)
            for one in np.unique(match_code):
                some = match_code == one
                lost = np.bincount(code[row.wrong], row.costs(some), minlength=width)
                full = self.query_code[row.query] * len(self.picture_patterns) * self.unlike_size + one
                exposure.add(row.query, full * width + seen, there[seen] * (some.sum() / len(row.matches)))
                cost = np.flatnonzero(lost)
                loss.add(row.query, full * width + cost, lost[cost].astype(np.float64))  # no costs are whole numbers
        if answered == 0:
            raise BadFeatures("No query has a true match that counts: there is no loss to explain.")
        numbers = exposure.numbers()
        queries = len(self.query_code)
        shown = np.flatnonzero(wrong_exposure)
        wrong = self.picture_code[shown // self.pair_size] * self.pair_size + shown % self.pair_size
        wrong_numbers, wrong_pattern = np.unique(wrong, return_inverse=True)
        return Cells(
            factors=self._factors(),
            patterns=self._patterns(numbers),
            person=self.matching.query_person,
            exposure=exposure.matrix(numbers, queries),
            loss=loss.matrix(numbers, queries),
            wrong_patterns=self._wrong_patterns(wrong_numbers),
            wrong_pattern=wrong_pattern,
            wrong_person=self.matching.person[shown // self.pair_size],
            wrong_exposure=wrong_exposure[shown],
            wrong_loss=wrong_loss[shown],
            answered=answered,
        )

    def _pairs(self, row: Row) -> tuple[Int[np.ndarray, " G"], Int[np.ndarray, " T"]]:
        """Code of the levels that each gallery picture passes beside the query, and of how unlike the matches are."""
        pair = np.zeros(len(self.picture_code), np.int64)
        unlike = np.zeros(len(row.matches), np.int64)
        for place, (one, gallery) in enumerate(zip(self.marks.likenesses, self.descriptors, strict=True)):
            alike = one.query[row.query].astype(np.float32) @ gallery
            pair = pair * (len(one.levels) + 1) + np.searchsorted(one.levels, alike, "right")
            if one.unlike is not None:
                unlike += (alike[row.matches] < one.least).astype(np.int64) << place
        return pair, unlike

    def _factors(self) -> tuple[Factor, ...]:
        of_pictures = [Factor(cause, where) for where in WHERE[:3] for cause in self.marks.causes]
        alike = [Factor(one.cause, "pair", level) for one in self.marks.likenesses for level in one.levels]
        unlike = [Factor(one.unlike, "pair") for one in self.marks.likenesses if one.unlike is not None]
        return (*of_pictures, *alike, *unlike)

    def _patterns(self, numbers: Int[np.ndarray, " U"]) -> Bool[np.ndarray, "U F"]:
        """Write out what the cell numbers say, in the order of the factors."""
        width = len(self.picture_patterns) * self.pair_size
        full, wrong = np.divmod(numbers, width)
        query, match = np.divmod(full, len(self.picture_patterns) * self.unlike_size)
        match, unlike = np.divmod(match, self.unlike_size)
        bits = [
            (unlike >> place & 1).astype(np.bool_)[:, None]
            for place, one in enumerate(self.marks.likenesses)
            if one.unlike is not None
        ]
        pictures = [self.query_patterns[query], self.picture_patterns[match]]
        return np.hstack([*pictures, *self._of_wrong(wrong), *bits])

    def _wrong_patterns(self, numbers: Int[np.ndarray, " V"]) -> Bool[np.ndarray, "V F"]:
        found = self._of_wrong(numbers)
        before = np.zeros((len(numbers), 2 * len(self.marks.causes)), np.bool_)
        after = np.zeros((len(numbers), sum(one.unlike is not None for one in self.marks.likenesses)), np.bool_)
        return np.hstack([before, *found, after])

    def _of_wrong(self, numbers: Int[np.ndarray, " U"]) -> list[Bool[np.ndarray, "U _"]]:
        """Conditions of the wrong picture, then the levels of likeness that it passes."""
        picture, pair = np.divmod(numbers, self.pair_size)
        levels: list[Bool[np.ndarray, "U _"]] = []
        for one in reversed(self.marks.likenesses):
            pair, passed = np.divmod(pair, len(one.levels) + 1)
            levels.insert(0, passed[:, None] > np.arange(len(one.levels)))
        return [self.picture_patterns[picture], *levels]


class _Rows:
    """A sparse matrix that is filled row by row under numbers of its columns of which few are different."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Int[np.ndarray, " _"], Float[np.ndarray, " _"]]] = []
        self.blocks: list[tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]] = []
        """Different numbers of a block of rows, and which of them each entry has."""
        self.counts: dict[int, int] = {}
        self.values: list[Float[np.ndarray, " _"]] = []
        self.size = 0

    def add(self, row: int, numbers: Int[np.ndarray, " N"], values: Float[np.ndarray, " N"]) -> None:
        """Fill places of a row; rows come in order."""
        self.waiting.append((row, numbers, values))
        self.size += len(numbers)
        if self.size >= BLOCK:
            self._pack()

    def _pack(self) -> None:
        if not self.waiting:
            return
        numbers, place = np.unique(np.concatenate([one for _, one, _ in self.waiting]), return_inverse=True)
        self.blocks.append((numbers, place.astype(np.int32)))
        self.values.append(np.concatenate([one for _, _, one in self.waiting]))
        for row, one, _ in self.waiting:
            self.counts[row] = self.counts.get(row, 0) + len(one)
        self.waiting, self.size = [], 0

    def numbers(self) -> Int[np.ndarray, " U"]:
        """The different numbers, rising."""
        self._pack()
        return np.unique(np.concatenate([numbers for numbers, _ in self.blocks]))

    def matrix(self, numbers: Int[np.ndarray, " U"], rows: int) -> sparse.csr_array:
        """The matrix, a column for each of `numbers`; everything that was added is forgotten."""
        self._pack()
        ends = np.cumsum([0, *(self.counts.get(row, 0) for row in range(rows))])
        columns, values = np.empty(ends[-1], np.int32), np.empty(ends[-1])
        start = 0
        for (mine, place), some in zip(self.blocks, self.values, strict=True):
            columns[start : start + len(place)] = np.searchsorted(numbers, mine).astype(np.int32)[place]
            values[start : start + len(place)] = some
            start += len(place)
        self.blocks, self.values = [], []
        return sparse.csr_array((values, columns, ends), shape=(rows, len(numbers)))


def _codes(bits: Bool[np.ndarray, "N K"]) -> tuple[Bool[np.ndarray, "U K"], Int[np.ndarray, " N"]]:
    """Different rows of conditions, and which of them each picture shows."""
    if bits.shape[1] == 0:
        return np.zeros((1, 0), np.bool_), np.zeros(len(bits), np.int64)
    patterns, code = np.unique(bits, axis=0, return_inverse=True)
    return patterns, code.reshape(-1)
