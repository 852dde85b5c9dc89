"""`resight label`: label conditions of queries by eye, blind to outcomes, and check signals against the labels."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resight.commands.conditions import conditions_of, open_parser
from resight.commands.datasets import SetOptions
from resight.data.files import check_place
from resight.data.reid_sets import ReidSet
from resight.diagnose.conditions import Conditions
from resight.diagnose.labelled import (
    COLUMNS,
    DRAWS,
    LABELLED,
    Agreement,
    Answer,
    Labels,
    agreement,
    draw_queries,
    label_rows,
    read_labels,
    write_labels,
)
from resight.diagnose.thresholds import read_thresholds
from resight.errors import BadRecipe, CannotWrite
from resight.evaluate.statistics import check_chance

PAGE: Final = "label.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class Label(SetOptions):
    """Draw queries and write a page on which conditions are labelled by keyboard; then check the signals with --check.

    The page works offline, knows no outcome, and saves a CSV that it can go on with. Rare conditions are drawn more
    often; weights in the CSV undo that in every number.
    """

    dataset: str
    """A data set's folder or the word `sample`."""
    out: Path = Path("labels")
    """A folder for the page and the CSV."""
    count: int = 200
    """Queries to label, at most."""
    labels: Path | None = None
    """Go on with a CSV saved earlier: its pictures and answers instead of new ones."""
    check: Path | None = None
    """A CSV saved by the page: print and write how well each condition's score agrees with it."""
    parser: str | None = None
    """For what needs a map: a shipped parser, a run folder, a weights file or `none`; left out, parser-lite."""
    thresholds: Path | None = None
    """A TOML file that says when a condition counts as present; left out, the shipped one."""
    seed: int = 0
    """Seed of the draw, and of intervals and chance."""


def label(config: Label) -> int:
    """Write the page, or check labels; 1 when some of the labelled conditions agree no better than chance."""
    check_chance(seed=config.seed, resamples=DRAWS)
    if config.check is not None and config.labels is not None:
        raise BadRecipe("--check and --labels were both given; go on with labels first, then check them.")
    if config.count < 1:
        raise BadRecipe(f"--count is {config.count}; give the number of queries to label, 1 or more.")
    reid_set = config.reid_set(config.dataset)
    if config.check is not None:
        return _check(config, config.check, reid_set)
    check_place(config.out / PAGE)
    table = config.out / "labels.csv"
    if table.exists() and config.labels is None:
        raise CannotWrite(f"{table} is there already: go on with `--labels {table}`, or choose another --out.")
    if config.labels is not None:
        labels = read_labels(config.labels)
        _rows_of(labels, reid_set)
    else:
        labels = _drawn(config, reid_set)
    return _write(config, table, reid_set, labels)


def _drawn(config: Label, reid_set: ReidSet) -> Labels:
    """Queries to label, by the conditions that can be measured here."""
    found = _measured(config, reid_set)
    names: tuple[str, ...] = LABELLED
    known = {name: found.scores[name] for name in names if not np.isnan(found.scores.get(name, np.nan)).all()}
    rows, weights = draw_queries(known, most=config.count, rng=np.random.default_rng(config.seed))
    files = tuple(found.files[row] for row in rows)
    nothing = tuple[Answer, ...]("no" for _ in rows)
    return Labels(files, weights, np.zeros(len(rows), np.bool_), dict.fromkeys(known, nothing))


def _write(config: Label, table: Path, reid_set: ReidSet, labels: Labels) -> int:
    from resight.report.label_page import write_label_page
    from resight.report.pictures import read_shrunk

    pictures = read_shrunk(dict.fromkeys(labels.files), [reid_set.root], blur_heads=False)
    names = (*COLUMNS, *labels.answers)
    page = config.out / PAGE
    shown = write_label_page(
        page, names, label_rows(labels), pictures, conditions=tuple(labels.answers), title=Path(config.dataset).name
    )
    write_labels(table, labels)
    print(f"{shown} of {len(labels.files)} pictures: open {page}, answer, and save its CSV over {table}.")
    print("Nothing leaves your machine.")
    print(f"Then: {shlex.join(['resight', 'label', config.dataset, '--check', str(table)])}")
    return 0


def _check(config: Label, path: Path, reid_set: ReidSet) -> int:
    labels = read_labels(path)
    seen, count = int(labels.seen.sum()), len(labels.files)
    if seen == 0:
        raise BadRecipe(f"{path}: none of its {count:,} pictures is labelled yet; answer on the page, save its CSV.")
    check_place(config.out / "agreement.csv")
    rows = _rows_of(labels, reid_set)
    found = _measured(config, reid_set)
    persons = np.array([crop.person for crop in reid_set.crops("query")])[rows]
    result = agreement(
        labels,
        {name: values[rows] for name, values in found.scores.items()},
        {f"signal {name}": values[rows] for name, values in found.signals.items()},
        persons,
        rng=np.random.default_rng(config.seed),
    )
    _print(result, f"{seen:,} of {count:,}")
    return _write_agreement(config.out, result)


def _print(result: tuple[Agreement, ...], seen: str) -> None:
    from rich.console import Console

    from resight.commands.tables import plain_table

    console = Console(highlight=False, soft_wrap=True)
    table = plain_table("condition", "yes", "no", "AUC", "95 %", "chance", "best signal", "AUC", "chance", tight=True)
    for one in result:
        known = not math.isnan(one.auc)
        table.add_row(
            one.condition,
            str(one.yes),
            str(one.no),
            f"{one.auc:.2f}" if known else "not measured",
            f"{one.low:.2f} … {one.high:.2f}" if known else "",
            f"{one.chance:.2f}" if known else "",
            one.best.removeprefix("signal "),
            *(f"{value:.2f}" if one.best else "" for value in (one.best_auc, one.best_chance)),
        )
    console.print(table)
    console.print(
        f"{seen} pictures were labelled. AUC of the whole set, with intervals over persons; chance: what is reached "
        "one time in twenty when the same labels are dealt out at random, by the score alone or by the best signal."
    )


def _write_agreement(out: Path, result: tuple[Agreement, ...]) -> int:
    from resight.diagnose.tables import write_table

    each = [asdict(one) for one in result]
    write_table(out / "agreement", {name: [row[name] for row in each] for name in each[0]})
    print(f"Table: {out / 'agreement.csv'}")
    return 1 if any(one.auc <= one.chance for one in result) else 0


def _rows_of(labels: Labels, reid_set: ReidSet) -> NDArray[np.intp]:
    """Row among the queries of each labelled picture; raises BadRecipe for one that the set lacks."""
    place = {file: row for row, file in enumerate(_files(reid_set))}
    lost = [file for file in labels.files if file not in place]
    if lost:
        raise BadRecipe(
            f"{len(lost)} labelled pictures are no queries of this set, {lost[0]} first; pass the same set."
        )
    return np.array([place[file] for file in labels.files], np.intp)


def _files(reid_set: ReidSet) -> list[str]:
    return [crop.path.relative_to(reid_set.root).as_posix() for crop in reid_set.crops("query")]


def _measured(config: Label, reid_set: ReidSet) -> Conditions:
    paths = [crop.path for crop in reid_set.crops("query")]
    parser = open_parser(config.parser, flip=True)
    return conditions_of(paths, _files(reid_set), parser, read_thresholds(config.thresholds))
