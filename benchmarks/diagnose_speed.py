"""Speed and memory of the ledger beside plain evaluation, from features alone.

    python benchmarks/diagnose_speed.py                    # Market-1501's size, three rounds
    python benchmarks/diagnose_speed.py --rounds 1

Made-up features of 2,048 numbers, as in evaluate_speed.py. Each run has a process of its own; CPU seconds are from
features in memory to the finished tables. Quote the ratio, and the load that stands beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from evaluate_speed import make_inputs, run_features
from measuring import SIZES, Cost, in_own_process, in_turn, least_cpu_seconds, medians, ratio, write_result


def run_ledger(folder: Path) -> dict[str, float]:
    """Time the split of the loss."""
    from resight.diagnose.ledger import ledger_of
    from resight.search.features import load_features

    features = load_features(folder / "features.npz")
    with Cost() as cost:
        found = ledger_of(features)
    return {**cost.found, "mean_ap": 1 - found.loss}


KINDS = {"evaluate": run_features, "ledger": run_ledger}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="market")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(KINDS[options.kind](options.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        make_inputs(Path(name), options.size)
        runs = in_turn(KINDS, options.rounds, lambda kind: in_own_process(kind, ["--folder", name], threads=1))
    found = {
        "medians": medians(runs),
        "least_cpu_seconds": least_cpu_seconds(runs),
        "ledger_to_evaluate": ratio(runs, "ledger", "evaluate"),
        "rounds": options.rounds,
    }
    write_result("diagnose_speed", options.size, found)


if __name__ == "__main__":
    main()
