"""Joints are counted from 0, other splits stay unread, and a file that is none is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import small_parsing_sets as small
from resight.data.keypoints import KEYPOINTS_FILE, read_keypoints
from resight.errors import DatasetNotFound


def test_joints_are_counted_from_0_and_only_wanted_ones_are_opened(tmp_path: Path) -> None:
    small.market_keypoints(tmp_path)
    path = tmp_path / KEYPOINTS_FILE
    found = read_keypoints(path, "train")
    assert [*found] == ["train"]
    assert len(found["train"]) == 103
    assert next(iter(found["train"].values()))[0].tolist() == [0, 0]
    with np.load(path) as content, pytest.raises(ValueError, match="pickle"):
        content["query_xy"]  # what would have happened


def test_a_file_without_the_wanted_split_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.npz"
    np.savez(path, query_xy=np.ones((1, 14, 2), np.float32), query_name=np.array(["a.jpg"]))
    assert [*read_keypoints(path)] == ["query"]
    with pytest.raises(DatasetNotFound, match=r"needs SPLIT_xy .* for train"):
        read_keypoints(path, "train")


@pytest.mark.parametrize("xy", [np.zeros((1, 17, 2)), np.zeros((2, 14, 2)), np.zeros((1, 14, 2), np.int64)])
def test_joints_of_another_shape_or_kind_are_refused(tmp_path: Path, xy: np.ndarray) -> None:
    np.savez(tmp_path / "k.npz", train_xy=xy, train_name=np.array(["a.jpg"]))
    with pytest.raises(DatasetNotFound, match=r"of the shape .* for 1 pictures.*14"):
        read_keypoints(tmp_path / "k.npz")


@pytest.mark.parametrize("keep", [0, 40, 200])
def test_a_cut_off_file_is_refused_with_its_name(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "k.npz"
    np.savez(path, train_xy=np.ones((9, 14, 2), np.float32), train_name=np.array([f"{n}.jpg" for n in range(9)]))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetNotFound, match=r"k\.npz cannot be read as a keypoints file"):
        read_keypoints(path, "train")
    with pytest.raises(DatasetNotFound, match="No such file"):
        read_keypoints(tmp_path / "none.npz")
