"""Records that every room of the house shares, and the alphabet of array shapes.

Axes: B batch, C channels, H height, W width, D feature width, Q queries, G gallery pictures, R ranks, P parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

Split = Literal["train", "query", "gallery"]
SPLITS: Final[tuple[Split, ...]] = ("train", "query", "gallery")

PersonId = int | str
"""As the data set names the person; never relabelled by a reader."""

CameraId = int | str | None
"""As the data set names the camera; None where it does not say."""

JUNK: Final = -1
"""Person id of pictures that no protocol counts, neither as right nor as wrong (Market-1501's convention)."""

NO_CAMERA: Final = -1
"""How a features file writes that the camera is not known."""


IGNORE: Final = 255
"""Label of a pixel that no loss and no score counts: padding, or a class outside the label set."""


def written_as(number: int, ids: NDArray[np.generic]) -> Bool[np.ndarray, " N"]:
    """Which ids are this reserved number, among numbers or among text."""
    return np.asarray(ids == (str(number) if ids.dtype.kind == "U" else number))


@dataclass(frozen=True, slots=True)
class Crop:
    """One picture of one person as a reader found it: a record, no pixels."""

    path: Path
    person: PersonId
    camera: CameraId = None
    junk: bool = False
    """Ignored by every protocol (Market-1501 person -1)."""
    distractor: bool = False
    """Matches nobody but counts as a wrong answer (Market-1501 person 0)."""


@dataclass(frozen=True, slots=True)
class Side:
    """Features of one side (query or gallery) with the facts that protocols need; all of equal length N.

    Shapes: features N D float32; persons N int64 or str; cameras N int64 or str (NO_CAMERA where unknown); files N str.
    Where the model knows parts: parts N P D float32 and how visible each is, N P float32 in 0..1; both or neither.
    """

    features: NDArray[np.float32]
    persons: NDArray[np.generic]
    cameras: NDArray[np.generic]
    files: NDArray[Any]
    parts: NDArray[np.float32] | None = None
    visible: NDArray[np.float32] | None = None

    @property
    def junk(self) -> Bool[np.ndarray, " N"]:
        """Pictures that no protocol counts."""
        return written_as(JUNK, self.persons)

    def take(self, rows: NDArray[Any] | slice) -> Side:
        """Only these rows, of everything."""
        parts, visible = self.parts, self.visible
        return Side(
            self.features[rows],
            self.persons[rows],
            self.cameras[rows],
            self.files[rows],
            None if parts is None else parts[rows],
            None if visible is None else visible[rows],
        )
