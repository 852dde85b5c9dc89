"""`resight diagnose`: what a search lost, by cause, with proof."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from resight.commands.conditions import open_parser
from resight.commands.datasets import SetOptions
from resight.commands.progress import bar
from resight.commands.report import stored_root
from resight.data.files import write_beside
from resight.diagnose import tables
from resight.diagnose.causes import Split, split_loss
from resight.diagnose.conditions import THRESHOLDS, Conditions, read_thresholds
from resight.diagnose.grades import GRADES, Verdict, grade_causes
from resight.diagnose.ledger import Ledger, ledger_of
from resight.diagnose.marks import cells_of
from resight.diagnose.oracles import Step, clean_twins, remove_cause, remove_in_turn
from resight.diagnose.splits import Suspects, nominate
from resight.diagnose.stages import marks_of, measured
from resight.diagnose.twins import FEWEST_GROUPS, Twins, every_turn
from resight.errors import BadRecipe, DatasetNotFound
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import score_features
from resight.evaluate.statistics import check_chance
from resight.search.features import Features, load_features, save_features

if TYPE_CHECKING:
    from rich.console import Console

RULES: Final = "1"
"""Raised when a rule of attribution changes: tables of different rules are not comparable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnose(SetOptions):
    """Say what a search lost and why: 1 - mAP split exactly, shared among causes, each looked at in several ways.

    Give a data set (or a features file with its pictures), or two earlier diagnoses with --compare. Without pictures
    the ledger alone is written. What cannot be estimated is said, never guessed.
    """

    x: str | None = None
    """A data set's folder, the word `sample`, or a features file (.npz)."""
    out: Path = Path("diagnosis")
    """A folder for the tables; features and measurements are kept, so that a second run goes on."""
    model: str | None = None
    """For a data set: a shipped name, a run folder or a weights file; left out, the default model."""
    features: Path | None = None
    """For a data set: a features file of any toolkit, instead of a model."""
    images: Path | None = None
    """For a features file: the folder that its file names are relative to."""
    parser: str | None = None
    """A parser for masks and hidden parts: a shipped name, a run folder or a weights file; never the judged model."""
    protocol: ProtocolName = "market"
    """Which gallery pictures a query must ignore."""
    thresholds: Path = THRESHOLDS
    """A TOML file that says when a condition counts as present."""
    compare: tuple[Path, ...] = ()
    """Two folders of earlier diagnoses: which causes did the second model mend?"""
    parquet: bool = False
    """Also write the tables as Parquet (extra `tables`)."""
    resamples: int = 2000
    """Bootstrap resamples behind each interval."""
    seed: int = 0
    """Seed of resamples and shams."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything that one diagnosis found."""

    ledger: Ledger
    split: Split
    verdicts: tuple[Verdict, ...]
    steps: tuple[Step, ...]
    suspects: tuple[Suspects, ...]
    conditions: Conditions | None


def diagnose(config: Diagnose) -> int:
    """Write the tables and print what they say."""
    from rich.console import Console

    check_chance(seed=config.seed, resamples=config.resamples)
    console = Console(highlight=False, soft_wrap=True)
    if config.compare:
        return _compare(config.compare, console)
    if config.x is None:
        raise BadRecipe("`resight diagnose` needs a data set, the word `sample` or a features file; or --compare A B.")
    thresholds = read_thresholds(config.thresholds)
    features, folders = _features(config)
    ap = score_features(features, protocol=config.protocol).ap
    ledger = ledger_of(features, protocol=config.protocol)
    conditions = None
    if folders:
        conditions = _conditions(config, features, folders)
    found = _attribute(config, features, ledger, conditions)
    written = tables.ledger_tables(ledger, ap) | tables.cause_tables(found.split, found.verdicts, found.steps)
    written["label_fixes"] = tables.suspects_table(found.suspects)
    if conditions is not None:
        written["images"] = tables.condition_table(conditions)
    for name, table in written.items():
        tables.write_table(config.out / name, table, parquet=config.parquet)
    _write_run(config, ledger, thresholds.version, conditions)
    _print(console, config, found)
    return 0


