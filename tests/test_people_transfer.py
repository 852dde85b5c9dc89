"""The parts of the transfer benchmark that can be wrong without anybody noticing: rivals, linked sets, refusals."""

from __future__ import annotations

import colorsys
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.reid_sets import find_set
from small_sets import put

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def module(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return __import__(name)


rivals, official, transfer = module("rivals"), module("official"), module("people_transfer")


def noise(seed: int, height: int = 32, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_hsv_is_that_of_the_standard_library(red, green, blue):
    found = rivals.hsv(np.array([[[red, green, blue]]], np.uint8))[0, 0]
    assert found == pytest.approx(colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255), abs=1e-9)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((255, 255, 255), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((255, 0, 0), (53.24, 80.09, 67.20))],
)
def test_lab_has_the_published_values(colour, expected):
    assert rivals.lab(np.array([[colour]], np.uint8))[0, 0] == pytest.approx(expected, abs=0.02)


@given(st.integers(0, 1000))
def test_a_mirrored_picture_has_the_same_histogram_of_length_1(seed):
    picture = noise(seed)
    found = rivals.histogram(picture)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(rivals.histogram(np.ascontiguousarray(picture[:, ::-1])), found, atol=1e-6)


def test_stripes_know_above_from_below_and_the_middle_counts_more_than_the_border():
    trousers = np.zeros((64, 32, 3), np.uint8)
    trousers[:32] = (200, 30, 30)
    trousers[32:] = (30, 30, 200)
    assert rivals.histogram(trousers) @ rivals.histogram(trousers[::-1].copy()) < 0.01
    border, middle = trousers.copy(), trousers.copy()
    border[:, :6], middle[:, 13:19] = 255, 255
    before = rivals.histogram(trousers)
    assert before @ rivals.histogram(border) > before @ rivals.histogram(middle)


def test_every_row_sees_about_as_many_pictures():
    first = [row for row in transfer.ROWS.values() if row.persons and not row.after]
    seen = [row.persons * row.epochs for row in first]
    assert max(seen) < 1.1 * min(seen)


def test_a_smaller_row_is_the_first_persons_of_a_larger_one(tmp_path):
    names = [f"{person:04d}_c{camera}s1_000001_00.jpg" for person in (1, 2, 3) for camera in (1, 2)]
    larger = put(tmp_path / "larger", *(f"bounding_box_train/{name}" for name in names))
    (larger / "people.csv").write_text("file,cause\n" + "".join(f"bounding_box_train/{name},\n" for name in names))
    (larger / "plan.json").write_text(json.dumps({"persons": 3}))
    transfer.link_first(larger, tmp_path / "smaller", 2)
    found = find_set(tmp_path / "smaller")
    assert [crop.path.name for crop in found.crops("train")] == names[:4]
    assert all(crop.path.stat().st_nlink == 2 for crop in found.crops("train"))
    assert len((tmp_path / "smaller" / "people.csv").read_text().splitlines()) == 5
    assert transfer.is_drawn(tmp_path / "smaller")


def test_weights_that_were_scored_are_refused_unless_somebody_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(official, "LOG", tmp_path / "log.jsonl")
    result = {"date": "d", "model": "m", "weights_sha256": "aa", "mean_ap": 0.5, "commit": "c", "cmc": [0.5]}
    official.refuse_twice("aa", None)
    official.log_scoring(result, None)
    official.refuse_twice("bb", None)
    official.refuse_twice("aa", "measured again")
    with pytest.raises(SystemExit, match="scored before"):
        official.refuse_twice("aa", None)
