"""Dose curves: nothing at level 0, equal draws at every level, equal masks, curves that fall and repeat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resight.data.degrade import cover
from resight.diagnose.dose import (
    COMPANY,
    CONTENTS,
    COURSES,
    beside,
    cover_mask,
    dose_curve,
    half_level,
    spoilt,
    with_company,
)
from resight.errors import BadFeatures, UnknownName
from resight.evaluate.ranking import score_features
from resight.model import Embedded
from resight.search.features import Features, side
from toy_people import draw_person, make_person
from toy_scenes import make_cameras


def vectors(pictures):
    return np.stack([np.asarray(one)[::8, ::8].ravel() / 255.0 - 0.5 for one in pictures]).astype(np.float32)


def embed(pictures):
    return Embedded(vectors(pictures))


@pytest.fixture(scope="module")
def search():
    rng = np.random.default_rng(0)
    cameras = make_cameras(2, rng)
    people = [make_person(rng) for _ in range(12)]
    query = [draw_person(one, cameras[0], rng, view="front") for one in people]
    gallery = [draw_person(one, cameras[1], rng, view="front") for one in people for _ in range(2)]
    persons = np.arange(12)
    features = Features(
        side(vectors(query), persons, np.zeros(12, np.int64)),
        side(vectors(gallery), np.repeat(persons, 2), np.ones(24, np.int64)),
    )
    return features, query, gallery


RED = np.zeros((90, 60, 4), np.uint8)  # somebody in red, 20 columns wide, who is no higher than the crop
RED[10:80, 20:40] = (255, 0, 0, 255)
ALL = with_company([RED])


@pytest.mark.parametrize("condition", ALL)
def test_level_0_is_the_pictures_own_bytes_and_no_level_changes_them(search, condition):
    query = search[1][:3]
    before = [one.tobytes() for one in query]
    course = ALL[condition]
    assert [one.tobytes() for one in spoilt(query, course, course.levels[0], seed=0)] == before
    for level in course.levels[1:]:
        assert [one.shape for one in spoilt(query, course, level, seed=0)] == [one.shape for one in query]
    assert [one.tobytes() for one in query] == before


@pytest.mark.parametrize("condition", ALL)
def test_a_seed_draws_the_same_whoever_else_is_there(search, condition):
    _, query, _ = search
    course = ALL[condition]
    level = course.levels[-1]
    all_of_them = list(spoilt(query[:4], course, level, seed=5))
    for one, other in zip(all_of_them, spoilt(query[:2], course, level, seed=5), strict=False):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.45])
def test_somebody_beside_comes_in_from_a_side_as_far_as_the_share_says(share):
    picture = np.full((128, 64, 3), 90, np.uint8)
    sides = set()
    for seed in range(12):
        found = beside(picture, share, np.random.default_rng(seed), company=[RED])
        red = (found[:, :, 0] > 200).any(0)
        columns = np.flatnonzero(red)
        wide = 20 * 128 / 90
        left = columns[0] < 32 - columns[-1] + 31
        sides.add(left)
        reach = columns[-1] + 1 if left else 64 - columns[0]
        assert abs(reach - share * 64) <= 1.5
        assert abs(len(columns) - min(wide, share * 64)) <= 2.5
        assert (found[:, ~red] == 90).mean() > 0.95
    assert sides == {True, False}


def test_several_people_are_a_course_only_with_somebody_to_show(search):
    features, query, _ = search
    assert COMPANY not in COURSES
    with pytest.raises(UnknownName):
        dose_curve(COMPANY, features, embed=embed, query=query)
    curve = dose_curve(COMPANY, features, embed=embed, query=query, courses=ALL, resamples=200)
    assert curve.points[-1].mean_ap < curve.points[0].mean_ap


def test_covers_of_any_contents_hide_the_same_pixels_and_equal_contents_change_nothing(search):
    _, query, _ = search
    for share in (0.15, 0.6):
        mask = cover_mask((128, 64), share)
        for contents in CONTENTS:
            (found,) = spoilt(query[:1], COURSES[f"occlusion_{contents}"], share, seed=0)
            np.testing.assert_array_equal(found[~mask], query[0][~mask])
        np.testing.assert_array_equal(cover(query[0], query[0], mask), query[0])


def test_a_curve_starts_at_what_evaluate_says_falls_and_repeats(search):
    features, query, _ = search
    found = [dose_curve("low_light", features, embed=embed, query=query, resamples=200) for _ in range(2)]
    assert found[0].points == found[1].points
    assert found[0].half == pytest.approx(found[1].half, nan_ok=True)
    points = found[0].points
    assert points[0].mean_ap == score_features(features).mean_ap
    assert points[-1].difference < -0.1
    for one in points:
        assert one.low <= one.difference <= one.high
        assert one.difference == pytest.approx(one.mean_ap - points[0].mean_ap)


def test_both_sides_can_be_spoilt_and_darkness_on_both_costs_less_than_on_one(search):
    """A colour descriptor compares dark with dark better than dark with light."""
    features, query, gallery = search
    rows = np.arange(len(gallery))
    both = dose_curve(
        "low_light", features, embed=embed, query=query, gallery=gallery, rows=rows, setting="both", resamples=200
    )
    other = dose_curve("low_light", features, embed=embed, gallery=gallery, rows=rows, setting="gallery", resamples=200)
    assert both.points[2].mean_ap > other.points[2].mean_ap


def test_half_of_the_loss_lies_between_two_levels():
    assert half_level([(0, 0.8), (1, 0.6), (2, 0.2)]) == pytest.approx(1.5)
    assert np.isnan(half_level([(0, 0.8), (1, 0.5)]))


def test_bad_input_is_refused(search):
    features, query, gallery = search
    with pytest.raises(UnknownName, match="Did you mean `low_light`"):
        dose_curve("low_ligth", features, embed=embed, query=query)
    with pytest.raises(BadFeatures, match="do not fit"):
        dose_curve("low_light", features, embed=embed, query=query[1:])
    with pytest.raises(BadFeatures, match="do not fit"):
        dose_curve("low_light", features, embed=embed, gallery=gallery, setting="gallery")


def test_parts_are_said_anew_of_spoilt_pictures_and_count_as_before(search):
    """Compared by parts alone, a curve is that of the part vectors."""
    features, query, _ = search
    rows = {name: getattr(features, name) for name in ("query", "gallery")}
    with_parts = {
        name: replace(one, parts=one.features[:, None], visible=np.ones((len(one.features), 1), np.float32))
        for name, one in rows.items()
    }
    whole = dose_curve("low_light", features, embed=embed, query=query, resamples=50)

    def both(pictures):
        found = vectors(pictures)
        return Embedded(np.zeros_like(found) + 1, found[:, None], np.ones((len(found), 1), np.float32))

    by_parts = replace(features, **with_parts, part_share=1.0)
    found = dose_curve("low_light", by_parts, embed=both, query=query, resamples=50)
    assert [one.mean_ap for one in found.points] == pytest.approx([one.mean_ap for one in whole.points])
    with pytest.raises(BadFeatures, match="says none of spoilt pictures"):
        dose_curve("low_light", by_parts, embed=embed, query=query, resamples=50)
