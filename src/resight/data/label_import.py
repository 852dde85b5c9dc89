"""Label maps of other tools: colours turned into class numbers; an unknown colour is named, never guessed.

Sources of the palettes: Pascal VOC's devkit (as CE2P and SCHP draw), LIP's own visualisations (Liang et al., TPAMI
2018, arXiv:1804.01984). Proof: tests/data/test_label_import.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from resight.data.label_sets import LIP20, LabelSet
from resight.errors import BadLabels, UnknownName

LIP_COLOURS: Final = (
    *((0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85), (0, 119, 221)),
    *((85, 85, 0), (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0), (0, 0, 255), (51, 170, 221), (0, 255, 255)),
    *((85, 255, 170), (170, 255, 85), (255, 255, 0), (255, 170, 0)),
)
PALETTES: Final[dict[str, UInt8[np.ndarray, "N 3"]]] = {
    "voc": np.array(LIP20.palette(), np.uint8).reshape(256, 3),  # CE2P, SCHP, and resight's own maps
    "lip": np.array(LIP_COLOURS, np.uint8),  # JPPNet and what followed it
}


def map_of_colours(
    colours: UInt8[np.ndarray, "H W 3"], palette: UInt8[np.ndarray, "N 3"], labels: LabelSet, name: str = "the picture"
) -> UInt8[np.ndarray, "H W"]:
    """Turn colours into class numbers: row k of `palette` is class k.

    Raises BadLabels for a colour that no class of the set has, with how many pixels show it and where the first one is.
    """
    known = palette[: len(labels.classes)].astype(np.int32)
    if len(known) < len(labels.classes):
        raise BadLabels(f"The palette has {len(known)} colours and {labels.name} {len(labels.classes)} classes.")
    numbers = np.full(1 << 24, -1, np.int16)
    codes = known @ np.array([1 << 16, 1 << 8, 1])
    if len(np.unique(codes)) < len(codes):
        raise BadLabels(f"The palette shows two classes of {labels.name} in one colour; they cannot be told apart.")
    numbers[codes] = np.arange(len(codes))
    found = numbers[colours.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1])]
    strange = found < 0
    if strange.any():
        row, column = (int(place) for place in np.argwhere(strange)[0])
        red, green, blue = (int(value) for value in colours[row, column])
        raise BadLabels(
            f"{name} has the colour ({red}, {green}, {blue}) at row {row}, column {column} ({int(strange.sum())} "
            f"pixels with colours of no class of {labels.name}). Is it this palette, and a lossless file?"
        )
    return np.asarray(found, np.uint8)


def read_coloured_map(path: Path, labels: LabelSet, *, palette: str = "voc") -> UInt8[np.ndarray, "H W"]:
    """Read a coloured label picture by a palette's name (`voc` or `lip`); raises BadLabels or UnknownName."""
    if palette not in PALETTES:
        raise UnknownName("palette", palette, PALETTES)
    try:
        with Image.open(path) as picture:
            colours = np.array(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise BadLabels(f"{path} cannot be read as a label picture ({error}).") from error
    return map_of_colours(colours, PALETTES[palette], labels, str(path))
