"""Occluders are kept apart by use, hide exactly what they should, and a control hides the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resight.data.degrade import fill, paste, slide_in
from resight.data.occluders import body_hull, read_objects, read_pedestrians
from resight.errors import BadPicture, DatasetNotFound

BODY = np.zeros((128, 64), dtype=np.bool_)
BODY[20:120, 20:44] = True


def ellipse(height: int = 60, width: int = 90) -> np.ndarray:
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    rgba = np.full((height, width, 4), 200, dtype=np.uint8)
    rgba[:, :, 3] = np.where(rows**2 + columns**2 <= 1, 255, 0)
    return rgba


@given(
    st.sampled_from(["bottom", "top", "left", "right"]),
    st.floats(0.4, 1.5),
    st.floats(0, 1),
    st.sampled_from([(0.2, 0.4, 0.6), (0.05,), (0.33, 0.5)]),
)
def test_every_share_is_hit_from_every_side(side: str, size: float, place: float, shares: tuple[float, ...]) -> None:
    patches = slide_in(ellipse(), BODY, shares=shares, side=side, size=size, place=place)
    assert patches is not None
    assert [float(patch[:, :, 3][BODY].mean()) for patch in patches] == pytest.approx(shares, abs=1e-3)
    for patch in patches:
        border = {"bottom": patch[-1], "top": patch[0], "left": patch[:, 0], "right": patch[:, -1]}[side]
        assert border[:, 3].max() > 0 or shares[0] < 0.1  # it meets the border that it came from


def test_more_is_hidden_at_the_same_place_in_the_same_size() -> None:
    less, more = slide_in(ellipse(), BODY, shares=(0.2, 0.6), side="bottom", size=0.8, place=0.5)
    assert less[:, :, 3].sum() < more[:, :, 3].sum()
    assert np.array_equal(less[:, :, 3].any(axis=0), less[:, :, 3].any(axis=0) & more[:, :, 3].any(axis=0))


def test_what_cannot_hide_enough_is_none() -> None:
    thread = ellipse(400, 4)
    thread[:, 1:, 3] = 0
    assert slide_in(thread, BODY, shares=(0.9,), side="bottom", size=0.01, place=0.5) is None


def test_pasting_changes_nothing_outside_the_object_and_the_control_changes_the_same_place() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (128, 64, 3), dtype=np.uint8)
    (patch,) = slide_in(ellipse(), BODY, shares=(0.4,), side="left", size=0.8, place=0.5)
    outside = patch[:, :, 3] == 0
    pasted, control = paste(picture, patch), fill(picture, patch[:, :, 3], BODY)
    for changed in (pasted, control):
        assert np.array_equal(changed[outside], picture[outside])
    inside = patch[:, :, 3] == 1
    assert (pasted[inside] == 200).all()
    assert len(np.unique(control[inside], axis=0)) == 1


def test_the_hull_holds_every_keypoint_and_is_none_where_there_is_no_body() -> None:
    points = np.array([[32, 8], [12, 60], [50, 60], [20, 120], [40, 120]], dtype=np.float32)
    hull = body_hull(points, height=128, width=64)
    assert hull is not None
    assert all(hull[int(y), int(x)] for x, y in points)
    assert 0.3 < hull.mean() < 0.5
    assert body_hull(points * 0.1, height=128, width=64) is None
    assert body_hull(np.full((5, 2), 3, np.float32), height=128, width=64) is None
    assert body_hull(points * np.float32(np.nan), height=128, width=64) is None


def test_training_and_test_objects_are_never_the_same(tmp_path: Path) -> None:
    for kind, count in (("cars", 8), ("bushes", 4)):
        (tmp_path / kind).mkdir()
        for number in range(count):
            Image.fromarray(ellipse()).save(tmp_path / kind / f"{number}.png")
    train, test = ([one.name for one in read_objects(tmp_path, use)] for use in ("train", "test"))
    assert test == ["bushes/3.png", "cars/6.png", "cars/7.png"]
    assert len(train) == 9
    assert not set(train) & set(test)
    Image.fromarray(ellipse()[:, :, :3]).save(tmp_path / "cars" / "7.png")
    with pytest.raises(BadPicture, match="no transparency"):
        read_objects(tmp_path, "test")
    with pytest.raises(DatasetNotFound, match="no objects for test"):
        read_objects(tmp_path / "cars", "test")


def test_penn_fudans_last_fifty_photos_are_test_only(shared_data: Path) -> None:
    train, test = (read_pedestrians(shared_data / "pennfudan", use) for use in ("train", "test"))
    photos = [{one.name.split("#")[0] for one in some} for some in (train, test)]
    assert max(photos[0]) < min(photos[1])
    assert len(photos[0]) <= 120
    assert len(photos[1]) <= 50


def test_photos_that_are_missing_move_no_other_photo_into_training(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "instances").mkdir()
    for name in ("FudanPed00074", "PennPed00046", "PennPed00047", "PennPed00096"):
        Image.new("RGB", (60, 100)).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(np.ones((100, 60), np.uint8)).save(tmp_path / "instances" / f"{name}.png")
    train, test = ([one.name.split(".")[0] for one in read_pedestrians(tmp_path, use)] for use in ("train", "test"))
    assert (train, test) == (["FudanPed00074", "PennPed00046"], ["PennPed00047", "PennPed00096"])
