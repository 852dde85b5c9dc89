"""Label sets as checked tables, label maps as indexed PNG files, and the one flip of everything that has sides.

A map is H W uint8: each pixel's class. Left and right are the person's own, so a mirrored picture swaps them.
Source of `lip20`: LIP (Gong et al., CVPR 2017, arXiv:1703.05446). Proof: tests/data/test_labels.py.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, UnidentifiedImageError

from resight.data.files import write_beside
from resight.errors import BadLabels, UnknownName


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Classes of a label map, by number; 0 is the background."""

    name: str
    classes: tuple[str, ...]

    def swap(self) -> UInt8[np.ndarray, " C"]:
        """Class that each class becomes in a mirror: `left x` and `right x` change places."""
        return np.array([_mirrored(self.classes, number) for number in range(len(self.classes))], np.uint8)

    def palette(self) -> list[int]:
        """256 colours, red green blue in a row, of which neighbours differ well; 0 is black."""
        return list(_palette())


@functools.cache
def _palette() -> tuple[int, ...]:
    """Three bits of each number in turn, the lowest ones as the brightest bits of red, green and blue."""
    colours = np.zeros((256, 3), np.uint8)
    for number in range(256):
        bits = number
        for shift in range(7, -1, -1):
            for channel in range(3):
                colours[number, channel] |= (bits >> channel & 1) << shift
            bits >>= 3
    return tuple(int(value) for value in colours.ravel())


def _mirrored(classes: tuple[str, ...], number: int) -> int:
    name = classes[number]
    for here, there in (("left ", "right "), ("right ", "left ")):
        if name.startswith(here):
            return classes.index(there + name.removeprefix(here))
    return number


LIP20: Final = LabelSet(
    "lip20",
    (
        *("background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat", "socks", "pants"),
        *("jumpsuits", "scarf", "skirt", "face", "left arm", "right arm", "left leg", "right leg"),
        *("left shoe", "right shoe"),
    ),
)
BODY10: Final = LabelSet(
    "body10",
    (
        *("background", "head", "torso", "left upper arm", "right upper arm", "left lower arm", "right lower arm"),
        *("left upper leg", "right upper leg", "left lower leg", "right lower leg"),
    ),
)
LABEL_SETS: Final = {
    "lip20": LIP20,  # Gong et al., CVPR 2017, arXiv:1703.05446
    "body10": BODY10,  # parts of the body under the clothes, of rendered people
}
KEYPOINTS: Final = (
    *("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow"),
    *("right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee"),
    *("left ankle", "right ankle"),
)
"""COCO's 17 keypoints, in its order."""
COCO_SWAP: Final = tuple(_mirrored(KEYPOINTS, number) for number in range(len(KEYPOINTS)))
"""Keypoint that each of COCO's 17 keypoints becomes in a mirror."""


def find_labels(name: str) -> LabelSet:
    """Label set of a name; an unknown one is answered with the nearest known one."""
    if name not in LABEL_SETS:
        raise UnknownName("label set", name, LABEL_SETS)
    return LABEL_SETS[name]


def write_map(path: Path, classes: UInt8[np.ndarray, "H W"], labels: LabelSet) -> None:
    """Write a map as an indexed PNG file; raises BadLabels for a class that the set does not have."""
    check_map(classes, labels, str(path))
    picture = Image.fromarray(classes)
    picture.putpalette(labels.palette())
    with write_beside(path) as partial:
        picture.save(partial, "PNG", optimize=False)


def read_map(path: Path, labels: LabelSet, *, size: tuple[int, int] | None = None) -> UInt8[np.ndarray, "H W"]:
    """Read a map of indexed or grey pixels; `size` is the height and width that it must have.

    Raises BadLabels, saying what was seen, for colours, other sizes, unknown classes and files that cannot be read.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L"):
                raise BadLabels(f"{path} has {picture.mode} pixels; a label map has one class number a pixel.")
            classes = np.array(picture, np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        raise BadLabels(f"{path} cannot be read as a label map ({error}).") from error
    if size is not None and classes.shape != size:
        raise BadLabels(f"{path} is {classes.shape[0]} × {classes.shape[1]}, its picture {size[0]} × {size[1]}.")
    check_map(classes, labels, str(path))
    return classes


def check_map(classes: UInt8[np.ndarray, "H W"], labels: LabelSet, name: str = "the map") -> None:
    """Raise BadLabels when a map holds a class that the set does not have."""
    if classes.size and int(classes.max()) >= len(labels.classes):
        raise BadLabels(f"{name} holds class {int(classes.max())}; {labels.name} ends at {len(labels.classes) - 1}.")


def flip_map(classes: UInt8[np.ndarray, "H W"], labels: LabelSet) -> UInt8[np.ndarray, "H W"]:
    """Mirror a map and swap the classes of left and right."""
    return np.ascontiguousarray(labels.swap()[classes[:, ::-1]])


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
