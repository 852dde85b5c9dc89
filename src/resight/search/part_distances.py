"""Distance of two crops over the parts that both show, as matrix products: no parts × query × gallery cube.

Source: Sun et al., "Perceive Where to Focus", CVPR 2019, arXiv:1904.00537: the mean of the parts' distances, each
weighed by how visible the part is on both sides, v_q v_g. With these weights the mean cosine distance is one product of
the parts (at length 1, times their visibility), laid side by side, over one product of the visibilities.
Differs: the Euclidean distance is the root of the weighed mean of squares, not the mean of roots, which needs the cube.
No part shared: the distance of whole bodies alone, where it is part of the answer; else as if the parts stood at right
angles: cosine 1, Euclidean the root of both crops' own mean squared lengths. A part of zeros is at cosine 1 from all.
Proof: tests/search/test_part_distances.py; benchmarks/part_distance_speed.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from resight.errors import BadFeatures
from resight.search.features import Metric
from resight.search.rows import ZERO_LENGTH
from resight.types import Side

SHARED: Final = np.float32(1e-12)
"""Two crops whose visibilities' products sum to less than this share no part."""
ROWS_AT_ONCE: Final = 256
EVERYTHING: Final = slice(None)


@dataclass(frozen=True, slots=True)
class PartTable:
    """Some crops of one side, ready for the products."""

    ROOM: ClassVar[int] = 3
    """Blocks of scratch memory that `blend` needs."""

    rows: NDArray[np.float32]
    """N (P D + 2 P): each part times its visibility, the visibilities, and these times the squared lengths."""
    part_count: int
    metric: Metric

    @property
    def parts(self) -> NDArray[np.float32]:
        return self.rows[:, : -2 * self.part_count]

    @property
    def visible(self) -> NDArray[np.float32]:
        return self.rows[:, -2 * self.part_count : -self.part_count]

    @property
    def squares(self) -> NDArray[np.float32]:
        return self.rows[:, -self.part_count :]

    def take(self, rows: slice) -> PartTable:
        """Only some crops; nothing is copied."""
        return PartTable(self.rows[rows], self.part_count, self.metric)


def part_table(side: Side, metric: Metric, rows: slice = EVERYTHING) -> PartTable:
    """Lay the parts of some crops side by side, each times how visible it is. Raises BadFeatures without parts."""
    if side.parts is None or side.visible is None:
        raise BadFeatures(
            "These features tell no parts apart: embed with a model that knows parts, or compare `global`."
        )
    given, visible = side.parts[rows], side.visible[rows]
    count, parts, width = given.shape
    table = PartTable(np.empty((count, parts * (width + 2)), dtype=np.float32), parts, metric)
    for start in range(0, count, ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        squares = np.einsum("npd,npd->np", given[some], given[some], dtype=np.float64)
        scale = visible[some].astype(np.float64)
        if metric == "cosine":
            lengths = np.sqrt(squares)
            scale = np.divide(scale, lengths, out=np.zeros_like(lengths), where=lengths > ZERO_LENGTH)
        shape = len(squares), parts, width
        np.multiply(given[some], scale[:, :, None], out=table.parts[some].reshape(shape), casting="same_kind")
        table.visible[some] = visible[some]
        table.squares[some] = visible[some] * squares
    return table


def unit_parts(side: Side) -> NDArray[np.float32]:
    """Bring each part of one side to length 1 (zeros stay zeros), N P D: a copy. Raises BadFeatures without parts."""
    if side.parts is None:
        raise BadFeatures("These features tell no parts apart.")
    lengths = np.sqrt(np.einsum("npd,npd->np", side.parts, side.parts, dtype=np.float64))
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > ZERO_LENGTH)
    return np.asarray(side.parts * scale[:, :, None], dtype=np.float32)


def blend(
    block: NDArray[np.float32],
    query: PartTable,
    gallery: PartTable,
    *,
    share: float,
    room: Sequence[NDArray[np.float32]],
    equal: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
) -> None:
    """Put (1 - share) of what stands in `block` (rows × gallery) plus `share` of the part distance there, in place.

    At `share` 1 the block's old values count nowhere, not even where no part is shared. `room` holds `PartTable.ROOM`
    arrays at least as large as the block. `equal`: gallery rows that are copies, and of which ones.
    """
    alike, both, apart = (one.reshape(-1)[: block.size].reshape(block.shape) for one in room)
    np.matmul(query.parts, gallery.parts.T, out=alike)
    np.matmul(query.visible, gallery.visible.T, out=both)
    euclidean = query.metric == "euclidean"
    own_query, own_gallery = (_own_squares(table) if euclidean else None for table in (query, gallery))
    if euclidean:
        mirrored = np.hstack([gallery.squares, gallery.visible])
        np.matmul(query.rows[:, -2 * query.part_count :], mirrored.T, out=apart)
    for number, (row, part, weight) in enumerate(zip(block, alike, both, strict=True)):
        hidden = np.flatnonzero(weight < SHARED)
        np.maximum(weight, SHARED, out=weight)
        if own_query is not None and own_gallery is not None:
            part *= -2
            part += apart[number]
            part /= weight
            part[hidden] = own_query[number] + own_gallery[hidden]
            np.sqrt(np.maximum(part, 0, out=part), out=part)
        else:
            part /= weight
            np.subtract(1, part, out=part)
            np.maximum(part, 0, out=part)
            part[hidden] = 1
        if equal is not None and len(equal[0]):
            part[equal[0]] = part[equal[1]]
        if share < 1:
            part[hidden] = row[hidden]
            part *= np.float32(share)
            row *= np.float32(1 - share)
            row += part
        else:
            row[:] = part


def _own_squares(table: PartTable) -> NDArray[np.float32]:
    """Mean squared length of each crop's parts, weighed by how visible they are; 0 where none is."""
    total = table.visible.sum(axis=1)
    return np.asarray(np.divide(table.squares.sum(axis=1), total, out=np.zeros_like(total), where=total > 0))
