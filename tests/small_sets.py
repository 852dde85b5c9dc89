"""Small re-id sets on disk for tests: pictures of noise that no two files share, under names of any layout."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 32, width: int = 16) -> Image.Image:
    """Coarse colour noise, different for each seed and smooth enough to survive JPEG."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 4, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)


def put(root: Path, *names: str) -> Path:
    """Write one picture under each name, drawn from the name, and return the root."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix.lower()
        options = {"quality": 95} if suffix in {".jpg", ".jpeg"} else {}
        picture(zlib.crc32(name.encode())).save(path, **options)
    return root


MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000451_03.jpg",
    "bounding_box_train/0007_c3s3_077419_03.jpg",
    "bounding_box_train/0007_c3s3_077419_04.jpg",
    "query/0001_c1s1_001051_00.jpg.jpg",
    "query/0003_c2s1_000001_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0001_c2s1_000301_00.jpg",
    "bounding_box_test/0003_c6s1_000301_00.jpg",
)


def market(root: Path) -> Path:
    """Market-1501's layout with two queries, each with one answer."""
    return put(root, *MARKET)
