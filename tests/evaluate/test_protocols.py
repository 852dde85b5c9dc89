"""Which pictures count: cameras, draws, pooled queries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resight.errors import BadFeatures
from resight.evaluate.protocols import PROTOCOLS, pool_queries
from resight.evaluate.ranking import score_distances, score_features
from resight.search.distances import distance_matrix
from resight.search.features import Features, side


def features_of(seed: int = 0, *, cameras: bool = True) -> Features:
    rng = np.random.default_rng(seed)
    return Features(
        *(
            side(rng.standard_normal((count, 8)), np.arange(count) % 5, np.arange(count) % 3 if cameras else None)
            for count in (7, 30)
        )
    )


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_every_protocol_scores_between_nothing_and_all(protocol: str) -> None:
    scores = score_features(features_of(), protocol=protocol)
    assert scores.protocol == protocol
    assert 0 < scores.mean_inp <= scores.mean_ap <= 1
    assert scores.mean_ap_trapezoid <= scores.mean_ap
    assert (np.diff(scores.cmc) >= 0).all()


@pytest.mark.parametrize("protocol", sorted(set(PROTOCOLS) - {"occluded"}))
def test_unknown_cameras_are_refused_with_the_way_out(protocol: str) -> None:
    with pytest.raises(BadFeatures, match=r"7 of 7 query pictures have no camera.*--protocol occluded"):
        score_features(features_of(cameras=False), protocol=protocol)


def test_without_cameras_the_occluded_protocol_counts_every_picture() -> None:
    assert score_features(features_of(cameras=False), protocol="occluded").unanswerable == 0


@pytest.mark.parametrize("unknown", ["-1", ""])
def test_cameras_unknown_in_text_are_refused_too(unknown: str) -> None:
    query = side(np.ones((1, 1)), np.array([1]), np.array(["a"]))
    gallery = side(np.ones((2, 1)), np.array([1, 1]), np.array(["b", unknown]))
    with pytest.raises(BadFeatures, match="1 of 2 gallery pictures"):
        score_distances(np.zeros((1, 2)), query, gallery)


def test_a_stranger_without_a_camera_does_no_harm() -> None:
    """Only pictures of persons that stand on both sides need a camera."""
    query = side(np.ones((1, 1)), np.array([1]), np.array([1]))
    gallery = side(np.ones((2, 1)), np.array([1, 9]), np.array([2, -1]))
    assert score_distances(np.array([[0, 1]]), query, gallery).mean_ap == 1


def test_single_shots_are_drawn_by_the_generator_alone() -> None:
    features = features_of()
    first, again, other = (
        score_features(features, protocol="cuhk03", rng=np.random.default_rng(seed)).ap for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_single_shot_rank_one_is_the_chance_over_all_draws() -> None:
    """Two persons with two pictures each: the right one wins in three of four draws."""
    query = side(np.ones((400, 1)), np.ones(400), np.zeros(400))
    gallery = side(np.ones((5, 1)), np.array([1, 1, 2, 2, 1]), np.array([1, 1, 1, 1, 0]))  # the last: same camera
    distances = np.tile([1.0, 3.0, 2.0, 4.0, 0.0], (400, 1))
    drawn = [
        score_distances(distances[:1], side(np.ones((1, 1)), np.ones(1), np.zeros(1)), gallery, protocol="cuhk03",
                        rng=np.random.default_rng(seed)).cmc[0]
        for seed in range(20)
    ]  # fmt: skip
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.12)
    assert score_distances(distances, query, gallery, protocol="cuhk03").cmc[1] == 1


def test_single_shot_keeps_one_picture_of_each_person() -> None:
    """With one allowed picture of each person there is nothing to draw: the standard rule gives the same."""
    query = side(np.ones((4, 1)), np.ones(4), np.zeros(4))
    gallery = side(np.ones((9, 1)), np.array([0, 1, 2, 3, 5, 6, 1, 1, -1]), np.array([1] * 6 + [0, 0, 0]))
    distances = np.random.default_rng(0).random((4, 9))
    allowed = np.array([True] * 6 + [False] * 3)
    clean = side(np.ones((6, 1)), gallery.persons[allowed], gallery.cameras[allowed])
    drawn = score_distances(distances, query, gallery, protocol="cuhk03")
    assert drawn.ap == pytest.approx(score_distances(distances[:, allowed], query, clean).ap)


def test_pooled_queries_are_means_at_length_one() -> None:
    query = side(
        np.array([[2.0, 0], [0, 5], [3, 0], [1, 1]]),
        np.array([4, 4, 4, 2]),
        np.array([1, 1, 2, 1]),
        np.array(list("abcd")),
    )
    pooled = pool_queries(Features(query, query)).query
    assert pooled.persons.tolist() == [2, 4, 4]
    assert pooled.cameras.tolist() == [1, 1, 2]
    assert pooled.files.tolist() == ["d", "a", "c"]
    assert pooled.features[1] == pytest.approx([0.5, 0.5])


def test_further_pictures_join_the_query_of_their_person_and_camera() -> None:
    query = side(np.array([[1.0, 0]]), np.array([4]), np.array([1]))
    more = side(np.array([[0.0, 2], [0, 7], [7, 7]]), np.array([4, 4, 9]), np.array([1, 2, 1]))
    assert pool_queries(Features(query, query), more).query.features == pytest.approx(np.array([[0.5, 0.5]]))
    assert len(pool_queries(Features(query, query), more).query.persons) == 1


def test_one_query_for_each_person_and_camera_is_not_changed_by_pooling() -> None:
    features = features_of()
    distinct = Features(
        side(features.query.features[:5], np.arange(5), np.zeros(5)),
        side(features.gallery.features, np.arange(30) % 5, np.ones(30)),
    )
    assert score_features(distinct, protocol="multi-query").mean_ap == pytest.approx(score_features(distinct).mean_ap)


def test_pooling_single_pictures_changes_no_euclidean_score_either() -> None:
    rng = np.random.default_rng(0)
    truth = 40 * rng.standard_normal((20, 8))
    gallery = side(truth + rng.standard_normal((20, 8)), np.arange(20), np.ones(20))
    features = Features(side(truth, np.arange(20), np.zeros(20)), gallery, "euclidean")
    assert score_features(features).mean_ap == score_features(features, protocol="multi-query").mean_ap == 1.0
    parts = rng.standard_normal((20, 6, 4)) * 9
    visible = rng.random((20, 6))
    visible[3, 2] = 0
    query = side(truth, np.arange(20), np.zeros(20), parts=parts, visible=visible)
    features = Features(query, replace(query, cameras=np.ones(20)), "euclidean", 1.0)
    pooled = pool_queries(features)
    assert np.allclose(pooled.query.visible, visible)
    assert np.allclose(distance_matrix(pooled), distance_matrix(features), atol=0.05)  # a root of nearly nothing


def test_pooled_parts_are_means_weighed_by_how_visible_they_are() -> None:
    parts, visible = np.array([[[2.0, 0.0]], [[0.0, 8.0]]]), np.array([[1.0], [0.5]])
    query = side(np.ones((2, 2)), np.array([1, 1]), np.array([1, 1]), parts=parts, visible=visible)
    pooled = pool_queries(Features(query, query, "euclidean", 0.5)).query
    assert pooled.visible == pytest.approx(np.array([[0.75]]))
    assert pooled.parts == pytest.approx(np.array([[[2 / 1.5, 4 / 1.5]]]))


def test_pooling_needs_features() -> None:
    one = side(np.ones((1, 1)), np.array([1]), np.array([1]))
    with pytest.raises(BadFeatures, match="pass features"):
        score_distances(np.zeros((1, 1)), one, one, protocol="multi-query")
