"""Ranking scores against sorting, and the laws that peers break."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from resight.errors import BadFeatures, UnknownName
from resight.evaluate.protocols import rules_of
from resight.evaluate.ranking import RANKS, RankingScores, score_distances, score_features
from resight.search.distances import distance_matrix
from resight.search.features import Features, side
from resight.types import Side
from slow_ranking import score_matrix


@dataclass(frozen=True, slots=True)
class Toy:
    """Ids of both sides and distances between them."""

    distances: np.ndarray
    query: Side
    gallery: Side


def toy(seed: int, *, queries: int = 6, gallery: int = 40, persons: int = 5, levels: int | None = None) -> Toy:
    rng = np.random.default_rng(seed)
    distances = rng.random((queries, gallery)) if levels is None else rng.integers(0, levels, (queries, gallery))
    sides = [
        side(
            np.ones((count, 1)), rng.integers(-1 if count == gallery else 1, persons, count), rng.integers(1, 4, count)
        )
        for count in (queries, gallery)
    ]
    return Toy(distances, *sides)


def random_features(seed: int, *, queries: int = 9, gallery: int = 67, width: int = 12) -> Features:
    rng = np.random.default_rng(seed)
    return Features(
        *(
            side(rng.standard_normal((count, width)), rng.integers(-1, 6, count), rng.integers(1, 4, count))
            for count in (queries, gallery)
        )
    )


def assert_same(first: RankingScores, second: RankingScores, *, within: float = 1e-12) -> None:
    assert (first.answered, first.unanswerable) == (second.answered, second.unanswerable)
    for name in ("mean_ap", "mean_ap_trapezoid", "mean_inp", "cmc", "ap", "inp", "first_hit"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), abs=within, nan_ok=True), name


@given(st.integers(0, 10_000), st.sampled_from([None, 60]), st.booleans())
@settings(max_examples=40)
def test_counting_gives_what_sorting_gives(seed: int, levels: int | None, cameras_count: bool) -> None:
    given_toy = toy(seed, levels=levels, persons=4)
    query, gallery = given_toy.query, given_toy.gallery
    fast = score_distances(given_toy.distances, query, gallery, protocol="market" if cameras_count else "occluded")
    slow = score_matrix(
        given_toy.distances,
        (query.persons, query.cameras),
        (gallery.persons, gallery.cameras),
        RANKS,
        cameras_count=cameras_count,
    )
    for row, one in enumerate(slow):
        if one is None:
            assert np.isnan(fast.ap[row])
            assert np.isnan(fast.first_hit[row]).all()
        else:
            assert fast.ap[row] == pytest.approx(one.ap, abs=1e-12)
            assert fast.ap_trapezoid[row] == pytest.approx(one.ap_trapezoid, abs=1e-12)
            assert fast.inp[row] == pytest.approx(one.inp, abs=1e-12)
            assert fast.first_hit[row] == pytest.approx(one.first_hit, abs=1e-12)
    assert fast.unanswerable == sum(one is None for one in slow)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_average_precision_equals_scikit_learn_when_distances_differ(seed: int) -> None:
    one = toy(seed)
    fast = score_distances(one.distances, one.query, one.gallery)
    for row in np.flatnonzero(~np.isnan(fast.ap)):
        same = one.gallery.persons == one.query.persons[row]
        kept = (one.gallery.persons != -1) & ~(same & (one.gallery.cameras == one.query.cameras[row]))
        assert fast.ap[row] == pytest.approx(average_precision_score(same[kept], -one.distances[row][kept]))


@given(st.integers(0, 10_000), st.sampled_from(["market", "cuhk03", "occluded"]))
@settings(max_examples=25)
def test_only_the_order_of_distances_counts(seed: int, protocol: str) -> None:
    one = toy(seed, levels=30)
    before = score_distances(one.distances, one.query, one.gallery, protocol=protocol)
    after = score_distances(np.exp(one.distances / 10) - 7, one.query, one.gallery, protocol=protocol)
    assert_same(before, after)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_the_order_of_the_gallery_does_not_count(seed: int) -> None:
    one = toy(seed, levels=12)
    order = np.random.default_rng(seed).permutation(len(one.gallery.persons))
    gallery = side(np.ones((len(order), 1)), one.gallery.persons[order], one.gallery.cameras[order])
    assert_same(
        score_distances(one.distances, one.query, one.gallery),
        score_distances(one.distances[:, order], one.query, gallery),
    )


@pytest.mark.parametrize("protocol", ["market", "cuhk03", "cuhk03-np", "occluded"])
@pytest.mark.parametrize("block", [None, 1, 4])
def test_blocks_of_features_score_like_their_matrix(protocol: str, block: int | None) -> None:
    features = random_features(3)
    from_matrix = score_distances(distance_matrix(features), features.query, features.gallery, protocol=protocol)
    assert_same(score_features(features, protocol=protocol, block=block), from_matrix, within=1e-6)


def test_a_person_with_very_many_pictures_is_scored_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    one = toy(5, queries=20, gallery=300, persons=3)
    whole = score_distances(one.distances, one.query, one.gallery)
    monkeypatch.setattr("resight.evaluate.ranking.PAIRS_AT_ONCE", 10)
    monkeypatch.setattr("resight.evaluate.ranking.ROWS_AT_ONCE", 3)
    assert_same(score_distances(one.distances, one.query, one.gallery), whole)


def test_equal_features_score_like_chance_across_blocks() -> None:
    """10 queries and 9,000 gallery pictures of one feature, ten persons in turn, in blocks of three queries."""
    feature = np.random.default_rng(0).standard_normal((1, 67)).astype(np.float32)
    features = Features(
        side(np.repeat(feature, 10, axis=0), np.arange(10), np.zeros(10)),
        side(np.repeat(feature, 9000, axis=0), np.arange(9000) % 10, np.ones(9000)),
    )
    scores = score_features(features, block=3)
    assert scores.mean_ap == pytest.approx(0.1009, abs=5e-5)
    assert scores.cmc[0] == pytest.approx(0.1, abs=1e-9)


@pytest.mark.parametrize("width", [3, 67, 257])
def test_copies_of_a_feature_are_exactly_as_far_wherever_they_stand(width: int) -> None:
    """A matrix product rounds by position; copies must tie all the same, so both owners share rank 1."""
    rng = np.random.default_rng(width)
    originals = rng.standard_normal((101, width)).astype(np.float32)
    rows = rng.permutation(np.repeat(np.arange(101), 7))
    features = Features(
        side(originals, np.arange(101), np.zeros(101)),
        side(originals[rows], rng.permutation(np.arange(707) % 101), np.ones(707)),
    )
    distances = distance_matrix(features)
    for original in range(101):
        assert len(np.unique(distances[:, rows == original], axis=1).T) == 1


def test_a_short_gallery_never_lets_the_curve_fall() -> None:
    query = side(np.ones((3, 1)), np.array([1, 2, 3]), np.zeros(3))
    gallery = side(np.ones((4, 1)), np.array([1, 2, 3, 3]), np.ones(4))
    distances = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [0, 1, 3, 4]])
    scores = score_distances(distances, query, gallery)
    assert len(scores.cmc) == RANKS
    assert (np.diff(scores.cmc) >= 0).all()
    assert scores.cmc[0] == pytest.approx(2 / 3)
    assert scores.cmc[2:].tolist() == [1.0] * (RANKS - 2)


def test_queries_without_a_right_answer_are_in_no_mean_but_counted() -> None:
    query = side(np.ones((3, 1)), np.array([1, 7, -1]), np.zeros(3))
    gallery = side(np.ones((3, 1)), np.array([1, 2, -1]), np.ones(3))
    scores = score_distances(np.array([[0.0, 1, 2]] * 3), query, gallery)
    assert (scores.answered, scores.unanswerable, scores.mean_ap) == (1, 2, 1.0)
    assert np.isnan(scores.ap[1:]).all()


def test_no_answered_query_is_not_a_score_of_zero() -> None:
    query = side(np.ones((2, 1)), np.array([1, 2]), np.zeros(2))
    gallery = side(np.ones((1, 1)), np.array([3]), np.ones(1))
    scores = score_distances(np.zeros((2, 1)), query, gallery)
    assert (scores.answered, scores.unanswerable) == (0, 2)
    assert np.isnan([scores.mean_ap, scores.mean_ap_trapezoid, scores.mean_inp, *scores.cmc]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_distances_that_are_not_numbers_are_refused_by_row_and_name(bad: float) -> None:
    one = toy(1)
    one.distances[4, 17] = bad
    with pytest.raises(BadFeatures, match=r"row 4 \(query 4\)"):
        score_distances(one.distances, one.query, one.gallery)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_features_that_are_not_numbers_are_refused_by_row_and_name(bad: float) -> None:
    features = random_features(1)
    features.gallery.features[13, 2] = bad
    with pytest.raises(BadFeatures, match=r"gallery_features row 13 \(query 13\)"):
        score_features(features)


def test_a_wrong_shape_is_refused_with_both_shapes() -> None:
    one = toy(1)
    with pytest.raises(BadFeatures, match=r"\(6, 39\).*6 queries × 40"):
        score_distances(one.distances[:, 1:], one.query, one.gallery)


def test_a_gallery_of_junk_alone_is_refused() -> None:
    query, gallery = side(np.ones((1, 1)), np.array([1]), np.ones(1)), side(np.ones((2, 1)), np.array([-1, -1]))
    with pytest.raises(BadFeatures, match="junk"):
        score_distances(np.zeros((1, 2)), query, gallery)


def test_ids_may_be_text_and_junk_is_minus_one_in_text_too() -> None:
    features = random_features(8)
    as_text = Features(
        *(
            side(one.features, one.persons.astype(str), np.char.add("cam ", one.cameras.astype(str)))
            for one in (features.query, features.gallery)
        )
    )
    assert_same(score_features(features), score_features(as_text))


def test_integers_and_float64_are_compared_as_they_are() -> None:
    """Distances that differ only beyond float32 are not equal."""
    query = side(np.ones((1, 1)), np.array([1]), np.zeros(1))
    gallery = side(np.ones((2, 1)), np.array([2, 1]), np.ones(2))
    assert score_distances(np.array([[1 + 1e-12, 1]]), query, gallery).mean_ap == 1
    assert score_distances(np.array([[2**40 + 1, 2**40]]), query, gallery).mean_ap == 1
    assert score_distances(np.array([[1, 1]]), query, gallery).mean_ap == 0.75


def test_junk_inside_the_gallery_costs_nothing_and_changes_nothing() -> None:
    features = random_features(4)
    kept = features.gallery.persons != -1
    clean = Features(
        features.query,
        side(features.gallery.features[kept], features.gallery.persons[kept], features.gallery.cameras[kept]),
    )
    assert_same(score_features(features), score_features(clean), within=1e-6)


def test_an_unknown_protocol_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean `market`"):
        rules_of("markt")


def test_ids_of_two_kinds_are_refused_with_distances_as_with_features() -> None:
    features = np.eye(2)
    query, gallery = side(features, np.arange(2)), side(features, np.array(["0", "1"]))
    for scored in (lambda: score_features(Features(query, gallery)), lambda: score_distances(features, query, gallery)):
        with pytest.raises(BadFeatures, match="query_persons are numbers, gallery_persons are text"):
            scored()
