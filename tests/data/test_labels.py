from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.data.labels import (
    BODY10,
    LABEL_SETS,
    LIP20,
    find_labels,
    flip_all,
    flip_map,
    read_map,
    resize_map,
    write_map,
)
from resight.errors import BadLabels, UnknownName


def some_map(labels: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(0, labels, (32, 16), dtype=np.uint8)


@pytest.mark.parametrize("labels", LABEL_SETS.values(), ids=lambda labels: labels.name)
def test_every_left_class_has_its_right_one_and_swapping_twice_is_nothing(labels) -> None:
    swap = labels.swap()
    assert np.array_equal(swap[swap], np.arange(len(labels.classes)))
    for number, name in enumerate(labels.classes):
        assert (swap[number] != number) == name.startswith(("left ", "right "))


def test_the_numbers_of_lip_are_the_published_ones() -> None:
    assert LIP20.classes[13] == "face"
    assert [LIP20.classes.index(name) for name in ("left arm", "right leg", "right shoe")] == [14, 17, 19]
    assert LIP20.swap().tolist() == [*range(14), 15, 14, 17, 16, 19, 18]


def test_classes_have_colours_of_their_own() -> None:
    colours = np.array(LIP20.palette()).reshape(256, 3)
    assert len(np.unique(colours, axis=0)) == 256


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_map(tmp_path / "map.png", some_map(), LIP20)
    assert np.array_equal(read_map(tmp_path / "map.png", LIP20, size=(32, 16)), some_map())


def test_maps_that_cannot_be_used_are_refused_with_what_was_seen(tmp_path: Path) -> None:
    write_map(tmp_path / "map.png", some_map(), LIP20)
    with pytest.raises(BadLabels, match="holds class 19; body10 ends at 10"):
        read_map(tmp_path / "map.png", BODY10)
    with pytest.raises(BadLabels, match="is 32 × 16, its picture 64 × 16"):
        read_map(tmp_path / "map.png", LIP20, size=(64, 16))
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "colour.png")
    with pytest.raises(BadLabels, match="RGB pixels"):
        read_map(tmp_path / "colour.png", LIP20)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(BadLabels, match="cannot be read"):
        read_map(tmp_path / "broken.png", LIP20)
    with pytest.raises(BadLabels, match="holds class 19"):
        write_map(tmp_path / "never.png", some_map(), BODY10)
    assert not (tmp_path / "never.png").exists()


def test_an_unknown_label_set_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="lip20"):
        find_labels("lip")


def test_flipping_everything_twice_is_the_identity() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)
    keypoints = rng.uniform(0, 15, (17, 3)).astype(np.float32)
    maps = [(some_map(), LIP20), (some_map(11), BODY10)]
    once, flipped, turned = flip_all(picture, maps, keypoints)
    again, back, returned = flip_all(once, list(zip(flipped, (LIP20, BODY10), strict=True)), turned)
    assert np.array_equal(again, picture)
    assert all(np.array_equal(one, two[0]) for one, two in zip(back, maps, strict=True))
    assert returned is not None
    assert np.allclose(returned, keypoints, atol=1e-5)
    assert not np.array_equal(once, picture)


def test_resizing_invents_no_class() -> None:
    stripes = np.zeros((8, 8), np.uint8)
    stripes[:, 4:] = 19
    found = resize_map(stripes, 13, 5)  # height first
    assert found.shape == (13, 5)
    assert set(np.unique(found)) == {0, 19}
    assert np.array_equal(resize_map(resize_map(stripes, 16, 24), 8, 8), stripes)


def test_ignored_pixels_pass_only_where_they_are_asked_for(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "map.png")
    assert read_map(tmp_path / "map.png", LIP20, ignored=True).tolist() == [[0, 255]]
    with pytest.raises(BadLabels, match="holds class 255"):
        read_map(tmp_path / "map.png", LIP20)
    assert flip_map(np.array([[0, 255]], np.uint8), LIP20).tolist() == [[255, 0]]


def test_a_left_arm_at_the_left_becomes_a_right_arm_at_the_right() -> None:
    one = np.zeros((4, 4), np.uint8)
    one[:, 0] = 14
    assert flip_map(one, LIP20)[0].tolist() == [0, 0, 0, 15]
