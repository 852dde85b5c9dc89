"""The ledger against all triples of all orders of small searches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resight.diagnose.ledger import ledger_of
from resight.errors import BadFeatures, BadRecipe
from resight.evaluate.ranking import score_features
from resight.search.features import Features, side


def search(seed: int, *, queries: int = 6, gallery: int = 12, persons: int = 4, coarse: bool = False) -> Features:
    """Few persons and cameras; junk and distractors among the gallery; `coarse` features repeat, so distances tie."""
    rng = np.random.default_rng(seed)

    def some(count: int, ids: np.ndarray):
        values = rng.integers(0, 2, (count, 2)) if coarse else rng.standard_normal((count, 5))
        return side(values.astype(np.float32) + 0.1, ids, rng.integers(1, 4, count))

    asked = some(queries, rng.integers(1, persons + 1, queries))
    return Features(asked, some(gallery, rng.integers(-1, persons + 1, gallery)), "euclidean")


def slow_ledger(features: Features, *, coarse: bool = False) -> dict[tuple[int, int, int], float]:
    """Weight of each triple: the mean of 1/(queries · n · rank) over all orders of equally far pictures.

    Distances of `coarse` features are equal when four digits are; others almost never are, however near they lie.
    """
    query, gallery = features.query, features.gallery
    weights: dict[tuple[int, int, int], float] = {}
    answered = 0
    for q, (person, camera) in enumerate(zip(query.persons, query.cameras, strict=True)):
        far = np.sqrt(((query.features[q].astype(float) - gallery.features) ** 2).sum(1)).round(4 if coarse else 12)
        same = gallery.persons == person
        counted = [int(g) for g in np.flatnonzero((gallery.persons != -1) & ~(same & (gallery.cameras == camera)))]
        right = [g for g in counted if same[g]]
        if not right:
            continue
        answered += 1
        groups = [[g for g in counted if far[g] == value] for value in sorted({far[g] for g in counted})]
        orders = [list(itertools.chain(*some)) for some in itertools.product(*map(itertools.permutations, groups))]
        for order in orders:
            for rank, t in enumerate(order, start=1):
                for f in order[: rank - 1] if same[t] else ():
                    if not same[f]:
                        weights[q, t, f] = weights.get((q, t, f), 0) + 1 / (len(right) * rank * len(orders))
    return {triple: weight / answered for triple, weight in weights.items()}


@given(st.integers(0, 10_000), st.booleans())
def test_every_table_is_the_sum_of_all_triples_also_among_equals(seed, coarse):
    features = search(seed, gallery=7, coarse=coarse)
    slow = slow_ledger(features, coarse=coarse)
    try:
        found = ledger_of(features)
    except BadFeatures:
        assert not slow
        return
    by_wrong, by_query = np.zeros(7), np.zeros(6)
    by_match = dict.fromkeys(zip(found.match_query.tolist(), found.match_row.tolist(), strict=True), 0.0)
    by_camera = np.zeros((2, len(found.cameras), len(found.cameras)))
    for (q, t, f), weight in slow.items():
        by_query[q] += weight
        by_wrong[f] += weight
        by_match[q, t] += weight
        at = [int(np.searchsorted(found.cameras, one)) for one in
              (features.query.cameras[q], features.gallery.cameras[f], features.gallery.cameras[t])]  # fmt: skip
        by_camera[0, at[0], at[1]] += weight
        by_camera[1, at[0], at[2]] += weight
    np.testing.assert_allclose(found.by_wrong, by_wrong, atol=1e-12)
    np.testing.assert_allclose(found.by_query, by_query, atol=1e-12)
    np.testing.assert_allclose(found.by_match, list(by_match.values()), atol=1e-12)
    np.testing.assert_allclose([found.by_wrong_camera, found.by_match_camera], by_camera, atol=1e-12)


@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 6))
def test_every_table_sums_to_what_evaluate_calls_lost(seed, coarse, persons):
    features = search(seed, queries=9, gallery=40, persons=persons, coarse=coarse)
    try:
        found = ledger_of(features)
    except BadFeatures:
        return
    scores = score_features(features)
    assert found.answered == scores.answered
    lost = 1 - scores.mean_ap
    tables = (found.by_query, found.by_match, found.by_wrong, found.by_persons, found.by_wrong_camera,
              found.by_match_camera, found.match_loss / _counts(found) / found.answered)  # fmt: skip
    for table in tables:
        assert table.sum() == pytest.approx(lost, abs=1e-9)
    np.testing.assert_allclose(found.by_query * found.answered, np.nan_to_num(1 - scores.ap), atol=1e-9)


def _counts(found):
    return np.bincount(found.match_query)[found.match_query]


def test_pooled_queries_lose_what_evaluate_says():
    features = search(3, queries=30, gallery=60)
    lost = 1 - score_features(features, protocol="multi-query").mean_ap
    assert ledger_of(features, protocol="multi-query").by_wrong.sum() == pytest.approx(lost, abs=1e-9)


@given(st.integers(0, 10_000))
@example(1112)  # two distances that share four digits
def test_the_listed_triples_are_the_heaviest(seed):
    features = search(seed, gallery=9)
    slow = slow_ledger(features)
    if not slow:
        return
    found = ledger_of(features, heaviest=4).heaviest
    heaviest = sorted(slow.values(), reverse=True)[:4]
    assert [one.weight for one in found] == pytest.approx(heaviest)
    assert all(slow[one.query, one.match, one.wrong] == pytest.approx(one.weight) for one in found)


def test_a_perfect_search_loses_nothing():
    one = side(np.eye(3, dtype=np.float32), np.arange(3), np.full(3, 1))
    other = side(np.eye(3, dtype=np.float32), np.arange(3), np.full(3, 2))
    found = ledger_of(Features(one, other))
    assert found.loss == 0
    assert found.heaviest == ()


def test_drawn_galleries_and_unanswerable_searches_are_refused():
    features = search(0)
    with pytest.raises(BadRecipe, match="cuhk03-np"):
        ledger_of(features, protocol="cuhk03")
    lonely = Features(features.query, side(features.gallery.features, np.full(12, 99), np.ones(12, np.int64)))
    with pytest.raises(BadFeatures, match="None of the 6 queries"):
        ledger_of(lonely)
