"""Strips, histogram and camera table against a search that sorts everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from resight.evaluate.protocols import searched
from resight.evaluate.ranking import score_features
from resight.report.strips import camera_pairs, distance_histogram, worst_strips
from resight.search.distances import distance_matrix
from resight.search.features import Features
from resight.types import Side

QUERIES, GALLERY = 5, 14


def side(name: str, values: np.ndarray, persons: np.ndarray, cameras: np.ndarray) -> Side:
    files = np.array([f"{name}/{row:03d}.jpg" for row in range(len(values))])
    return Side(values.astype(np.float32), persons, cameras, files)


@st.composite
def searches(draw: st.DrawFn) -> Features:
    """Small searches with few different values, so that ties, junk and unanswerable queries are common."""

    def one(name: str, count: int, lowest: int) -> Side:
        values = draw(arrays(np.int64, (count, 2), elements=st.integers(-3, 3)))
        persons = draw(arrays(np.int64, count, elements=st.integers(lowest, 3)))
        cameras = draw(arrays(np.int64, count, elements=st.integers(1, 3)))
        return side(name, values, persons, cameras)

    return Features(one("query", QUERIES, 1), one("gallery", GALLERY, -1), "euclidean")


def slow_ranking(features: Features, query: int) -> list[tuple[float, str, bool]]:
    """(distance, file, right) of the pictures that count under `market`, nearest first."""
    distances = distance_matrix(features)[query]
    person, camera = features.query.persons[query], features.query.cameras[query]
    rows = []
    for column, distance in enumerate(distances):
        same = features.gallery.persons[column] == person
        if features.gallery.persons[column] == -1 or (same and features.gallery.cameras[column] == camera):
            continue
        rows.append((float(distance), column, str(features.gallery.files[column]), bool(same)))
    return [(distance, file, right) for distance, _, file, right in sorted(rows, key=lambda row: row[:2])]


@settings(max_examples=50)
@given(searches())
def test_strips_show_what_a_full_sort_shows(features):
    if (features.gallery.persons == -1).all():
        return
    scores = score_features(features)
    for strip in worst_strips(features, scores, count=QUERIES, top=GALLERY):
        query = int(np.flatnonzero(features.query.files == strip.query.file)[0])
        slow = slow_ranking(features, query)
        assert [(tile.file, tile.right) for tile in strip.top] == [(file, right) for _, file, right in slow]
        assert [tile.rank for tile in strip.top] == list(range(1, len(slow) + 1))
        hits = [rank for rank, (_, _, right) in enumerate(slow, start=1) if right]
        assert [tile.rank for tile in strip.matches] == hits[::-1]
        assert strip.match_count == len(hits)
        assert strip.first_match == hits[0]
        values = [round(distance, 5) for distance, _, _ in slow]
        assert [tile.tied for tile in strip.top] == [values.count(value) > 1 for value in values]
        if len(set(values)) == len(values):
            assert strip.ap == pytest.approx(np.mean([(n + 1) / rank for n, rank in enumerate(hits)]))


@settings(max_examples=30)
@given(searches(), st.integers(0, QUERIES))
def test_strips_come_worst_first_and_only_for_answered_queries(features, count):
    if (features.gallery.persons == -1).all():
        return
    scores = score_features(features)
    strips = worst_strips(features, scores, count=count)
    expected = sorted(ap for ap in scores.ap if not np.isnan(ap))[:count]
    assert [strip.ap for strip in strips] == pytest.approx(expected)
    assert all(strip.match_count > 0 for strip in strips)


@pytest.fixture
def features() -> Features:
    rng = np.random.default_rng(4)

    def one(name: str, count: int) -> Side:
        persons = rng.integers(1, 6, count)
        return side(name, rng.normal(size=(count, 8)) + persons[:, None], persons, rng.integers(1, 4, count))

    return Features(one("query", 20), one("gallery", 60))


def test_the_shares_of_a_histogram_sum_to_one_and_matches_lie_nearer(features):
    histogram = distance_histogram(features, score_features(features))
    assert histogram.matches.sum() == pytest.approx(1)
    assert histogram.others.sum() == pytest.approx(1)
    middle = (histogram.edges[1:] + histogram.edges[:-1]) / 2
    assert (histogram.matches * middle).sum() < (histogram.others * middle).sum()


def test_a_collapsed_model_still_has_a_histogram(features):
    features.query.features[:] = 1
    features.gallery.features[:] = 1
    histogram = distance_histogram(features, score_features(features))
    assert histogram.matches.sum() == pytest.approx(1)
    assert np.all(np.diff(histogram.edges) > 0)


def test_a_camera_pair_scores_as_if_only_its_pictures_existed(features):
    table = camera_pairs(features, score_features(features))
    assert table is not None
    assert table.query_cameras == table.gallery_cameras == ("1", "2", "3")

    def only(part: Side, camera: int) -> Side:
        rows = part.cameras == camera
        return Side(part.features[rows], part.persons[rows], part.cameras[rows], part.files[rows])

    alone = score_features(Features(only(features.query, 1), only(features.gallery, 3)))
    assert table.mean_ap[0, 2] == pytest.approx(alone.mean_ap, nan_ok=True)
    assert table.answered[0, 2] == alone.answered
    assert np.isnan(np.diag(table.mean_ap)).all()
    assert (np.diag(table.answered) == 0).all()


@pytest.mark.parametrize("cameras", [-1, 7])
def test_unknown_or_single_cameras_give_no_table(features, cameras):
    features.gallery.cameras[:] = cameras
    assert camera_pairs(features, score_features(features, protocol="occluded")) is None


def test_pooled_queries_are_what_the_strips_show(features):
    scores = score_features(features, protocol="multi-query")
    pooled, _ = searched(features, "multi-query")
    strips = worst_strips(pooled, scores, count=99)
    assert len(strips) == scores.answered < len(features.query.persons)
