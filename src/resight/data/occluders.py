"""What may stand before a person: cut-out objects and pedestrians, training and test kept apart; and a person's hull.

Objects: FOLDER/KIND/*.png with alpha; of each kind the last third by name is test only. Pedestrians: Penn-Fudan's
persons, cut out of images/ by instances/; its first 120 photos by name may be pasted in training, the last 50 are test.
The hull of keypoints14 is what occlusion shares are measured on: no parser's mask, which an occlusion would change.
Proof: tests/data/test_occluders.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw
from scipy.ndimage import find_objects
from scipy.spatial import ConvexHull, QhullError

from resight.data.degrade import Side
from resight.data.images import read_picture
from resight.data.labels import read_person_map
from resight.data.parsing_layouts import is_test_photo
from resight.data.reid_layouts import folders_in, pictures_in, seen
from resight.errors import BadPicture, DatasetNotFound

Use = Literal["train", "test"]
PEOPLE: Final = "people"
FINEST: Final = 400
"""Rows or columns that a cut-out keeps at most: crops are some hundred pixels high."""
SMALLEST: Final = 60
"""A cut-out person of fewer rows is too coarse to be pasted."""
ENTERS: Final[dict[str, tuple[Side, ...]]] = {
    "umbrellas": ("top",),
    "road_signs": ("left", "right"),
    "bushes": ("bottom",),
    "cars": ("bottom",),
    PEOPLE: ("left", "right", "bottom"),
}
"""From which sides a kind of object comes into a picture; others come from below."""
SLIGHTEST_HULL: Final = 0.04
"""A hull of a smaller share of the picture is no measured body."""


@dataclass(frozen=True, slots=True)
class Occluder:
    """One thing that may stand before a person."""

    name: str
    kind: str
    cutout: UInt8[np.ndarray, "h w 4"]
    """RGBA, cut to what is not transparent."""

    @property
    def sides(self) -> tuple[Side, ...]:
        return ENTERS.get(self.kind, ("bottom",))


def read_objects(folder: Path, use: Use) -> list[Occluder]:
    """Cut-out objects of one use, by kind and name. Raises DatasetNotFound where there are none."""
    found = []
    for kind in folders_in(folder):
        for path in objects_of(kind, use):
            with Image.open(path) as picture:
                if "A" not in picture.getbands() and "transparency" not in picture.info:
                    raise BadPicture(
                        f"{path} has no transparency, so its outline is not known; objects are RGBA files."
                    )
                found.append(_cut(f"{kind.name}/{path.name}", kind.name, np.asarray(picture.convert("RGBA"))))
    if not found:
        raise DatasetNotFound(f"{folder} holds no objects for {use} (found: {seen(folder)}); it needs KIND/*.png.")
    return found


def objects_of(kind: Path, use: Use) -> list[Path]:
    """Pictures of one kind of objects for one use: the last third by name is for tests."""
    paths = pictures_in(kind)
    first_test = len(paths) - len(paths) // 3
    return paths[first_test:] if use == "test" else paths[:first_test]


def read_pedestrians(folder: Path, use: Use) -> list[Occluder]:
    """Penn-Fudan's persons of one use, cut out, in the order of photos and persons.

    Raises DatasetNotFound, BadLabels for a map that does not fit its photo.
    """
    found = []
    for path in pictures_in(folder / "images"):
        if is_test_photo(path) != (use == "test"):
            continue
        pixels = read_picture(path)
        map_path = folder / "instances" / f"{path.stem}.png"
        if not map_path.exists():
            raise DatasetNotFound(f"{map_path} is missing: each photo needs a map of its persons.")
        persons = read_person_map(map_path, size=(pixels.shape[0], pixels.shape[1]))
        for number, box in enumerate(find_objects(persons), start=1):
            if box is None or box[0].stop - box[0].start < SMALLEST:
                continue
            opacity = np.where(persons[box] == number, 255, 0).astype(np.uint8)
            found.append(_cut(f"{path.name}#{number}", PEOPLE, np.dstack([pixels[box], opacity])))
    if not found:
        raise DatasetNotFound(f"{folder} holds no persons for {use}; pass Penn-Fudan's folder (images, instances).")
    return found


def body_hull(keypoints: Float[np.ndarray, "K 2"], *, height: int, width: int) -> Bool[np.ndarray, "H W"] | None:
    """Pixels inside the convex hull of keypoints (x, y in pixels from 0); None where it is no body."""
    if not np.isfinite(keypoints).all():
        return None
    try:
        corners = keypoints[ConvexHull(keypoints.astype(np.float64)).vertices]
    except QhullError:
        return None
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in corners], fill=1)
    hull = np.array(canvas, dtype=np.bool_)
    return hull if hull.mean() >= SLIGHTEST_HULL else None


def _cut(name: str, kind: str, rgba: UInt8[np.ndarray, "h w 4"]) -> Occluder:
    rows, columns = (np.flatnonzero((rgba[:, :, 3] > 0).any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        raise BadPicture(f"{name} is transparent everywhere: it hides nothing.")
    cutout = Image.fromarray(np.ascontiguousarray(rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))
    cutout.thumbnail((FINEST, FINEST))
    return Occluder(name, kind, np.asarray(cutout))
