"""What `resight evaluate --views` adds: scores with only same-view and only other-view true matches left in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import RankingScores
from resight.evaluate.score_file import Intervals, intervals_of
from resight.evaluate.views import ViewScores, score_views
from resight.search.features import Features

if TYPE_CHECKING:
    from rich.console import Console


def measure_views(
    features: Features, keypoints: Path, protocol: ProtocolName, *, seed: int, resamples: int
) -> tuple[ViewScores, dict[str, Intervals]]:
    """Scores of both kinds with their intervals over persons."""
    found = score_views(features, keypoints, protocol=protocol, rng=np.random.default_rng(seed))
    return found, {
        name: intervals_of(getattr(found, name), rng=np.random.default_rng(seed), resamples=resamples)
        for name in ("same", "other")
    }


def facts_of(found: ViewScores, intervals: dict[str, Intervals]) -> dict[str, object]:
    """The same for the scores file."""
    kinds = {}
    for name, ends in intervals.items():
        scores: RankingScores = getattr(found, name)
        kinds[name] = {
            **{key: getattr(scores, key) for key in ("mean_ap", "mean_inp", "cmc", "answered", "unanswerable")},
            "ci95": asdict(ends),
        }
    return {"views": {**kinds, "known": found.known}}


def print_views(console: Console, found: ViewScores, intervals: dict[str, Intervals]) -> None:
    """One line for each kind."""
    for name, ends in intervals.items():
        scores: RankingScores = getattr(found, name)
        if scores.answered == 0:
            console.print(f"true matches of the {name} view alone: not measured (no query has one)")
            continue
        low, high = ends.mean_ap
        interval = "not measured" if np.isnan(low) else f"{low:.1%} - {high:.1%}"
        console.print(
            f"true matches of {'the same view' if name == 'same' else 'other views'} alone: mAP {scores.mean_ap:.1%} "
            f"({interval}), Rank-1 {scores.cmc[0]:.1%}, {scores.answered:,} queries"
        )
    console.print(f"· the view of {found.known:.1%} of the pictures is known, by their shoulders", markup=False)
