r"""Does another cycle of training still move the validation persons? Runs, each started from the one before.

    python benchmarks/more_cycles.py ~/market1501 runs/base runs/one-pass runs/one-pass-again \
        --keypoints ~/market1501/keypoints14.npz --occluded occluded-validation/occluded-40

On the 100 highest-numbered training persons, which no run may have learned from. Writes results/more_cycles.json: of
each run its training time, mAP of clean queries, of hidden ones and of other views alone with intervals over persons,
and its difference to the run before on the same queries.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import torch
from held_out import held_out_features, refuse_learned
from occluded_market import described

from resight.commands.embed import embed_set
from resight.data.reid_sets import find_set
from resight.evaluate.ranking import RankingScores, score_features
from resight.evaluate.statistics import paired_difference
from resight.evaluate.views import score_views
from resight.model import load_model
from resight.train.resources import each_sitting

SEED = 0


def scores_of(run: Path, data: Path, keypoints: Path | None, occluded: Path | None) -> dict[str, RankingScores]:
    """Every condition's scores of one run."""
    model = load_model(run)
    features = held_out_features(data, model)
    found = {"clean": score_features(features)}
    if occluded is not None:
        found[occluded.name] = score_features(embed_set(find_set(occluded), model))
    if keypoints is not None:
        found["other-view"] = score_views(features, keypoints).other
    return found


def gained(before: RankingScores, after: RankingScores) -> dict[str, Any]:
    """What the same queries gained in mAP."""
    known = np.isfinite(after.ap)
    pair = paired_difference(before.ap[known], after.ap[known], after.persons[known], rng=np.random.default_rng(SEED))
    return {"gain": pair.difference, "ci95": [pair.low, pair.high], "p_value": pair.p_value}


def main() -> None:
    """Score each run, then compare it with the one before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders in the order of training")
    parser.add_argument("--occluded", type=Path, help="one set of `resight occlude --split validation`")
    parser.add_argument("--keypoints", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    before: dict[str, RankingScores] | None = None
    for run in options.runs:
        refuse_learned(run)
        settings = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))
        facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
        found = scores_of(run, options.data, options.keypoints, options.occluded)
        row = {"run": run.name, "embedder": settings["embedder"], "stages": settings["stages"]}
        row |= {
            "seconds": facts["seconds"],
            "persons": facts["persons"],
            "commit": each_sitting(facts, lambda one: one["commit"]),
        }
        row["scores"] = {name: described(scores) for name, scores in found.items()}
        if before is not None:
            row["gains"] = {name: gained(before[name], scores) for name, scores in found.items()}
        rows.append(row)
        print(run.name, *(f"{name} {scores.mean_ap:.4f}" for name, scores in found.items()), flush=True)
        before = found
    measuring.write_any("more_cycles", {"seed": SEED, "rows": rows})


if __name__ == "__main__":
    main()
