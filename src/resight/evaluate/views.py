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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray

from resight.data.keypoints import Joints, read_keypoints
from resight.data.label_meanings import KEYPOINTS14
from resight.errors import BadFeatures
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import RankingScores, score_features
from resight.search.features import Features
from resight.types import Side, Split

HEAD, NECK, RIGHT_SHOULDER, LEFT_SHOULDER, RIGHT_HIP, LEFT_HIP = map(
    KEYPOINTS14.index, ("head", "neck", "right shoulder", "left shoulder", "right hip", "left hip")
)
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
    """Score with the views that a keypoints file gives.

    Raises BadFeatures when it knows none of the pictures, DatasetNotFound when it cannot be read.
    """
    tables = {split: _views_by_name(joints) for split, joints in read_keypoints(keypoints).items()}
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


def _views_by_name(joints: Joints) -> dict[str, str]:
    points = np.reshape([*joints.values()], (len(joints), len(KEYPOINTS14), 2))
    return dict(zip(map(_name, joints), views_of(points), strict=True))


def _views(side: Side, tables: Mapping[Split, dict[str, str]], name: str, path: Path) -> Shaped[np.ndarray, " N"]:
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
