"""How people look, as descriptors whose products say how alike two pictures are: garments by colour, pose with view.

Each is a list of square roots of shares, so that a product is a Bhattacharyya coefficient, 0..1 (Bhattacharyya, 1943).
Garments: the mean of upper and lower, so that black trousers cannot make up for another shirt; where a map shows none
of a garment, the whole person stands for it. Pose: half where each of six groups of parts lies inside the person's
box, half the view, from how much of the head is face and to which side of the head's middle the face lies.
Proof: tests/diagnose/test_looks.py; on rendered people, of the tenth of pairs that are least alike in pose 79 % look
more than 90 degrees apart, of all pairs 50 %.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, UInt8

from resight.data.labels import LabelSet

UPPER: Final = ("upper-clothes", "coat", "scarf", "dress", "jumpsuits")
LOWER: Final = ("pants", "skirt", "dress", "jumpsuits")
FACE: Final = ("face", "sunglasses")
HAIR: Final = ("hair", "hat")
SKIN: Final = ("face", "left arm", "right arm", "left leg", "right leg")
CLOTHES: Final = ("upper-clothes", "dress", "coat", "pants", "jumpsuits", "scarf", "skirt")
HEAD: Final = (*HAIR, *FACE)
FEET: Final = ("left shoe", "right shoe", "socks")
CARRIED: Final = ("bag", "purse", "umbrella", "phone")
LOOKED_FOR: Final = {
    "head": HEAD,
    "upper": UPPER,
    "arms": ("left arm", "right arm", "glove"),
    "lower": ("pants", "skirt"),
    "legs": ("left leg", "right leg"),
    "feet": FEET,
}
"""What is looked for of a person; what is not seen is hidden, cut off, or under clothes."""
GROUPS: Final = (
    *(FACE, HAIR, UPPER, ("pants", "skirt")),
    *(("left arm", "left leg", "left shoe"), ("right arm", "right leg", "right shoe")),
)
ROWS: Final = 8
COLUMNS: Final = 4
CELLS: Final = len(GROUPS) * ROWS * COLUMNS
POSE: Final = CELLS + 4
"""Numbers in a descriptor of pose and view."""
SMALLEST: Final = 0.01
"""Share of the crop below which a garment is not in sight."""
FULL_FACE: Final = 0.5
"""Share of the head that is face in a picture from the front."""
TURNED: Final = 1 / 32
"""How far the face of a person seen from the side lies off the head's middle, in widths of the crop."""
LEAST: Final = 0.02
"""Doubt about each view."""


def pixels_of(
    labels: UInt8[np.ndarray, "N H W"], label_set: LabelSet, names: tuple[str, ...]
) -> Bool[np.ndarray, "N H W"]:
    """Pixels of some classes; none where the label set lacks them."""
    numbers = [number for number, name in enumerate(label_set.classes) if name in names]
    return np.isin(labels, numbers)


def garment_masks(
    labels: UInt8[np.ndarray, "N H W"], label_set: LabelSet, person: Bool[np.ndarray, "N H W"]
) -> tuple[Bool[np.ndarray, "N H W"], Bool[np.ndarray, "N H W"]]:
    """Pixels of the upper and of the lower garment; the whole person where one is not in sight."""
    found = []
    for names in (UPPER, LOWER):
        mask = pixels_of(labels, label_set, names)
        found.append(np.where((mask.mean((1, 2)) >= SMALLEST)[:, None, None], mask, person))
    return found[0], found[1]


def view_shares(labels: UInt8[np.ndarray, "N H W"], label_set: LabelSet) -> Float[np.ndarray, "N 4"]:
    """How much a picture is one from the front, the back, looking to the right and to the left; they sum to 1.

    Without a head in sight all four are equal.
    """
    face, head = (pixels_of(labels, label_set, names) for names in (FACE, (*FACE, *HAIR)))
    columns = (np.arange(labels.shape[2]) + 0.5) / labels.shape[2]
    middle = [one.sum(1) @ columns / np.maximum(one.sum((1, 2)), 1) for one in (face, head)]
    count = face.sum((1, 2)), head.sum((1, 2))
    aside = np.where(count[0] > 0, middle[0] - middle[1], 0.0)
    side = 0.9 * np.clip(np.abs(aside) / TURNED, 0, 1)
    front = np.clip(count[0] / np.maximum(count[1], 1) / FULL_FACE, 0, 1)
    shares = np.stack(
        [(1 - side) * front, (1 - side) * (1 - front), np.where(aside > 0, side, 0), np.where(aside < 0, side, 0)],
        axis=1,
    )
    shares = np.where((count[1] > 0)[:, None], shares, 0) + LEAST
    return np.asarray(shares / shares.sum(1, keepdims=True))


def poses(labels: UInt8[np.ndarray, "N H W"], label_set: LabelSet) -> Float[np.ndarray, "N 196"]:
    """Descriptor of pose and view; zeros where there is no person."""
    count, high, wide = labels.shape
    person = np.asarray(labels > 0)
    there = np.asarray(person.any((1, 2)))
    rows, columns = (np.asarray(person.any(axis)) for axis in (2, 1))
    top, left = rows.argmax(1), columns.argmax(1)
    tall = high - rows[:, ::-1].argmax(1) - top
    broad = wide - columns[:, ::-1].argmax(1) - left
    group = np.full(256, -1)
    for number, names in enumerate(GROUPS):
        group[[place for place, name in enumerate(label_set.classes) if name in names]] = number
    n, y, x = np.nonzero(person)
    kind = group[labels[n, y, x]]
    place = (kind * ROWS + (y - top[n]) * ROWS // tall[n]) * COLUMNS + (x - left[n]) * COLUMNS // broad[n]
    seen = kind >= 0
    grid = (
        np.bincount((n * CELLS + place)[seen], minlength=count * CELLS)
        .reshape(count, len(GROUPS), -1)
        .astype(np.float64)
    )
    grid /= np.maximum(grid.sum(2, keepdims=True), 1)
    grid /= np.maximum(grid.sum((1, 2), keepdims=True), 1e-9)
    both = np.hstack([grid.reshape(count, CELLS), view_shares(labels, label_set)]) / 2
    return np.where(there[:, None], np.sqrt(both), 0)