def _features(config: Diagnose) -> tuple[Features, list[Path]]:
    """Read or make features; and the folders that pictures may lie in, those that hold none left out."""
    path = Path(str(config.x))
    if path.suffix == ".npz":
        features = load_features(path)
        folders = [config.images] if config.images is not None else [stored_root(path), path.parent]
    elif config.features is not None:
        features = load_features(config.features)
        folders = [config.reid_set(str(config.x)).root, config.images]
    else:
        from resight.commands.embed import embed_set, open_model

        reid_set = config.reid_set(str(config.x))
        folders = [reid_set.root]
        kept = config.out / "features.npz"
        made = {"set": str(reid_set.source.absolute()), "model": str(config.model)}
        if kept.is_file() and _run(config.out).get("made") == made:
            features = load_features(kept)
        else:
            features = embed_set(reid_set, open_model(config.model))
            save_features(kept, features, root=reid_set.root)
            _write_json(config.out / "run.json", {"made": made})
    file = str(features.query.files[0])
    there = [folder for folder in folders if folder is not None and (folder / file).is_file()]
    if config.images is not None and not there:
        raise DatasetNotFound(f"--images {config.images} does not hold {file}; name the folder of the file names.")
    return features, there


def _conditions(config: Diagnose, features: Features, folders: Sequence[Path]) -> Conditions:
    files = [*features.query.files.tolist(), *features.gallery.files.tolist()]
    parse, labels = open_parser(config.parser)
    with bar("measuring", total=len(files)) as told:
        return measured(
            [folders[0] / file for file in files],
            files=files,
            thresholds=read_thresholds(config.thresholds),
            parse=parse,
            label_set=labels,
            parser=config.parser or "prior",
            told=told,
        )


def _attribute(config: Diagnose, features: Features, ledger: Ledger, conditions: Conditions | None) -> _Found:
    rng = np.random.default_rng(config.seed)
    marks = marks_of(features, conditions, rng=rng)
    before = score_features(features, protocol=config.protocol)
    split = split_loss(cells_of(features, marks, protocol=config.protocol), rng=rng)
    twins = clean_twins(features, marks)
    oracles = {}
    with bar("oracles", total=len(marks.causes)) as told:
        for cause in marks.causes:
            oracles[cause] = remove_cause(
                features, marks, cause, before, rng=rng, twins=twins, resamples=config.resamples
            )
            told(1)
    turns = every_turn(features, protocol=config.protocol)
    verdicts = grade_causes(marks, split, ledger, turns, oracles, rng=rng, resamples=config.resamples)
    worst = [one.cause for one in verdicts if one.cause in marks.causes][:3]
    steps = remove_in_turn(features, marks, worst, protocol=config.protocol)
    steps += remove_in_turn(features, marks, worst[::-1], protocol=config.protocol)
    return _Found(ledger, split, verdicts, steps, nominate(ledger, protocol=config.protocol, most=10), conditions)


