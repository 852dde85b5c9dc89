"""Where a parser's training pictures come from: each record of a parsing set as a person with a box, labels, others.

Proof: tests/train/test_parser.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from scipy.ndimage import binary_dilation, binary_erosion
from torch import Tensor

from resight.data.arrays import digest
from resight.data.cache import identity
from resight.data.images import read_picture
from resight.data.label_meanings import keypoint_means
from resight.data.label_sets import CCP59, LIP20, WANTED3
from resight.data.label_union import SetTable
from resight.data.labels import read_map
from resight.data.parsing_layouts import KEYPOINTS_SOURCE
from resight.data.parsing_sets import ParsingPicture, PictureList, find_parsing_set, picture_list
from resight.data.parsing_targets import point_map, read_persons, read_target
from resight.errors import TrainingStopped
from resight.train.parser_recipe import Shares
from resight.types import IGNORE

LOOSE: Final = 0.03
SLENDER: Final = 0.46
"""Least width of a box to its height: a crop is stretched to 1 : 2, and a tight one would make people fat."""
SHARES: Final = {"people": "rendered", "ccp": "ccp", "penn-fudan": "pennfudan", "market-keypoints": "market"}
"""Layout -> field of `parser_recipe.Shares`; all others are `full`."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels, right and bottom outside."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One person in one picture.

    `labels` are set numbers (255 unknown); `others` is 1 where another person is, 0 where none, 255 unknown.
    """

    pixels: UInt8[np.ndarray, "H W 3"]
    labels: UInt8[np.ndarray, "H W"]
    others: UInt8[np.ndarray, "H W"]
    box: Box


@dataclass(frozen=True, slots=True)
class Source:
    """One set that a parser learns from."""

    name: str
    """Of its layout."""
    share: str
    """Field of `parser_recipe.Shares`."""
    source: str
    """Label set of its maps, or `keypoints14`."""
    pictures: PictureList

    @property
    def whole(self) -> Bool[np.ndarray, " N"]:
        """Of which pictures the outline of the wanted person is known."""
        if self.source != KEYPOINTS_SOURCE:
            return np.ones(len(self.pictures), bool)
        return np.asarray((self.pictures.persons != b"") & (self.pictures.company != 1))

    def files(self) -> list[Path]:
        """All files that the canvases are made from, each once."""
        found: dict[Path, None] = {}
        for number in range(len(self.pictures)):
            record = self.pictures[number]
            for path in (record.picture, record.labels, record.persons):
                if path is not None:
                    found[path] = None
        return list(found)

    @property
    def identity(self) -> str:
        """Twelve hex digits that change with what is learned from, wherever it lies."""
        return identity(self.files(), self.name, self.source, digest(*self.pictures.facts))

    def people(self, table: SetTable) -> Iterator[Shown]:
        """Every person in turn, decoded as it is asked for."""
        for number in range(len(self.pictures)):
            yield show(self.pictures[number], table)


@runtime_checkable
class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def pictures(self) -> Sized: ...


S = TypeVar("S", bound=_Named)


@dataclass(frozen=True, slots=True)
class SourceSet(Generic[S]):
    """The sources of a run with their table of sets, however their pictures are read."""

    sources: tuple[S, ...]
    table: SetTable
    shares: tuple[float, ...]
    """Of each source in a batch; they sum to 1."""
    fingerprint: str

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by the names of the sources."""
        found: Counter[str] = Counter()
        for source in self.sources:  # two folders may have one layout
            found[source.name] += len(source.pictures)
        return dict(found)

    def set_rows(self, device: torch.device) -> Bool[Tensor, "S K"]:
        """Which classes each set number may be."""
        return self.table.sets.to(device)


def shared(sources: Sequence[Source], shares: Shares) -> tuple[tuple[Source, ...], tuple[float, ...]]:
    """Sources that have a share in a recipe, and what part of a batch each is; raises TrainingStopped when none has."""
    kept = [(source, float(getattr(shares, source.share))) for source in sources]
    kept = [(source, share) for source, share in kept if share > 0]
    if not kept:
        raise TrainingStopped("There is nothing to train on: no source was given, or the recipe's shares are all 0.")
    whole = sum(share for _, share in kept)
    return tuple(source for source, _ in kept), tuple(share / whole for _, share in kept)


