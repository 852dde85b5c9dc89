"""Grades: a planted cause earns one, and nothing planted earns none better than C."""

from __future__ import annotations

import dataclasses

import numpy as np

from planted import likeness_of, planted
from resight.diagnose.causes import split_loss
from resight.diagnose.grades import grade_causes
from resight.diagnose.ledger import ledger_of
from resight.diagnose.marks import cells_of
from resight.diagnose.oracles import Oracle, clean_twins, remove_cause
from resight.diagnose.twins import every_turn
from resight.evaluate.ranking import score_features


def verdicts(one, seed: int = 0, resamples: int = 500):
    rng = np.random.default_rng(seed)
    before = score_features(one.features)
    split = split_loss(cells_of(one.features, one.marks), rng=rng)
    oracles = {
        cause: remove_cause(one.features, one.marks, cause, before, rng=rng, resamples=resamples)
        for cause in one.marks.causes
    }
    turns = every_turn(one.features)
    return grade_causes(one.marks, split, ledger_of(one.features), turns, oracles, rng=rng, resamples=resamples)


def test_a_planted_cause_comes_first_with_grade_a():
    first, *others = verdicts(planted(3, harm=(0.0, 1.5, 0.0)))
    assert (first.cause, first.grade) == ("low_res", "A")
    assert all(one.grade in ("C", "") for one in others)


def test_what_is_proven_stands_before_what_costs_more():
    one = planted(2, harm=(0.0, 1.5))
    like = likeness_of(one.features, first=12, levels=(0.3, 0.6))
    found = verdicts(dataclasses.replace(one, marks=dataclasses.replace(one.marks, likenesses=(like,))))
    order = [verdict.cause for verdict in found]
    losses = {verdict.cause: verdict.loss for verdict in found}
    assert losses[like.cause] > losses["low_res"]
    assert order.index("low_res") < order.index(like.cause)


def test_nothing_planted_earns_no_grade_better_than_c():
    grades = [one.grade for seed in range(8) for one in verdicts(planted(seed), seed)]
    assert sum(grade in ("A", "B") for grade in grades) == 0


def test_a_confounded_condition_is_no_better_than_an_association():
    for seed in range(3):
        found = verdicts(planted(seed, harm=(0.0,), hard_camera=1.2), seed)
        assert all(one.grade in ("C", "") for one in found)


def test_a_harmful_dose_is_one_look_more_and_alone_no_better_than_an_association():
    one = planted(3, harm=(0.0, 1.5, 0.0))
    split = split_loss(cells_of(one.features, one.marks), rng=np.random.default_rng(0))
    turns, ledger = every_turn(one.features), ledger_of(one.features)
    tried: list[tuple[dict[str, int], tuple[str, str]]] = [
        ({}, ("A", "")),
        ({"low_light": 1}, ("A", "C")),
        ({"low_res": 1}, ("A", "")),
        ({"low_res": 0}, ("B", "")),  # one look finds nothing
        ({"low_res": -1}, ("C", "")),  # and one the opposite
    ]
    for doses, grades in tried:
        found = grade_causes(one.marks, split, ledger, turns, {}, doses, rng=np.random.default_rng(0), resamples=300)
        by_cause = {verdict.cause: verdict.grade for verdict in found}
        assert (by_cause["low_res"], by_cause["low_light"]) == grades


def test_an_oracle_that_says_the_opposite_is_heard():
    one = planted(3, harm=(0.0, 1.5, 0.0))
    split = split_loss(cells_of(one.features, one.marks), rng=np.random.default_rng(0))
    turns, ledger = every_turn(one.features), ledger_of(one.features)
    for low, high, grade in ((0.02, 0.08, "A"), (-0.03, 0.03, "B"), (-0.08, -0.02, "C")):
        oracle = Oracle(low, (low + high) / 2, low, high, 0.0, 0.0, swapped=30, without=0)
        rng = np.random.default_rng(0)
        found = grade_causes(one.marks, split, ledger, turns, {"low_res": oracle}, rng=rng, resamples=300)
        assert {verdict.cause: verdict.grade for verdict in found}["low_res"] == grade


def test_pictures_that_cannot_be_read_are_no_proof_of_absence():
    one = planted(3, harm=(0.0, 1.5, 0.0))
    place = one.marks.causes.index("low_res")
    rng = np.random.default_rng(1)
    lost = [rng.random(len(side)) < 0.5 for side in (one.marks.query, one.marks.gallery)]
    query, gallery = (
        side & ~gone[:, None] for side, gone in zip((one.marks.query, one.marks.gallery), lost, strict=True)
    )
    known = dataclasses.replace(one.marks, query=query, gallery=gallery, unread=(lost[0], lost[1]))
    twins = clean_twins(one.features, known)
    assert not lost[1][twins.of_gallery[twins.of_gallery >= 0]].any()
    turns, ledger = every_turn(one.features), ledger_of(one.features)
    differences = []
    for marks in (known, dataclasses.replace(known, unread=None)):
        split = split_loss(cells_of(one.features, marks), rng=np.random.default_rng(0))
        found = grade_causes(marks, split, ledger, turns, {}, rng=np.random.default_rng(0), resamples=300)
        mine = next(verdict for verdict in found if verdict.cause == marks.causes[place])
        differences.append(mine.on_queries.difference)
    assert differences[0] < differences[1] < 0  # taken for clean, spoilt pictures hide what the cause costs
