"""`resight occlude`: a re-id set whose queries are hidden by a known share, for every method to be measured on."""

from __future__ import annotations

import csv
import glob
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from PIL import Image

from resight.commands.datasets import SetOptions
from resight.commands.progress import bar
from resight.data.degrade import Patch, fill, paste, slide_in
from resight.data.files import write_beside, write_json
from resight.data.images import read_picture
from resight.data.keypoints import KEYPOINTS_FILE, Joints, read_keypoints
from resight.data.occluders import Occluder, body_hull, read_objects, read_pedestrians
from resight.data.reid_layouts import MARKET_FOLDERS
from resight.data.reid_sets import ReidSet
from resight.errors import BadRecipe, DatasetNotFound
from resight.types import Crop, Split

TOLERANCE: Final = 0.02
"""The hidden share is at most this far from the wanted one, of the hull."""
MOST_TRIES: Final = 60
PEOPLE_SHARE: Final = 0.5
"""Chance that a person stands before the query, and not an object."""
SIZES: Final = (0.7, 1.2)
"""Smaller side of the object at first, over the picture's width."""
COLUMNS: Final = ("file", "share", "hidden", "kind", "object", "side")


@dataclass(frozen=True, kw_only=True, slots=True)
class Occlude(SetOptions):
    """Hide a known share of each query behind an object, and write each share as a set with the untouched gallery.

    Writes OUT/occluded-20 (and so on for every share), OUT/control-20 (the same outline in one background colour) and
    OUT/occluded-0 (the same queries, byte by byte), each with the untouched gallery, and OUT/occlusions.csv. Shares are
    of the convex hull of the query's keypoints, hit within 2 %; queries without a measurable hull are in none of them.
    At every share the same object stands at the same place in the same size, only farther in. The same inputs and seed
    give the same bytes.

    `--split query` takes the queries and test objects; `--split validation` the highest-numbered training persons and
    training objects, to choose things on.
    """

    dataset: str
    """Market-1501, or a set in its layout."""
    out: Path
    """Folder for the sets; made when new."""
    objects: Path
    """Cut-out objects: a folder of kinds, each with PNG files with transparency."""
    people: Path | None = None
    """Penn-Fudan's folder, whose persons stand before half of the queries; left out, objects alone."""
    keypoints: Path | None = None
    """The file of keypoints; left out, keypoints14.npz in the data set's folder."""
    split: Literal["query", "validation"] = "query"
    """Whose pictures are hidden."""
    shares: tuple[int, ...] = (20, 40, 60)
    """Percent of the hull to hide."""
    validation_persons: int = 100
    """For --split validation: how many of the highest-numbered training persons."""
    seed: int = 0
    """Of objects, sizes and places."""


@dataclass(frozen=True, slots=True)
class _Hidden:
    """One picture at each share."""

    occluder: Occluder
    side: str
    patches: list[Patch]