def _run(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_run(config: Diagnose, ledger: Ledger, thresholds: str, conditions: Conditions | None) -> None:
    from resight.train.resources import surroundings

    facts = {
        "made": _run(config.out).get("made"),
        "x": config.x,
        "model": config.model,
        "protocol": config.protocol,
        "rules": RULES,
        "thresholds": thresholds,
        "mask": None if conditions is None else conditions.mask,
        "seed": config.seed,
        "resamples": config.resamples,
        "mean_ap": 1 - ledger.loss,
        "answered": ledger.answered,
        **surroundings(),
    }
    _write_json(config.out / "run.json", facts)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with write_beside(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _print(console: Console, config: Diagnose, found: _Found) -> None:
    loss, rest = found.ledger.loss, found.split.unexplained
    console.print(sentence(found.ledger, found.split), markup=False)
    table = _table("cause", "loss", "95 %", "twins", "95 %", "oracle", "grade")
    for one in found.verdicts:
        mine = [share for share in found.split.shares if share.cause == one.cause]
        ends = _ends(sum(share.low for share in mine), sum(share.high for share in mine)) if mine else ""
        oracle = "" if one.oracle is None or not one.oracle.swapped else f"{one.oracle.over_sham * 100:+.1f}"
        table.add_row(one.cause, f"{one.loss * 100:.1f}", ends, *_twin(one.on_queries), oracle, one.grade)
    table.add_row("unexplained", f"{rest.loss * 100:.1f}", _ends(rest.low, rest.high), "", "", "", "")
    console.print(table)
    check = sum(one.loss for one in found.split.shares) + rest.loss - loss
    console.print(f"Check: causes and unexplained sum to {loss:.4f}, off by {abs(check):.0e}.")
    console.print(
        "In points of mAP. twins: AP of a person's pictures in one camera with the cause, less without "
        f"(at least {FEWEST_GROUPS} groups); oracle: mAP won by clean twins, over a sham."
    )
    console.print("Grades: " + "; ".join(f"{grade} {words}" for grade, words in GRADES.items() if grade) + ".")
    if found.conditions is None:
        console.print("No pictures were found: the ledger stands alone (name their folder with --images).")
    elif config.parser is None:
        console.print("Without --parser, hidden, cut and second persons are not measured; masks are a prior.")
    if found.suspects:
        console.print(
            f"{len(found.suspects)} pairs of persons may be one: look at label_fixes.csv. Nothing was merged."
        )
    if loss == 0:
        console.print("Nothing was lost: every true match stands above every wrong picture.")
    console.print(f"Tables: {config.out}", markup=False)


def sentence(ledger: Ledger, split: Split) -> str:
    """Say the whole diagnosis in one sentence."""
    parts = [f"{name.replace('_', ' ')} {loss * 100:.1f}" for name, loss in split.by_cause().items()]
    parts.append(f"unexplained {split.unexplained.loss * 100:.1f}")
    return f"mAP {100 - ledger.loss * 100:.1f}. Of the {ledger.loss * 100:.1f} lost: {', '.join(parts)}."


def _twin(twins: Twins | None) -> tuple[str, str]:
    if twins is None:
        return "", ""
    if not twins.estimable:
        return "", "not estimable"
    return f"{twins.difference * 100:+.1f}", f"{twins.low * 100:+.1f} … {twins.high * 100:+.1f}"


def _ends(low: float, high: float) -> str:
    return f"{low * 100:.1f} - {high * 100:.1f}"


def _compare(folders: tuple[Path, ...], console: Console) -> int:
    """Print the loss of two diagnoses by cause, side by side."""
    if len(folders) != 2:
        raise BadRecipe(f"--compare takes two folders, {len(folders)} given; pass those of two earlier diagnoses.")
    runs = [_run(folder) for folder in folders]
    for key in ("rules", "thresholds", "protocol", "mask"):
        seen = [run.get(key) for run in runs]
        if seen[0] != seen[1]:
            raise BadRecipe(f"The two differ in {key} ({seen[0]} and {seen[1]}), so their causes are not comparable.")
    losses: list[dict[str, float]] = []
    for folder in folders:
        losses.append({})
        for row in tables.read_table(folder / "shares.csv"):
            losses[-1][row["cause"]] = losses[-1].get(row["cause"], 0.0) + float(row["loss"])
    table = _table("cause", "A", "B", "B - A")
    first, second = losses
    for name in sorted({*first, *second}, key=lambda one: second.get(one, 0.0) - first.get(one, 0.0)):
        a, b = first.get(name, 0.0), second.get(name, 0.0)
        table.add_row(name, f"{a:.1%}", f"{b:.1%}", f"{b - a:+.1%}")
    a, b = sum(first.values()), sum(second.values())
    table.add_row("all that is lost", f"{a:.1%}", f"{b:.1%}", f"{b - a:+.1%}")
    console.print(f"A {folders[0]}\nB {folders[1]}", markup=False)
    console.print(table)
    return 0


def _table(*heads: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number == 0 else "right", no_wrap=True)
    return table
