"""Labels by eye: draws that can be weighted back, AUC as counted by hand, chance that knows how many signals ran."""

from __future__ import annotations

import numpy as np
import pytest

from resight.diagnose.labelled import (
    LABELLED,
    Labels,
    agreement,
    draw_queries,
    order_of,
    read_labels,
    weighted_auc,
    write_labels,
)
from resight.errors import BadRecipe


def labelled(yes, *, weights=None, condition="low_light"):
    count = len(yes)
    answers = {condition: tuple("yes" if one else "no" for one in yes)}
    some = np.ones(count) if weights is None else weights
    return Labels(tuple(f"{row}.jpg" for row in range(count)), some, np.ones(count, np.bool_), answers)


def test_weights_undo_the_draw():
    rng = np.random.default_rng(0)
    scores = {"low_light": rng.random(1000), "occlusion": rng.random(1000)}
    rows, weights = draw_queries(scores, most=120, rng=np.random.default_rng(1))
    assert len(rows) == len(set(rows.tolist())) == 120
    assert weights.sum() == pytest.approx(1000)
    rare = scores["low_light"][rows] >= np.quantile(scores["low_light"], 0.95)
    assert rare.mean() > 0.25
    assert weights[rare].sum() == pytest.approx(50, abs=15)


def test_the_same_seed_draws_the_same_queries_and_small_sets_are_taken_whole():
    scores = {"low_light": np.random.default_rng(0).random(60), "occlusion": np.full(60, np.nan)}
    first, second = (draw_queries(scores, most=30, rng=np.random.default_rng(3))[0] for _ in range(2))
    assert first.tolist() == second.tolist()
    rows, weights = draw_queries(scores, most=500, rng=np.random.default_rng(3))
    assert sorted(rows.tolist()) == list(range(60))
    assert (weights == 1).all()
    with pytest.raises(BadRecipe):
        draw_queries(scores, most=0, rng=np.random.default_rng(3))


def test_auc_is_that_of_a_set_in_which_heavy_pictures_stand_several_times():
    rng = np.random.default_rng(0)
    values, yes, weights = rng.integers(0, 9, 30).astype(float), rng.random(30) < 0.4, rng.integers(1, 4, 30)
    many, each = np.repeat(values, weights), np.repeat(yes, weights)
    pairs = [(a > b) + (a == b) / 2 for a in many[each] for b in many[~each]]
    found = weighted_auc(order_of(values), (weights * yes)[None].astype(float), (weights * ~yes)[None].astype(float))
    assert found[0] == pytest.approx(np.mean(pairs))


def test_a_true_signal_beats_chance_and_noise_does_not():
    rng = np.random.default_rng(0)
    yes = rng.random(120) < 0.3
    scores = {"low_light": yes + 0.4 * rng.standard_normal(120)}
    noise = {f"signal {n}": rng.standard_normal(120) for n in range(20)}
    good = agreement(labelled(yes), scores, noise, np.arange(120), rng=rng, draws=300)[0]
    assert good.low > good.chance
    assert good.best == "low_light"
    assert good.low <= good.auc <= good.high
    bad = agreement(labelled(yes), {"low_light": rng.standard_normal(120)}, noise, np.arange(120), rng=rng, draws=300)
    assert bad[0].low < bad[0].chance < bad[0].best_chance


def test_unsure_and_unseen_pictures_count_as_nothing_and_few_labels_have_no_auc():
    yes = np.arange(40) % 2 == 0
    all_seen = labelled(yes)
    words = ("unsure", *all_seen.answers["low_light"][1:])
    seen = np.arange(40) != 1
    some = Labels(all_seen.files, all_seen.weights, seen, {"low_light": words})
    found = agreement(some, {"low_light": yes * 1.0}, {}, np.arange(40), rng=np.random.default_rng(0), draws=100)[0]
    assert (found.yes, found.no, found.auc) == (19, 19, 1.0)
    few = agreement(
        labelled(np.arange(40) < 3), {"low_light": yes * 1.0}, {}, np.arange(40), rng=np.random.default_rng(0)
    )
    assert np.isnan(few[0].auc)


def test_a_table_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "labels.csv"
    answers = {name: ("yes", "no", "unsure") for name in LABELLED}
    before = Labels(("a,b.jpg", "c.jpg", "d.jpg"), np.array([1.5, 2.0, 1 / 3]), np.array([True, True, False]), answers)
    write_labels(path, before)
    after = read_labels(path)
    assert after.files == before.files
    assert (after.weights == before.weights).all()
    assert after.seen.tolist() == [True, True, False]
    assert after.answers["occlusion"][:2] == ("yes", "no")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no table of labels"),
        ("file,weight,seen\na,1,yes\n", "no table of labels"),
        ("file,weight,seen,low_light\na,1,yes,perhaps\n", "line 2"),
        ("file,weight,seen,low_light\na,1,yes,no\nb,none,yes,no\n", "line 3"),
    ],
)
def test_a_bad_table_says_what_is_wrong(tmp_path, text, said):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(BadRecipe, match=said):
        read_labels(path)
