"""A tiny set in the layout of `resight people` and a tiny recipe, for tests of training and parsing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from resight.parsing import ParserSettings, build_parser, save_parser


def write_people(root: Path, *, train: int = 6, val: int = 2, size: tuple[int, int] = (64, 32)) -> Path:
    """Persons with a hat above, clothes in the middle, a left and a right leg below, another person at the side."""
    rng = np.random.default_rng(0)
    high, wide = size
    for half, count in (("train", train), ("val", val)):
        names = [f"{half}_{number}" for number in range(count)]
        for name in names:
            labels, persons = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
            middle = slice(wide // 4, 3 * wide // 4)
            labels[high // 8 : high // 4, middle] = 1
            labels[high // 4 : high // 2, middle] = 5
            labels[high // 2 :, wide // 4 : wide // 2] = 17
            labels[high // 2 :, wide // 2 : 3 * wide // 4] = 16
            persons[labels > 0] = 1
            persons[:, -3:] = 2
            pixels = (labels[..., None] * 11 + rng.integers(0, 40, (*size, 3))).astype(np.uint8)
            pixels[:, -3:] = 200
            _save(root / "lip" / f"{half}_images" / f"{name}.jpg", pixels)
            _save(root / "lip" / f"{half}_segmentations" / f"{name}.png", labels)
            _save(root / "maps" / "persons" / f"{name}.png", persons)
        (root / "lip" / f"{half}_id.txt").write_text("".join(f"{name}\n" for name in names))
    (root / "people.csv").write_text("file\n")
    return root


def _save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


RECIPE = """
parser = "lite"
labels = "lip20"
backbone-weights = "none"
height = 32
width = 16
batch = 4
steps = 6
validate-every = 3
average = 0.9
seed = 3
"""


def untrained(path: Path, *, height: int = 64, width: int = 32, seed: int = 0) -> Path:
    """A weights file of parser-lite as it is before training."""
    torch.manual_seed(seed)
    settings = ParserSettings(parser="lite", labels="lip20", height=height, width=width)
    save_parser(path, build_parser("lite", classes=20).state_dict(), settings)
    return path
