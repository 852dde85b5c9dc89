from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import small_parsing_sets as small
from resight.data.label_meanings import FOREGROUND, KEYPOINTS14, MEANINGS
from resight.data.label_sets import CCP59, LIP20, PARTS7
from resight.data.parsing_layouts import ParsingPicture
from resight.data.parsing_sets import find_parsing_set
from resight.data.parsing_targets import point_map, read_persons, read_target, table_for, wanted_map
from resight.errors import BadLabels

SOURCES = (*MEANINGS, "keypoints14")


def first(folder: Path, half: str = "train") -> ParsingPicture:
    return next(find_parsing_set(folder).pictures(half))


@pytest.mark.parametrize("name", ["lip", "people", "cihp", "pascal-person-part", "atr", "ccp"])
def test_the_target_of_a_labelled_set_is_its_map_by_the_table(name: str, tmp_path: Path) -> None:
    small.LAYOUTS[name](tmp_path)
    table, one = table_for(SOURCES, LIP20), first(tmp_path)
    found = read_target(one, table, height=12, width=6)
    assert found.dtype == np.uint8
    assert np.array_equal(found, table.tables[one.source][np.full((12, 6), 5)])


def test_a_map_of_another_size_or_with_strange_values_names_its_file(tmp_path: Path) -> None:
    small.clothing_co_parsing(tmp_path)
    table, one = table_for(SOURCES, LIP20), first(tmp_path)
    with pytest.raises(BadLabels, match=r"0001\.png is 12 × 6, its picture 13 × 6"):
        read_target(one, table, height=13, width=6)
    small.draw_map(tmp_path / "labels" / "0001.png", len(CCP59.classes))
    with pytest.raises(BadLabels, match=r"0001\.png holds class 59; ccp59 ends at 58"):
        read_target(one, table, height=12, width=6)
    small.draw_map(tmp_path / "labels" / "0001.png", 255)  # 255 is a matter of padding, never of a file
    with pytest.raises(BadLabels, match="holds class 255"):
        read_target(one, table, height=12, width=6)


def test_a_pedestrian_of_a_photo_is_anything_but_background_and_far_background_says_nothing(tmp_path: Path) -> None:
    small.penn_fudan(tmp_path)
    table, one = table_for(SOURCES, LIP20), first(tmp_path)
    found = read_target(one, table, height=30, width=20)
    assert found.shape == (12, 5)
    assert found[3, 2] == table.number(FOREGROUND)
    assert found[0, 2] == 0  # next to the person
    wide = np.zeros((40, 40), np.uint8)
    wide[10:30, 18:22] = 1
    wide[10:30, 30:34] = 2
    labels = wanted_map(wide, near=0.1)
    assert labels[15, 20] == 1
    assert labels[15, 31] == 2
    assert labels[15, 17] == labels[15, 16] == 0
    assert labels[15, 15] == 255
    assert labels[0, 0] == 255
    assert (wanted_map(np.zeros((3, 3), np.uint8)) == 255).all()


def test_other_people_are_background_and_told_apart(tmp_path: Path) -> None:
    small.cihp(tmp_path)
    import dataclasses

    everyone = first(tmp_path)
    assert read_persons(everyone, height=12, width=6) is None
    one = dataclasses.replace(everyone, wanted=2)
    values = np.repeat(np.array([1, 2], np.uint8), 6)[:, None].repeat(6, 1)
    small.draw_map(one.persons, values)
    persons = read_persons(one, height=12, width=6)
    assert persons is not None
    assert persons[:, 0].tolist() == [2] * 6 + [1] * 6
    table = table_for(SOURCES, LIP20)
    target = read_target(one, table, height=12, width=6)
    assert (target[:6] == 0).all()
    assert (target[6:] == table.tables["cihp20"][5]).all()


def test_joints_become_sparse_sets(tmp_path: Path) -> None:
    small.market_keypoints(tmp_path)
    table, one = table_for(SOURCES, LIP20), first(tmp_path)
    found = read_target(one, table, height=128, width=64)
    assert (found != 255).sum() == 14
    ankle = KEYPOINTS14.index("left ankle")
    assert found[ankle, ankle] == table.number(("left leg", "left shoe"))
    assert found[0, 0] == table.number(("hat", "hair", "sunglasses", "face"))
    grouped = read_target(one, table_for(SOURCES, PARTS7), height=128, width=64)
    assert grouped[ankle, ankle] == PARTS7.number("left leg")


def test_points_outside_and_points_that_disagree_teach_nothing() -> None:
    points = np.array([[1, 0], [np.nan, 2], [9, 9], [2, 1], [2.2, 0.9], [-0.4, 1]], np.float32)
    found = point_map(points, [1, 2, 3, 4, 5, 6], height=2, width=3)
    assert found.tolist() == [[255, 1, 255], [6, 255, 255]]


def test_flipping_a_target_flips_its_joints(tmp_path: Path) -> None:
    small.market_keypoints(tmp_path)
    table, one = table_for(SOURCES, LIP20), first(tmp_path)
    found = read_target(one, table, height=128, width=64)
    ankle = KEYPOINTS14.index("left ankle")
    assert table.flip(found)[ankle, 63 - ankle] == table.number(("right leg", "right shoe"))


def test_tables_for_the_trainers_sets_are_small_and_whole() -> None:
    for target in (LIP20, PARTS7):
        table = table_for(SOURCES, target)
        assert table.sets.dtype == torch.bool
        assert bool(table.sets.any(1).all())
        assert len(table.sets) < 100
    assert len(table_for(["keypoints14"], LIP20).sets) > 20
