"""Twins: a slow version, a planted cost, a confounder that fools raw differences and not the twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planted import planted
from resight.diagnose.ledger import ledger_of
from resight.diagnose.twins import compare_twins, every_turn, group_numbers, match_twins, query_twins
from resight.evaluate.ranking import score_features
from resight.search.features import Features
from resight.types import Side


@given(st.integers(0, 10_000))
def test_the_difference_is_the_mean_over_groups_that_hold_both_kinds(seed):
    rng = np.random.default_rng(seed)
    persons, cameras, shown = rng.integers(0, 25, 200), rng.integers(0, 3, 200), rng.random(200) < 0.4
    values = rng.random(200)
    groups = group_numbers(persons, cameras)
    slow = []
    for person, camera in sorted(set(zip(persons.tolist(), cameras.tolist(), strict=True))):
        mine = (persons == person) & (cameras == camera)
        if shown[mine].any() and not shown[mine].all():
            slow.append(values[mine & shown].mean() - values[mine & ~shown].mean())
    found = compare_twins(values, groups, shown, persons, rng=rng, resamples=100)
    assert found.groups == len(slow)
    if found.estimable:
        assert found.difference == pytest.approx(np.mean(slow))
        assert found.low <= found.difference <= found.high
    else:
        assert np.isnan(found.difference)


def test_fewer_than_twenty_groups_are_not_estimable():
    persons = np.repeat(np.arange(19), 2)
    shown = np.tile([True, False], 19)
    found = compare_twins(np.ones(38), group_numbers(persons), shown, persons, rng=np.random.default_rng(0))
    assert (found.groups, found.estimable, found.sure) == (19, False, False)


def test_every_gallery_picture_takes_its_turn_as_query():
    one = planted(0, persons=8).features
    turns = every_turn(one)
    assert turns is not None
    assert turns.from_gallery.sum() == len(one.gallery.persons)
    for row in (0, 17, 40):
        gallery = one.gallery
        alone = Side(*(getattr(gallery, name)[row : row + 1] for name in ("features", "persons", "cameras", "files")))
        slow = score_features(Features(alone, gallery)).ap[0]
        assert turns.ap[turns.from_gallery & (turns.rows == row)] == pytest.approx(slow)
    assert every_turn(one, protocol="occluded") is None


def test_a_planted_condition_costs_what_taking_it_away_wins():
    """The planted condition sits on queries alone, so the true cost is the mean difference to the clean search."""
    covered = 0
    for seed in range(12):
        one = planted(seed, harm=(1.0,), persons=50)
        gallery = one.features.gallery
        spoilt, clean = one.features.query, one.clean.query
        shown = one.marks.query[:, 0]
        queries = {
            name: np.concatenate([getattr(spoilt, name)[shown], getattr(clean, name)])
            for name in ("features", "persons", "cameras", "files")
        }
        ap = score_features(Features(Side(**queries), gallery)).ap
        marked = np.arange(len(ap)) < shown.sum()
        groups = group_numbers(queries["persons"], queries["cameras"])
        truth = ap[: shown.sum()].mean() - ap[shown.sum() :][shown].mean()
        found = compare_twins(ap, groups, marked, queries["persons"], rng=np.random.default_rng(seed))
        covered += found.low <= truth <= found.high
        assert found.difference < 0
    assert covered >= 11


def test_a_confounder_fools_raw_differences_and_not_twins():
    raw, covered = [], 0
    for seed in range(8):
        one = planted(seed, harm=(0.0,), hard_camera=1.2, persons=50)
        turns = every_turn(one.features)
        shown = np.zeros(len(turns.ap), np.bool_)
        shown[turns.from_gallery] = one.marks.gallery[turns.rows[turns.from_gallery], 0]
        shown[~turns.from_gallery] = one.marks.query[turns.rows[~turns.from_gallery], 0]
        raw.append(turns.ap[shown].mean() - turns.ap[~shown].mean())
        found = query_twins(turns, shown, rng=np.random.default_rng(seed))
        covered += found.low <= 0 <= found.high
    assert max(raw) < -0.03
    assert covered >= 7


def test_spoilt_true_matches_are_found_where_the_condition_sits():
    one = planted(1, harm=(1.5, 0.0))
    ledger = ledger_of(one.features)
    found = [match_twins(ledger, one.marks.gallery[:, k], rng=np.random.default_rng(0)) for k in (0, 1)]
    assert found[0].sure
    assert found[0].difference < -0.05
    assert abs(found[1].difference) < 0.05
