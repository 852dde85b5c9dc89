"""Speed and memory of re-ranking beside a bare matrix product and torchreid's function.

    python benchmarks/rerank_speed.py                    # Market-1501's size, torchreid once
    python benchmarks/rerank_speed.py --size msmt17      # MSMT17's size, resight alone: torchreid needs some 200 GB
    python benchmarks/rerank_speed.py --estimate         # minutes that MSMT17's size would take, from a tenth of it

Made-up features (persons, cameras, noise, distractors; from a seed) of 2,048 numbers. Each run has its own process;
CPU seconds are of the process from features to final distances, memory is the peak above what stood before the call,
the result included. `product` is the floor of any exact method: every pair's product once, nothing kept, by the same
library in tiles of the same size. torchreid's wheel goes into a folder of its own (`pip install --target`); it is fed
Euclidean distances, as the authors' code wants, and the time to make them is given apart. CPU seconds grow when others
use the machine: quote the ratios, and the load that stands beside them.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path
from typing import Any

from measuring import (
    PEER,
    SEED,
    SIZES,
    WIDTH,
    Cost,
    in_own_process,
    in_turn,
    install_peer,
    least_cpu_seconds,
    medians,
    peer_module,
    ratio,
    write_result,
)

NUMBERS: dict[str, Any] = {"k1": 20, "k2": 6, "lambda_": 0.3}


def made_up_features(size: str) -> tuple[Any, Any]:
    """Queries and gallery of one size: a person's direction, half a camera's, and noise that differs by picture."""
    import numpy as np

    queries, gallery, persons, cameras, distractors = SIZES[size]
    rng = np.random.default_rng(SEED)
    known = np.concatenate(
        [rng.integers(0, persons, queries), np.sort(rng.integers(0, persons, gallery - distractors))]
    )
    who = np.concatenate([known, persons + np.arange(distractors)])
    places = rng.standard_normal((persons + distractors, WIDTH), dtype=np.float32)
    views = rng.standard_normal((cameras, WIDTH), dtype=np.float32)
    where, noise = rng.integers(0, cameras, len(who)), np.exp(rng.normal(0.3, 0.5, len(who))).astype(np.float32)
    features = np.empty((len(who), WIDTH), dtype=np.float32)
    for start in range(0, len(who), 1024):
        some = slice(start, start + 1024)
        features[some] = places[who[some]] + 0.5 * views[where[some]]
        features[some] += noise[some, None] * rng.standard_normal(features[some].shape, dtype=np.float32)
    return features[:queries], features[queries:]


def run_resight(size: str, result: Path | None) -> dict[str, float]:
    """Time `resight.rerank`; the result may be kept for a comparison."""
    import numpy as np

    from resight.search.rerank import rerank

    query, gallery = made_up_features(size)
    with Cost() as cost:
        distances = rerank(query, gallery, **NUMBERS)
    if result is not None:
        np.save(result, distances)
    return {**cost.found, "mean": float(distances.mean(dtype=np.float64))}


def run_product(size: str, result: Path | None) -> dict[str, float]:
    """Time the products of all pairs, each once, in tiles; nothing else."""
    import numpy as np

    from resight.search.neighbours import TILE

    rows = np.concatenate(made_up_features(size))
    rows = np.hstack([rows, np.ones((len(rows), 2), np.float32)])
    buffer = np.empty(TILE * TILE, dtype=np.float32)
    with Cost() as cost:
        for start in range(0, len(rows), TILE):
            left = rows[start : start + TILE]
            for other in range(start, len(rows), TILE):
                right = rows[other : other + TILE]
                np.matmul(left, right.T, out=buffer[: len(left) * len(right)].reshape(len(left), len(right)))
    return {**cost.found, "gigaflops": len(rows) ** 2 * rows.shape[1] / cost.found["cpu_seconds"] / 1e9}


def run_torchreid(size: str, result: Path | None) -> dict[str, float]:
    """Time torchreid's re_ranking, read from its one file (the package itself imports more than it declares)."""
    import numpy as np

    peer = peer_module("utils/rerank.py")
    sides = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in made_up_features(size)]
    with Cost() as making:
        query, gallery = sides
        pairs = (query, gallery), (query, query), (gallery, gallery)
        given = [np.sqrt(np.maximum(2 - 2 * one @ other.T, 0)) for one, other in pairs]
        for same in given[1:]:
            np.fill_diagonal(same, 0)
    with Cost() as cost:
        distances = peer.re_ranking(*given, k1=NUMBERS["k1"], k2=NUMBERS["k2"], lambda_value=NUMBERS["lambda_"])
    found = {**cost.found, "mean": float(distances.mean(dtype=np.float64))}
    if result is not None and result.exists():
        apart = np.abs(np.load(result, mmap_mode="r") - distances)
        found |= {"largest_difference": float(apart.max()), "share_above_1e-6": float((apart > 1e-6).mean())}
    return {**found, "distances_cpu_seconds": making.found["cpu_seconds"]}


KINDS = {"resight": run_resight, "product": run_product, "torchreid": run_torchreid}


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run each kind `--rounds` times in turn and torchreid once."""
    more = ["--size", options.size]
    more += ["--result", str(folder / "resight.npy")] if options.peer else []

    def run(kind: str) -> dict[str, float]:
        return in_own_process(kind, more, threads=options.threads)

    runs = in_turn(("resight",) if options.size == "msmt17" else ("product", "resight"), options.rounds, run)
    if options.peer:
        install_peer(folder / "peers")
        runs |= in_turn(("torchreid",), 1, run)
    found = medians(runs)
    ratios = {"resight_over_product": ratio(runs, "resight", "product")} if "product" in runs else {}
    if options.peer:
        peer, own = found["torchreid"], found["resight"]
        ratios["torchreid_over_resight"] = peer["cpu_seconds"] / own["cpu_seconds"]
        ratios["torchreid_memory_over_resight"] = peer["peak_mib_above_input"] / own["peak_mib_above_input"]
    return {**found, "ratios": ratios, "least_cpu_seconds": least_cpu_seconds(runs), "runs": runs}


def main() -> None:
    """Measure and write the file under results/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=tuple(SIZES), default="market")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the matrix product")
    parser.add_argument("--no-peer", dest="peer", action="store_false")
    parser.add_argument("--estimate", action="store_true")
    parser.add_argument("--kind", choices=tuple(KINDS), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(KINDS[options.kind](options.size, options.result)))
        return
    if options.estimate:
        cost = in_own_process("resight", ("--size", "tenth"), threads=options.threads)["cpu_seconds"]
        print(f"about {cost * 100 / 60:.1f} CPU minutes: 100 times {cost:.2f} s, as if all of it grew with the square")
        return
    options.peer = options.peer and options.size in ("market", "small")
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(options, Path(folder))
    facts = {
        "numbers": NUMBERS,
        "threads": options.threads,
        **measured,
        "peer": PEER if options.peer else "not measured: its matrices do not fit",
        "largest_memory_of_a_process_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    write_result("rerank_speed", options.size, facts)


if __name__ == "__main__":
    main()
