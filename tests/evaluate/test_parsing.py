"""Scores of label maps against slow loops, and tables that cannot be right."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.label_sets import LIP20, PARTS7, LabelSet
from resight.data.labels import flip_map
from resight.data.regrouping import LIP20_PARTS7, regroup_map
from resight.errors import BadLabels
from resight.evaluate.parsing import WITH_INTERVALS, Confusion, check_table, count_pair, scores_of

THREE = LabelSet("three", ("background", "left hand", "right hand"))
PLAN_384X128 = 0.236828  # a mean IoU that was printed for a CE2P of seven parts
PLAN_OTHER_ROWS = 1.0332  # sum of its rows but the first


def some_maps(seed: int, labels: LabelSet = PARTS7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(labels.classes), (12, 9), dtype=np.uint8)
    noise = rng.integers(0, len(labels.classes), (12, 9), dtype=np.uint8)
    predicted = np.where(rng.random((12, 9)) < 0.6, truth, noise).astype(np.uint8)
    truth[rng.random((12, 9)) < 0.1] = 255
    return truth, predicted


@given(st.integers(0, 2**31))
def test_scores_equal_the_slow_loops(seed: int) -> None:
    truth, predicted = some_maps(seed)
    confusion = Confusion(PARTS7)
    confusion.add(truth, predicted)
    found = confusion.scores()
    pairs = [(t, p) for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True) if t != 255]
    for number in range(7):
        both = sum(t == p == number for t, p in pairs)
        either = sum(number in (t, p) for t, p in pairs)
        true, said = sum(t == number for t, _ in pairs), sum(p == number for _, p in pairs)
        assert found.iou[number] == pytest.approx(both / max(1, either))
        assert found.recall[number] == pytest.approx(both / max(1, true))
        assert found.precision[number] == pytest.approx(both / max(1, said))
        assert found.f1[number] == pytest.approx(2 * both / max(1, true + said))
    fore = [(t, p) for t, p in pairs if t]
    assert found.pixel_accuracy == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))
    assert found.foreground_accuracy == pytest.approx(sum(t == p for t, p in fore) / len(fore))
    assert found.mean_iou == pytest.approx(found.iou.mean())
    assert found.pixels == len(pairs)


def test_mean_f1_counts_the_background_as_one_of_its_classes() -> None:
    """Co-CNN's 76.95 is over 18 classes; the mean of its 17 foreground rows is 75.65."""
    truth = np.array([[0, 0, 0, 1, 1, 2]], np.uint8)
    confusion = Confusion(THREE)
    confusion.add(truth, np.array([[0, 0, 0, 1, 2, 2]], np.uint8))
    found = confusion.scores()
    assert found.f1.tolist() == pytest.approx([1, 2 / 3, 2 / 3])
    assert found.mean_f1 == pytest.approx(7 / 9)
    assert found.mean_precision == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert found.mean_accuracy == found.mean_recall == pytest.approx((1 + 1 / 2 + 1) / 3)


def test_counting_keeps_no_picture() -> None:
    """A stack of all predictions, 10,000 × 473 × 473 bytes, once crept into memory as it filled."""
    confusion = Confusion(PARTS7)
    maps = np.zeros((128, 64), np.uint8)
    confusion.add(maps, maps)
    tracemalloc.start()
    try:
        for _ in range(100):
            confusion.add(maps, maps)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100 * 1_000 < 100 * maps.nbytes


def test_pictures_one_by_one_count_as_one_large_picture() -> None:
    one, whole = Confusion(PARTS7), Confusion(PARTS7)
    parts = [some_maps(seed) for seed in range(5)]
    for truth, predicted in parts:
        one.add(truth, predicted)
    whole.add(np.concatenate([t for t, _ in parts]), np.concatenate([p for _, p in parts]))
    assert np.array_equal(one.counts, whole.counts)
    assert one.scores().mean_iou == whole.scores().mean_iou
    assert one.scores().pictures == 5


def test_counting_then_summing_groups_equals_regrouping_then_counting() -> None:
    truth, predicted = (np.random.default_rng(s).choice([0, 1, 5, 9, 14, 17], (8, 8)).astype(np.uint8) for s in (1, 2))
    matrix = LIP20_PARTS7.matrix().astype(np.int64)
    summed = matrix @ count_pair(truth, predicted, LIP20) @ matrix.T
    regrouped = [regroup_map(values, LIP20_PARTS7) for values in (truth, predicted)]
    assert np.array_equal(count_pair(*regrouped, PARTS7), summed)