def find_source(root: Path) -> Source:
    """The training half of a parsing set, recognised by its layout (DatasetNotFound where it is none)."""
    found = find_parsing_set(root)
    pictures = picture_list(found.pictures("train"), half="train")
    return Source(found.layout.name, SHARES.get(found.layout.name, "full"), found.source, pictures)


def show(record: ParsingPicture, table: SetTable) -> Shown:
    """Read one record: the whole photo, with the box of the wanted person in it."""
    pixels = read_picture(record.picture)
    high, wide = pixels.shape[:2]
    record = replace(record, crop=None)  # the room around the box is wanted too
    unknown = np.full((high, wide), IGNORE, np.uint8)
    everything = (0.0, 0.0, float(wide), float(high))
    if record.source == KEYPOINTS_SOURCE:
        labels = spots(record, table, (high, wide))
        if record.persons is None:
            return Shown(pixels, labels, unknown, everything)
        outline = outlined(record.persons, table, (high, wide))
        others = np.zeros_like(outline) if record.company == 0 else unknown
        if record.company == 1:  # the outline holds both: what is outside it is nobody, the rest is not known
            others = outline = np.where(outline == 0, 0, IGNORE).astype(np.uint8)
        return Shown(pixels, np.where(labels == IGNORE, outline, labels), others, everything)
    labels = read_target(record, table, height=high, width=wide)
    persons = read_persons(record, height=high, width=wide)
    if record.source == CCP59.name:  # a photo of one person
        certain = ~np.append(table.sets[:, 0].numpy(), np.ones(256 - len(table.sets), bool))
        return Shown(pixels, labels, np.zeros_like(labels), loose_box(certain[labels]) or everything)
    if persons is None:
        return Shown(pixels, labels, unknown, everything)
    others = (persons == 2).astype(np.uint8)
    if record.source == WANTED3.name:
        others[labels == IGNORE] = IGNORE
    photo = bool((persons > 0).any()) and record.source in (WANTED3.name, "cihp20")
    return Shown(pixels, labels, others, (loose_box(persons == 1) if photo else None) or everything)


def spots(record: ParsingPicture, table: SetTable, size: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    """Spots of 3 × 3 pixels under the joints, so that none is lost when the picture is resized; the rest is unknown."""
    numbers = [table.number(classes) for classes in keypoint_means(table.target)]
    labels = np.full(size, IGNORE, np.uint8)
    points = np.zeros((0, 2), np.float32) if record.points is None else record.points
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            moved = points + np.array([right, down], np.float32)
            here = point_map(moved, numbers, height=size[0], width=size[1])
            labels = np.where(labels == IGNORE, here, labels)
    return labels


def outlined(path: Path, table: SetTable, size: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    """What an earlier parser's map (any classes, 0 is background) is sure of: somebody or nobody, 255 at the edge."""
    person = read_map(path, LIP20, size=size) > 0
    somebody = table.number(table.target.classes[1:])
    edge = binary_dilation(person) & ~binary_erosion(person, border_value=1)
    return np.where(edge, IGNORE, np.where(person, somebody, 0)).astype(np.uint8)


def loose_box(mask: Bool[np.ndarray, "H W"]) -> Box | None:
    """Box of what is true, as loose as detectors' are: `LOOSE` of its sides more all round, `SLENDER` wide at least.

    It may reach beyond the picture; None where nothing is true.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    high = float(rows[-1] + 1 - rows[0]) * (1 + 2 * LOOSE)
    middle = (float(columns[0] + columns[-1] + 1) / 2, float(rows[0] + rows[-1] + 1) / 2)
    wide = max(float(columns[-1] + 1 - columns[0]) * (1 + 2 * LOOSE), SLENDER * high)
    return middle[0] - wide / 2, middle[1] - high / 2, middle[0] + wide / 2, middle[1] + high / 2
