"""Where a parser's training pictures come from: each kind of set turned into people with a box, labels and others.

Held out everywhere: what a set calls validation, photos 801-884 of Clothing Co-Parsing, 121-170 of Penn-Fudan, the 100
highest-numbered training persons of Market-1501. Of Market-1501 only `train_*` keypoints are opened.
Proof: tests/train/test_parsing_sources.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from resight.data.images import is_picture, read_picture
from resight.data.label_meanings import find_meaning, keypoint_means
from resight.data.label_sets import CCP59, IGNORE, LIP20, WANTED3, LabelSet, find_labels
from resight.data.label_union import SetTable, set_table
from resight.data.labels import read_map
from resight.errors import BadLabels, DatasetNotFound

CCP_LAST: Final = 800
PENNFUDAN_LAST: Final = 120
MARKET_HELD_OUT: Final = 100
MARGIN: Final = 0.08
"""Of a person's height: how far around labelled people Penn-Fudan's background is trusted."""

LOOSE: Final = 0.03
SLENDER: Final = 0.46
"""Least width of a box to its height: a crop is stretched to 1 : 2, and a tight one would make people fat."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One person in one picture.

    `labels` are set numbers (255 unknown); `others` is 1 where another person is, 0 where none, 255 unknown; `box` is
    left, top, right, bottom in pixels, right and bottom outside.
    """

    pixels: UInt8[np.ndarray, "H W 3"]
    labels: UInt8[np.ndarray, "H W"]
    others: UInt8[np.ndarray, "H W"]
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Source:
    """One set that a parser learns from."""

    name: str
    share: str
    """Field of `parser_recipe.Shares`."""
    labels: LabelSet
    whole: bool
    """Whether the outline of the person is known."""
    count: int
    files: tuple[Path, ...]
    people: Callable[[SetTable], Iterator[Shown]]


def find_source(root: Path) -> Source:
    """Recognise a set by its layout. Raises DatasetNotFound where the folder is none that resight knows."""
    if not root.is_dir():
        raise DatasetNotFound(f"There is no folder {root}. Pass the folder of a parsing set to --data.")
    for marks, read in LAYOUTS:
        if all((root / mark).exists() for mark in marks):
            return read(root)
    known = "; ".join(" and ".join(marks) for marks, _ in LAYOUTS)
    seen = ", ".join(sorted(entry.name for entry in root.iterdir())[:5]) or "nothing"
    raise DatasetNotFound(f"{root} is no parsing set that resight knows (it holds {seen}). Known layouts: {known}.")


def joint_table(sources: list[Source], labels: str) -> SetTable:
    """The table of sets of these sources in a target set, joints included."""
    target = find_labels(labels)
    named = {source.labels.name: source.labels for source in sources}
    return set_table([find_meaning(one, target) for one in named.values()], extra=keypoint_means(target))


def _lip(root: Path) -> Source:
    """LIP as CE2P's code and `resight people` lay it out: a crop and its map, both halves side by side."""
    ids = (root / "train_id.txt").read_text(encoding="utf-8").split()
    pictures = [_picture(root / "train_images", name) for name in ids]
    maps = [root / "train_segmentations" / f"{name}.png" for name in ids]

    def people(table: SetTable) -> Iterator[Shown]:
        for picture, path in zip(pictures, maps, strict=True):
            pixels = read_picture(picture)
            labels = table.set_map(LIP20.name, read_map(path, LIP20, size=pixels.shape[:2], ignored=True))
            yield Shown(pixels, labels, np.full(labels.shape, IGNORE, np.uint8), _all_of(pixels))

    return Source("lip", "full", LIP20, True, len(ids), (*pictures, *maps), people)


def _rendered(root: Path) -> Source:
    """A set of `resight people`: exact maps, and maps of who is who (1 the person, from 2 on others)."""
    lip = root / "lip"
    if not (lip / "train_id.txt").is_file():
        raise DatasetNotFound(f"{root} has no training persons. Render it with --train-share above 0.")
    names = (lip / "train_id.txt").read_text(encoding="utf-8").split()
    pictures = [_picture(lip / "train_images", name) for name in names]
    maps = [lip / "train_segmentations" / f"{name}.png" for name in names]
    persons = [root / "maps" / "persons" / f"{name}.png" for name in names]

    def people(table: SetTable) -> Iterator[Shown]:
        for picture, path, who in zip(pictures, maps, persons, strict=True):
            pixels = read_picture(picture)
            labels = table.set_map(LIP20.name, read_map(path, LIP20, size=pixels.shape[:2]))
            yield Shown(pixels, labels, (_numbers(who) > 1).astype(np.uint8), _all_of(pixels))

    return Source("rendered", "rendered", LIP20, True, len(names), (*pictures, *maps), people)


