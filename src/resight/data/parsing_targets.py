"""From a record of a parsing set to what its pixels teach: a map of set numbers, uint8, 255 where nothing is known.

Penn-Fudan's photos show people whom nobody labelled: their background counts only near the labelled ones. Where a map
of persons is known, other people than the wanted one are background. Proof: tests/data/test_parsing_targets.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.ndimage import distance_transform_edt

from resight.data.label_meanings import find_meaning, keypoint_means
from resight.data.label_sets import LabelSet, find_labels
from resight.data.label_union import SetTable, set_table
from resight.data.labels import read_map, read_person_map
from resight.data.parsing_layouts import KEYPOINTS_SOURCE, ParsingPicture
from resight.errors import BadLabels
from resight.types import IGNORE

NEAR: Final = 0.05
"""Background next to a labelled person of a photo counts up to this share of the wanted person's height."""


def table_for(sources: Sequence[str], target: LabelSet) -> SetTable:
    """The table of sets for sources by name, `keypoints14` among them or not, and a target: lip20, parts7, parts8.

    Several folders may follow one source.
    """
    meanings = [find_meaning(find_labels(name), target) for name in dict.fromkeys(sources) if name != KEYPOINTS_SOURCE]
    if not meanings:
        meanings = [find_meaning(target, target)]
    return set_table(meanings, keypoint_means(target) if KEYPOINTS_SOURCE in sources else ())


def read_target(picture: ParsingPicture, table: SetTable, *, height: int, width: int) -> UInt8[np.ndarray, "h w"]:
    """Set numbers of a record's crop; `height` and `width` are the whole picture's.

    Raises BadLabels, naming the file, for maps of another size or with values outside their table.
    """
    if picture.source == KEYPOINTS_SOURCE:
        numbers = [table.number(classes) for classes in keypoint_means(table.target)]
        points = np.zeros((0, 2), np.float32) if picture.points is None else picture.points
        return cropped(point_map(points, numbers, height=height, width=width), picture)
    persons = read_persons(picture, height=height, width=width)
    if picture.labels is None:
        if persons is None:
            raise BadLabels(f"{picture.picture} has neither labels nor a map of persons.")
        values = wanted_map(persons)
    else:
        values = cropped(read_map(picture.labels, find_labels(picture.source), size=(height, width)), picture)
        if persons is not None:
            values = np.where(persons == 2, 0, values).astype(np.uint8)
    return table.set_map(picture.source, values)


def read_persons(picture: ParsingPicture, *, height: int, width: int) -> UInt8[np.ndarray, "h w"] | None:
    """Whose each pixel of the crop is: 0 nobody's, 1 the wanted person's, 2 another one's; None where nobody says."""
    if picture.persons is None or picture.wanted == 0:
        return None
    values = cropped(read_person_map(picture.persons, size=(height, width)), picture)
    return np.where(values == 0, 0, np.where(values == picture.wanted, 1, 2)).astype(np.uint8)


def wanted_map(persons: UInt8[np.ndarray, "H W"], *, near: float = NEAR) -> UInt8[np.ndarray, "H W"]:
    """Labels of `wanted3` with 255 for background that lies farther from every labelled person than `near`.

    `near` is a share of the wanted person's height in the crop; at least one pixel counts.
    """
    rows = np.flatnonzero((persons == 1).any(1))
    reach = max(1.0, near * (rows[-1] - rows[0] + 1)) if len(rows) else 1.0
    values = persons.copy()
    if not persons.any():
        values[:] = IGNORE
        return values
    values[distance_transform_edt(persons == 0) > reach] = IGNORE
    return values


def point_map(
    points: Float32[np.ndarray, "K 2"], numbers: Sequence[int], *, height: int, width: int
) -> UInt8[np.ndarray, "H W"]:
    """Set numbers at the pixels nearest to points (x, y), 255 elsewhere; points outside or unknown (NaN) teach nothing.

    Move points before painting: resizing the map would lose them. Where two share a pixel, neither is painted unless
    they say the same.
    """
    values = np.full((height, width), IGNORE, np.uint8)
    taken = np.zeros((height, width), bool)
    for (x, y), number in zip(points, numbers, strict=True):
        if np.isnan(x) or np.isnan(y):
            continue
        row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        if not (0 <= row < height and 0 <= column < width):
            continue
        values[row, column] = IGNORE if taken[row, column] and values[row, column] != number else number
        taken[row, column] = True
    return values


def cropped(values: UInt8[np.ndarray, "H W"], picture: ParsingPicture) -> UInt8[np.ndarray, "h w"]:
    """The record's crop of a map of the whole picture."""
    if picture.crop is None:
        return values
    top, left, bottom, right = picture.crop
    return values[top:bottom, left:right]
