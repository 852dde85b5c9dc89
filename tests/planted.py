"""Searches with a planted cause: features made up so that a known condition makes true matches less alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.diagnose.marks import Likeness, Marks
from resight.search.features import Features, side

NAMES = ("low_light", "low_res", "occlusion")


@dataclass(frozen=True, slots=True)
class Planted:
    features: Features
    marks: Marks
    clean: Features
    """The same search with nothing planted: what the planted causes really cost is the difference in mAP."""


def planted(
    seed: int,
    *,
    harm: tuple[float, ...] = (0.0, 0.0, 0.0),
    share: float = 0.25,
    persons: int = 60,
    cameras: int = 4,
    pictures: int = 4,
    noise: float = 0.9,
    hard_camera: float = 0.0,
) -> Planted:
    """Condition k, on a random `share` of all pictures, adds noise of `harm[k]` to them.

    `hard_camera` plants a confounder: the first camera is harder by so much, and shows the first condition three times
    as often as the others, though the condition itself does nothing there or elsewhere (where its harm is 0).
    """
    rng = np.random.default_rng(seed)
    width = 24
    looks = rng.standard_normal((persons, width))
    person, camera, take = (one.ravel() for one in np.indices((persons, cameras, pictures)))
    count = len(person)
    often = np.full((count, len(harm)), share)
    if hard_camera:
        often[:, 0] = np.where(camera == 0, min(0.75, 3 * share), share / 2)
    shown = rng.random((count, len(harm))) < often
    base = looks[person] + noise * rng.standard_normal((count, width))
    base += np.where(camera == 0, hard_camera, 0)[:, None] * rng.standard_normal((count, width))
    added = sum(amount * shown[:, [k]] * rng.standard_normal((count, width)) for k, amount in enumerate(harm) if amount)
    query = (take == 0) & (rng.random(count) < 0.7)

    def search(values: np.ndarray) -> Features:
        parts = [side(values[some], person[some], camera[some]) for some in (query, ~query)]
        return Features(parts[0], parts[1])

    return Planted(
        search((base + added).astype(np.float32)),
        Marks(NAMES[: len(harm)], shown[query], shown[~query]),
        search(base.astype(np.float32)),
    )


def likeness_of(features: Features, *, first: int = 4, levels: tuple[float, ...]) -> Likeness:
    """A likeness that says something: the cosine of the first few numbers of the features."""
    parts = [one.features[:, :first] for one in (features.query, features.gallery)]
    query, gallery = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in parts)
    return Likeness("similar_clothing", query, gallery, levels, unlike="changed_look", least=-0.2)
