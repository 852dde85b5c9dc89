"""What every scoring on Market-1501's official test split shares: the whole split, intervals, and a log for good.

The log is never shortened: who scores often chooses on the test set.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from resight.data.reid_sets import ReidSet, find_set
from resight.evaluate.ranking import score_features
from resight.evaluate.statistics import RESAMPLES, bootstrap_over_persons
from resight.search.features import Features

RESULTS: Final = Path(__file__).parent / "results"
LOG: Final = RESULTS / "official_scorings.jsonl"
COUNTS: Final = {"query": 3368, "gallery": 19732}
SEED: Final = 0
PLAIN: Final = "as they are"
HIDDEN: Final = "hidden"
"""What the test's queries were when they were scored: the pictures themselves, or with things before them."""


def scored_before(weights: str, queries: str = PLAIN) -> bool:
    """Whether the log holds weights with this SHA-256, scored on these queries."""
    lines = [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []
    return any((line["weights_sha256"], line.get("queries", PLAIN)) == (weights, queries) for line in lines)


def refuse_twice(weights: str, reason: str | None, queries: str = PLAIN) -> None:
    """Stop when these weights were scored before on these queries and nobody says why they are scored again."""
    if scored_before(weights, queries) and not reason:
        sys.exit(f"These weights were scored before (see {LOG}). Give a reason with --again to score them again.")


def official_set(data: Path) -> ReidSet:
    """Market-1501 with its whole test split; stops at anything else."""
    reid_set = find_set(data)
    found = {split: sum(1 for _ in reid_set.crops(split)) for split in ("query", "gallery")}
    if found != COUNTS:
        sys.exit(f"{data} holds {found}, the official test split {COUNTS}: not scored.")
    return reid_set


def scored(features: Features) -> dict[str, Any]:
    """Scores with their intervals, as result files hold them."""
    scores = score_features(features)
    values = np.stack([scores.ap, scores.ap_trapezoid, scores.inp, scores.rank1], axis=1)
    bounds = bootstrap_over_persons(values, scores.persons, rng=np.random.default_rng(SEED))
    names = ("mean_ap", "mean_ap_trapezoid", "mean_inp", "rank1")
    return {
        "mean_ap": scores.mean_ap,
        "mean_ap_trapezoid": scores.mean_ap_trapezoid,
        "mean_inp": scores.mean_inp,
        "cmc": [float(value) for value in scores.cmc],
        "answered": scores.answered,
        "unanswerable": scores.unanswerable,
        "ci95": {name: [float(low), float(high)] for name, (low, high) in zip(names, bounds, strict=True)},
        "interval": f"{RESAMPLES:,} bootstrap resamples over persons",
        "date": datetime.date.today().isoformat(),
    }


def write_result(name: str, result: dict[str, Any]) -> Path:
    """Write results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def log_scoring(result: dict[str, Any], again: str | None, queries: str = PLAIN) -> None:
    """Add a line to the log of official scorings; of hidden queries, with the scores of the unhidden ones."""
    line = {key: result[key] for key in ("date", "model", "weights_sha256", "mean_ap", "commit")}
    line |= {} if queries == PLAIN else {"queries": queries}
    with LOG.open("a", encoding="utf-8") as log:
        log.write(json.dumps({**line, "rank1": result["cmc"][0], "again": again}) + "\n")
