"""Conditions: what is not measured is NaN, scores rise with the dose, odd files cost nothing but their own row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from resight.data.degrade import cast, darken, shrink
from resight.diagnose.conditions import judge, measure, root_histograms, score_conditions
from resight.diagnose.signals import SIGNALS
from resight.diagnose.thresholds import ISSUE, OF_A_PARSER, OF_A_SET, THRESHOLDS, read_thresholds
from resight.errors import BadRecipe, UnknownName
from toy_people import draw_person, make_person
from toy_scenes import make_cameras


@dataclass(frozen=True)
class Map:
    labels: np.ndarray
    second_share: float
    hidden: float = float("nan")
    company: float = float("nan")


def write(folder, pictures):
    paths = []
    for number, pixels in enumerate(pictures):
        paths.append(folder / f"{number:03}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def conditions(paths, *, parse=None, mask="prior", told=None):
    return judge(measure(paths, parse=parse, told=told), files=[path.name for path in paths], mask=mask)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(1)
    cameras = make_cameras(3, rng)
    return [draw_person(make_person(rng), cameras[n % 3], rng) for n in range(40)]


def test_planted_darkness_and_lost_detail_stand_out(people, tmp_path):
    rng = np.random.default_rng(2)
    spoilt = {
        "low_light": [darken(one, stops=3, rng=rng) for one in people],
        "low_res": [shrink(one, height=24) for one in people],
    }
    clean = conditions(write(tmp_path, people))
    for name, pictures in spoilt.items():
        (tmp_path / name).mkdir()
        scores = np.concatenate([clean.scores[name], conditions(write(tmp_path / name, pictures)).scores[name]])
        assert roc_auc_score([0] * 40 + [1] * 40, scores) >= 0.97
        assert ((scores >= 0) & (scores <= 1)).all()


def test_movement_that_took_the_detail_is_not_called_low_resolution():
    thresholds = read_thresholds()
    signals = {one.name: np.full(4, np.nan) for one in SIGNALS} | {
        name: np.full(4, np.nan) for name in (*OF_A_PARSER, *OF_A_SET)
    }
    signals |= {"slope": np.array([-5.0, -5, -2, -5]), "eff_h": np.array([20.0, 20, 120, 20])}
    signals["motion_blur"] = np.array([0.0, 2.0, 2.0, np.nan])
    found = score_conditions(signals, thresholds)["low_res"]
    assert (found >= 0.5).tolist() == [True, False, False, True]


def test_what_needs_a_parser_is_not_measured_without_one(people, tmp_path):
    found = conditions(write(tmp_path, people[:3]))
    assert found.mask == "prior"
    for name in ISSUE:
        assert np.isnan(found.scores[name]).all() == (name in ("multi_person", "occlusion", "truncation"))
        assert not found.present(name)[np.isnan(found.scores[name])].any()


def test_what_the_parser_says_of_the_hidden_counts_before_the_outline(people, tmp_path):
    def parse(pictures):
        labels = np.zeros((128, 64), np.uint8)
        labels[4:124, 12:52] = 5
        return [Map(labels, 0.0, told, 1 - told) for told in (0.7, 0.1, float("nan"))[: len(pictures)]]

    found = conditions(write(tmp_path, people[:3]), parse=parse)
    np.testing.assert_allclose(found.signals["hidden"][:2], [0.7, 0.1])
    np.testing.assert_allclose(found.signals["company"][:2], [0.3, 0.9])
    assert found.present("occlusion").tolist()[:2] == [True, False]
    assert found.present("multi_person").tolist() == [False, True, False]
    for name in ("occlusion", "multi_person"):
        assert np.isfinite(found.scores[name]).all()


def test_a_cast_is_what_is_unusual_in_the_set_and_a_coloured_set_has_none(people, tmp_path):
    both = [cast(one, warmth=1.5 if number % 8 == 0 else 0.0) for number, one in enumerate(people * 2)]
    found = conditions(write(tmp_path, both)).signals["cast"]
    assert roc_auc_score(np.arange(80) % 8 == 0, found) > 0.9
    (tmp_path / "warm").mkdir()
    warm = conditions(write(tmp_path / "warm", [cast(one, warmth=1.5) for one in people * 2])).signals["cast"]
    plain = found[np.arange(80) % 8 > 0]
    assert np.median(warm) < 2 * np.median(plain)


def test_maps_show_what_is_hidden_and_who_else_is_there(people, tmp_path):
    whole = np.zeros((128, 64), np.uint8)
    whole[8:122, 18:46] = 5
    half = whole.copy()
    half[64:] = 0

    def parse(pictures):
        return [Map(half if number % 2 else whole, 0.2 if number % 2 else 0.0) for number in range(len(pictures))]

    found = conditions(write(tmp_path, people), parse=parse, mask="parser")
    for name in ("occlusion", "multi_person"):
        np.testing.assert_array_equal(found.present(name), np.arange(40) % 2 == 1)
    assert not found.present("truncation").any()
    assert found.mask == "parser"


def test_an_unreadable_picture_costs_its_own_row_alone(people, tmp_path):
    paths = write(tmp_path, people[:3])
    paths[1].write_bytes(b"no picture")
    told = []
    found = conditions([*paths, tmp_path / "missing.png"], told=told.append)
    assert found.readable.tolist() == [True, False, True, False]
    assert np.isnan(found.scores["low_res"]).tolist() == [False, True, False, True]
    assert sum(told) == 4


def test_a_picture_is_wholly_like_itself_and_not_like_another_colour():
    red, blue = (np.full((1, 8, 4, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 30, 200)))
    everywhere = np.ones((1, 8, 4), np.bool_)
    one, other = root_histograms(red, everywhere), root_histograms(blue, everywhere)
    assert one[0] @ one[0] == pytest.approx(1)
    assert one[0] @ other[0] == 0
    assert root_histograms(red, ~everywhere).sum() == 0


def test_thresholds_are_checked(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(THRESHOLDS.read_text().replace("slope =", "slop ="))
    with pytest.raises(UnknownName, match="Did you mean `slope`"):
        read_thresholds(path)
    path.write_text(THRESHOLDS.read_text().replace('unless = "motion_blur"', 'unless = "motion_blurr"'))
    with pytest.raises(UnknownName, match="Did you mean `motion_blur`"):
        read_thresholds(path)
    path.write_text("low_light = 3")
    with pytest.raises(BadRecipe, match="no file of thresholds"):
        read_thresholds(path)
    path.write_text(THRESHOLDS.read_text().replace("[occlusion]", "[other]"))
    with pytest.raises(BadRecipe, match="lacks occlusion"):
        read_thresholds(path)
