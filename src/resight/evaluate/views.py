"""From which side a person is seen, and how good a search is when only matches of the same or of another view count.

Source: keypoints14 of Market-1501 (machine-made, evaluation only). The shoulders decide: the person's right shoulder
left in the picture is a front, the other way round a back, and shoulders nearer to each other than a quarter of the
torso's length are a side; there the head, which lies before the neck, says which one.
How sure: on Market-1501's queries the hips' order agrees with the shoulders' on more than 98 % of the fronts and backs
(tests/evaluate/test_views.py); of 20 sides looked at, the head was right on all.
True matches that do not count are ignored, not wrong; a view that is not known is neither the same nor another.
Proof: tests/evaluate/test_views.py.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray

from resight.errors import BadFeatures
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import RankingScores, score_features
from resight.search.features import Features
from resight.types import SPLITS, Side

HEAD, NECK, RIGHT_SHOULDER, LEFT_SHOULDER, RIGHT_HIP, LEFT_HIP = 0, 1, 2, 5, 8, 11
POINTS: Final = 14
SIDEWAYS: Final = 0.25
"""Shoulders nearer to each other than this share of the torso's length are seen from the side."""
SHORTEST: Final = 4.0
"""A torso of fewer pixels tells nothing."""
UNKNOWN: Final = ""


@dataclass(frozen=True, slots=True)
class ViewScores:
    """One search scored with the true matches of the same view alone, and of other views alone."""

    same: RankingScores
    other: RankingScores
    known: float
    """Share of all pictures whose view is known, 0..1."""


def views_of(keypoints: Float[np.ndarray, "N 14 2"]) -> Shaped[np.ndarray, " N"]:
    """Name each person's view, from x and y in pixels: front, back, left or right (the person's own side that is seen).

    "" where keypoints are missing or the torso is too short.
    """
    xy = keypoints.astype(np.float64)
    torso = np.linalg.norm(xy[:, NECK] - (xy[:, RIGHT_HIP] + xy[:, LEFT_HIP]) / 2, axis=1)
    width = xy[:, LEFT_SHOULDER, 0] - xy[:, RIGHT_SHOULDER, 0]
    ahead = xy[:, HEAD, 0] - xy[:, NECK, 0]
    with np.errstate(invalid="ignore"):
        sideways = np.abs(width) < SIDEWAYS * torso
        views = np.where(sideways, np.where(ahead < 0, "left", "right"), np.where(width > 0, "front", "back"))
        known = np.isfinite(xy).all(axis=(1, 2)) & (torso >= SHORTEST) & ~(sideways & (ahead == 0))
    return np.where(known, views, UNKNOWN)


def score_views(
    features: Features, keypoints: Path, *, protocol: ProtocolName = "market", rng: np.random.Generator | None = None
) -> ViewScores:
    """Score with the views that a keypoints file gives. Raises BadFeatures when it knows none of the pictures."""
    tables = _read(keypoints)
    query, gallery = (_views(side, tables, name, keypoints) for name, side in _sides(features))

    def same(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Bool[np.ndarray, " M"]:
        return np.asarray((query[rows] == gallery[columns]) & (query[rows] != UNKNOWN))

    def other(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Bool[np.ndarray, " M"]:
        return np.asarray((query[rows] != gallery[columns]) & (query[rows] != UNKNOWN) & (gallery[columns] != UNKNOWN))

    found = [score_features(features, protocol=protocol, rng=rng, only=only) for only in (same, other)]
    known = np.concatenate([query, gallery]) != UNKNOWN
    return ViewScores(found[0], found[1], float(known.mean()))


def _sides(features: Features) -> tuple[tuple[str, Side], tuple[str, Side]]:
    return ("query", features.query), ("gallery", features.gallery)


def _read(path: Path) -> dict[str, dict[str, str]]:
    """View of each picture name, for each split that the file has."""
    expected = "it needs SPLIT_xy (N × 14 × 2, pixels) and SPLIT_name (N file names) for query and gallery"
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            splits = [split for split in SPLITS if f"{split}_xy" in file.files and f"{split}_name" in file.files]
            arrays = {split: (file[f"{split}_xy"], file[f"{split}_name"]) for split in splits}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadFeatures(f"{path} cannot be read as a keypoints file: {expected}.") from error
    for split, (xy, names) in arrays.items():
        if xy.dtype.kind != "f" or xy.shape != (len(names), POINTS, 2):
            raise BadFeatures(f"{path}: {split}_xy is {xy.dtype} of the shape {xy.shape}; {expected}.")
    if not arrays:
        raise BadFeatures(f"{path} holds no keypoints: {expected}.")
    return {
        split: dict(zip(map(_name, names.astype(str)), views_of(xy), strict=True))
        for split, (xy, names) in arrays.items()
    }


def _views(side: Side, tables: dict[str, dict[str, str]], name: str, path: Path) -> Shaped[np.ndarray, " N"]:
    """View of each picture of one side: looked up under its own split first, then under the others."""
    order = sorted(tables, key=lambda split: split != name)
    found = [next((tables[split][file] for split in order if file in tables[split]), None) for file in _names(side)]
    if all(view is None for view in found):
        raise BadFeatures(
            f"{path} knows none of the {len(found)} {name} pictures (the first is {side.files[0]}); names must agree."
        )
    return np.array([UNKNOWN if view is None else view for view in found], dtype=np.str_)


def _names(side: Side) -> list[str]:
    return [_name(file) for file in side.files]


def _name(file: str) -> str:
    """Name without folders and ending: a picture may have been written anew in another format."""
    return Path(str(file)).stem
