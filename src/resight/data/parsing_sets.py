"""Parsing sets by their layouts, training code's guard, and lists of pictures that stay small in memory.

A list holds fixed-width numpy arrays and is indexed modulo its length, so that a run of any length and any number of
loader processes share one copy: nothing is replicated, and reading an entry writes no reference count.
Source of the trap: CE2P (Ruan et al., AAAI 2019), whose list grew with the steps and was copied into each loader.
Proof: tests/data/test_parsing_sets.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Int16, Int32, Shaped, UInt8
from numpy.typing import NDArray

from resight.data import parsing_layouts
from resight.data.keypoints import KEYPOINTS_FILE
from resight.data.label_meanings import MEANINGS
from resight.data.market_joints import market_keypoints
from resight.data.parsing_layouts import PPP_LABELS, Half, ParsingPicture, Reader, unnested
from resight.data.reid_layouts import seen
from resight.errors import BadRecipe, DatasetNotFound, UnknownName

__all__ = ["LAYOUTS", "Half", "ParsingPicture", "ParsingSet", "PictureList", "find_parsing_set", "picture_list"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a set lies on disk."""

    name: str
    source: str
    """Label set that its maps follow, unless the user says another."""
    expected: str
    fits: Callable[[Path], bool]
    read: Reader


@dataclass(frozen=True, slots=True)
class ParsingSet:
    """A folder whose layout is known."""

    root: Path
    layout: Layout
    source: str

    def pictures(self, half: Half) -> Iterator[ParsingPicture]:
        """Yield the records of one half; `val` is empty where the set has none."""
        return self.layout.read(self.root, half, self.source)


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda root: all((root / name).exists() for name in names)


LAYOUTS: Final = (
    Layout(
        *("lip", "lip20", "TrainVal_images/ and TrainVal_parsing_annotations/ (LIP as downloaded)"),
        lambda root: (unnested(root, "TrainVal_images") / "train_id.txt").is_file(),
        parsing_layouts.lip_download,  # Gong et al., CVPR 2017, arXiv:1703.05446
    ),
    Layout(
        *("people", "lip20", "people.csv, lip/ and maps/persons/ (written by `resight people`)"),
        _has("people.csv", "lip", "maps/persons"),
        parsing_layouts.people,
    ),
    Layout(
        *("lip-folders", "lip20", "train_images/, train_segmentations/, train_id.txt (LIP as CE2P reads it)"),
        _has("train_images", "train_segmentations", "train_id.txt"),
        parsing_layouts.lip_folders,
    ),
    Layout(
        *("lip-lists", "lip20", "train.txt with lines `train_images/… train_labels/…` (LIP as CE2P read it in 2018)"),
        _has("train_images", "train_labels"),
        parsing_layouts.lip_lists,
    ),
    Layout(
        *("cihp", "cihp20", "Training/ and Validation/ with Images/, Category_ids/, Human_ids/ (CIHP)"),
        _has("Training/Images", "Training/Category_ids"),
        parsing_layouts.cihp,  # Gong et al., ECCV 2018, arXiv:1808.00157
    ),
    Layout(
        *("pascal-person-part", "ppp7", f"JPEGImages/, {PPP_LABELS[0]}/ and lists train.txt, val.txt"),
        lambda root: (root / "JPEGImages").is_dir() and any((root / name).is_dir() for name in PPP_LABELS),
        parsing_layouts.pascal_person_part,  # Chen et al., CVPR 2014
    ),
    Layout(
        *("atr", "atr18", "humanparsing/JPEGImages/ and humanparsing/SegmentationClassAug/ (ATR)"),
        lambda root: any(_has("JPEGImages", "SegmentationClassAug")(place) for place in (root, root / "humanparsing")),
        parsing_layouts.atr,  # Liang et al., TPAMI 2015, arXiv:1503.02391
    ),
    Layout(
        *("ccp", "ccp59", "images/NNNN.jpg, labels/NNNN.png, labels.json (Clothing Co-Parsing)"),
        _has("images", "labels", "labels.json"),
        parsing_layouts.clothing_co_parsing,  # Yang, Luo and Lin, CVPR 2014, arXiv:1502.00739
    ),
    Layout(
        *("penn-fudan", "wanted3", "images/ and instances/ with FudanPedNNNNN (Penn-Fudan)"),
        _has("images", "instances"),
        parsing_layouts.penn_fudan,  # Wang, Shi, Song and Shen, ACCV 2007
    ),
    Layout(
        *("market-keypoints", "keypoints14", f"bounding_box_train/ and {KEYPOINTS_FILE} (Market-1501 with joints)"),
        _has("bounding_box_train", KEYPOINTS_FILE),
        market_keypoints,  # Zheng et al., ICCV 2015
    ),
)


