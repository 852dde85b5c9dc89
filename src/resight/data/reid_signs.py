"""Signs by which one layout of a re-id set is told from another: small tests of a folder, named in reid_table.LAYOUTS.

They look at names alone: which folders there are, and how the first files in them are called.
Proof: tests/data/test_reid_sets.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from resight.data import reid_layouts
from resight.data.images import is_picture
from resight.data.reid_layouts import MARKET_FOLDERS, Own, folders_in, pictures_in

Fits = Callable[[Path, Own], bool]

NO_PERSONS: Final = frozenset(
    {"bounding_box_train", "bounding_box_test", "gt_bbox", "gt_query", "train", "test", "val", "query", "gallery"}
    | {"cam_a", "cam_b", "images", "image", "img", "labels", "masks", "mask", "instances", "annotations"}
    | {"occluded_body_images", "partial_body_images", "whole_body_images"}
)
"""Folder names that are never a person."""


def market_names(root: Path) -> list[str]:
    """File names in the smallest of Market-1501's three folders that holds pictures; none if there are no such."""
    if not any((root / MARKET_FOLDERS[split]).is_dir() for split in ("train", "gallery")):
        return []
    folders = [root / MARKET_FOLDERS[split] for split in ("query", "gallery", "train")]
    found = (pictures_in(folder) for folder in folders if folder.is_dir())
    return [path.name for path in next(filter(None, found), [])]


def named(pattern: re.Pattern[str], also: Callable[[Path, list[str]], bool] = lambda root, names: True) -> Fits:
    """Make a test for Market-1501's three folders with names of one kind, and for whatever else tells a set."""

    def fits(root: Path, own: Own) -> bool:
        names = market_names(root)
        return bool(names) and all(map(pattern.match, names[:20])) and also(root, names)

    return fits


def occluded_duke(root: Path, names: list[str]) -> bool:
    """Tell Occluded-Duke from DukeMTMC-reID, whose names it has: by the folder's name or its 2,210 queries."""
    return "occ" in root.name.lower() or len(names) == 2_210


def cuhk03(kind: str) -> Callable[[Path, list[str]], bool]:
    """Make a test for CUHK03-NP: PNG files from two views, in a folder that is called labeled or detected."""

    def tells(root: Path, names: list[str]) -> bool:
        views = all(name.endswith(".png") and ("_c1_" in name or "_c2_" in name) for name in names)
        return views and kind in root.name.lower()

    return tells


def msmt17_in_market(root: Path, names: list[str]) -> bool:
    """MSMT17 has fifteen cameras; no other set in these folders has more than eight."""
    cameras = [int(match[2]) for name in names if (match := reid_layouts.MSMT_MARKET_NAME.match(name))]
    return "msmt" in root.name.lower() or max(cameras, default=0) > 8


def has(*names: str) -> Fits:
    """Make a test for files or folders that must all be there."""
    return lambda root, own: all((root / name).exists() for name in names)


def bodies(name: str, sign: str = "") -> Fits:
    """Make a test for a folder of hidden bodies beside whole ones, with a sign in the folder's or the files' names."""

    def fits(root: Path, own: Own) -> bool:
        if not (root / name).is_dir() or not (root / reid_layouts.WHOLE_FOLDER).is_dir():
            return False
        first = next(((root / name).rglob("*.png")), None) if sign else None
        return not sign or sign in root.name.lower() or first is not None

    return fits


def persons_with_pictures(folder: Path) -> int:
    """Count person folders, up to two."""
    count = 0
    for person in folders_in(folder):
        with suppress(OSError):  # a folder that may not be read holds nobody
            count += any(map(is_picture, person.iterdir()))
        if count == 2:
            break
    return count


def split_people(root: Path, own: Own) -> bool:
    """Look for a folder train, query, gallery or test that holds person folders."""
    folders = [root / name for names in reid_layouts.SPLIT_FOLDERS.values() for name in names]
    return root.is_dir() and any(persons_with_pictures(folder) > 0 for folder in folders)


def people(root: Path, own: Own) -> bool:
    """Look for two person folders or more, and for no folder whose name says that it is something else."""
    if not root.is_dir() or any(folder.name.lower() in NO_PERSONS for folder in folders_in(root)):
        return False
    return persons_with_pictures(root) > 1
