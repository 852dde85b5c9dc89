"""Speed and memory of evaluation beside a bare matrix product and torchreid's functions.

    python benchmarks/evaluate_speed.py                    # Market-1501's size, torchreid once
    python benchmarks/evaluate_speed.py --size msmt17 --no-peer

Made-up features (persons, cameras, noise, distractors; from a seed) of 2,048 numbers. Each run has a process of its
own that reads its input from a file; CPU seconds are of that process from input to scores, memory is the peak above
what stood before the call. `product` is the floor of any exact evaluation from features: every pair's product once,
nothing kept, in blocks of the same size. `resight_matrix_poor` is a model that knows next to nothing, whose rows must
be sorted whole. torchreid's wheel goes into a folder of its own (`pip install --target`); its functions are read from
their files, since the package imports more than it declares. Its Cython version is not in the wheel: not measured.
CPU seconds grow when others use the machine: quote the ratios, and the load that stands beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
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

NOISE, POOR_NOISE = 3.05, 12.0


def make_inputs(folder: Path, size: str) -> None:
    """Write features, ids and the distances of a good and of a poor model."""
    import numpy as np

    from resight.search.distances import distance_matrix
    from resight.search.features import Features, save_features, side

    queries, gallery, persons, cameras, distractors = SIZES[size]
    rng = np.random.default_rng(SEED)
    known = np.sort(rng.integers(1, persons + 1, gallery - distractors))
    who = np.concatenate([rng.integers(1, persons + 1, queries), np.zeros(distractors, np.int64), known])
    where = rng.integers(1, cameras + 1, len(who))
    people = rng.standard_normal((persons + 1, WIDTH), dtype=np.float32)
    views = 0.5 * rng.standard_normal((cameras + 1, WIDTH), dtype=np.float32)
    for name, noise in (("poor", POOR_NOISE), ("good", NOISE)):
        values = np.empty((len(who), WIDTH), dtype=np.float32)
        for row, (person, camera) in enumerate(zip(who.tolist(), where.tolist(), strict=True)):
            stranger = rng.standard_normal(WIDTH, dtype=np.float32) if person == 0 else people[person]
            values[row] = stranger + views[camera] + noise * rng.standard_normal(WIDTH, dtype=np.float32)
        both = Features(
            *(side(values[part], who[part], where[part]) for part in (slice(queries), slice(queries, None)))
        )
        np.save(folder / f"{name}.npy", distance_matrix(both))
    save_features(folder / "features.npz", both)


def read_inputs(folder: Path) -> tuple[Any, Any]:
    """Read both sides without their features."""
    import numpy as np

    from resight.search.features import side

    with np.load(folder / "features.npz") as file:
        ids = [[file[f"{name}_{what}"] for what in ("persons", "cameras")] for name in ("query", "gallery")]
    return tuple(side(np.zeros((len(one[0]), 1), np.float32), *one) for one in ids)  # type: ignore[return-value]


def run_matrix(folder: Path, name: str = "good") -> dict[str, float]:
    """Time scoring a matrix that is in memory already."""
    import numpy as np

    from resight.evaluate.ranking import score_distances

    query, gallery = read_inputs(folder)
    distances = np.load(folder / f"{name}.npy")
    with Cost() as cost:
        scores = score_distances(distances, query, gallery)
    return {**cost.found, "mean_ap": scores.mean_ap, "rank1": float(scores.cmc[0])}


def run_features(folder: Path) -> dict[str, float]:
    """Time scoring features that are in memory already."""
    from resight.evaluate.ranking import score_features
    from resight.search.features import load_features

    features = load_features(folder / "features.npz")
    with Cost() as cost:
        scores = score_features(features)
    return {**cost.found, "mean_ap": scores.mean_ap, "rank1": float(scores.cmc[0])}


def run_intervals(folder: Path) -> dict[str, float]:
    """Time 2,000 bootstrap resamples over persons of all scores."""
    import numpy as np

    from resight.evaluate.ranking import score_distances
    from resight.evaluate.score_file import intervals_of

    query, gallery = read_inputs(folder)
    scores = score_distances(np.load(folder / "good.npy"), query, gallery)
    with Cost() as cost:
        found = intervals_of(scores, rng=np.random.default_rng(SEED))
    return {**cost.found, "mean_ap_low": found.mean_ap[0], "mean_ap_high": found.mean_ap[1]}


def run_open_set(folder: Path) -> dict[str, float]:
    """Time thresholds, curves and calibration from features."""
    import numpy as np

    from resight.evaluate.open_set import evaluate_open_set
    from resight.search.features import load_features

    features = load_features(folder / "features.npz")
    with Cost() as cost:
        found = evaluate_open_set(features, rng=np.random.default_rng(SEED))
    return {**cost.found, "true_rate": found.threshold.true_rate, "log_loss": found.calibration.log_loss}


def run_product(folder: Path) -> dict[str, float]:
    """Time the products of all pairs, each once, in blocks of queries; nothing else."""
    import numpy as np

    from resight.search.distances import BLOCK_BYTES
    from resight.search.features import load_features

    features = load_features(folder / "features.npz")
    query, gallery = features.query.features, features.gallery.features
    rows = BLOCK_BYTES // 4 // len(gallery)
    block = np.empty((rows, len(gallery)), dtype=np.float32)
    with Cost() as cost:
        for start in range(0, len(query), rows):
            some = query[start : start + rows]
            np.matmul(some, gallery.T, out=block[: len(some)])
    operations = 2 * len(query) * gallery.size
    return {**cost.found, "gigaflops": operations / cost.found["cpu_seconds"] / 1e9}


def run_torchreid(folder: Path) -> dict[str, float]:
    """Time torchreid's Python evaluation of a matrix: what its wheel always runs."""
    import numpy as np

    peer = peer_module("metrics/rank.py")
    query, gallery = read_inputs(folder)
    distances = np.load(folder / "good.npy")
    with Cost() as cost:
        cmc, mean_ap = peer.eval_market1501(
            distances, query.persons, gallery.persons, query.cameras, gallery.cameras, 50
        )
    return {**cost.found, "mean_ap": float(mean_ap), "rank1": float(cmc[0])}


