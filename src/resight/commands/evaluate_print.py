"""How `resight evaluate` prints the scores of a search.

Proof: tests/commands/test_evaluate.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from resight.commands.tables import plain_table
from resight.evaluate.open_set import OpenSet, Rate
from resight.evaluate.ranking import RankingScores
from resight.evaluate.score_file import Intervals
from resight.evaluate.views import ViewScores

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_RANKS: Final = (1, 5, 10)


def print_scores(
    scores: RankingScores,
    intervals: Intervals,
    opened: OpenSet | None,
    gallery: str,
    notes: list[str],
    views: tuple[ViewScores, dict[str, Intervals]] | None,
) -> None:
    """Print the table of scores, what was measured beside them, and the notes; `gallery` says what was searched."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{len(scores.persons):,} queries × {gallery}, {scores.answered:,} queries answered")
    table = plain_table("", "score", "95 % interval", "what it is", left=(0, 3))
    rows = [
        ("mAP", scores.mean_ap, intervals.mean_ap, "precision at hits"),
        ("mAP trapezoid", scores.mean_ap_trapezoid, intervals.mean_ap_trapezoid, "as in older papers"),
        ("mINP", scores.mean_inp, intervals.mean_inp, "how soon the last one comes"),
    ]
    for rank in SHOWN_RANKS:
        what = "a right one comes first" if rank == 1 else f"… among the first {rank}"
        rows.append((f"Rank-{rank}", scores.cmc[rank - 1], intervals.cmc[rank - 1], what))
    for name, value, (low, high), what in rows:
        table.add_row(name, f"{value:.1%}", _between(low, high), what)
    console.print(table)
    if opened is not None:
        _print_open_set(console, opened)
    if views is not None:
        from resight.commands.evaluate_views import print_views

        print_views(console, *views)
    for note in notes:
        console.print(f"· {note}", markup=False)


def _print_open_set(console: Console, opened: OpenSet) -> None:
    table = plain_table("false rate", "same person (TAR)", "distance", "search (DIR)", "distance")
    for pair, search in zip(opened.tar_at_far, opened.dir_at_far, strict=True):
        table.add_row(f"{pair.false_rate:g}", *_rate(pair), *_rate(search))
    console.print(table)
    chosen, fitted = opened.threshold, opened.calibration
    console.print(
        f"Same person up to distance {_number(chosen.threshold)}: {_share(chosen.true_rate)} of the right pairs pass "
        f"and at most {chosen.false_rate:g} of the wrong ones."
    )
    console.print(
        f"Probability of one person: calibration error {_number(fitted.expected_error)}, log loss "
        f"{_number(fitted.log_loss)} on {fitted.held_out_persons} persons that it was not fitted on."
    )


def _between(low: float, high: float) -> str:
    return "not measured" if np.isnan(low) else f"{low:.1%} - {high:.1%}"


def _rate(rate: Rate) -> tuple[str, str]:
    return _share(rate.true_rate), _number(rate.threshold)


def _share(value: float) -> str:
    return "too few" if np.isnan(value) else f"{value:.1%}"


def _number(value: float) -> str:
    return "not measured" if np.isnan(value) else f"{value:.4f}"
