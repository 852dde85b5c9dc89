"""Re-rank a gallery by k-reciprocal neighbours: pictures that count each other among their nearest stand together.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017, with the details of
the authors' code that change results: squared distances over each row's largest, neighbourhoods that hold the picture
itself, an expansion above (not at) two thirds, encodings that sum to 1.
Differs: nothing of size N x N is ever held, only the nearest neighbours and sparse encodings. Neighbours at equal
distances come in file order, the picture itself first. Features that are all equal are at distance 0, not 0/0.
Proof: tests/search/test_rerank.py; benchmarks/rerank_speed.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from resight.errors import BadRecipe
from resight.search.features import Features
from resight.search.neighbours import FLAT, Neighbours, Pictures, nearest, tile_count
from resight.search.part_points import points_of
from resight.search.points import as_points

Told = Callable[[int, int], None]
"""Called with the number of tiles that are done and of all there are."""
K1: Final = 20
K2: Final = 6
LAMBDA: Final = 0.3
"""With `K1` and `K2`, what the paper takes for large sets."""
ROWS_AT_ONCE: Final = 4096
CELLS_AT_ONCE: Final = 1 << 18


def rerank(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    *,
    k1: int,
    k2: int,
    lambda_: float,
    out: NDArray[np.float32] | None = None,
    told: Told | None = None,
) -> NDArray[np.float32]:
    """Distances of Q queries to G gallery pictures, Q G, in 0..1, from their features Q D and G D of any length.

    `lambda_` is the share of the original distance, 0..1: at 1 the result is the original distance, squared Euclidean
    of features of length 1 over the largest of the query's row. Neighbours come from queries and gallery together,
    junk and distractors included. A `k1` or `k2` beyond the number of pictures means all of them. The result goes into
    `out` where given, which may be a memory-mapped file.

    Raises BadRecipe for numbers out of range, BadFeatures for features that cannot be compared.
    """
    return _rerank(as_points(query, gallery), k1=k1, k2=k2, lambda_=lambda_, out=out, told=told)


def rerank_features(
    features: Features,
    *,
    k1: int,
    k2: int,
    lambda_: float,
    out: NDArray[np.float32] | None = None,
    told: Told | None = None,
) -> NDArray[np.float32]:
    """The same for a features file, over the parts that both crops show for the share that the file says.

    Whole bodies and parts are compared by cosine, which is half the squared distance of features of length 1.
    """
    return _rerank(points_of(features), k1=k1, k2=k2, lambda_=lambda_, out=out, told=told)


def _rerank(
    points: Pictures, *, k1: int, k2: int, lambda_: float, out: NDArray[np.float32] | None, told: Told | None
) -> NDArray[np.float32]:
    check_numbers(k1=k1, k2=k2, lambda_=lambda_)
    asks = points.asks
    gallery = len(points) - asks
    final = np.empty((asks, gallery), dtype=np.float32) if out is None else out
    tiles, done = tile_count(len(points)), 0

    def look(start: int, other: int, tile: NDArray[np.float32]) -> None:
        nonlocal done
        done += 1
        if told is not None:
            told(done, tiles)
        first = max(asks - other, 0)  # the tile's first gallery column
        if start < asks and first < tile.shape[1]:
            rows = tile[: asks - start, first:]
            columns = slice(other + first - asks, other + tile.shape[1] - asks)
            np.maximum(rows, 0, out=final[start : start + len(rows), columns])

    neighbours = nearest(points, max(k1 + 1, k2), look=look)
    scale = np.where(neighbours.farthest > FLAT, neighbours.farthest, np.inf).astype(np.float32)
    if lambda_ == 1:
        final /= scale[:asks, None]
        return final
    encodings = _expand_queries(_encode(points, neighbours, scale, k1), neighbours, k2)
    del points
    for rows, cells, shared in _shared(encodings, asks):
        block = final[rows]
        block *= np.float32(lambda_) / scale[rows, None]
        block += np.float32(1 - lambda_)
        at = np.divmod(cells, gallery)
        block[at] = np.maximum(block[at] - (1 - lambda_) * shared / (2 - shared), 0)
    return final


def check_numbers(*, k1: int, k2: int, lambda_: float) -> None:
    """Raise BadRecipe unless k1 and k2 are at least 1 and lambda lies in 0..1."""
    for name, value in (("k1", k1), ("k2", k2)):
        if value < 1:
            raise BadRecipe(f"{name} is {value}: it counts neighbours, so give 1 or more (the paper takes 20 and 6).")
    if not 0 <= lambda_ <= 1:
        raise BadRecipe(
            f"lambda is {lambda_}: it is the share of the original distance, so give a number from 0 to 1 (the paper "
            "takes 0.3)."
        )


def _reciprocal(order: NDArray[np.int32], k: int) -> Any:
    """Pictures that are among each other's first k, as a symmetric sparse matrix of ones, N N."""
    count = len(order)
    k = min(k, order.shape[1])
    ends = np.arange(0, count * k + 1, k)
    forward = sparse.csr_array((np.ones(count * k, np.int32), order[:, :k].ravel(), ends), shape=(count, count))
    return forward.multiply(forward.T).tocsr()