def run_torchreid_distances(folder: Path) -> dict[str, float]:
    """Time torchreid's cosine distances: what it needs before it can evaluate features."""
    import torch

    from resight.search.features import load_features

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    features = load_features(folder / "features.npz")
    query, gallery = (torch.from_numpy(one.features) for one in (features.query, features.gallery))
    peer = peer_module("metrics/distance.py")
    with Cost() as cost:
        found = peer.compute_distance_matrix(query, gallery, metric="cosine")
    return {**cost.found, "mean": float(found.mean())}


KINDS: dict[str, Callable[[Path], dict[str, float]]] = {
    "product": run_product,
    "resight_matrix": run_matrix,
    "resight_matrix_poor": lambda folder: run_matrix(folder, "poor"),
    "resight_features": run_features,
    "resight_intervals": run_intervals,
    "resight_open_set": run_open_set,
    "torchreid_python": run_torchreid,
    "torchreid_distances": run_torchreid_distances,
}
PEER_KINDS = ("torchreid_distances", "torchreid_python")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run each kind `--rounds` times in turn and torchreid's once."""

    def run(kind: str) -> dict[str, float]:
        return in_own_process(kind, ("--folder", str(folder)), threads=options.threads)

    make_inputs(folder, options.size)
    runs = in_turn((kind for kind in KINDS if kind not in PEER_KINDS), options.rounds, run)
    if options.peer:
        install_peer(folder / "peers")
        runs |= in_turn(PEER_KINDS, 1, run)
    found = medians(runs)
    ratios = {"features_over_product": ratio(runs, "resight_features", "product")}
    if options.peer:
        peer, own = found["torchreid_python"], found["resight_matrix"]
        ratios["torchreid_python_over_resight_matrix"] = peer["cpu_seconds"] / own["cpu_seconds"]
    return {**found, "ratios": ratios, "least_cpu_seconds": least_cpu_seconds(runs), "runs": runs}


def main() -> None:
    """Measure and write the file under results/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=tuple(SIZES), default="market")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the matrix product")
    parser.add_argument("--no-peer", dest="peer", action="store_false")
    parser.add_argument("--kind", choices=tuple(KINDS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(KINDS[options.kind](options.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(options, Path(folder))
    facts = {
        "threads": options.threads,
        **measured,
        "torchreid_cython": None,
        "peer": f"{PEER}; no Cython in its wheel" if options.peer else "not measured",
    }
    write_result("evaluate_speed", options.size, facts)


if __name__ == "__main__":
    main()