def occlude(config: Occlude) -> int:
    """Write the sets; says on stderr what was done."""
    if not config.shares or not all(1 <= share <= 80 for share in config.shares):
        raise BadRecipe(f"--shares is {config.shares}; give whole percents from 1 to 80.")
    reid_set = config.reid_set(config.dataset)
    query, gallery = _pictures(config, reid_set)
    points = _keypoints(config, reid_set.root, query)
    use: Literal["train", "test"] = "test" if config.split == "query" else "train"
    objects = read_objects(config.objects, use)
    people = read_pedestrians(config.people, use) if config.people is not None else []
    shares = sorted(set(config.shares))
    names = ["occluded-0", *(f"{kind}-{share}" for share in shares for kind in ("occluded", "control"))]
    _refuse_others(config.out, names, query, gallery)
    for name in names:
        _lay_out(config.out / name, gallery)
    rows: list[tuple[str, ...]] = []
    left_out: list[str] = []
    with bar("hiding", total=len(query)) as told:
        for crop in query:
            told(1)
            found = _write(crop, points, objects, people, shares, config)
            if found is None:
                left_out.append(crop.path.name)
                for path in config.out.glob(f"*/{MARKET_FOLDERS['query']}/{glob.escape(crop.path.stem)}.*"):
                    path.unlink()  # of another seed
                continue
            rows += found
    with (
        write_beside(config.out / "occlusions.csv") as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    apart = max((abs(float(row[2]) - int(row[1]) / 100) for row in rows), default=0.0)
    facts = {
        **{"queries": len(query) - len(left_out), "left out": left_out, "gallery": len(gallery)},
        **{"shares": shares, "seed": config.seed, "split": config.split, "largest miss": apart},
        "objects": [one.name for one in objects],
        "people": len(people),
    }
    write_json(config.out / "occlusions.json", facts)
    print(
        f"{config.out}: {len(query) - len(left_out):,} queries hidden by {', '.join(map(str, shares))} % (at most "
        f"{apart:.2%} off), {len(left_out)} left out for want of a measurable body.",
        file=sys.stderr,
    )
    return 0 if rows else 1


def _keypoints(config: Occlude, root: Path, query: Sequence[Crop]) -> Joints:
    """Joints by file name; raises DatasetNotFound where no picture to hide has any."""
    path = config.keypoints or root / KEYPOINTS_FILE
    known: Split = "query" if config.split == "query" else "train"
    try:
        points = read_keypoints(path, known)[known]
    except DatasetNotFound as error:
        raise DatasetNotFound(f"{error} Name the file with --keypoints.") from error
    if not any(crop.path.name in points for crop in query):
        like, unlike = next(iter(points), "nothing"), next((crop.path.name for crop in query), "")
        raise DatasetNotFound(
            f"{path} knows none of the {len(query):,} pictures to hide: it names {like}"
            f"{f', not {unlike}' if unlike else ''}. Name the file of this set with --keypoints."
        )
    return points


def _pictures(config: Occlude, reid_set: ReidSet) -> tuple[list[Crop], list[Crop]]:
    """The pictures to hide, and those to search."""
    root = reid_set.root
    if reid_set.source.is_file() or not (root / MARKET_FOLDERS["query"]).is_dir():
        raise DatasetNotFound(f"{root} is not laid out as Market-1501 (query, bounding_box_test), which this needs.")
    if config.split == "query":
        return list(reid_set.crops("query")), list(reid_set.crops("gallery"))
    from resight.train.pictures import query_per_camera, split_persons

    _, held_out = split_persons(list(reid_set.crops("train")), config.validation_persons)
    return query_per_camera(held_out)


def _refuse_others(out: Path, names: Sequence[str], query: Sequence[Crop], gallery: Sequence[Crop]) -> None:
    """Raise BadRecipe where a set's folder holds pictures that are none of these: two benchmarks would be mixed."""
    for name in names:
        for folder, crops in ((MARKET_FOLDERS["query"], query), (MARKET_FOLDERS["gallery"], gallery)):
            mine = {crop.path.stem for crop in crops}
            others = [path.name for path in (out / name / folder).glob("*") if path.stem not in mine]
            if others:
                raise BadRecipe(
                    f"{out / name} holds pictures of another benchmark ({others[0]}). Choose a new folder for --out."
                )


def _lay_out(folder: Path, gallery: Sequence[Crop]) -> None:
    """Make a set's folders; the gallery is linked to where it is, or copied where links are not allowed."""
    (folder / MARKET_FOLDERS["query"]).mkdir(parents=True, exist_ok=True)
    inside = folder / MARKET_FOLDERS["gallery"]
    inside.mkdir(exist_ok=True)
    for crop in gallery:
        there = inside / crop.path.name
        if there.exists() or there.is_symlink():
            continue
        try:
            there.symlink_to(crop.path.absolute())
        except OSError:
            shutil.copyfile(crop.path, there)


def _write(
    crop: Crop,
    points: Joints,
    objects: Sequence[Occluder],
    people: Sequence[Occluder],
    shares: Sequence[int],
    config: Occlude,
) -> Iterator[tuple[str, ...]] | None:
    """Write one picture at every share; None where its body cannot be measured or hidden."""
    picture = read_picture(crop.path)
    keypoints = points.get(crop.path.name)
    hull = None if keypoints is None else body_hull(keypoints, height=picture.shape[0], width=picture.shape[1])
    if hull is None:
        return None
    rng = np.random.default_rng([config.seed, zlib.crc32(crop.path.name.encode())])
    hidden = _hide(hull, objects, people, [share / 100 for share in shares], rng)
    if hidden is None:
        return None
    name = crop.path.name
    shutil.copyfile(crop.path, config.out / "occluded-0" / MARKET_FOLDERS["query"] / name)
    rows = []
    for share, patch in zip(shares, hidden.patches, strict=True):
        opacity = patch[:, :, 3]
        _save(config.out / f"occluded-{share}", name, paste(picture, patch))
        _save(config.out / f"control-{share}", name, fill(picture, opacity, hull))
        what = hidden.occluder
        rows.append((name, str(share), f"{opacity[hull].mean():.4f}", what.kind, what.name, hidden.side))
    return iter(rows)


def _hide(
    hull: Bool[np.ndarray, "H W"],
    objects: Sequence[Occluder],
    people: Sequence[Occluder],
    shares: Sequence[float],
    rng: np.random.Generator,
) -> _Hidden | None:
    """Draw objects until one can hide every share. Kinds are drawn alike, however many objects each has."""
    kinds = sorted({one.kind for one in objects})
    for _ in range(MOST_TRIES):
        if people and rng.random() < PEOPLE_SHARE:
            some = list(people)
        else:
            kind = kinds[rng.integers(len(kinds))]
            some = [one for one in objects if one.kind == kind]
        one = some[rng.integers(len(some))]
        side = one.sides[rng.integers(len(one.sides))]
        size, place, mirrored = rng.uniform(*SIZES), rng.uniform(0.25, 0.75), rng.random() < 0.5
        cutout: NDArray[np.uint8] = np.ascontiguousarray(one.cutout[:, ::-1]) if mirrored else one.cutout
        patches = slide_in(cutout, hull, shares=shares, side=side, size=size, place=place)
        if patches is None:
            continue
        found = [float(patch[:, :, 3][hull].mean()) for patch in patches]
        if max(abs(a - b) for a, b in zip(found, shares, strict=True)) <= TOLERANCE:
            return _Hidden(one, side, patches)
    return None


def _save(folder: Path, name: str, picture: NDArray[np.uint8]) -> None:
    """Write without loss; the person and the camera stand in the name's beginning, the ending says PNG."""
    place = (folder / MARKET_FOLDERS["query"] / name).with_suffix(".png")
    Image.fromarray(picture).save(place, "PNG", optimize=False)  # a kill is mended by the next run, which writes anew
