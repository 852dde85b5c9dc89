"""Readers of re-id sets: one generator of records per way of naming files; no pixels, no download, no relabelling.

Source: the papers and counts stand beside each name in `reid_sets.LAYOUTS`; file names as the sets were published.
Every reader has the form `read(root, split, own) -> Iterator[Crop]` and yields in the order of the file names; a split
that a set does not have is empty; a file whose name it cannot read is an error that names the file, never skipped.
Proof: tests/data/test_reid_sets.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

from resight.data.images import is_picture
from resight.errors import BadRecipe, DatasetNotFound
from resight.types import CameraId, Crop, Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Names of the columns of a CSV list; None takes `camera` and `split` if the list has them."""

    path: str = "path"
    """Picture file, relative to the folder of the list."""
    person: str = "person"
    camera: str | None = None
    split: str | None = None
    """Column that says train, query, gallery or test."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """What only the owner of a set of own pictures can say."""

    columns: Columns = field(default_factory=Columns)
    camera_pattern: re.Pattern[str] | None = None
    """Finds the camera, its one group, in a picture's path below the set's folder."""


Reader = Callable[[Path, Split, Own], Iterator[Crop]]

MARKET_FOLDERS: Final[dict[Split, str]] = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
}
MARKET_NAME: Final = re.compile(r"(-1|\d+)_c(\d+)s(\d)_(\d+)_(\d+)")  # 0002_c1s1_000451_03.jpg
DUKE_NAME: Final = re.compile(r"(\d+)_c(\d)_f(\d+)")  # 0005_c2_f0046985.jpg
PLAIN_NAME: Final = re.compile(r"(-1|\d+)_c(\d+)_")  # 0001_c1_2.png (CUHK03-NP)
MSMT_MARKET_NAME: Final = re.compile(
    r"(\d+)_(?:c|\d{3}_)(\d+)_"
)  # 0000_c14_0032.jpg, 0000_000_01_0303morning_0015_0.jpg
MSMT_NAME: Final = re.compile(r"(\d+)_(\d+)_(\d+)_(\d{4}\w+?)_(\d+)")  # 0000_000_01_0303morning_0015_0.jpg
LEADING_NUMBER: Final = re.compile(r"(\d+)_")  # 001_occluded_1.tif
VIPER_NAME: Final = re.compile(r"(\d+)_(\d+)")  # 000_45.bmp
MSMT_FOLDERS: Final = {"train": ("train", "mask_train_v2"), "test": ("test", "mask_test_v2")}
OCCLUDED_FOLDERS: Final = ("occluded_body_images", "partial_body_images")
WHOLE_FOLDER: Final = "whole_body_images"
SPLIT_FOLDERS: Final[dict[Split, tuple[str, ...]]] = {
    "train": ("train",),
    "query": ("query",),
    "gallery": ("gallery", "test"),
}


def seen(folder: Path) -> str:
    """Name the first things in a folder, for an error message."""
    try:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir() if entry.name[0] != ".")
    except OSError as error:
        return f"nothing: {error.strerror}"
    return ", ".join(names[:5]) + f" and {len(names) - 5} more" * (len(names) > 5) if names else "nothing"


def pictures_in(folder: Path) -> list[Path]:
    """Pictures lying directly in a folder, in the order of their names."""
    try:
        return sorted((path for path in folder.iterdir() if is_picture(path)), key=lambda path: path.name)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise DatasetNotFound(
                f"No folder `{folder.name}` in {folder.parent} (found: {seen(folder.parent)})."
            ) from error
        raise DatasetNotFound(f"Cannot look into the folder {folder}: {error.strerror}.") from error


def folders_in(folder: Path) -> list[Path]:
    """Folders lying directly in a folder, in the order of their names, without hidden ones."""
    if not folder.is_dir():
        return []
    inside = (path for path in folder.iterdir() if path.is_dir() and path.name[0] != "." and path.name != "__MACOSX")
    return sorted(inside, key=lambda path: path.name)


def match_name(pattern: re.Pattern[str], path: Path, like: str) -> re.Match[str]:
    """Match a file name from its start; an odd one raises DatasetNotFound, with what the name should look like."""
    match = pattern.match(path.name)
    if match is None:
        raise DatasetNotFound(
            f"Cannot read the person and the camera from the file name `{path.name}` in {path.parent}: "
            f"names here should look like `{like}`. Rename the file or take it out."
        )
    return match


# ---- sets that name person and camera in the file -------------------------------------------------------------------


def named_folders(pattern: re.Pattern[str], like: str, *, distractors: bool = False) -> Reader:
    """Make a reader of `bounding_box_train`, `query` and `bounding_box_test`.

    The pattern's first group is the person, the second the camera. Person -1 is junk: kept, ignored by the protocol.
    With `distractors`, person 0 matches nobody (Market-1501); elsewhere 0 is a person like any other (MSMT17).
    """

    def read(root: Path, split: Split, own: Own) -> Iterator[Crop]:
        for path in pictures_in(root / MARKET_FOLDERS[split]):
            match = match_name(pattern, path, like)
            person, camera = int(match[1]), int(match[2])
            yield Crop(path, person, camera, junk=person == -1, distractor=distractors and person == 0)

    return read


def msmt17(root: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield the crops of MSMT17 as its list files name them; `list_val.txt` is part of the training set.

    Persons are numbered from 0 in the training lists and again from 0 in the test lists.
    """
    part = "train" if split == "train" else "test"
    folder = next((root / name for name in MSMT_FOLDERS[part] if (root / name).is_dir()), None)
    if folder is None:
        raise DatasetNotFound(f"No folder `{part}` or `mask_{part}_v2` in {root} (found: {seen(root)}).")
    lists = ["list_train.txt", "list_val.txt"] if split == "train" else [f"list_{split}.txt"]
    found = [root / name for name in lists if (root / name).is_file()]
    if not found:
        raise DatasetNotFound(f"No file `{lists[0]}` in {root} (found: {seen(root)}).")
    rows = sorted(row for name in found for row in _msmt_rows(name))
    for name, person in rows:
        path = folder / name
        yield Crop(path, person, int(match_name(MSMT_NAME, path, "0000_000_01_0303morning_0015_0.jpg")[3]))


