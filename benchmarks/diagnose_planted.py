"""Whether a diagnosis finds what was planted, and nothing where nothing was.

    python benchmarks/diagnose_planted.py                      # 100 runs with a cause, 100 without, 300 for coverage
    python benchmarks/diagnose_planted.py --runs 10 --coverage 30

Made-up features of 60 persons in 4 cameras (tests/planted.py): a condition on a random quarter of the pictures makes
them less like their person. Planted: the condition should come first, with grade A or B. Nothing planted, or a camera
that is hard and shows the condition more often: no grade better than C. Coverage: how often the twins' interval holds
the true cost: the mean difference to the same pictures without the cause, over all runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from measuring import RESULTS

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from planted import NAMES, planted
from resight.diagnose.causes import split_loss
from resight.diagnose.grades import PROVEN, Verdict, grade_causes
from resight.diagnose.ledger import ledger_of
from resight.diagnose.marks import cells_of
from resight.diagnose.oracles import remove_cause
from resight.diagnose.twins import compare_twins, every_turn, group_numbers
from resight.evaluate.ranking import score_features
from resight.search.features import Features
from resight.train.resources import surroundings
from resight.types import Side

HARM = 1.2


def verdicts(seed: int, *, harm: tuple[float, ...], hard_camera: float = 0.0) -> tuple[Verdict, ...]:
    """Diagnose one made-up search in full."""
    one = planted(seed, harm=harm, hard_camera=hard_camera)
    rng = np.random.default_rng(seed)
    before = score_features(one.features)
    split = split_loss(cells_of(one.features, one.marks), rng=rng)
    oracles = {
        cause: remove_cause(one.features, one.marks, cause, before, rng=rng, resamples=500)
        for cause in one.marks.causes
    }
    turns = every_turn(one.features)
    return grade_causes(one.marks, split, ledger_of(one.features), turns, oracles, rng=rng, resamples=500)


def estimate(seed: int) -> tuple[float, float, float]:
    """Ends of the twins' interval, and what the planted condition cost these very queries."""
    one = planted(seed, harm=(1.0,), persons=50)
    spoilt, clean = one.features.query, one.clean.query
    shown = one.marks.query[:, 0]
    both = {
        name: np.concatenate([getattr(spoilt, name)[shown], getattr(clean, name)])
        for name in ("features", "persons", "cameras", "files")
    }
    side = Side(both["features"], both["persons"], both["cameras"], both["files"])
    ap = score_features(Features(side, one.features.gallery)).ap
    count = int(shown.sum())
    truth = float(ap[:count].mean() - ap[count:][shown].mean())
    found = compare_twins(
        ap,
        group_numbers(side.persons, side.cameras),
        np.arange(len(ap)) < count,
        side.persons,
        rng=np.random.default_rng(seed),
        resamples=1000,
    )
    return found.low, found.high, truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--coverage", type=int, default=300)
    chosen = parser.parse_args()
    first = graded = nothing = confounded = 0
    explained = []
    for seed in range(chosen.runs):
        place = seed % len(NAMES)
        harm = tuple(HARM if number == place else 0.0 for number in range(len(NAMES)))
        found = verdicts(seed, harm=harm)
        first += found[0].cause == NAMES[place]
        graded += found[0].cause == NAMES[place] and found[0].grade in PROVEN
        none = verdicts(10_000 + seed, harm=(0.0, 0.0, 0.0))
        nothing += all(one.grade in ("C", "") for one in none)
        explained.append(sum(one.loss for one in none))
        hard = verdicts(20_000 + seed, harm=(0.0,), hard_camera=1.2)
        confounded += all(one.grade in ("C", "") for one in hard)
        print(seed, first, graded, nothing, confounded, file=sys.stderr)
    low, high, cost = (np.array(one) for one in zip(*map(estimate, range(chosen.coverage)), strict=True))
    truth = cost.mean()  # over all draws of persons and noise: what every interval is about
    result = {
        "runs": chosen.runs,
        "planted_first": first / chosen.runs,
        "planted_graded_a_or_b": graded / chosen.runs,
        "nothing_planted_no_grade_above_c": nothing / chosen.runs,
        "nothing_planted_mean_explained": float(np.mean(explained)),
        "confounded_no_grade_above_c": confounded / chosen.runs,
        "coverage_runs": chosen.coverage,
        "coverage": float(np.mean((low <= truth) & (truth <= high))),
        "mean_planted_cost": float(truth),
        **surroundings(),
    }
    path = RESULTS / "diagnose_planted.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in result.items() if not isinstance(value, dict)}, indent=1))


if __name__ == "__main__":
    main()