def test_a_class_that_is_nowhere_counts_as_0_and_has_a_mean_without_it() -> None:
    truth = np.array([[0, 1]], np.uint8)
    confusion = Confusion(THREE)
    confusion.add(truth, truth)
    found = confusion.scores()
    assert found.iou.tolist() == [1, 1, 0]
    assert found.mean_iou == pytest.approx(2 / 3)
    assert found.mean_iou_present == 1
    assert found.absent == ("right hand",)


def test_values_outside_the_table_are_refused_and_nothing_is_counted() -> None:
    fine, strange = np.zeros((2, 2), np.uint8), np.full((2, 2), 7, np.uint8)
    confusion = Confusion(PARTS7)
    with pytest.raises(BadLabels, match=r"a\.png: the truth holds the value 7; parts7 ends at 6"):
        confusion.add(strange, fine, "a.png")
    with pytest.raises(BadLabels, match=r"b\.png: the prediction holds the value 7"):
        confusion.add(fine, strange, "b.png")
    with pytest.raises(BadLabels, match="the prediction holds the value 255"):  # a parser may not abstain
        confusion.add(np.full((2, 2), 255, np.uint8), np.full((2, 2), 255, np.uint8))
    with pytest.raises(BadLabels, match="the prediction is 2 × 2, the truth 3 × 2"):
        confusion.add(np.zeros((3, 2), np.uint8), fine)
    assert not confusion.counts.any()
    with pytest.raises(BadLabels, match="No pixel could be counted"):
        confusion.scores()


def test_left_for_right_is_counted_apart() -> None:
    truth = np.array([[1, 1, 1, 1, 2, 2, 0, 0]], np.uint8)
    predicted = np.array([[1, 1, 2, 0, 2, 1, 0, 1]], np.uint8)
    confusion = Confusion(THREE)
    confusion.add(truth, predicted)
    assert confusion.scores().side_confusion == pytest.approx(2 / 5)
    every = Confusion(THREE)
    every.add(truth, flip_map(truth, THREE)[:, ::-1])  # all sides wrong, all else right
    assert every.scores().side_confusion == 1
    assert np.isnan(scores_of(np.ones((2, 2), np.int64), LabelSet("two", ("a", "b")), pictures=1).side_confusion)


def test_the_printed_384x128_table_of_the_plan_is_found_impossible() -> None:
    others = [PLAN_OTHER_ROWS / 6] * 6
    with pytest.raises(BadLabels, match=r"have the mean 0\.259657 and the table says 0\.236828"):
        check_table([0.7844, *others], PLAN_384X128, 7)
    check_table([0.6246, *others], PLAN_384X128, 7)  # what its background must have been


def test_the_printed_473x473_table_of_the_plan_is_consistent_and_one_with_a_missing_row_is_not() -> None:
    check_table([0.475457] * 7, 0.475463, 7)
    with pytest.raises(BadLabels, match="7 rows and the label set 8 classes"):
        check_table([0.693314] * 7, 0.688660, 8)
    check_table([*[0.693314] * 7, 0.6561], 0.688660, 8)


def test_a_table_with_a_mean_of_its_own_cannot_be_made() -> None:
    found = scores_of(count_pair(*some_maps(0), PARTS7), PARTS7, pictures=1)
    import dataclasses

    with pytest.raises(BadLabels, match="not printed"):
        dataclasses.replace(found, mean_iou=found.mean_iou + 2e-4)
    with pytest.raises(BadLabels, match="not printed"):
        dataclasses.replace(found, mean_iou=float("nan"))


def test_a_score_that_is_undefined_has_no_interval() -> None:
    confusion = Confusion(LabelSet("two", ("background", "person")))
    for seed in range(3):
        truth = np.random.default_rng(seed).integers(0, 2, (4, 4), dtype=np.uint8)
        confusion.add(truth, truth)
    ends = confusion.intervals(rng=np.random.default_rng(0), resamples=100)
    assert np.isnan(ends["side_confusion"]).all()
    assert ends["mean_iou"] == (1, 1)


def test_intervals_hold_the_score_and_are_undefined_for_one_picture() -> None:
    confusion = Confusion(PARTS7)
    confusion.add(*some_maps(0))
    alone = confusion.intervals(rng=np.random.default_rng(0), resamples=100)
    assert np.isnan(alone["mean_iou"]).all()
    for seed in range(1, 30):
        confusion.add(*some_maps(seed))
    found, ends = confusion.scores(), confusion.intervals(rng=np.random.default_rng(0), resamples=400)
    for name, (low, high) in ends.items():
        assert low < getattr(found, name) < high
    assert tuple(ends) == WITH_INTERVALS
