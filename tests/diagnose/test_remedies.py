"""Gains of remedies: exact sums, the planted cause mended by the clean search, parts that help where whole fails."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from planted import planted
from resight.diagnose.causes import split_loss
from resight.diagnose.marks import cells_of
from resight.diagnose.oracles import clean_twins, swap_for_twins
from resight.diagnose.remedies import ALL, Judged, gains_at_hand, gains_of_model
from resight.diagnose.splits import merge
from resight.diagnose.twins import every_turn
from resight.errors import BadFeatures
from resight.evaluate.ranking import score_distances, score_features
from resight.search.choosing import choose_distance
from resight.search.distances import distance_matrix
from resight.search.rerank import rerank_features
from resight.types import Side


def judged(one, features=None):
    features = one.features if features is None else features
    cells = cells_of(features, one.marks)
    return Judged(features, one.marks, cells, split_loss(cells, rng=np.random.default_rng(0)), "market")


def by_cause(gains, remedy):
    return {one.cause: one for one in gains if one.remedy == remedy}


def with_parts(features, rng):
    """Two parts, the second noise that both sides say they do not see."""
    sides = []
    for one in (features.query, features.gallery):
        count, width = one.features.shape
        noise = rng.standard_normal((count, 1, width))
        parts = np.concatenate([one.features[:, None], noise], 1).astype(np.float32)
        visible = np.tile(np.array([1.0, 0.0], np.float32), (count, 1))
        noisy = (one.features + 1.5 * noise[:, 0]).astype(np.float32)
        sides.append(Side(noisy, one.persons, one.cameras, one.files, parts, visible))
    return dataclasses.replace(features, query=sides[0], gallery=sides[1], part_share=0.5)


@pytest.mark.parametrize("seed", [0, 1])
def test_gains_sum_to_the_difference_in_map(seed):
    one = planted(seed, harm=(0.0, 1.5, 0.0))
    search = judged(one)
    found = by_cause(gains_of_model("clean", one.clean, search, seed=0, resamples=100), "clean")
    whole = score_features(one.clean).mean_ap - score_features(one.features).mean_ap
    assert found[ALL].gain == pytest.approx(whole, abs=1e-9)
    assert sum(gain.gain for name, gain in found.items() if name != ALL) == pytest.approx(whole, abs=1e-9)


def test_a_model_without_the_planted_harm_wins_most_of_what_it_cost():
    one = planted(3, harm=(0.0, 1.5, 0.0))
    search = judged(one)
    found = by_cause(gains_of_model("clean", one.clean, search, seed=0, resamples=300), "clean")
    best = max((gain for gain in found.values() if gain.cause != ALL), key=lambda gain: gain.gain)
    assert best.cause == "low_res"
    assert best.low > 0
    assert best.gain > 0.6 * search.split.by_cause()["low_res"]


def test_the_same_model_wins_nothing():
    one = planted(4, harm=(1.0, 0.0))
    found = gains_of_model("same", one.features, judged(one), seed=0, resamples=50)
    assert [(gain.gain, gain.low, gain.high) for gain in found] == [(0.0, 0.0, 0.0)] * len(found)


def test_a_cause_that_takes_no_loss_has_none_to_win():
    one = planted(4, harm=(1.5, 0.0))
    search = judged(one)
    free = {cause for cause in one.marks.causes if cause not in search.split.by_cause()}
    assert free
    found = by_cause(gains_at_hand(search, seed=0, resamples=50), "rerank")
    assert {found[cause].gain for cause in free} == {0.0}


def test_reranking_wins_what_evaluating_its_distances_says():
    one = planted(5, harm=(1.0, 0.0))
    found = by_cause(gains_at_hand(judged(one), seed=0, resamples=50), "rerank")
    far = rerank_features(one.features, k1=20, k2=6, lambda_=0.3)
    after = score_distances(far, one.features.query, one.features.gallery).mean_ap
    assert found[ALL].gain == pytest.approx(after - score_features(one.features).mean_ap, abs=1e-9)


def test_distances_that_are_given_stand_for_those_of_the_features():
    one = planted(6, harm=(1.0, 0.0))
    given = cells_of(one.features, one.marks, distances=distance_matrix(one.features))
    own = cells_of(one.features, one.marks)
    np.testing.assert_array_equal(given.loss.toarray(), own.loss.toarray())
    np.testing.assert_array_equal(given.patterns, own.patterns)


def test_parts_are_judged_against_whole_bodies_whether_they_are_in_use_or_not():
    one = planted(7, harm=(0.5, 0.0))
    features = with_parts(one.features, np.random.default_rng(0))
    whole = choose_distance(features, "global")
    told = [by_cause(gains_at_hand(judged(one, some), seed=0, resamples=50), "parts") for some in (features, whole)]
    expected = score_features(features).mean_ap - score_features(whole).mean_ap
    assert expected > 0.02
    for found in told:
        assert found[ALL].gain == pytest.approx(expected, abs=1e-9)
        assert found[ALL].low > 0


def test_features_of_other_pictures_are_refused():
    one = planted(8, persons=12)
    swapped = dataclasses.replace(
        one.clean,
        query=dataclasses.replace(one.clean.query, files=one.clean.query.files[::-1]),
    )
    with pytest.raises(BadFeatures, match="query pictures are not those"):
        gains_of_model("other", swapped, judged(one), seed=0)


def test_every_look_keeps_the_parts_that_the_search_compares():
    one = planted(9, harm=(1.0, 0.0), persons=20)
    features = with_parts(one.features, np.random.default_rng(0))
    score = score_features(features)
    nothing = [np.zeros(len(side.persons), bool) for side in (features.query, features.gallery)]
    swapped = swap_for_twins(features, clean_twins(features, one.marks), *nothing)
    for same in (swapped, merge(features, [])):
        np.testing.assert_array_equal(score_features(same).ap, score.ap)
    turns = every_turn(features)
    mine = ~turns.from_gallery
    np.testing.assert_array_equal(turns.ap[mine], score.ap[turns.rows[mine]])
