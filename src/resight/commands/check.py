"""`resight data check`: what a data set holds, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resight.commands.datasets import SetOptions
from resight.commands.progress import bar
from resight.data.check import KINDS, Finding, SetCheck, check_set
from resight.data.check_maps import MAPS, TruthCheck
from resight.data.files import check_place, write_text
from resight.data.reid_sets import ReidSet
from resight.data.reid_table import Counts
from resight.types import SPLITS, Split

SHOWN = 5  # items of a finding on the screen; the JSON file has all
NAMED = ("unreadable", "bad-map", "bad-table")  # whose reasons name the file


@dataclass(frozen=True, kw_only=True, slots=True)
class Check(SetOptions):
    """Count the pictures, persons and cameras of a data set and find what would make its numbers wrong.

    Problems (exit code 1): pictures that cannot be read; queries whose person is in the gallery under no other camera
    (where cameras are not known: not at all); the same picture under two persons, in train and in test, or as a query
    and its own right answer under another or unknown camera; persons in both train and test; a copy of a published
    set with other counts than the published ones.

    Beside the pictures, label maps (LIP's layout in `lip`, and `maps`, as `resight people` writes them) and people.csv:
    also problems are a picture without its map, a map of another size or with unknown classes, and pictures and rows of
    the table that do not match. Classes that occur and planted causes are counted.

    Notes (exit code 0): further copies of a picture of one person, persons with one training picture, empty splits, a
    set that has a published one's file names but less than half of its pictures.

    The same picture means equal pixels, or thumbnails that correlate above 0.993: a copy saved again, resized or a
    little brighter is found, a neighbouring frame of a video mostly is not. Copies of junk are always notes.
    """

    dataset: str
    """A data set's folder, a CSV list, or the word `sample`."""
    quick: bool = False
    """Look at names and ids only; duplicates and damaged files are not found."""
    json: Path | None = None
    """Write the counts and every finding to this file."""


def check(config: Check) -> int:
    """Print what the set holds and what was found; 1 when there is a problem, else 0."""
    reid_set = config.reid_set(config.dataset)
    if config.json is not None:
        check_place(config.json)
    if config.quick:
        result = check_set(reid_set, pixels=False)
    else:
        with bar("looking at pictures", total=None) as told:
            result = check_set(reid_set, told=told)
    _show(config.dataset, reid_set, result)
    if config.json is not None:
        write_text(
            config.json, json.dumps(as_json(config.dataset, reid_set, result), indent=1, ensure_ascii=False) + "\n"
        )
    return 1 if result.problems else 0


def as_json(named: str, reid_set: ReidSet, result: SetCheck) -> dict[str, object]:
    """Everything that was counted and found, ready for a JSON file."""
    official = reid_set.official or {}
    return {
        "set": named,
        "layout": reid_set.name,
        "source": str(reid_set.source),
        "paper": reid_set.paper,
        "notes": list(reid_set.notes),
        "looked_at_pixels": result.looked,
        "counts": {split: dataclasses.asdict(result.counts[split]) for split in SPLITS},
        "official": {split: dataclasses.asdict(counts) for split, counts in official.items()} or None,
        "label_maps": {
            row.name: {
                "label_set": row.labels.name,
                "maps": row.maps,
                "pictures": dict(zip(row.labels.classes, row.pictures.tolist(), strict=True)),
                "pixels": dict(zip(row.labels.classes, row.pixels.tolist(), strict=True)),
            }
            for row in result.truth.counts
            if MAPS[row.name].classes
        },
        "causes": result.truth.causes,
        "problems": result.problems,
        "findings": [
            {"kind": f.kind, "problem": f.problem, "says": KINDS[f.kind].says, "count": len(f.items), "items": f.items}
            for f in result.findings
        ],
    }


def _show(named: str, reid_set: ReidSet, result: SetCheck) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    where = "" if str(reid_set.source) == named else f", in {reid_set.source}"
    console.print(f"{named}: laid out as {reid_set.name} ({reid_set.paper}){where}\n")
    table = Table("split", box=None, pad_edge=False)
    for name in ("pictures", "persons", "cameras", "junk", "distractors", "published"):
        table.add_column(name, justify="right")
    for split in SPLITS:
        counts = result.counts[split]
        numbers = (counts.pictures, counts.persons, counts.cameras or "none", counts.junk, counts.distractors)
        table.add_row(
            split, *(f"{n:,}" if isinstance(n, int) else n for n in numbers), _published(reid_set, result, split)
        )
    console.print(table)
    if said := list(_truth(result.truth)):
        console.print("", *said, sep="\n")
    for note in reid_set.notes:
        console.print(f"\nNote: {note}.", end="")
    if reid_set.notes:
        console.print()
    for finding in result.findings:
        console.print(f"\n{'PROBLEM' if finding.problem else 'note':<8}{finding.says}", style="bold")
        console.print(*_lines(finding), sep="\n")
    console.print(f"\n{_verdict(result)}")


def _published(reid_set: ReidSet, result: SetCheck, split: Split) -> str:
    """Say in one word how a split compares with its published counts."""
    if reid_set.official is None or any(finding.kind == "other-set" for finding in result.findings):
        return "none"
    mine, theirs = result.counts[split], reid_set.official[split]
    known = [name for name in Counts.__slots__ if getattr(theirs, name) is not None]
    return "the same" if all(getattr(mine, name) == getattr(theirs, name) for name in known) else f"{theirs.pictures:,}"


def _truth(truth: TruthCheck) -> Iterator[str]:
    """Say which classes occur in the label maps and which causes were planted."""
    for row in truth.counts:
        if MAPS[row.name].classes:
            classes = len(row.labels.classes)
            missing = f" (missing: {', '.join(row.missing)})" if row.missing else ""
            seen = f"classes with pixels: {classes - len(row.missing)}/{classes}{missing}"
            yield f"{row.maps:,} label maps of {row.labels.name}, {seen}"
    if truth.causes is not None:
        planted = ", ".join(f"{name} {count:,}" for name, count in truth.causes.items())
        yield f"planted causes: {planted or 'none'}"


def _lines(finding: Finding) -> list[str]:
    said = (item[1:] if finding.kind in NAMED else item for item in finding.items[:SHOWN])
    lines = [f"        {' | '.join(item)}" for item in said]
    more = len(finding.items) - SHOWN
    return [*lines, f"        and {more:,} more (all of them: --json FILE)"] if more > 0 else lines


def _verdict(result: SetCheck) -> str:
    quick = "" if result.looked else " Pictures were not read (--quick)."
    problems = sum(finding.problem for finding in result.findings)
    if not problems:
        return f"No problem found.{quick}"
    return f"{problems} kind{'s' * (problems > 1)} of problem, {result.problems:,} in all.{quick}"