def _ccp(root: Path) -> Source:
    pictures = [path for path in sorted((root / "images").iterdir()) if is_picture(path)]
    pictures = [path for path in pictures if path.stem.isdigit() and int(path.stem) <= CCP_LAST]
    maps = [root / "labels" / f"{path.stem}.png" for path in pictures]

    def people(table: SetTable) -> Iterator[Shown]:
        for picture, path in zip(pictures, maps, strict=True):
            pixels = read_picture(picture)
            values = read_map(path, CCP59, size=pixels.shape[:2])
            box = loose_box(values > 0) or _all_of(pixels)
            labels = table.set_map(CCP59.name, values)
            yield Shown(pixels, labels, np.zeros(labels.shape, np.uint8), box)

    return Source("ccp", "ccp", CCP59, True, len(pictures), (*pictures, *maps), people)


def _pennfudan(root: Path) -> Source:
    """Each labelled person once; background is known only near labelled people, since others are not labelled."""
    pictures = [path for path in sorted((root / "images").iterdir()) if is_picture(path)][:PENNFUDAN_LAST]
    maps = [root / "instances" / f"{path.stem}.png" for path in pictures]
    count = sum(len(_whose(_numbers(path))) for path in maps)

    def people(table: SetTable) -> Iterator[Shown]:
        for picture, path in zip(pictures, maps, strict=True):
            pixels, instances = read_picture(picture), _numbers(path)
            near = _near(instances > 0, round(MARGIN * pixels.shape[0]))
            for number in _whose(instances):
                values = np.where(instances == number, 1, np.where(instances > 0, 2, np.where(near, 0, IGNORE)))
                labels = table.set_map(WANTED3.name, values.astype(np.uint8))
                others = np.where(values == 2, 1, np.where(values == IGNORE, IGNORE, 0)).astype(np.uint8)
                yield Shown(pixels, labels, others, loose_box(instances == number) or _all_of(pixels))

    return Source("pennfudan", "pennfudan", WANTED3, True, count, (*pictures, *maps), people)


def _market(root: Path) -> Source:
    """Market-1501's training crops with spots of 3 × 3 pixels under their 14 joints; all else is unknown."""
    joints = np.load(root / "keypoints14.npz")
    names, places = joints["train_name"], joints["train_xy"]
    persons = sorted({int(str(name).split("_")[0]) for name in names})
    learns = set(persons[: max(0, len(persons) - MARKET_HELD_OUT)])
    rows = [row for row, name in enumerate(names) if int(str(name).split("_")[0]) in learns]
    pictures = [root / "bounding_box_train" / str(names[row]) for row in rows]

    def people(table: SetTable) -> Iterator[Shown]:
        sets = [table.number(means) for means in keypoint_means(table.target)]
        for row, picture in zip(rows, pictures, strict=True):
            pixels = read_picture(picture)
            labels = np.full(pixels.shape[:2], IGNORE, np.uint8)
            for joint, (x, y) in zip(sets, places[row] - 1, strict=True):  # 1-based
                if 0 <= x < labels.shape[1] and 0 <= y < labels.shape[0]:
                    top, left = round(float(y)), round(float(x))
                    labels[max(0, top - 1) : top + 2, max(0, left - 1) : left + 2] = joint
            yield Shown(pixels, labels, np.full(labels.shape, IGNORE, np.uint8), _all_of(pixels))

    return Source("market", "market", LIP20, False, len(rows), (*pictures, root / "keypoints14.npz"), people)


LAYOUTS: Final[tuple[tuple[tuple[str, ...], Callable[[Path], Source]], ...]] = (
    (("people.csv", "lip", "maps/persons"), _rendered),
    (("train_images", "train_segmentations", "train_id.txt"), _lip),
    (("images", "labels", "labels.json"), _ccp),
    (("images", "instances"), _pennfudan),
    (("bounding_box_train", "keypoints14.npz"), _market),
)


def loose_box(mask: np.ndarray) -> tuple[float, float, float, float] | None:
    """Box of what is true, as loose as detectors' are: `LOOSE` of its height above and below, `SLENDER` wide at least.

    Left, top, right, bottom in pixels, right and bottom outside; None where nothing is true.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    high = float(rows[-1] + 1 - rows[0]) * (1 + 2 * LOOSE)
    middle = ((columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2)
    wide = max(float(columns[-1] + 1 - columns[0]) * (1 + 2 * LOOSE), SLENDER * high)
    return middle[0] - wide / 2, middle[1] - high / 2, middle[0] + wide / 2, middle[1] + high / 2


def _all_of(pixels: np.ndarray) -> tuple[float, float, float, float]:
    return 0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0])


def _picture(folder: Path, name: str) -> Path:
    return folder / f"{name}.jpg"


def _numbers(path: Path) -> UInt8[np.ndarray, "H W"]:
    try:
        with Image.open(path) as picture:
            return np.array(picture, np.uint8)
    except OSError as error:
        raise BadLabels(f"{path} cannot be read as a map of persons ({error}).") from error


def _whose(instances: UInt8[np.ndarray, "H W"]) -> list[int]:
    """Persons of a map that show at least 200 pixels."""
    counts = np.bincount(instances.ravel(), minlength=2)
    return [number for number in range(1, len(counts)) if counts[number] >= 200]


def _near(mask: np.ndarray, distance: int) -> np.ndarray:
    """What lies within `distance` pixels of a mask, by squares."""
    from scipy import ndimage

    return np.asarray(ndimage.maximum_filter(mask, size=2 * distance + 1))
