"""Speed and memory of the distance over parts that both crops show, beside a bare product and the cube of all parts.

    python benchmarks/part_distance_speed.py                 # Market-1501's size: 3,368 × 15,913, six parts of 256
    python benchmarks/part_distance_speed.py --size small    # a quick look

Made-up parts and visibilities from a seed. Each run has its own process; memory is the peak above what stood before the
call, the whole matrix of distances included (`streamed` keeps one block at a time, as evaluation does). `product` is
the matrix product of all parts laid side by side, which no exact method can do without. `cube` computes each part's
distances and keeps them all before they are averaged, as published code does; it is written here from that description.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from measuring import SEED, SIZES, Cost, in_own_process, in_turn, least_cpu_seconds, medians, ratio, write_result

PARTS, WIDTH = 6, 256


def made_up(size: str, metric: str = "cosine") -> Any:
    """Features of one size: parts of which a third is hidden, the others soft."""
    import numpy as np

    from resight.search.features import Features
    from resight.types import Side

    queries, gallery = SIZES[size][:2]
    rng = np.random.default_rng(SEED)

    def side(count: int) -> Side:
        visible = rng.random((count, PARTS), dtype=np.float32)
        visible[rng.random((count, PARTS)) < 1 / 3] = 0
        ids = np.zeros(count, dtype=np.int64)
        parts = rng.standard_normal((count, PARTS, WIDTH), dtype=np.float32)
        whole = np.ones((count, 1), dtype=np.float32)
        return Side(whole, ids, ids, ids.astype(np.str_), parts, visible)

    return Features(side(queries), side(gallery), metric, part_share=1.0)  # type: ignore[arg-type]


def run_matrix(size: str, metric: str = "cosine") -> dict[str, float]:
    """Time the whole matrix of part distances."""
    from resight.search.distances import distance_matrix

    features = made_up(size, metric)
    with Cost() as cost:
        distances = distance_matrix(features)
    return {**cost.found, "mean": float(distances.mean())}


def run_euclidean(size: str) -> dict[str, float]:
    """Time the Euclidean one."""
    return run_matrix(size, "euclidean")


def run_streamed(size: str) -> dict[str, float]:
    """Time the blocks alone, as evaluation goes through them."""
    from resight.search.distances import distance_blocks

    features = made_up(size)
    with Cost() as cost:
        total = sum(float(block.distances.sum()) for block in distance_blocks(features))
    queries, gallery = SIZES[size][:2]
    return {**cost.found, "mean": total / queries / gallery}


def run_product(size: str) -> dict[str, float]:
    """Time the bare product."""
    features = made_up(size)
    query, gallery = (side.parts.reshape(len(side.parts), -1) for side in (features.query, features.gallery))
    with Cost() as cost:
        product = query @ gallery.T
    return {**cost.found, "mean": float(product.mean())}


def run_cube(size: str) -> dict[str, float]:
    """Time parts × queries × gallery, then the weighed mean."""
    import numpy as np

    features = made_up(size)
    query, gallery = features.query, features.gallery
    with Cost() as cost:
        units = [side.parts / np.linalg.norm(side.parts, axis=2, keepdims=True) for side in (query, gallery)]
        cube = np.stack([1 - units[0][:, part] @ units[1][:, part].T for part in range(PARTS)])
        weights = np.stack([np.outer(query.visible[:, part], gallery.visible[:, part]) for part in range(PARTS)])
        total = weights.sum(axis=0)
        distances = np.where(total > 0, (cube * weights).sum(axis=0) / np.where(total > 0, total, 1), 1)
    return {**cost.found, "mean": float(distances.mean())}


KINDS = {
    "matrix": run_matrix,
    "streamed": run_streamed,
    "euclidean": run_euclidean,
    "product": run_product,
    "cube": run_cube,
}


def main() -> None:
    """Measure and write the file under results/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("market", "small"), default="market")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-cube", dest="cube", action="store_false", help="it needs some 5 GiB")
    parser.add_argument("--kind", choices=tuple(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(KINDS[options.kind](options.size)))
        return

    def run(kind: str) -> dict[str, float]:
        return in_own_process(kind, ("--size", options.size), threads=options.threads)

    runs = in_turn([kind for kind in KINDS if kind != "cube"], options.rounds, run)
    if options.cube:
        runs |= in_turn(("cube",), 1, run)
    found: dict[str, Any] = medians(runs)
    found["ratios"] = {"matrix_over_product": ratio(runs, "matrix", "product")}
    found |= {"least_cpu_seconds": least_cpu_seconds(runs), "runs": runs, "threads": options.threads}
    if not options.cube:
        found["cube"] = "not measured: left out by --no-cube"
    queries, gallery = SIZES[options.size][:2]
    sizes = {"queries": queries, "gallery": gallery, "parts": PARTS, "part_width": WIDTH}
    write_result("part_distance_speed", options.size, {"size": sizes, **found})


if __name__ == "__main__":
    main()
