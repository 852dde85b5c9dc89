"""Find out whether the label maps and the table of truth beside a re-id set fit its pictures.

Maps lie in folders below the set's, one indexed PNG file a picture under the picture's name: LIP's layout (`lip`) and
what `resight people` writes. A folder that is not there is not asked for; one that is must have a map of each picture.
Proof: tests/data/test_check_maps.py.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int
from PIL import Image, UnidentifiedImageError

from resight.data.condition_names import condition_name
from resight.data.label_sets import BODY10, CAUSE, LIP20, PERSONS, LabelSet
from resight.data.labels import read_map
from resight.errors import BadLabels

TABLE: Final = "people.csv"


@dataclass(frozen=True, slots=True)
class MapFolder:
    """Folders that hold one kind of map."""

    folders: tuple[str, ...]
    labels: LabelSet
    every: bool = True
    """Whether each picture needs one."""
    classes: bool = True
    """Whether it is worth saying which classes occur."""


MAPS: Final[dict[str, MapFolder]] = {
    "lip": MapFolder(("lip/train_segmentations", "lip/val_segmentations"), LIP20),
    "body10": MapFolder(("maps/body10",), BODY10),
    "persons": MapFolder(("maps/persons",), PERSONS, classes=False),
    "cause": MapFolder(("maps/cause",), CAUSE, every=False, classes=False),  # with a twin alone
}


@dataclass(frozen=True, slots=True)
class MapCounts:
    """What the maps of one kind hold."""

    name: str
    """Key in MAPS."""
    labels: LabelSet
    maps: int
    """Maps that fit their picture."""
    pictures: Int[np.ndarray, " C"]
    """Maps in which each class has a pixel."""
    pixels: Int[np.ndarray, " C"]

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes without a pixel in any map."""
        return tuple(name for name, count in zip(self.labels.classes, self.pixels, strict=True) if not count)


@dataclass(frozen=True, slots=True)
class TruthCheck:
    """What is known beside the pictures, and what does not fit: kinds of resight.data.check.KINDS with their items."""

    counts: tuple[MapCounts, ...]
    causes: Mapping[str, int] | None
    """Pictures of each planted cause, by name; None without a table."""
    found: tuple[tuple[str, tuple[str, ...]], ...]


def maps_beside(root: Path) -> dict[str, dict[str, Path]]:
    """Maps below a set's folder: kind -> name of the picture without its ending -> file."""
    found = {
        name: {path.stem: path for folder in row.folders for path in sorted((root / folder).glob("*.png"))}
        for name, row in MAPS.items()
        if any((root / folder).is_dir() for folder in row.folders)
    }
    return {name: maps for name, maps in found.items() if maps or MAPS[name].every}


def check_truth(
    root: Path,
    pictures: Sequence[Path],
    maps: Mapping[str, Mapping[str, Path]],
    *,
    pixels: bool = True,
    told: Callable[[int], None] = lambda n: None,
) -> TruthCheck:
    """Compare what `maps_beside` found and the table with the pictures; without `pixels` only names are looked at.

    `told(1)` is called after each map that is read.
    """
    found = list(_unpaired(root, pictures, maps))
    sizes: dict[str, tuple[int, int] | None] = {}
    counts = []
    for name, files in maps.items() if pixels else ():
        row = MAPS[name]
        classes = len(row.labels.classes)
        seen, area, fit = np.zeros(classes, np.int64), np.zeros(classes, np.int64), 0
        for picture in pictures:
            if picture.stem not in files:
                continue
            if picture.stem not in sizes:
                sizes[picture.stem] = _size(picture)
            try:
                label = read_map(files[picture.stem], row.labels, size=sizes[picture.stem])
            except BadLabels as error:
                found.append(("bad-map", (_short(files[picture.stem], root), str(error))))
            else:
                here = np.bincount(label.ravel(), minlength=classes)
                seen, area, fit = seen + (here > 0), area + here, fit + 1
            told(1)
        counts.append(MapCounts(name, row.labels, fit, seen, area))
    causes = None
    if (root / TABLE).is_file():
        causes, more = _table(root, pictures)
        found += more
    return TruthCheck(tuple(counts), causes, tuple(found))


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _unpaired(
    root: Path, pictures: Sequence[Path], maps: Mapping[str, Mapping[str, Path]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    names = {picture.stem for picture in pictures}
    for kind, files in maps.items():
        for picture in pictures if MAPS[kind].every else ():
            if picture.stem not in files:
                yield "no-map", (_short(picture, root), kind)
        for name, file in files.items():
            if name not in names:
                yield "stray-map", (_short(file, root),)


def _size(picture: Path) -> tuple[int, int] | None:
    """Height and width from a picture's head; None where it cannot be read, which is found elsewhere."""
    try:
        with Image.open(picture) as opened:
            return opened.height, opened.width
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None


def _table(root: Path, pictures: Sequence[Path]) -> tuple[dict[str, int], list[tuple[str, tuple[str, ...]]]]:
    """Planted causes by count, and where the table and the pictures disagree."""
    try:
        with (root / TABLE).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return {}, [("bad-table", (TABLE, f"{TABLE} cannot be read: {error}"))]
    if rows and "file" not in rows[0]:
        return {}, [("bad-table", (TABLE, f"{TABLE} has no column `file` (found: {', '.join(map(str, rows[0]))})"))]
    listed = Counter(row["file"] for row in rows)
    there = {_short(picture, root) for picture in pictures}
    found: list[tuple[str, tuple[str, ...]]] = [("no-picture", (name,)) for name in listed if name not in there]
    found += [("bad-table", (TABLE, f"{name} has {times} rows")) for name, times in listed.items() if times > 1]
    found += [("no-row", (name,)) for name in sorted(there) if name not in listed]
    causes = Counter(condition_name(cause) for row in rows if (cause := row.get("cause")))
    return dict(sorted(causes.items())), found
