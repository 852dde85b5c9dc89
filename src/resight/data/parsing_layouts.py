"""Readers of parsing sets: generators of records in the order of the file names or lists; no download, no relabelling.

Sources: the papers stand beside each name in `parsing_sets.LAYOUTS`; layouts as the sets were published or as CE2P
wants them. A reader has the form `read(root, half, source) -> Iterator[ParsingPicture]`; a half that is not there is
empty; a file that a list names and nobody has is an error. Only Penn-Fudan's maps are opened, to find its persons.
Proof: tests/data/test_parsing_sets.py.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import find_objects

from resight.data.labels import read_person_map
from resight.data.reid_layouts import pictures_in, seen
from resight.errors import DatasetNotFound

Half = Literal["train", "val"]
KEYPOINTS_SOURCE: Final = "keypoints14"
CCP_LAST_TRAIN: Final = 800
PENN_NAME: Final = re.compile(r"(FudanPed|PennPed)(\d{5})$")
PENN_LAST_TRAIN: Final = {"FudanPed": 74, "PennPed": 46}
"""The first 120 of Penn-Fudan's 170 names in order; later photos are test occluders and teach nothing."""
AROUND: Final = 0.1
"""A person's box in a photo is widened on each side by this share of its height."""
UNKNOWN_VIEW: Final = (math.nan, math.nan)
"""Cosine (1: from the front, -1: from behind) and sine (1: looking to the picture's right) of a view; NaN unknown."""
PPP_LABELS: Final = ("pascal_person_part_gt", "SegmentationPart", "SegmentationClassPart")


@dataclass(frozen=True, slots=True)
class ParsingPicture:
    """One picture to learn parts from, as a reader found it: a record, no pixels."""

    picture: Path
    labels: Path | None
    """Map of the source's classes; None where only persons or points are known."""
    persons: Path | None
    """Map of persons: 0 nobody, k the k-th one."""
    source: str
    """Name of the label set that the labels follow, or `keypoints14`."""
    split: Half
    crop: tuple[int, int, int, int] | None = None
    """Top, left, bottom, right in pixels of the picture, the last two behind the end; None: all of it."""
    wanted: int = 0
    """The wanted person's value in `persons`; 0 where nobody is chosen."""
    points: Float32[np.ndarray, "K 2"] | None = field(default=None, compare=False)
    """Key points, x and y in pixels from 0, in the order of `label_meanings.KEYPOINTS14`."""
    view: tuple[float, float] = field(default=UNKNOWN_VIEW, compare=False)
    """Cosine and sine of the angle that the wanted person is seen at."""
    hidden: float = field(default=math.nan, compare=False)
    """Share of the wanted person that something in front hides, 0..1; NaN unknown."""
    company: float = field(default=math.nan, compare=False)
    """1 where a part of another person shows, 0 where none does; NaN where nobody looked."""


Reader = Callable[[Path, Half, str], Iterator[ParsingPicture]]


def unnested(root: Path, name: str) -> Path:
    """A folder that its zip may have put into one of the same name."""
    return root / name / name if (root / name / name).is_dir() else root / name


