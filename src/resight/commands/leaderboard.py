"""`resight leaderboard`: every method under one recipe, from committed results, and what the differences are worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from resight.commands.tables import plain_table
from resight.data.files import as_json_kinds
from resight.errors import DatasetNotFound
from resight.evaluate.leaderboard import CONDITIONS, ROWS, Contrast, Entry, Row, contrasts, read_entries, summary
from resight.evaluate.statistics import OverSeeds

INSTALLED: Final = Path(__file__).parents[1] / "leaderboard"
IN_REPOSITORY: Final = Path(__file__).parents[3] / "benchmarks" / "results" / "leaderboard"
SHOWN: Final = ("clean", "occluded-40", "other-view")
MISSING: Final = "not measured"


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaderboard:
    """Print the table of methods from committed results, with intervals over training seeds and persons.

    Rows that were not run are printed as "not measured". Below the table stand the differences that papers claim: one
    is "better" or "worse" only where its interval over seeds and persons leaves out 0, else "undecided".
    """

    protocol: Literal["validation", "market1501"] | None = None
    """validation: held-out training persons; market1501: the official test split; left out, both."""
    results: Path | None = None
    """Folder of results; left out, those that come with resight."""
    json: bool = False
    """Print everything as JSON: rows, seeds, recipe hashes, costs, contrasts and the commands that train each row."""


def leaderboard(config: Leaderboard) -> int:
    """Print the table, or JSON."""
    folder = config.results or (INSTALLED if INSTALLED.is_dir() else IN_REPOSITORY)
    if config.results is not None and not folder.is_dir():
        raise DatasetNotFound(f"There is no folder {folder}; name one with results, or leave --results out.")
    entries = read_entries(folder)
    wanted = (config.protocol,) if config.protocol else ("validation", "market1501")
    boards = {protocol: [entry for entry in entries if entry.protocol == protocol] for protocol in wanted}
    if config.json:
        print(json.dumps({protocol: _facts(some) for protocol, some in boards.items()}, indent=1))
        return 0
    for protocol, some in boards.items():
        _print(protocol, some)
    return 0


def _rows(entries: Sequence[Entry]) -> list[tuple[Row, list[Entry]]]:
    """Every row that should be there, and rows that nobody expected, each with its seeds."""
    rows = list(ROWS)
    known = {(row.method, row.backbone) for row in rows}
    rows += [Row(*extra, "") for extra in sorted({entry.row for entry in entries} - known)]
    return [(row, [entry for entry in entries if entry.row == (row.method, row.backbone)]) for row in rows]


def _print(protocol: str, entries: Sequence[Entry]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True, width=400)
    what = {"validation": "held-out training persons", "market1501": "Market-1501, official test split"}[protocol]
    console.print(f"{what}; mAP with its 95 % interval over seeds and persons (p: over persons alone)")
    heads = ("method", "backbone", "seeds", *SHOWN, "Rank-1", "parameters", "multiply-adds", "pictures/s", "training")
    table = plain_table(*heads, "recipe", "hardware", left=(0, 1))
    for row, some in _rows(entries):
        scores = [_score(summary(some, condition)) for condition in SHOWN]
        rank1 = [entry.scores["clean"]["rank1"] for entry in some if "clean" in entry.scores]
        table.add_row(
            row.method,
            row.backbone,
            " ".join(str(entry.seed) for entry in some) or "-",
            *scores,
            f"{np.mean(rank1):.1%}" if rank1 else MISSING,
            _amount(some, "parameters", 1e6, "M"),
            _amount(some, "multiply_adds", 1e6, "M"),
            _amount(some, "pictures_per_second", 1, ""),
            _amount(some, "training_seconds", 60, "min"),
            " ".join(sorted({entry.recipe_hash for entry in some})) or "-",
            " ".join(sorted({entry.hardware for entry in some if entry.hardware})) or "-",
        )
    console.print(table)
    for reason in dict.fromkeys(row.unrun for row, some in _rows(entries) if row.unrun and not some):
        rows = [row for row, some in _rows(entries) if row.unrun == reason and not some]
        named = ", ".join(f"{row.method} ({row.backbone})" for row in rows)
        console.print(f"not measured, since {reason}: {named}", markup=False)
    console.print(
        "pictures/s and training: as it went where the row was run, one at a time or beside others", markup=False
    )
    for one in contrasts(entries):
        console.print(_sentence(one), markup=False)
    console.print()


def _sentence(one: Contrast) -> str:
    first, second = one.first[0], one.second[0]
    where = f"{first} - {second} ({one.first[1]}, {one.condition})"
    if one.found is None:
        return f"{where}: {MISSING} ({one.note})"
    found = one.found
    said = "; ".join(filter(None, (one.note, one.differs)))
    note = f" ({said})" if said else ""
    if np.isnan(found.low):
        persons = f"p {found.persons_low * 100:+.1f} to {found.persons_high * 100:+.1f}"
        return f"{where}: {found.mean * 100:+.1f} points of mAP ({persons}), undecided with one seed{note}"
    interval = f"{found.low * 100:+.1f} to {found.high * 100:+.1f}"
    return f"{where}: {found.mean * 100:+.1f} points of mAP ({interval}), {one.verdict}{note}"


def _score(found: OverSeeds | None) -> str:
    if found is None:
        return MISSING
    if np.isnan(found.low):
        return f"{found.mean:.1%} (p {found.persons_low:.1%} - {found.persons_high:.1%})"
    return f"{found.mean:.1%} ({found.low:.1%} - {found.high:.1%})"


def _amount(entries: Sequence[Entry], name: str, unit: float, sign: str) -> str:
    values = [getattr(entry, name) for entry in entries if getattr(entry, name) is not None]
    return f"{np.mean(values) / unit:,.1f} {sign}".strip() if values else MISSING


def _facts(entries: Sequence[Entry]) -> dict[str, Any]:
    rows = []
    for row, some in _rows(entries):
        rows.append(
            {
                **asdict(row),
                "measured": bool(some),
                "scores": {name: found for name in CONDITIONS if (found := summary(some, name)) is not None},
                "seeds": [_without_persons(entry) for entry in some],
                "commands": [_command(entry) for entry in some],
            }
        )
    differences = contrasts(entries)
    contrasted = {name for one in differences if one.found is not None for name in (one.first, one.second)}
    hashes = sorted({entry.recipe_hash for entry in entries if entry.row in contrasted})
    facts = [{**asdict(one), "verdict": one.verdict} for one in differences]
    return dict(as_json_kinds({"rows": rows, "contrasts": facts, "recipe hashes of contrasted rows": hashes}))


def _command(entry: Entry) -> str:
    held_out = " --validation-persons 100" if entry.protocol == "validation" else ""
    words = f"resight train embedder --recipe {entry.recipe} --seed {entry.seed} --data MARKET1501 --out RUN{held_out}"
    return f"{words} {entry.changes}".strip()


def _without_persons(entry: Entry) -> dict[str, Any]:
    facts = asdict(entry)
    heavy = {"persons", "ap_sums", "counts"}
    facts["scores"] = {
        name: {key: value for key, value in one.items() if key not in heavy} for name, one in entry.scores.items()
    }
    return facts
