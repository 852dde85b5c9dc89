"""Signals move with what they measure, and only then."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from resight.data.degrade import blur, cast, darken, shrink
from resight.data.label_sets import ATR18
from resight.data.labels import LIP20
from resight.diagnose import signals
from resight.diagnose.colours import lightness_of, to_lab
from resight.diagnose.signals import SIGNALS, prepare
from toy_people import draw_person, make_person
from toy_scenes import make_cameras


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    rng = np.random.default_rng(0)
    camera = make_cameras(1, rng)[0]
    return np.stack([draw_person(make_person(rng), camera, rng) for _ in range(12)])


def measured(pixels, name):
    row = next(one for one in SIGNALS if one.name == name)
    return row.measure(prepare(pixels))


def test_every_signal_without_needs_is_measured_on_pixels_alone(people):
    for one in SIGNALS:
        values = one.measure(prepare(people))
        assert values.shape == (12,)
        assert np.isfinite(values).all() == (one.needs == "pixels"), one.name
        assert np.isnan(values).all() == (one.needs != "pixels"), one.name


def test_a_signal_of_a_batch_is_that_of_each_picture_alone(people):
    for one in SIGNALS:
        alone = np.concatenate([one.measure(prepare(people[row : row + 1])) for row in range(len(people))])
        np.testing.assert_allclose(one.measure(prepare(people)), alone, rtol=1e-4, atol=1e-6, err_msg=one.name)


def test_less_detail_lowers_effective_height_and_steepens_the_spectrum(people):
    for name in ("eff_h", "slope"):
        levels = [measured(np.stack([shrink(one, height=h) for one in people]), name) for h in (128, 64, 32, 16)]
        assert (np.diff(np.array(levels), axis=0) < 0).all(), name


def test_effective_height_rises_with_the_height_that_noise_was_made_at():
    """White noise fills its grid to the last pixel, so that other grids need more: never less is claimed."""
    rng = np.random.default_rng(0)
    found = []
    for height in (12, 16, 24, 36):
        small = Image.fromarray(rng.integers(0, 256, (height, height // 2), dtype=np.uint8))
        grey = np.asarray(small.resize((64, 128), Image.Resampling.BICUBIC))
        found.append(measured(np.repeat(grey[None, :, :, None], 3, axis=3), "eff_h")[0])
        assert found[-1] > height
    assert found == sorted(found)


def test_less_light_lowers_lightness_and_movement_turns_gradients_one_way(people):
    rng = np.random.default_rng(0)
    dark = np.stack([darken(one, stops=2, rng=rng) for one in people])
    assert (measured(dark, "lum_mean") < measured(people, "lum_mean") - 10).all()
    assert (measured(dark, "dark_frac") >= measured(people, "dark_frac")).all()
    noise = rng.integers(0, 256, (6, 128, 64, 3), dtype=np.uint8)
    moved = np.stack([blur(one, length=8, angle=0.3 * n) for n, one in enumerate(noise)])
    assert (measured(moved, "anisotropy") > measured(noise, "anisotropy") + 0.3).all()
    plain = measured(people, "warmth")
    for stops in (1.5, -1.5):
        changed = measured(np.stack([cast(one, warmth=stops) for one in people]), "warmth")
        assert ((changed - plain) * stops > 0).all()


def test_movement_sideways_is_told_from_lost_detail(people):
    moved = np.stack([blur(one, length=6, angle=0.1) for one in people])
    small = np.stack([shrink(one, height=32) for one in people])
    sharp = measured(people, "motion_blur")
    assert (measured(moved, "motion_blur") > sharp + 0.5).all()
    assert (np.abs(measured(small, "motion_blur") - sharp) < measured(moved, "motion_blur") - sharp).all()


def test_a_carried_thing_is_measured_where_the_map_has_one():
    labels = person_map()
    assert np.isnan(measured_of(with_map(labels), "carried"))
    known = prepare(np.full((1, 128, 64, 3), 128, np.uint8), np.zeros((1, 128, 64), np.uint8), ATR18)
    assert measured_of(known, "carried") == 0
    known.labels[:, 60:80, 40:50] = ATR18.classes.index("bag")
    assert measured_of(known, "carried") == pytest.approx(200 / 8192)


def test_what_is_seen_of_a_person_is_said_part_by_part():
    labels = np.zeros((1, 128, 64), np.uint8)
    labels[:, 5:20, 24:40] = LIP20.classes.index("face")
    labels[:, 20:70, 20:44] = LIP20.classes.index("upper-clothes")
    found = {part: measured_of(with_map(labels), f"seen_{part}") for part in signals.LOOKED_FOR}
    assert found["head"] == pytest.approx(15 * 16 / 8192)
    assert found["upper"] == pytest.approx(50 * 24 / 8192)
    assert [found[part] for part in ("arms", "lower", "legs", "feet")] == [0, 0, 0, 0]
    named = {name for classes in signals.LOOKED_FOR.values() for name in classes}
    assert named | {"socks"} >= set(LIP20.classes[1:])  # nothing of a person is in no part
    assert np.isnan(measured_of(prepare(np.full((1, 128, 64, 3), 128, np.uint8)), "seen_head"))


def measured_of(crops, name):
    return next(one for one in signals.SIGNALS if one.name == name).measure(crops)[0]


def test_lightness_and_lab_agree_with_known_colours():
    colours = np.array([[[[255, 255, 255], [0, 0, 0], [255, 0, 0], [119, 119, 119]]]], np.uint8)
    light = prepare(colours).light
    lab = to_lab(light)[0, 0]
    known = [[100, 0, 0], [0, 0, 0], [53.2, 80.1, 67.2], [50.0, 0, 0]]  # CIE, D65
    np.testing.assert_allclose(lab, known, atol=0.5)
    np.testing.assert_allclose(lightness_of(light)[0, 0], lab[:, 0], atol=0.05)


def with_map(labels, pixels=None):
    pixels = np.full((*labels.shape, 3), 128, np.uint8) if pixels is None else pixels
    return prepare(pixels, labels, LIP20, np.full(len(labels), 0.1))


def person_map(top=10, bottom=120, left=20, right=44):
    labels = np.zeros((1, 128, 64), np.uint8)
    labels[:, top:bottom, left:right] = 5
    labels[:, top : top + 15, left:right] = 13
    labels[:, max(bottom - 8, 0) : bottom, left:right] = 18
    return labels


def test_a_person_who_ends_inside_the_crop_is_not_cut_and_one_who_runs_out_is():
    assert signals.truncation(with_map(person_map()))[0] == 0
    headless = person_map(top=0)
    headless[headless == 13] = 5
    assert signals.truncation(with_map(headless))[0] > 0.5
    assert signals.truncation(with_map(person_map(left=0, right=40)))[0] == 1


def test_dark_clothes_are_not_low_light():
    labels = person_map()
    pixels = np.full((1, 128, 64, 3), 160, np.uint8)
    pixels[labels == 5] = 12
    black = with_map(labels, pixels)
    assert signals.light_index(black)[0] > 60
    assert signals.cloth_lightness(black)[0] < -50
    dim = with_map(labels, (pixels * 0.2).astype(np.uint8))
    assert signals.light_index(dim)[0] < 20


def test_an_empty_map_falls_back_to_the_prior():
    crops = with_map(np.zeros((1, 128, 64), np.uint8))
    np.testing.assert_array_equal(crops.mask[0], signals.prior_mask(128, 64))
