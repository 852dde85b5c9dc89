"""`resight conditions`: what any folder of crops looks like, one row a picture."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from resight.commands.progress import bar
from resight.data.images import is_picture
from resight.data.labels import LIP20, LabelSet
from resight.data.reid_sets import SAMPLE
from resight.data.sample import sample_folder
from resight.diagnose.conditions import PRIOR, Conditions, Parse, judge
from resight.diagnose.stages import measured
from resight.diagnose.tables import check_table, condition_table, write_table
from resight.diagnose.thresholds import Thresholds, read_thresholds
from resight.errors import DatasetNotFound

NO_PARSER: Final = "none"
OpenParser = tuple[Parse | None, LabelSet, str]
"""Crops to maps, the classes of the maps, and the parser's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionsOf:
    """Measure light, detail, people, occlusion and truncation of crops; scores in 0..1, higher is more.

    Signals stand beside the scores with their own units. With `--parser none`, what needs a parser's map stays empty.
    """

    crops: str
    """A folder of crops, or the word `sample`; those in its folders are measured too."""
    out: Path = Path("conditions.csv")
    """The table to write."""
    parser: str | None = None
    """For masks and what needs them: a shipped parser, a run folder, a weights file or `none`; else parser-lite."""
    thresholds: Path | None = None
    """A TOML file that says when a condition counts as present; left out, the shipped one."""
    parquet: bool = False
    """Also write the table as Parquet (extra `tables`)."""


def conditions(config: ConditionsOf) -> int:
    """Write the table; says what was found, and 1 when a picture could not be read."""
    thresholds = read_thresholds(config.thresholds)
    check_table(config.out, parquet=config.parquet)
    folder = sample_folder() if config.crops == SAMPLE else Path(config.crops)
    paths = sorted(path for path in folder.rglob("*") if is_picture(path)) if folder.is_dir() else []
    if not paths:
        seen = "holds no pictures" if folder.is_dir() else "is no folder"
        raise DatasetNotFound(f"{folder} {seen}; pass a folder of crops, or the word `{SAMPLE}`.")
    files = [path.relative_to(folder).as_posix() for path in paths]
    parser = open_parser(config.parser, flip=True)
    found = conditions_of(paths, files, parser, thresholds)
    write_table(config.out, condition_table(found), parquet=config.parquet)
    unreadable = [path for path, fine in zip(paths, found.readable.tolist(), strict=True) if not fine]
    missing = "it needs a parser" if parser[0] is None else "this parser does not tell it"
    for name, scores in found.scores.items():
        unknown = np.isnan(scores[found.readable]).all()
        print(f"{name}: {f'not measured ({missing})' if unknown else f'{int(found.present(name).sum()):,}'}")
    print(f"{len(paths):,} pictures: {config.out.with_suffix('.csv')}")
    for path in unreadable:
        print(f"resight: {path} cannot be read: its cells are empty.", file=sys.stderr)
    return 1 if unreadable else 0


def conditions_of(
    paths: Sequence[Path], files: Sequence[str], parser: OpenParser, thresholds: Thresholds, *, doing: str = "measuring"
) -> Conditions:
    """Measure pictures under a bar that says what is done; what was measured before is read."""
    parse, labels, name = parser
    with bar(doing, total=len(paths)) as told:
        found = measured(paths, parse=parse, label_set=labels, parser=name, told=told)
    return judge(found, files=files, mask=name, thresholds=thresholds)


def open_parser(name: str | None, *, flip: bool = False) -> OpenParser:
    """Load a parser as a function from crops to maps, with the classes of its maps, and its name and weights in a word.

    None is the shipped one; NO_PARSER gives no function, and masks are a prior then. `flip` looks at each crop twice,
    the second time mirrored: surer of who else is there, and half as fast.
    """
    if name == NO_PARSER:
        return None, LIP20, PRIOR
    from resight.nn.device import best_device
    from resight.parsing import DEFAULT_PARSER, load_parser, weights_print

    model = load_parser(name or DEFAULT_PARSER, device=best_device())
    told = f"{name or DEFAULT_PARSER} {weights_print(model)[:8]}"
    if flip:
        return functools.partial(model.parse, flip=True), model.labels, f"{told}, mirrored too"
    return model.parse, model.labels, told