def lip_download(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield LIP as it is downloaded: TrainVal_images and TrainVal_parsing_annotations."""
    images, labels = unnested(root, "TrainVal_images"), unnested(root, "TrainVal_parsing_annotations")
    rows = list_rows(images / f"{half}_id.txt", images / f"{half}_images", labels / f"{half}_segmentations", images)
    yield from _records(rows, half, source)


def lip_folders(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield {train,val}_images with {train,val}_segmentations by {train,val}_id.txt, as CE2P reads LIP today."""
    if half == "val" and not (root / "val_id.txt").exists():
        return
    rows = list_rows(root / f"{half}_id.txt", root / f"{half}_images", root / f"{half}_segmentations", root)
    yield from _records(rows, half, source)


def lip_lists(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield the pairs of {train,val}.txt, `train_images/… train_labels/…` a line, as CE2P of 2018 read LIP.

    Further columns (mirrored labels, edges) are not needed: both are made from the labels in use.
    """
    path = _list_file(root, half)
    if path is None and half == "train":
        raise DatasetNotFound(f"No list `train.txt` in {root} or a folder `list` in it (found: {seen(root)}).")
    if path is not None:
        yield from _records(list_rows(path, root / f"{half}_images", root / f"{half}_labels", root), half, source)


def people(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield rendered people; maps/persons says 1 for the person that the labels show and more for others."""
    told = _views_and_hidden(root / "people.csv")
    for one in lip_folders(root / "lip", half, source):
        persons = root / "maps" / "persons" / f"{one.picture.stem}.png"
        if not persons.exists():
            raise DatasetNotFound(f"{persons} is missing: run `resight people` again with the same settings.")
        view, hidden = told.get(one.picture.stem, (UNKNOWN_VIEW, math.nan))
        yield replace(one, persons=persons, wanted=1, view=view, hidden=hidden)


def _views_and_hidden(table: Path) -> dict[str, tuple[tuple[float, float], float]]:
    """View of each rendered person, and how much of it is hidden, by the stem of its picture; a cut hides nothing."""
    found = {}
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            angle = math.radians(float(row.get("view_degrees") or "nan"))
            hidden = 0.0 if row.get("cause") == "truncation" else 1 - float(row.get("visible") or "nan")
            found[Path(row["file"]).stem] = ((math.cos(angle), math.sin(angle)), hidden)
    return found


def atr(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield ATR: by {train,val}_id.txt or {train,val}.txt where they are, else every picture to train on."""
    root = root / "humanparsing" if (root / "humanparsing").is_dir() else root
    images, labels = root / "JPEGImages", root / "SegmentationClassAug"
    named = [path for part in ("train", "val") if (path := _list_file(root, part)) is not None]
    mine = _list_file(root, half)
    if mine is not None:
        yield from _records(list_rows(mine, images, labels, root), half, source)
    elif half == "train" and not named:
        yield from _records(_all_pairs(images, labels), half, source)


def pascal_person_part(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield Pascal-Person-Part by its lists; arms and legs have no side."""
    labels = next(root / name for name in PPP_LABELS if (root / name).is_dir())
    path = _list_file(root, half)
    if path is None:
        raise DatasetNotFound(f"No list `{half}.txt` in {root} or its list folder (found: {seen(root)}).")
    yield from _records(list_rows(path, root / "JPEGImages", labels, root), half, source)


def cihp(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield CIHP (instance-level_human_parsing): several persons a picture, each with a number in Human_ids."""
    folder = root / {"train": "Training", "val": "Validation"}[half]
    rows = list_rows(folder / f"{half}_id.txt", folder / "Images", folder / "Category_ids", folder)
    for picture, labels in sorted(rows):
        persons = folder / "Human_ids" / labels.name
        yield ParsingPicture(picture, labels, persons if persons.exists() else None, source, half)


def clothing_co_parsing(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield Clothing Co-Parsing: 1-800 to train on, 801-884 to choose by."""
    rows = _all_pairs(root / "images", root / "labels")
    chosen = (row for row in rows if (_number(row[0], "0001.jpg") <= CCP_LAST_TRAIN) == (half == "train"))
    for one in _records(chosen, half, source):
        yield replace(one, hidden=0.0)  # photos of people who show their clothes


def penn_fudan(root: Path, half: Half, source: str) -> Iterator[ParsingPicture]:
    """Yield each labelled person of photos 1-120 as the wanted one of a crop; the others are never opened."""
    if half == "val":
        return
    for picture, persons in _all_pairs(root / "images", root / "instances"):
        if is_test_photo(picture):
            continue
        for number, box in _boxes(persons):
            yield ParsingPicture(picture, None, persons, source, half, crop=box, wanted=number)


def is_test_photo(path: Path) -> bool:
    """Whether a photo has the name of one of Penn-Fudan's photos 121-170."""
    found = PENN_NAME.match(path.stem)
    return found is not None and int(found[2]) > PENN_LAST_TRAIN[found[1]]


def list_rows(path: Path, images: Path, labels: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    """Pairs that a list names: an id a line (below `images` and `labels`), or picture and map relative to `root`.

    Raises DatasetNotFound, before the first pair, for a list that cannot be read, is empty or names missing files.
    """
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetNotFound(
            f"No readable list `{path.name}` in {path.parent} (found: {seen(path.parent)})."
        ) from error
    rows = []
    for line in lines:
        if len(line) > 1:
            rows.append((root / line[0].lstrip("/"), root / line[1].lstrip("/")))
        else:
            stem = Path(line[0]).stem if line[0].lower().endswith((".jpg", ".png")) else line[0]
            rows.append((images / f"{stem}.jpg", labels / f"{stem}.png"))
    if not rows:
        raise DatasetNotFound(f"The list {path} is empty.")
    for part in zip(*rows, strict=True):
        for folder in dict.fromkeys(one.parent for one in part):
            all_there(folder, [one.name for one in part if one.parent == folder], f"{path} names")
    yield from rows


def all_there(folder: Path, names: list[str], who: str = "The set names") -> None:
    """Raise DatasetNotFound, naming the first ones, where files of a list are not in their folder."""
    try:
        there = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise DatasetNotFound(
            f"No folder `{folder.name}` in {folder.parent} (found: {seen(folder.parent)})."
        ) from error
    missing = sorted(set(names) - there)
    if missing:
        raise DatasetNotFound(
            f"{who} {len(missing)} files that are not in {folder}: {', '.join(missing[:3])}"
            f"{' …' * (len(missing) > 3)}. Unpack the set again or mend the list."
        )


def _all_pairs(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    rows = [(picture, labels / f"{picture.stem}.png") for picture in pictures_in(images)]
    if not rows:
        raise DatasetNotFound(f"{images} holds no pictures.")
    all_there(labels, [row[1].name for row in rows], f"{images} needs")
    return rows


def _records(
    rows: Iterator[tuple[Path, Path]] | list[tuple[Path, Path]], half: Half, source: str
) -> Iterator[ParsingPicture]:
    for picture, labels in sorted(rows):
        yield ParsingPicture(picture, labels, None, source, half)


def _list_file(root: Path, half: str) -> Path | None:
    folders = [root, *sorted(path for path in root.glob("*list*") if path.is_dir())]
    names = [folder / name for folder in folders for name in (f"{half}_id.txt", f"{half}.txt")]
    return next((path for path in names if path.is_file()), None)


def _number(path: Path, like: str) -> int:
    found = re.search(r"(\d+)$", path.stem)
    if found is None:
        raise DatasetNotFound(f"The file name {path} has no number; names here look like `{like}`.")
    return int(found[1])


def _boxes(path: Path) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Each person's number and widened box in a map of instances."""
    values = read_person_map(path)
    height, width = values.shape
    for number, box in enumerate(find_objects(values.astype(np.int32)), start=1):
        if box is not None:
            more = round(AROUND * (box[0].stop - box[0].start))
            yield (
                number,
                (
                    max(0, box[0].start - more),
                    max(0, box[1].start - more),
                    min(height, box[0].stop + more),
                    min(width, box[1].stop + more),
                ),
            )
