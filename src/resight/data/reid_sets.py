"""Find out which re-id set lies in a folder, and open it.

What is known stands in reid_table.py, how it is read in reid_layouts.py; here a path becomes a `ReidSet`, or an error
that says what was seen there and what would have been read.
Proof: tests/data/test_reid_sets.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from resight.data import cuhk03_mat, reid_layouts
from resight.data.reid_layouts import Columns, Own, folders_in, pictures_in, seen
from resight.data.reid_lists import common_folder
from resight.data.reid_signs import market_names
from resight.data.reid_table import LAYOUTS, PUBLISHED, Counts, Overlap
from resight.data.sample import sample_folder
from resight.errors import BadRecipe, DatasetNotFound, UnknownName
from resight.types import SPLITS, Crop, Split

SAMPLE: Final = "sample"
"""The word that stands for the small set inside the package; write `./sample` for a folder of that name."""


@dataclass(frozen=True, slots=True)
class ReidSet:
    """A re-id set on disk: who is on which picture, nothing read yet."""

    name: str
    """Key in LAYOUTS."""
    source: Path
    """The folder or list that is read."""
    root: Path
    """The folder from which file names are told: `source`, or the common folder of a list's pictures."""
    notes: tuple[str, ...]
    """What its owner should know before quoting a number, one sentence each."""
    official: Mapping[Split, Counts] | None
    overlap: Overlap
    paper: str
    own: Own = field(default_factory=Own, repr=False)

    def crops(self, split: Split) -> Iterator[Crop]:
        """Yield the crops of a split in the order of their file names; a split that the set lacks is empty."""
        return LAYOUTS[self.name].read(self.source, split, self.own)


def find_set(
    root: Path | str,
    *,
    layout: str | None = None,
    columns: Columns | None = None,
    camera_pattern: str | None = None,
) -> ReidSet:
    """Open the re-id set in a folder, a CSV list, or the one named `sample`.

    `layout` names a row of LAYOUTS instead of looking; `columns` and `camera_pattern` help to read own data.
    Raises DatasetNotFound when there is no such folder, it is not laid out in a known way, or it is empty, BadRecipe
    for a pattern that cannot work and for what the layout does not ask.
    """
    pattern = None if camera_pattern is None else reid_layouts.camera_pattern(camera_pattern)
    own = Own(columns=columns or Columns(), camera_pattern=pattern)
    if layout is not None and layout not in LAYOUTS:
        raise UnknownName("data set layout", layout, LAYOUTS)
    path = sample_folder() if root == SAMPLE else _existing(Path(root))
    name = layout or next((name for name, row in LAYOUTS.items() if row.fits(path, own)), None)
    if name is None:
        raise DatasetNotFound(_explain(path, own))
    row = LAYOUTS[name]
    _check_asked(name, own)
    found = ReidSet(name, path, path, row.notes, row.official, row.overlap, row.paper, own)
    first = refused = None
    for split in reversed(SPLITS):
        try:
            first = first or next(found.crops(split), None)
        except DatasetNotFound as error:  # a set may lack a part that nobody asks for
            refused = refused or error
    if first is None and refused is not None:
        if layout is None:
            raise refused
        raise DatasetNotFound(f"{refused} The layout `{name}` expects {row.expects}.") from refused
    if first is None:
        raise DatasetNotFound(f"The {name} set in {path} is empty (found: {seen(path)}): it should hold {row.expects}.")
    if path.suffix.lower() == ".csv":
        found = replace(found, root=common_folder(path, own))
    if first.camera is None:
        note = "no camera ids: no query ignores the pictures of its own camera (protocol `occluded`)"
        found = replace(found, notes=(*row.notes, note))
    return found


def plain_pictures(root: Path | str) -> list[Path]:
    """List the pictures lying directly in a folder, by name: for folders that are no re-id set but can be embedded."""
    path = Path(root).expanduser()
    return pictures_in(path) if path.is_dir() else []


def _existing(path: Path) -> Path:
    path = path.expanduser()
    if path.exists() or cuhk03_mat.is_inside(path):
        return path
    parent = path.parent
    near = difflib.get_close_matches(path.name, [p.name for p in parent.iterdir()], n=1) if parent.is_dir() else []
    hint = f" Did you mean {parent / near[0]}?" if near else " Check the path."
    raise DatasetNotFound(f"There is no data set at {path}: the path does not exist.{hint}")


def _check_asked(name: str, own: Own) -> None:
    """Raise BadRecipe where the owner says what a layout does not ask: it would be dropped without a word."""
    asked = LAYOUTS[name].own
    if own.camera_pattern is not None and "cameras" not in asked:
        raise BadRecipe(f"The layout `{name}` says itself which cameras there are: leave --camera-pattern out.")
    if own.columns != Columns() and "columns" not in asked:
        raise BadRecipe(f"The layout `{name}` is no CSV list, so it has no columns: leave the names of columns out.")


def _explain(path: Path, own: Own) -> str:
    """Say why no layout fits, and what would."""
    if path.suffix == ".mat":
        return f"{path} holds two sets: pass {path / 'labeled'} or {path / 'detected'} (hand-drawn or detected boxes)."
    if not path.is_dir():
        return f"{path} is a file and no data set: expected a folder, or a list that ends in .csv."
    if pictures := len(pictures_in(path)):
        return (
            f"{path} holds {pictures} pictures but does not say who is on them: put each person's pictures into "
            f"a folder of their own ({path.name}/PERSON/*.jpg) or write a CSV list with the columns path and person; "
            "`resight embed` takes a plain folder as it is."
        )
    inside = [(folder, name) for folder in folders_in(path) if (name := _known(folder, own)) is not None]
    if inside:
        options = " or ".join(f"{folder} ({name})" for folder, name in inside[:3])
        return f"{path} is no data set itself but holds one: pass {options}."
    if names := market_names(path):
        return (
            f"The pictures in {path} do not say in their names who is on them and which camera took them "
            f"(found: {names[0]}): names should look like 0002_c1s1_000451_03.jpg or 0001_c1_anything.jpg."
        )
    return (
        f"{path} is not laid out in a way that resight knows (found: {seen(path)}). Pass the folder of a set as it was "
        f"published ({PUBLISHED}), a folder with one folder of pictures for each of two or more persons, "
        "or a CSV list with the columns path and person."
    )


def _known(folder: Path, own: Own) -> str | None:
    try:
        return next((name for name, row in LAYOUTS.items() if row.fits(folder, own)), None)
    except (DatasetNotFound, OSError):  # the folder may not be looked into
        return None
