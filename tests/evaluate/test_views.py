"""Views from keypoints, and scores that leave only some true matches in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resight.errors import BadFeatures, DatasetNotFound
from resight.evaluate.ranking import score_features
from resight.evaluate.views import LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER, score_views, views_of
from resight.search.features import Features, side

UPPER = [(32, 8), (32, 20), (22, 22), (20, 40), (20, 55), (42, 22), (44, 40), (44, 55)]
LOWER = [(26, 60), (26, 90), (26, 120), (38, 60), (38, 90), (38, 120)]
FRONT = np.array([*UPPER, *LOWER], dtype=np.float32)
MIRRORED = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10)


def turned(xy: np.ndarray) -> np.ndarray:
    """The same picture in a mirror, where left and right are the person's own."""
    found = xy[list(MIRRORED)].copy()
    found[:, 0] = 63 - found[:, 0]
    return found


def sideways(ahead: float) -> np.ndarray:
    xy = FRONT.copy()
    xy[:, 0] = 32
    xy[0, 0] += ahead
    return xy


def test_front_back_and_sides_are_told_apart() -> None:
    back = FRONT.copy()
    back[:, 0] = 63 - back[:, 0]  # the shoulders change places, but keep their names
    seen = np.stack([FRONT, back, sideways(-3), sideways(3), sideways(0), FRONT * np.nan, FRONT * 0.01])
    assert views_of(seen).tolist() == ["front", "back", "left", "right", "", "", ""]


def test_a_mirror_swaps_the_sides_and_keeps_front_and_back() -> None:
    rng = np.random.default_rng(0)
    xy = FRONT + rng.normal(0, 6, (200, 14, 2)).astype(np.float32)
    swapped = {"front": "front", "back": "back", "left": "right", "right": "left", "": ""}
    assert views_of(np.stack([turned(one) for one in xy])).tolist() == [swapped[one] for one in views_of(xy)]


def written(path: Path, query: list[np.ndarray], gallery: list[np.ndarray]) -> Path:
    names = {
        f"{name}_name": np.array([f"{name[0]}{row}.jpg" for row in range(len(xy))])
        for name, xy in (("query", query), ("gallery", gallery))
    }
    np.savez(path, query_xy=np.stack(query), gallery_xy=np.stack(gallery), **names)
    return path


def a_search() -> Features:
    """One query of person 1; nearest first in the gallery: other view, wrong person, same view, view not known."""
    gallery = np.array([[1, 0.1], [1, 0.2], [1, 0.3], [1, 0.4]], dtype=np.float32)
    return Features(
        side(np.array([[1.0, 0.0]]), np.array([1]), np.array([0]), np.array(["query/q0.png"])),
        side(gallery, np.array([1, 2, 1, 1]), np.array([1, 1, 1, 1]), np.array([f"test/g{n}.jpg" for n in range(4)])),
    )


def test_true_matches_of_another_view_are_ignored_not_wrong(tmp_path: Path) -> None:
    keypoints = written(tmp_path / "k.npz", [FRONT], [sideways(3), FRONT, FRONT, sideways(0)])
    found = score_views(a_search(), keypoints)
    assert found.other.mean_ap == 1
    assert found.same.mean_ap == pytest.approx(1 / 2)  # only the wrong person stands before it
    assert found.known == pytest.approx(4 / 5)


def test_a_split_without_pictures_is_no_trouble(tmp_path: Path) -> None:
    path = written(tmp_path / "k.npz", [FRONT], [sideways(3), FRONT, FRONT, sideways(0)])
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays, train_xy=np.zeros((0, 14, 2), np.float32), train_name=np.zeros(0, "<U1"))
    assert score_views(a_search(), path).known == pytest.approx(4 / 5)


def test_same_and_other_view_together_are_all_true_matches_of_known_view() -> None:
    rng = np.random.default_rng(1)
    features = Features(
        side(rng.standard_normal((20, 4)), rng.integers(0, 5, 20), np.zeros(20, dtype=int)),
        side(rng.standard_normal((60, 4)), rng.integers(0, 5, 60), np.ones(60, dtype=int)),
    )
    everything = score_features(features, only=lambda rows, columns: np.ones(len(rows), dtype=np.bool_))
    assert np.array_equal(everything.ap, score_features(features).ap, equal_nan=True)
    nothing = score_features(features, only=lambda rows, columns: np.zeros(len(rows), dtype=np.bool_))
    assert nothing.answered == 0


def test_keypoints_of_other_pictures_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "k.npz", [FRONT], [FRONT] * 4)
    features = a_search()
    names = np.array(["elsewhere.jpg"])
    foreign = Features(side(features.query.features, np.array([1]), np.array([0]), names), features.gallery)
    with pytest.raises(BadFeatures, match="knows none of the 1 query pictures"):
        score_views(foreign, path)
    np.savez(path, query_xy=np.zeros((1, 17, 2)), query_name=np.array(["q0.jpg"]))
    with pytest.raises(DatasetNotFound, match="14"):
        score_views(features, path)
    path.write_text("no archive")
    with pytest.raises(DatasetNotFound, match="cannot be read"):
        score_views(features, path)


def test_on_market1501_the_hips_agree_with_the_shoulders(shared_data: Path) -> None:
    xy = np.load(shared_data / "market1501" / "keypoints14.npz")["query_xy"]
    views = views_of(xy)
    seen = np.isin(views, ["front", "back"])
    front = xy[seen, LEFT_HIP, 0] > xy[seen, RIGHT_HIP, 0]
    assert (front == (views[seen] == "front")).mean() > 0.98
    assert (front == (xy[seen, LEFT_SHOULDER, 0] > xy[seen, RIGHT_SHOULDER, 0])).mean() > 0.98
    assert 0.1 < np.isin(views, ["left", "right"]).mean() < 0.2