def find_parsing_set(folder: Path, *, labels: str | None = None) -> ParsingSet:
    """Recognise the layout of a folder; `labels` names the table that its maps follow where it is another.

    Raises DatasetNotFound, saying what was expected, for a folder of no known layout, and UnknownName for a table whose
    meaning in LIP's classes is not known.
    """
    if labels is not None and labels not in MEANINGS:
        raise UnknownName("label set to learn from", labels, MEANINGS)
    for layout in LAYOUTS:
        if layout.fits(folder):
            return ParsingSet(folder, layout, labels or layout.source)
    known = "; ".join(layout.expected for layout in LAYOUTS)
    found = seen(folder) if folder.is_dir() else "no such folder"
    raise DatasetNotFound(f"{folder} is no parsing set that resight knows (found: {found}). Expected one of: {known}.")


TEST_FOLDERS: Final = frozenset({"query", "gallery", "bounding_box_test", "gt_bbox", "test_images", "testing_images"})
"""Folders of test pictures; their pictures lie in them or in one folder a person below."""


def refuse_test_picture(path: Path) -> None:
    """Raise BadRecipe for a picture that training code must not open: query, gallery, test photos of Penn-Fudan."""
    near = {path.parent.name, path.parent.parent.name}
    if near & TEST_FOLDERS or parsing_layouts.is_test_photo(path):
        raise BadRecipe(f"{path} is a test picture; training opens training pictures only.")


@dataclass(frozen=True, slots=True)
class PictureList:
    """Records in fixed-width arrays, paths as bytes; `list[i]` is record i modulo the length."""

    pictures: Shaped[np.ndarray, " N"]
    labels: Shaped[np.ndarray, " N"]
    """Empty where there is none."""
    persons: Shaped[np.ndarray, " N"]
    sources: tuple[str, ...]
    source_of: UInt8[np.ndarray, " N"]
    half: Half
    crops: Int32[np.ndarray, "N 4"]
    """-1 where the whole picture counts."""
    wanted: Int16[np.ndarray, " N"]
    points: Float32[np.ndarray, "P 2"]
    """Points of all records in a row."""
    ends: Int32[np.ndarray, " N"]
    """Where each record's points end."""
    views: Float32[np.ndarray, "N 2"]
    hidden: Float32[np.ndarray, " N"]
    company: Float32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> ParsingPicture:
        row = index % len(self.pictures)
        start = int(self.ends[row - 1]) if row else 0
        points = self.points[start : int(self.ends[row])]
        crop = self.crops[row].tolist()
        return ParsingPicture(
            Path(os.fsdecode(self.pictures[row])),
            Path(os.fsdecode(self.labels[row])) if self.labels[row] else None,
            Path(os.fsdecode(self.persons[row])) if self.persons[row] else None,
            self.sources[self.source_of[row]],
            self.half,
            crop=None if crop[0] < 0 else (crop[0], crop[1], crop[2], crop[3]),
            wanted=int(self.wanted[row]),
            points=points if len(points) else None,
            view=(float(self.views[row, 0]), float(self.views[row, 1])),
            hidden=float(self.hidden[row]),
            company=float(self.company[row]),
        )

    @property
    def facts(self) -> tuple[NDArray[Any], ...]:
        """All that the list says beside the files."""
        of_the_crop = (self.source_of, self.crops, self.wanted, self.points, self.ends)
        return *of_the_crop, self.views, self.hidden, self.company

    @property
    def nbytes(self) -> int:
        """Bytes that the list holds."""
        return sum(array.nbytes for array in (self.pictures, self.labels, self.persons, *self.facts))

    def rows_of(self, source: str) -> NDArray[np.int64]:
        """Rows of one source, to draw sources in chosen shares."""
        return np.flatnonzero(np.array([name == source for name in self.sources])[self.source_of])


def picture_list(pictures: Iterable[ParsingPicture], *, half: Half) -> PictureList:
    """Store the records of one half. Raises BadRecipe for one of the other half, a test picture, or none at all."""
    records = list(pictures)
    if not records:
        raise BadRecipe(f"There is no picture for the half `{half}`; name a parsing set that has one.")
    for record in records:
        if record.split != half:
            raise BadRecipe(f"{record.picture} belongs to `{record.split}` and the list is for `{half}`.")
        refuse_test_picture(record.picture)
    sources = tuple(dict.fromkeys(record.source for record in records))
    found = [np.zeros((0, 2), np.float32) if record.points is None else record.points for record in records]
    return PictureList(
        np.array([os.fsencode(record.picture) for record in records]),
        np.array([os.fsencode(record.labels or "") for record in records]),
        np.array([os.fsencode(record.persons or "") for record in records]),
        sources,
        np.array([sources.index(record.source) for record in records], np.uint8),
        half,
        np.array([record.crop or (-1, -1, -1, -1) for record in records], np.int32),
        np.array([record.wanted for record in records], np.int16),
        np.concatenate(found),
        np.cumsum([len(points) for points in found]).astype(np.int32),
        np.array([record.view for record in records], np.float32),
        np.array([record.hidden for record in records], np.float32),
        np.array([record.company for record in records], np.float32),
    )
