"""What `resight diagnose` prints: one sentence, one table, the checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from resight.commands.tables import plain_table
from resight.diagnose.causes import Split
from resight.diagnose.findings import Findings
from resight.diagnose.grades import GRADES
from resight.diagnose.ledger import Ledger
from resight.diagnose.marks import Where
from resight.diagnose.remedies import ALL, PARTS, RERANK
from resight.diagnose.twins import FEWEST_GROUPS, Twins
from resight.report.words import cause_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PLACES: Final[dict[Where, str]] = {
    "query": "in the query",
    "match": "in the true match",
    "wrong": "in the wrong picture",
    "pair": "between two pictures",
}


def cause_table() -> Table:
    """The table of causes, without rows."""
    return plain_table("cause", "loss", "95 %", "twins", "95 %", "matches", "oracle", "grade", tight=True)


def print_findings(console: Console, found: Findings, out: Path, *, parsed: bool) -> None:
    """Print the sentence, the table and the checks."""
    loss, rest = found.ledger.loss, found.split.unexplained
    console.print(sentence(found.ledger, found.split), markup=False)
    table = cause_table()
    ends_of = {one.cause: _ends(one.low, one.high) for one in found.split.causes}
    for one in found.verdicts:
        ends = ends_of.get(one.cause, "")
        oracle = "" if one.oracle is None or not one.oracle.swapped else f"{one.oracle.over_sham * 100:+.1f}"
        twins = *_twin(one.on_queries), _short(one.on_matches)
        table.add_row(one.cause, f"{one.loss * 100:.1f}", ends, *twins, oracle, one.grade)
    table.add_row("unexplained", f"{rest.loss * 100:.1f}", _ends(rest.low, rest.high), *[""] * 5)
    console.print(table)
    check = sum(one.loss for one in found.split.shares) + rest.loss - loss
    places = found.split.by_place()
    told = ", ".join(f"{PLACES[where]} {places[where] * 100:.1f}" for where in PLACES)
    console.print(f"Of it by where it shows: {told}.")
    console.print(f"Check: causes and unexplained sum to {loss:.4f}, off by {abs(check):.0e}.")
    console.print(
        "In points of mAP. twins: AP of a person's pictures in one camera with the cause, less without "
        f"(at least {FEWEST_GROUPS} groups); matches: precision at true matches with it, less at the same query's "
        "without (? where the interval holds 0); oracle: mAP won by clean twins, over a sham."
    )
    _print_gains(console, found)
    if found.regression is not None:
        slopes = [one for one in found.regression.slopes if one.where == "query" and one.high < 0]
        told = ", ".join(f"{one.cause} {one.effect * 100:+.1f}" for one in sorted(slopes, key=lambda one: one.effect))
        console.print(
            f"Second opinion (regression, in no grade): AP by one deviation more, where sure: {told or 'none'}."
        )
    finds = [
        f"{one.on_queries.detectable * 100:.1f} ({one.cause})"
        for one in found.verdicts
        if one.on_queries is not None and one.on_queries.estimable
    ]
    if finds:
        console.print(f"Power: four times in five twins would find differences from {', '.join(finds)}.")
    console.print(
        "Grades: "
        + "; ".join(f"{grade} {words}" for grade, words in GRADES.items() if grade)
        + ". Proven ones (A, B) stand first."
    )
    if found.shams:
        console.print(f"Random shams take {found.sham_loss * 100:.1f} points; more than 1 would be a warning.")
    if found.conditions is None:
        console.print("No pictures were found: the ledger stands alone (name their folder with --images).")
    elif not parsed:
        console.print("Without a parser, what is hidden or cut and several people are not measured; masks are a prior.")
    if found.suspects:
        listed = len(found.suspects)
        most = "" if listed == found.suspect_pairs else f", the {listed} that cost most are listed"
        console.print(
            f"{found.suspect_pairs} pairs of persons may be one{most}: say yes or no in label_fixes.csv and run this "
            "again. Nothing was merged."
        )
    if loss == 0:
        console.print("Nothing was lost: every true match stands above every wrong picture.")
    console.print(f"Tables: {out}", markup=False)


def _print_gains(console: Console, found: Findings) -> None:
    """What each remedy wins in all, and of which causes for sure."""
    for remedy in dict.fromkeys(one.remedy for one in found.gains):
        mine = [one for one in found.gains if one.remedy == remedy]
        whole = next(one for one in mine if one.cause == ALL)
        sure = [one for one in mine if one.cause != ALL and (one.low > 0 or one.high < 0)]
        sure.sort(key=lambda one: -abs(one.gain))
        told = ", ".join(f"{one.cause} {one.gain * 100:+.1f}" for one in sure) or "no cause for sure"
        name = {RERANK: "re-ranking", PARTS: "parts beside whole bodies"}.get(remedy, remedy)
        console.print(
            f"Remedy {name}: mAP {whole.gain * 100:+.1f} ({whole.low * 100:+.1f} to {whole.high * 100:+.1f}); {told}.",
            markup=False,
        )


def sentence(ledger: Ledger, split: Split) -> str:
    """Say the whole diagnosis in one sentence."""
    parts = [f"{cause_name(name).en} {loss * 100:.1f}" for name, loss in split.by_cause().items()]
    parts.append(f"unexplained {split.unexplained.loss * 100:.1f}")
    return f"mAP {1 - ledger.loss:.1%}. Of the {ledger.loss * 100:.1f} points lost: {', '.join(parts)}."


def _twin(twins: Twins | None) -> tuple[str, str]:
    if twins is None:
        return "", ""
    if not twins.estimable:
        return "", "not estimable"
    return f"{twins.difference * 100:+.1f}", f"{twins.low * 100:+.1f} … {twins.high * 100:+.1f}"


def _short(twins: Twins | None) -> str:
    return "" if twins is None or not twins.estimable else f"{twins.difference * 100:+.1f}{' ' if twins.sure else '?'}"


def _ends(low: float, high: float) -> str:
    return f"{low * 100:.1f} - {high * 100:.1f}"
