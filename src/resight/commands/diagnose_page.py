"""The pages that `resight diagnose` writes: one diagnosis, and the difference of two."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from resight.data.images import read_picture
from resight.data.labels import LabelSet
from resight.diagnose import tables
from resight.diagnose.conditions import Parse
from resight.errors import BadPicture, BadRecipe
from resight.report.words import Language

if TYPE_CHECKING:
    from rich.console import Console

    from resight.diagnose.findings import Findings
    from resight.report.diagnosis_facts import DiagnosisInput, DoseCurve


DOSE: Final = "dose.csv"
"""Where a diagnosis looks for dose curves in its folder."""


def write_report(
    path: Path,
    found: Findings,
    folders: Sequence[Path],
    *,
    dataset: str,
    curves: Sequence[DoseCurve],
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
        dose=path.parent / DOSE,
        curves=curves,
        has_pictures=bool(folders),
        dataset=dataset,
    )
    files = dict.fromkeys(shown_files(page))
    pictures = read_shrunk(files, folders, blur_heads=blur_heads)
    overlays = {} if parse is None else _overlays(files, folders, parse, labels, blur_heads=blur_heads)
    write_diagnosis(path, page, pictures, overlays, language=language)


def shown_files(page: DiagnosisInput) -> Iterable[str]:
    """Files of all pictures on the page."""
    for one in (*page.worst, *(one for some in page.galleries for one in (*some.failed, *some.fine))):
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


def compare(folders: tuple[Path, ...], out: Path, console: Console, *, language: Language) -> int:
    """Print the loss of two diagnoses by cause, side by side, and write it as a page."""
    from resight.commands.tables import plain_table, points
    from resight.report.diagnosis_facts import DifferenceInput
    from resight.report.diagnosis_page import write_difference

    if len(folders) != 2:
        raise BadRecipe(f"--compare takes two folders, {len(folders)} given; pass those of two earlier diagnoses.")
    runs = [read_run(folder) for folder in folders]
    for key in ("rules", "thresholds", "protocol", "mask"):
        seen = [run.get(key) for run in runs]
        if seen[0] != seen[1]:
            raise BadRecipe(f"The two differ in {key} ({seen[0]} and {seen[1]}), so their causes are not comparable.")
    searches = [run.get("search") for run in runs]
    if None not in searches and searches[0] != searches[1]:
        raise BadRecipe("The two are of other pictures, persons or cameras, so their losses are not comparable.")
    losses: list[dict[str, float]] = []
    for folder in folders:
        losses.append({})
        for row in tables.read_table(folder / "shares.csv"):
            losses[-1][row["cause"]] = losses[-1].get(row["cause"], 0.0) + float(row["loss"])
    table = plain_table("points of mAP lost", "A", "B", "B - A", tight=True)
    first, second = losses
    names = sorted({*first, *second}, key=lambda one: second.get(one, 0.0) - first.get(one, 0.0))
    rows = tuple((name, first.get(name, 0.0), second.get(name, 0.0)) for name in names)
    total = ("all that is lost", sum(first.values()), sum(second.values()))
    for name, a, b in (*rows, total):
        table.add_row(name, f"{a * 100:.1f}", f"{b * 100:.1f}", points(b - a))
    console.print(f"A {folders[0]}\nB {folders[1]}", markup=False)
    console.print(table)
    write_difference(out, DifferenceInput(str(folders[0]), str(folders[1]), rows), language=language)
    console.print(f"Page: {out}", markup=False)
    return 0