def _encode(points: Pictures, neighbours: Neighbours, scale: NDArray[np.float32], k1: int) -> Any:
    """Each picture as weights of its expanded k-reciprocal neighbours, which sum to 1; sparse, N N."""
    whole = _reciprocal(neighbours.order, k1 + 1)
    half = _reciprocal(neighbours.order, round(k1 / 2) + 1)  # round and numpy take halves to the even number alike
    sizes = np.diff(half.indptr)
    blocks = []
    for start in range(0, whole.shape[0], ROWS_AT_ONCE):
        mine = whole[start : start + ROWS_AT_ONCE]
        kept = mine.multiply(mine @ half).tocsr()  # how many of a neighbour's half set are neighbours here too
        kept.data = (3 * kept.data > 2 * sizes[kept.indices]).astype(np.int32)
        kept.eliminate_zeros()
        expanded = (mine + kept @ half).tocoo()
        rows, columns = expanded.row.astype(np.intp) + start, expanded.col.astype(np.intp)
        weights = np.exp(-_halves(points, neighbours, rows, columns) / scale[rows])
        weights /= np.bincount(expanded.row, weights, minlength=mine.shape[0])[expanded.row]
        blocks.append(sparse.csr_array((weights.astype(np.float32), (expanded.row, expanded.col)), shape=mine.shape))
    return sparse.vstack(blocks, format="csr")


def _halves(
    points: Pictures, neighbours: Neighbours, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Half the squared distance of each pair: looked up among the neighbours, computed where it is not there."""
    same = neighbours.order[rows] == columns[:, None]
    halves: NDArray[np.float32] = neighbours.halves[rows, same.argmax(axis=1)]
    unknown = np.flatnonzero(~same.any(axis=1))
    halves[unknown] = points.halves(rows[unknown], columns[unknown])
    return halves


def _expand_queries(encodings: Any, neighbours: Neighbours, k2: int) -> Any:
    """The mean encoding of each picture's first k2 neighbours, itself included."""
    count, k2 = len(neighbours.order), min(k2, neighbours.order.shape[1])
    if k2 == 1:
        return encodings
    ends = np.arange(0, count * k2 + 1, k2)
    share = np.full(count * k2, 1 / k2, dtype=np.float32)
    return sparse.csr_array((share, neighbours.order[:, :k2].ravel(), ends), shape=(count, count)) @ encodings


def _shared(encodings: Any, asks: int) -> Iterator[tuple[slice, NDArray[np.intp], NDArray[np.float64]]]:
    """Sums of the smaller weights, 0..1, of queries and gallery pictures that share a neighbour.

    Yields consecutive queries, the cells of their rows that share anything (as places in the flat block), and the sums.
    """
    queries, by_neighbour = encodings[:asks], encodings[asks:].tocsc()
    gallery = by_neighbour.shape[0]
    holders = np.diff(by_neighbour.indptr)  # how many gallery pictures weigh this neighbour
    terms = np.concatenate([[0], np.cumsum(holders[queries.indices], dtype=np.int64)])[queries.indptr]
    start = 0
    while start < asks:
        stop = min(start + max(1, CELLS_AT_ONCE // gallery), asks)
        stop = max(start + 1, min(stop, int(np.searchsorted(terms, terms[start] + CELLS_AT_ONCE))))
        some = slice(queries.indptr[start], queries.indptr[stop])
        neighbours = queries.indices[some]
        many = holders[neighbours]
        firsts = by_neighbour.indptr[neighbours].astype(np.int64) - (np.cumsum(many) - many)
        places = np.repeat(firsts, many) + np.arange(many.sum())
        smaller = np.minimum(np.repeat(queries.data[some], many), by_neighbour.data[places])
        row_starts = np.repeat(np.arange(stop - start) * gallery, np.diff(queries.indptr[start : stop + 1]))
        cells = np.repeat(row_starts, many) + by_neighbour.indices[places]
        count = (stop - start) * gallery
        sums = np.asarray(np.bincount(cells, smaller, minlength=count), dtype=np.float64)
        touched = np.zeros(count, dtype=bool)
        touched[cells] = True
        found = np.flatnonzero(touched)
        yield slice(start, stop), found, sums[found]
        start = stop
