"""`resight leaderboard`: every method under one recipe, from committed results, and what the differences are worth."""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from resight.commands.tables import plain_table
from resight.config import read_recipe, recipe_names
from resight.data.files import as_json_kinds
from resight.errors import DatasetNotFound
from resight.evaluate.leaderboard import CONDITIONS, ROWS, Contrast, Entry, Row, contrasts, read_entries, summary
from resight.evaluate.statistics import OverSeeds

INSTALLED: Final = Path(__file__).parents[1] / "leaderboard"
IN_REPOSITORY: Final = Path(__file__).parents[3] / "benchmarks" / "results" / "leaderboard"
SHOWN: Final = ("clean", "occluded-40", "other-view")
MISSING: Final = "not measured"
WIDTH: Final = 116


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaderboard:
    """Print the table of methods from committed results, with intervals over training seeds and persons.

    Rows that were not run are named below it as "not measured", then the differences that papers claim: one
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
    if not entries:
        raise DatasetNotFound(f"{folder} holds no results (*.json); name a folder with some, or leave --results out.")
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

    def say(text: str) -> None:
        lines = textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        console.print("\n".join(lines), markup=False)

    what = {"validation": "Held-out training persons", "market1501": "Market-1501, official test split"}[protocol]
    say(f"{what}. In %: mAP with its 95 % interval over seeds and persons (with one seed, over persons), and Rank-1.")
    rows = _rows(entries)
    for backbone in dict.fromkeys(row.backbone for row, some in rows if some):
        table = plain_table("method", "recipe", "seeds", *SHOWN, "Rank-1", "minutes", left=(0, 1), tight=True)
        for row, some in rows:
            if some and row.backbone == backbone:
                table.add_row(row.method, *_cells(some))
        console.print(f"\nOn {backbone}:")
        console.print(table)
    table = plain_table(
        *("method", "backbone", "parameters", "multiply-adds", "pictures/s", "hash", "hardware"),
        left=(0, 1, 5, 6),
        tight=True,
    )
    for row, some in rows:
        if some:
            table.add_row(row.method, row.backbone, *_costs(some))
    console.print("\nWhat they cost:")
    console.print(table)
    _say_unmeasured(say, ((row.unrun, row.backbone, row.method) for row, some in rows if not some))
    if any(_starts_late(entry) for entry in entries):
        say("+ start: without the training of the runs that the recipe starts from.")
    say(
        "Minutes of training and pictures/s are means over seeds, as it went where they were run, alone or beside "
        "others. Rows of one hash differ in their method alone. Every seed and the commands that train it: --json."
    )
    console.print()
    found = contrasts(entries)
    for one in found:
        if one.found is not None:
            say(_sentence(one, one.found))
    missing = [one for one in found if one.found is None]
    _say_unmeasured(say, ((one.note, f"{one.first[1]}, {one.condition}", _names(one)) for one in missing))
    console.print()


def _cells(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What the table says of one row behind its method."""
    rank1 = [entry.scores["clean"]["rank1"] for entry in entries if "clean" in entry.scores]
    seconds = [entry.training_seconds for entry in entries if entry.training_seconds is not None]
    start = " + start" if any(_starts_late(entry) for entry in entries) else ""
    return (
        "\n".join(dict.fromkeys(entry.recipe for entry in entries)),
        " ".join(str(entry.seed) for entry in entries),
        *(_score(summary(entries, condition)) for condition in SHOWN),
        f"{np.mean(rank1) * 100:.1f}" if rank1 else MISSING,
        f"{np.mean(seconds) / 60:,.0f}{start}" if seconds else MISSING,
    )


def _costs(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Size, work for one picture, speed, whose recipe it shares and where that was measured."""
    return (
        *(_amount(entries, name, 1e6, " M") for name in ("parameters", "multiply_adds")),
        _amount(entries, "pictures_per_second", 1, ""),
        " ".join(sorted({entry.recipe_hash for entry in entries})),
        ", ".join(sorted({entry.hardware.split("(R)")[0] for entry in entries if entry.hardware})),
    )


def _amount(entries: Sequence[Entry], name: str, unit: float, sign: str) -> str:
    values = [getattr(entry, name) for entry in entries if getattr(entry, name) is not None]
    return f"{np.mean(values) / unit:,.{1 if unit > 1 else 0}f}{sign}" if values else MISSING


def _starts_late(entry: Entry) -> bool:
    """Whether the recipe goes on from other runs, whose training is in no number of this one."""
    if entry.recipe not in recipe_names():
        return False
    return tomllib.loads(read_recipe(entry.recipe)).get("backbone-weights", "imagenet") not in ("imagenet", "none")


def _say_unmeasured(say: Callable[[str], None], found: Iterable[tuple[str, str, str]]) -> None:
    """Say what is not measured, once for each reason and there once for each place; found: reason, place, name."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for reason, place, name in found:
        reasons.setdefault(reason, {}).setdefault(place, []).append(name)
    for reason, places in reasons.items():
        named = "; ".join(f"{', '.join(names)} ({place})" for place, names in places.items())
        say(f"{MISSING}{f', since {reason}' if reason else ''}: {named}")


def _names(one: Contrast) -> str:
    return f"{one.first[0]} - {one.second[0]}"


def _sentence(one: Contrast, found: OverSeeds) -> str:
    where = f"{_names(one)} ({one.first[1]}, {one.condition})"
    said = "; ".join(filter(None, (one.note, one.differs)))
    note = f" ({said})" if said else ""
    if np.isnan(found.low):
        persons = f"{found.persons_low * 100:+.1f} to {found.persons_high * 100:+.1f} over persons"
        return f"{where}: {found.mean * 100:+.1f} points of mAP ({persons}), undecided with one seed{note}"
    interval = f"{found.low * 100:+.1f} to {found.high * 100:+.1f}"
    return f"{where}: {found.mean * 100:+.1f} points of mAP ({interval}), {one.verdict}{note}"


def _score(found: OverSeeds | None) -> str:
    if found is None:
        return MISSING
    ends = (found.persons_low, found.persons_high) if np.isnan(found.low) else (found.low, found.high)
    low, high = np.clip(ends, 0, 1)  # with two seeds that lie apart an interval would leave what a score can be
    return f"{found.mean * 100:.1f} ({low * 100:.1f}-{high * 100:.1f})"


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
