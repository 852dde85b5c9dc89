"""Which pictures `resight parse` takes from a folder, and where what it makes of each goes.

Proof: tests/commands/test_parse.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from resight.data.images import is_picture
from resight.data.labels import SHEET
from resight.errors import BadRecipe, DatasetNotFound

OVERLAYS: Final = "overlays"


def list_crops(photos: Path, out: Path) -> list[Path]:
    """Pictures in a folder and below it, relative to it and sorted, less what a job wrote into `out`.

    Raises DatasetNotFound for a path that is nothing, BadRecipe for two files that would get one map.
    """
    if photos.is_file():
        return [Path(photos.name)]
    if not photos.is_dir():
        raise DatasetNotFound(f"There is no folder or picture {photos}. Check the path.")
    inside = out.resolve()
    if inside == photos.resolve():
        raise BadRecipe(
            f"--out is the folder of the photos ({photos}): maps would replace pictures. Choose another one."
        )
    found = sorted(
        path.relative_to(photos)
        for path in photos.rglob("*")
        if is_picture(path) and path.is_file() and inside not in path.resolve().parents
    )
    seen: dict[Path, Path] = {Path(SHEET).with_suffix(""): Path(SHEET)}
    for file in found:
        stem = file.with_suffix("")
        if stem in seen:
            raise BadRecipe(f"{seen[stem]} and {file} would both be written to {stem}.png. Rename one of them.")
        seen[stem] = file
    return found


def map_path(out: Path, file: Path) -> Path:
    """Where the map of a file goes."""
    return out / file.with_suffix(".png")


def overlay_path(out: Path, file: Path) -> Path:
    """Where the overlay of a file goes."""
    return out / OVERLAYS / file.with_suffix(".jpg")