def _msmt_rows(path: Path) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(), start=1):
        name, _, person = line.strip().rpartition(" ")
        if not name and not person:
            continue
        if not name or not person.isdecimal():
            raise DatasetNotFound(
                f"Line {number} of {path} is `{line}`: expected a picture, a space and a person number."
            )
        yield name, int(person)


def viper(root: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield the crops of VIPeR: view a asks, view b answers; nothing to train on (see the notes in the table)."""
    if split == "train":
        return
    camera = "a" if split == "query" else "b"
    for path in pictures_in(root / f"cam_{camera}"):
        yield Crop(path, int(match_name(VIPER_NAME, path, "000_45.bmp")[1]), camera)


# ---- occluded and partial sets: hidden bodies ask, whole bodies answer ----------------------------------------------


def occluded_folders(root: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield occluded (or partial) bodies as queries and whole bodies as gallery; cameras are not known."""
    if split == "query":
        yield from _bodies(_occluded_folder(root))
    elif split == "gallery":
        yield from _bodies(root / WHOLE_FOLDER)


def p_dukemtmc(root: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield P-DukeMTMC: `train` and `test` hold occluded and whole bodies each; cameras are not told."""
    if split == "train":
        yield from _bodies(_occluded_folder(root / "train"))
        yield from _bodies(root / "train" / WHOLE_FOLDER)
    else:
        yield from occluded_folders(root / "test", split, own)


def _occluded_folder(root: Path) -> Path:
    return next((root / name for name in OCCLUDED_FOLDERS if (root / name).is_dir()), root / OCCLUDED_FOLDERS[0])


def _bodies(folder: Path) -> Iterator[Crop]:
    """Pictures of `folder/person/*` or `folder/*`; the person is the number before the first underscore."""
    paths = [*pictures_in(folder), *(path for person in folders_in(folder) for path in pictures_in(person))]
    for path in paths:
        yield Crop(path, int(match_name(LEADING_NUMBER, path, "001_1.tif")[1]))


# ---- own data: one folder per person --------------------------------------------------------------------------------


def identity_folders(root: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield `root/person/*`: the first picture of a person with two or more asks, the others answer, all may train."""
    yield from share_out(_people(root, root, own), split)


def identity_splits(root: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield `root/{train,query,gallery}/person/*`; `test` stands for gallery, or is shared out if there is no query."""
    folders = [root / name for name in SPLIT_FOLDERS[split] if (root / name).is_dir()]
    if folders:
        crops = _people(root, folders[0], own)
    else:
        shared = split == "query" and not (root / "gallery").is_dir()
        crops = _people(root, root / "test", own) if shared else iter(())
    if split == "train" or any((root / name).is_dir() for name in ("query", "gallery")):
        yield from crops
    else:
        yield from share_out(crops, split)


def _people(root: Path, folder: Path, own: Own) -> Iterator[Crop]:
    for person in folders_in(folder):
        paths = pictures_in(person)
        if not paths and (deeper := folders_in(person)):
            raise DatasetNotFound(
                f"The person folder {person} holds folders ({deeper[0].name}/) instead of pictures: "
                "put all pictures of a person directly into the person's folder, or write a CSV list."
            )
        for path in paths:
            yield Crop(path, person.name, find_camera(own.camera_pattern, path.relative_to(root).as_posix()))


def share_out(crops: Iterator[Crop], split: Split) -> Iterator[Crop]:
    """Split crops that nobody has split; they come ordered by person.

    The first picture of each person with two or more is a query, every other picture is gallery, each one is train.
    """
    for _, group in groupby(crops, key=lambda crop: crop.person):
        pictures = list(group)
        asks = len(pictures) > 1
        yield from {"train": pictures, "query": pictures[:asks], "gallery": pictures[asks:]}[split]


def camera_pattern(text: str) -> re.Pattern[str]:
    """The user's own pattern of cameras; raises BadRecipe for one that cannot find any."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise BadRecipe(f"The camera pattern `{text}` is no regular expression: {error}.") from error
    if pattern.groups != 1:
        raise BadRecipe(f"The camera pattern `{text}` needs exactly one group, such as `_(cam\\d+)_`.")
    return pattern


def find_camera(pattern: re.Pattern[str] | None, name: str) -> CameraId:
    """Find the camera in a picture's name by the user's own pattern; without a pattern it is not known."""
    if pattern is None:
        return None
    match = pattern.search(name)
    if match is None or not match[1]:
        raise DatasetNotFound(
            f"The camera pattern `{pattern.pattern}` finds no camera in `{name}`: mend the pattern or the name."
        )
    return match[1]
