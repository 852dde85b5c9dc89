"""Label maps as indexed PNG files, and the one flip of everything that has sides; the tables are in `label_sets`.

A map is H W uint8: each pixel's class. Left and right are the person's own, so a mirrored picture swaps them.
Proof: tests/data/test_labels.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, UnidentifiedImageError

from resight.data.files import write_beside
from resight.data.label_sets import BODY10, LABEL_SETS, LIP20, LabelSet, find_labels, mirrored_name
from resight.errors import BadLabels
from resight.types import IGNORE

__all__ = [
    "BODY10",
    "COCO_SWAP",
    "IGNORE",
    "KEYPOINTS",
    "LABEL_SETS",
    "LIP20",
    "SHEET",
    "LabelSet",
    "check_map",
    "find_labels",
    "flip_all",
    "flip_map",
    "read_map",
    "read_person_map",
    "resize_map",
    "write_map",
]


SHEET: Final = "contact-sheet.png"
"""Overview that `resight parse` writes beside its maps; no map itself."""
KEYPOINTS: Final = (
    *("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow"),
    *("right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee"),
    *("left ankle", "right ankle"),
)
"""COCO's 17 keypoints, in its order."""
COCO_SWAP: Final = tuple(KEYPOINTS.index(mirrored_name(name)) for name in KEYPOINTS)
"""Keypoint that each of COCO's 17 keypoints becomes in a mirror."""


def write_map(path: Path, classes: UInt8[np.ndarray, "H W"], labels: LabelSet, *, synced: bool = True) -> None:
    """Write a map as an indexed PNG file (as write_beside does); raises BadLabels for a class that the set lacks."""
    check_map(classes, labels, str(path))
    picture = Image.fromarray(classes)
    picture.putpalette(labels.palette())
    with write_beside(path, synced=synced) as partial:
        picture.save(partial, "PNG", optimize=False)


def read_map(
    path: Path, labels: LabelSet, *, size: tuple[int, int] | None = None, ignored: bool = False
) -> UInt8[np.ndarray, "H W"]:
    """Read a map of indexed or grey pixels; `size` is the height and width that it must have.

    With `ignored`, the value 255 may stand where nothing is counted; published maps have none.
    Raises BadLabels, saying what was seen, for colours, other sizes, unknown classes and files that cannot be read.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L"):
                raise BadLabels(
                    f"{path} has {picture.mode} pixels; a label map has one class number a pixel. "
                    "Colours of another tool are turned into numbers by `read_coloured_map`."
                )
            classes = np.array(picture, np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        raise BadLabels(f"{path} cannot be read as a label map ({error}).") from error
    if size is not None and classes.shape != size:
        raise BadLabels(f"{path} is {classes.shape[0]} × {classes.shape[1]}, its picture {size[0]} × {size[1]}.")
    check_map(classes, labels, str(path), ignored=ignored)
    return classes


def read_person_map(path: Path, *, size: tuple[int, int] | None = None) -> UInt8[np.ndarray, "H W"]:
    """Read a map of persons: 0 for none, else the person's number; `size` is the height and width that it must have.

    Raises BadLabels, saying what was seen, for colours, other sizes and files that cannot be read.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L"):
                raise BadLabels(f"{path} has {picture.mode} pixels; a map of persons has one number a pixel.")
            persons = np.array(picture, np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        raise BadLabels(f"{path} cannot be read as a map of persons ({error}).") from error
    if size is not None and persons.shape != size:
        raise BadLabels(f"{path} is {persons.shape[0]} × {persons.shape[1]}, its picture {size[0]} × {size[1]}.")
    return persons


def resize_map(classes: UInt8[np.ndarray, "h w"], height: int, width: int) -> UInt8[np.ndarray, "H W"]:
    """Bring a map to another size by the nearest pixel: no class appears that was not there."""
    if classes.shape == (height, width):
        return classes
    return np.array(Image.fromarray(classes).resize((width, height), Image.Resampling.NEAREST))


def check_map(
    classes: UInt8[np.ndarray, "H W"], labels: LabelSet, name: str = "the map", *, ignored: bool = False
) -> None:
    """Raise BadLabels when a map holds a class that the set does not have; `ignored` lets 255 pass."""
    if classes.size == 0:
        return
    highest = int(classes.max())
    if ignored and highest == IGNORE:
        highest = int(classes[classes != IGNORE].max(initial=0))
    if highest >= len(labels.classes):
        raise BadLabels(f"{name} holds class {highest}; {labels.name} ends at {len(labels.classes) - 1}.")


def flip_map(classes: UInt8[np.ndarray, "H W"], labels: LabelSet) -> UInt8[np.ndarray, "H W"]:
    """Mirror a map and swap the classes of left and right; 255 stays."""
    swap = np.arange(256, dtype=np.uint8)
    swap[: len(labels.classes)] = labels.swap()
    return np.ascontiguousarray(swap[classes[:, ::-1]])


def flip_all(
    picture: UInt8[np.ndarray, "H W 3"],
    maps: Sequence[tuple[UInt8[np.ndarray, "H W"], LabelSet]] = (),
    keypoints: Float[np.ndarray, "K 3"] | None = None,
    swap: Sequence[int] = COCO_SWAP,
) -> tuple[UInt8[np.ndarray, "H W 3"], list[UInt8[np.ndarray, "H W"]], Float[np.ndarray, "K 3"] | None]:
    """Mirror a picture with its maps and keypoints (x, y in pixels, visibility); applied twice it is the identity.

    Pixel centres lie at whole numbers, so x becomes W - 1 - x.
    """
    turned = None
    if keypoints is not None:
        turned = keypoints[list(swap)].copy()
        turned[:, 0] = picture.shape[1] - 1 - turned[:, 0]
    flipped = [flip_map(classes, labels) for classes, labels in maps]
    return np.ascontiguousarray(picture[:, ::-1]), flipped, turned
