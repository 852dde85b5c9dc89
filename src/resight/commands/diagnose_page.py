"""The pages that `resight diagnose` writes: one diagnosis, and the difference of two."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from resight.data.files import check_place
from resight.data.images import read_picture
from resight.data.labels import LabelSet
from resight.diagnose import tables
from resight.diagnose.conditions import Parse
from resight.diagnose.remedies import ALL
from resight.errors import BadPicture, BadRecipe
from resight.evaluate.statistics import bootstrap_over_persons
from resight.report.words import Language

if TYPE_CHECKING:
    from rich.console import Console

    from resight.diagnose.findings import Findings
    from resight.report.diagnosis_facts import Advice, Change, DiagnosisInput, DoseCurve


DOSE: Final = "dose.csv"
"""Where a diagnosis looks for dose curves in its folder."""
OTHER_SEARCH: Final = "The two are of other pictures, persons or cameras, so their losses are not comparable."


def write_report(
    path: Path,
    found: Findings,
    folders: Sequence[Path],
    *,
    dataset: str,
    curves: Sequence[DoseCurve],
    dose: str,
    advice: Sequence[Advice],
    facts: dict[str, str],
    parse: Parse | None,
    labels: LabelSet,
    language: Language,
    blur_heads: bool,
) -> None:
    """Write the page with the pictures that it shows, and with body parts over them where there is a parser."""
    from resight.diagnose.page import page_of
    from resight.report.diagnosis_page import write_diagnosis
    from resight.report.pictures import read_shrunk
    from resight.report.words import say

    page = page_of(
        found,
        title=dataset if dataset == "sample" else Path(dataset).name,
        facts=[(say(word), value) for word, value in facts.items()],
        notes=[say("heads")] if blur_heads else [],
        dose=dose,
        curves=curves,
        advice=advice,
        has_pictures=bool(folders),
    )
    files = dict.fromkeys(shown_files(page))
    pictures = read_shrunk(files, folders, blur_heads=blur_heads)
    overlays = {} if parse is None else _overlays(files, folders, parse, labels, blur_heads=blur_heads)
    write_diagnosis(path, page, pictures, overlays, language=language)


def shown_files(page: DiagnosisInput) -> Iterable[str]:
    """Files of all pictures on the page."""
    for one in (*page.worst, *(one for some in page.galleries for one in (*some.losing, *some.fine))):
        yield from (tile.file for tile in (one.strip.query, *one.strip.top, *one.strip.matches))
    for pair in page.suspects:
        yield from (tile.file for tile in (*pair.first_tiles, *pair.second_tiles))


def _overlays(
    files: Iterable[str], folders: Sequence[Path], parse: Parse, labels: LabelSet, *, blur_heads: bool
) -> dict[str, NDArray[np.uint8]]:
    from resight.report.parts import overlay
    from resight.report.pictures import blur_head, shrink

    found = {}
    for file in files:
        try:
            pixels = read_picture(folders[0] / file)
        except BadPicture:
            continue
        parts = parse([pixels])[0].labels
        found[file] = shrink(overlay(blur_head(pixels) if blur_heads else pixels, parts, labels))
    return found


def read_run(folder: Path) -> dict[str, Any]:
    """What an earlier diagnosis in this folder says of itself; empty where there is none."""
    try:
        found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def compare(
    folders: tuple[Path, ...], out: Path, console: Console, *, language: Language, seed: int, resamples: int
) -> int:
    """Print the loss of two diagnoses by cause, side by side, and write it as a page."""
    from resight.commands.tables import plain_table, points
    from resight.report.diagnosis_facts import DifferenceInput
    from resight.report.diagnosis_page import write_difference

    if len(folders) != 2:
        raise BadRecipe(f"--compare takes two folders, {len(folders)} given; pass those of two earlier diagnoses.")
    check_place(out)
    runs = [read_run(folder) for folder in folders]
    for key in ("rules", "thresholds", "protocol", "mask"):
        seen = [run.get(key) for run in runs]
        if seen[0] != seen[1]:
            raise BadRecipe(f"The two differ in {key} ({seen[0]} and {seen[1]}), so their causes are not comparable.")
    searches = [run.get("search") for run in runs]
    if None not in searches and searches[0] != searches[1]:
        raise BadRecipe(OTHER_SEARCH)
    *rows, total = differences(folders, seed=seed, resamples=resamples)
    table = plain_table("cause", "A", "B", "B - A", "95 %", tight=True)
    for one in (*rows, replace(total, cause="all that is lost")):
        ends = f"{one.low * 100:+.1f} … {one.high * 100:+.1f}"
        table.add_row(one.cause, f"{one.first * 100:.1f}", f"{one.second * 100:.1f}", points(one.more), ends)
    console.print(f"A {folders[0]}\nB {folders[1]}", markup=False)
    console.print(table)
    console.print(
        "In points of mAP lost: below 0, B loses less. Intervals: paired bootstrap over persons, effects held."
    )
    write_difference(out, DifferenceInput(str(folders[0]), str(folders[1]), tuple(rows), total), language=language)
    console.print(f"Page: {out}", markup=False)
    return 0


def differences(folders: Sequence[Path], *, seed: int, resamples: int) -> tuple[Change, ...]:
    """Loss by cause in both diagnoses and how much more B loses, what it mended most first; the last is the whole."""
    from resight.report.diagnosis_facts import Change

    (first, a), (second, b) = (tables.read_losses(folder / "queries.csv") for folder in folders)
    if [row["file"] for row in first] != [row["file"] for row in second]:
        raise BadRecipe(OTHER_SEARCH)
    names = [*dict.fromkeys((*a, *b))]
    none = np.zeros(len(first))
    sides = [np.column_stack([one.get(name, none) for name in names]) for one in (a, b)]
    answered = np.array([row["ap"] != "" for row in first])
    more = np.where(answered[:, None], sides[1] - sides[0], np.nan) * answered.sum()
    more = np.column_stack([more, more.sum(1)])
    persons = np.array([row["person"] for row in first])
    ends = bootstrap_over_persons(more, persons, rng=np.random.default_rng(seed), resamples=resamples)
    totals = [[*one.sum(0), one.sum()] for one in sides]
    rows = zip([*names, ALL], *totals, ends.tolist(), strict=True)
    *found, whole = (Change(name, float(x), float(y), *pair) for name, x, y, pair in rows)
    return (*sorted(found, key=lambda one: one.more), whole)
