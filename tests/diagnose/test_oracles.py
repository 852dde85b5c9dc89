"""Oracles: signs are kept, shams win nothing, the end of removing causes does not depend on their order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from planted import planted
from resight.diagnose.oracles import clean_twins, remove_cause, remove_in_turn, swap_for_twins
from resight.evaluate.ranking import score_features


def test_a_clean_twin_is_of_the_same_person_and_camera_and_shows_nothing():
    one = planted(0)
    twins = clean_twins(one.features, one.marks)
    for side, twin in ((one.features.query, twins.of_query), (one.features.gallery, twins.of_gallery)):
        rows = np.flatnonzero(twin >= 0)
        assert len(rows)
        np.testing.assert_array_equal(side.persons[rows], one.features.gallery.persons[twin[rows]])
        np.testing.assert_array_equal(side.cameras[rows], one.features.gallery.cameras[twin[rows]])
        assert not one.marks.gallery[twin[rows]].any()


def test_swapping_nothing_changes_nothing():
    one = planted(0)
    none = np.zeros(len(one.marks.query), np.bool_), np.zeros(len(one.marks.gallery), np.bool_)
    same = swap_for_twins(one.features, clean_twins(one.features, one.marks), *none)
    assert same.query.features.tobytes() == one.features.query.features.tobytes()
    assert same.gallery.features.tobytes() == one.features.gallery.features.tobytes()


def test_removing_a_harmful_cause_wins_and_a_harmless_one_does_not():
    one = planted(1, harm=(2.0, 0.0, 0.0))
    before = score_features(one.features)
    rng = np.random.default_rng(0)
    harmful, harmless = (
        remove_cause(one.features, one.marks, name, before, rng=rng) for name in ("low_light", "low_res")
    )
    assert harmful.low > 0
    assert harmful.gain > 0.05
    assert harmless.low < 0.02
    assert harmful.swapped + harmful.without == one.marks.query[:, 0].sum() + one.marks.gallery[:, 0].sum()


def test_causes_end_at_the_same_score_in_every_order_and_losses_keep_their_sign():
    one = planted(2, harm=(1.0, 0.5, 0.0))
    runs = [remove_in_turn(one.features, one.marks, order) for order in itertools.permutations(one.marks.causes)]
    assert len({round(steps[-1].mean_ap, 12) for steps in runs}) == 1
    before = score_features(one.features).mean_ap
    for steps in runs:
        assert before + sum(step.gain for step in steps) == pytest.approx(steps[-1].mean_ap)
