"""Read a re-id set of one's own from a CSV list whose columns the user names.

The first line names the columns; commas, semicolons and tabs separate; paths count from the folder of the list.
Persons and cameras stay the text that the list holds; an empty camera cell means that the camera is not known.
Proof: tests/data/test_reid_sets.py.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from resight.data.reid_layouts import Columns, Own, find_camera, share_out
from resight.errors import BadRecipe, DatasetNotFound, nearest
from resight.types import Crop, Split

_WORDS: Final = ("train", "query", "gallery", "test")


@dataclass(frozen=True, slots=True)
class _Row:
    crop: Crop
    split: str  # one of _WORDS, or empty where the list has no such column


def has_splits(path: Path, own: Own) -> bool:
    """Say whether the list has a column that splits it; raises if the user named one that it does not have."""
    return _columns(path, _header(path, _text(path)), own.columns)["split"] is not None


def csv_list(path: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield the crops of a list by path; `test` rows count as gallery, or are shared out if no row is a query."""
    rows = _rows(path, own)
    words = {row.split for row in rows}
    if words == {""}:
        crops = sorted((row.crop for row in rows), key=lambda crop: (str(crop.person), crop.path.as_posix()))
        chosen = list(share_out(iter(crops), split))
    elif split != "train" and "query" not in words and "test" in words:
        test = [row.crop for row in rows if row.split == "test"]
        chosen = list(share_out(iter(sorted(test, key=lambda crop: (str(crop.person), crop.path.as_posix()))), split))
        chosen += [row.crop for row in rows if split == row.split == "gallery"]
    else:
        wanted = {"gallery", "test"} if split == "gallery" else {split}
        chosen = [row.crop for row in rows if row.split in wanted]
    yield from sorted(chosen, key=lambda crop: crop.path.as_posix())


def common_folder(path: Path, own: Own) -> Path:
    """Folder below which all pictures of a list lie, from which their names can be told."""
    folders = {row.crop.path.parent for row in _rows(path, own)}
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:  # some paths are absolute and some are not, or they lie on two drives
        raise DatasetNotFound(
            f"The list {path} names some pictures by their full path and some not: pass the list itself by its full "
            "path, or keep all pictures on one drive."
        ) from error


def _header(path: Path, text: str) -> list[str]:
    lines = text.splitlines()
    if not lines:
        raise DatasetNotFound(f"The list {path} is empty: its first line must name the columns, such as `path,person`.")
    return next(csv.reader(lines[:1], delimiter=_separator(lines[0])))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetNotFound(f"Cannot open the list {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DatasetNotFound(f"The list {path} is not text in UTF-8: save it again as CSV (UTF-8).") from error


def _separator(header: str) -> str:
    return max(",;\t", key=header.count)


def _columns(path: Path, header: list[str], columns: Columns) -> dict[str, int | None]:
    """Place of each column; None for cameras and splits that nobody named and the list has not under the usual name.

    Raises DatasetNotFound, with the option that names the column, for one that the list lacks.
    """
    found: dict[str, int | None] = {}
    for what, named in asdict(columns).items():
        if named is not None and named not in header:
            raise DatasetNotFound(
                f"The list {path} has no column `{named}` (columns: {', '.join(header)}).{nearest(named, header)} Its "
                f"first line must name the columns; say which one it is: `--{what}-column NAME`."
            )
        name = what if named is None else named
        found[what] = header.index(name) if name in header else None
    return found


def _rows(path: Path, own: Own) -> list[_Row]:
    text = _text(path)
    header = _header(path, text)
    at = _columns(path, header, own.columns)
    at_path, at_person, at_camera, at_split = at["path"], at["person"], at["camera"], at["split"]
    if own.camera_pattern is not None and at_camera is not None:
        raise BadRecipe(f"The list {path} has a column of cameras, `{header[at_camera]}`: leave --camera-pattern out.")
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text.splitlines()[0]))
    next(reader)
    for cells in reader:
        if not any(cells):
            continue
        number = reader.line_num
        if len(cells) != len(header):
            raise DatasetNotFound(f"Line {number} of {path} has {len(cells)} cells, the first line has {len(header)}.")
        name, person = cells[at_path or 0].strip(), cells[at_person or 0].strip()
        if not name or not person:
            raise DatasetNotFound(f"Line {number} of {path} does not say its {'person' if name else 'picture'}.")
        word = cells[at_split].strip().lower() if at_split is not None else ""
        if at_split is not None and word not in _WORDS:
            raise DatasetNotFound(
                f"Line {number} of {path} has `{cells[at_split]}` as its split: use train, query, gallery or test."
            )
        camera = (cells[at_camera].strip() or None) if at_camera is not None else find_camera(own.camera_pattern, name)
        rows.append(_Row(Crop(Path(os.path.normpath(path.parent / name)), person, camera), word))
    if not rows:
        raise DatasetNotFound(f"The list {path} names no picture: below its first line ({', '.join(header)}) is none.")
    return rows
