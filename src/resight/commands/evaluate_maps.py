"""`resight evaluate MAPS --truth MAPS`: how well label maps agree with the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from resight.commands.tables import plain_table
from resight.data.files import as_json_kinds, write_json
from resight.data.label_sets import LabelSet, find_labels
from resight.data.labels import SHEET, read_map
from resight.data.regrouping import Regrouping, find_regrouping, load_regrouping, regroup_map
from resight.errors import BadLabels
from resight.evaluate.parsing import Confusion, ParsingScores
from resight.types import IGNORE

MERGED_AFTER: Final = (
    "merged after argmax: predicted maps were regrouped, classes without a group as background; "
    "merging before argmax sums probabilities (`resight parse --labels`)"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A predicted map and its truth, of one stem."""

    predicted: Path
    truth: Path


def evaluate_maps(
    folder: Path,
    truth: Path,
    *,
    labels: str,
    truth_labels: str | None = None,
    map_labels: str | None = None,
    out: Path | None = None,
    resamples: int,
    seed: int,
) -> int:
    """Print the scores of a folder of label maps, and write them as JSON; returns the exit code.

    `labels` names the set that is scored; `truth_labels` and `map_labels` the sets that the files follow where they are
    another one, regrouped before they are counted.
    """
    target = find_labels(labels)
    of_truth, of_maps = (_regrouping(name, target) for name in (truth_labels, map_labels))
    confusion = Confusion(target)
    pairs = find_pairs(folder, truth)
    for pair in pairs:
        predicted = read_map(pair.predicted, of_maps.source)
        true = regroup_map(read_map(pair.truth, of_truth.source, ignored=True), of_truth, str(pair.truth))
        predicted = regroup_map(predicted, of_maps, str(pair.predicted))
        predicted[predicted == IGNORE] = 0  # a class without a group is wrong wherever the truth counts
        confusion.add(true, predicted, str(pair.predicted))
    scores = confusion.scores()
    intervals = confusion.intervals(rng=np.random.default_rng(seed), resamples=resamples)
    notes = _notes(scores, of_truth, of_maps)
    try:
        if out is not None:
            about = {"maps": str(folder), "truth": str(truth), "resamples": resamples, "seed": seed, "notes": notes}
            _write(out, scores, intervals, confusion, about)
    finally:
        print_scores(scores, intervals, notes)
    return 0


def find_pairs(folder: Path, truth: Path) -> list[Pair]:
    """Pair NAME.png of two folders by name. Raises BadLabels for an empty folder and names that have no partner."""
    predicted, true = (
        {path.stem: path for path in sorted(place.glob("*.png")) if path.name != SHEET} for place in (folder, truth)
    )
    for place, found in ((folder, predicted), (truth, true)):
        if not found:
            raise BadLabels(f"{place} holds no label maps (NAME.png).")
    for names, place, what in (
        (sorted(true.keys() - predicted.keys()), folder, "truth maps have no prediction"),
        (sorted(predicted.keys() - true.keys()), truth, "predictions have no truth"),
    ):
        if names:
            more = " …" * (len(names) > 3)
            raise BadLabels(
                f"{len(names)} {what} in {place}: {', '.join(f'{name}.png' for name in names[:3])}{more}. "
                "Both folders need the same names."
            )
    return [Pair(predicted[name], true[name]) for name in true]


def _regrouping(name: str | None, target: LabelSet) -> Regrouping:
    if name is None or not name.endswith(".toml"):
        return find_regrouping(target if name is None else find_labels(name), target)
    found = load_regrouping(Path(name))
    if found.target != target:
        raise BadLabels(f"{name} leads to {found.target.name} and {target.name} is scored; pass it as --labels.")
    return found


def _notes(scores: ParsingScores, of_truth: Regrouping, of_maps: Regrouping) -> list[str]:
    notes = []
    for what, regrouping in (("truth", of_truth), ("predictions", of_maps)):
        if regrouping.source != regrouping.target:
            policies = ", ".join(f"{name}: {policy}" for name, policy in regrouping.about().items())
            notes.append(
                f"{what} regrouped from {regrouping.source.name} to {regrouping.target.name}"
                f" ({policies or 'every class has a group'})"
            )
    if of_maps.source != of_maps.target:
        notes.append(MERGED_AFTER)
    if scores.absent:
        names = ", ".join(scores.absent)
        notes.append(f"in no picture, counted as 0 in the means over all classes: {names}")
    return notes


def _write(
    path: Path,
    scores: ParsingScores,
    intervals: dict[str, tuple[float, float]],
    confusion: Confusion,
    about: dict[str, Any],
) -> None:
    write_json(path, as_json(scores, intervals, confusion, about))


def as_json(
    scores: ParsingScores, intervals: dict[str, tuple[float, float]], confusion: Confusion, about: dict[str, Any]
) -> dict[str, Any]:
    """All scores as the scores file has them."""
    content = {name: value for name, value in asdict(scores).items() if name != "labels"} | {
        "labels": scores.labels.name,
        "classes": scores.labels.classes,
        "confusion": confusion.counts.tolist(),
        "ci95": {name: [low, high] for name, (low, high) in intervals.items()},
        "about": about,
    }
    return dict(as_json_kinds(content))


def print_scores(
    scores: ParsingScores, intervals: dict[str, tuple[float, float]], notes: list[str], *, title: str = ""
) -> None:
    """Print both tables: the scores with their intervals, and a row for every class."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{title}{scores.pictures:,} pictures, {scores.pixels:,} pixels, {scores.labels.name}")
    table = plain_table("", "score", "95 % interval", "what it is", left=(0, 3))
    rows = [
        ("pixel accuracy", "pixel_accuracy", "right pixels"),
        ("mean accuracy", "mean_accuracy", "recall over all classes"),
        ("mean IoU", "mean_iou", "over all classes"),
        ("mean IoU present", "mean_iou_present", "over classes that occur"),
        ("foreground accuracy", "foreground_accuracy", "right foreground pixels"),
        ("mean F1", "mean_f1", "over all classes"),
        ("mean precision", "mean_precision", "over all classes"),
        ("left for right", "side_confusion", "wrong sides of limbs"),
    ]
    for title, name, what in rows:
        low, high = intervals.get(name, (np.nan, np.nan))
        table.add_row(title, _share(getattr(scores, name)), _between(low, high), what)
    console.print(table)
    table = plain_table("", "class", "IoU", "recall", "precision", "F1", left=(1,))
    columns = zip(scores.labels.classes, scores.iou, scores.recall, scores.precision, scores.f1, strict=True)
    for number, (name, *values) in enumerate(columns):
        table.add_row(str(number), name + " (absent)" * (name in scores.absent), *(f"{value:.4f}" for value in values))
    console.print(table)
    for note in notes:
        console.print(f"· {note}", markup=False)


def _share(value: float) -> str:
    return "not measured" if np.isnan(value) else f"{value:.4f}"


def _between(low: float, high: float) -> str:
    return "not measured" if np.isnan(low) else f"{low:.4f} - {high:.4f}"
