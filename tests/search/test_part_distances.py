"""The part distance equals a slow loop, is symmetric, and never sees a part that one side hides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from resight.errors import BadFeatures, BadRecipe
from resight.evaluate.protocols import pool_queries
from resight.evaluate.ranking import score_features
from resight.search.choosing import choose_distance
from resight.search.distances import distance_blocks, distance_matrix
from resight.search.features import METRICS, Features, load_features, save_features, side
from resight.search.neighbours import nearest
from resight.search.part_points import points_of
from resight.search.rerank import rerank, rerank_features
from resight.types import Side
from slow_rerank import slow_rerank_of

PARTS, WIDTH = 4, 6


def some_side(rng: np.random.Generator, count: int, *, soft: bool = True, name: str = "query") -> Side:
    visible = rng.random((count, PARTS)) * (rng.random((count, PARTS)) < 0.6)
    return side(
        rng.standard_normal((count, 5)),
        rng.integers(0, 4, count),
        rng.integers(0, 3, count) if name == "query" else rng.integers(3, 6, count),
        parts=rng.standard_normal((count, PARTS, WIDTH)),
        visible=visible if soft else visible > 0,
        name=name,
    )


def some_features(seed: int = 0, *, share: float = 1.0, metric: str = "cosine", soft: bool = True) -> Features:
    rng = np.random.default_rng(seed)
    sides = some_side(rng, 13, soft=soft), some_side(rng, 29, soft=soft, name="gallery")
    return Features(*sides, metric=metric, part_share=share)


def slow_distance(query: Side, gallery: Side, row: int, column: int, metric: str, share: float) -> float:
    """One pair in float64, part by part."""

    def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        lengths = np.linalg.norm(a) * np.linalg.norm(b)
        return 1 - float(a @ b) / lengths if lengths else 1.0

    one, other = query.features[row].astype(float), gallery.features[column].astype(float)
    whole = cosine(one, other) if metric == "cosine" else float(np.linalg.norm(one - other))
    weight = total = 0.0
    for part in range(query.parts.shape[1]):
        seen = float(query.visible[row, part]) * float(gallery.visible[column, part])
        one, other = query.parts[row, part].astype(float), gallery.parts[column, part].astype(float)
        total += seen * (cosine(one, other) if metric == "cosine" else ((one - other) ** 2).sum())
        weight += seen
    if weight > 0:
        parts = total / weight if metric == "cosine" else (total / weight) ** 0.5
        return (1 - share) * whole + share * parts
    if share < 1:
        return whole
    if metric == "cosine":
        return 1.0
    own = [
        (one.visible[at] * (one.parts[at] ** 2).sum(axis=1)).sum() / max(one.visible[at].sum(), 1e-30)
        for one, at in ((query, row), (gallery, column))
    ]
    return float(np.sqrt(sum(own)))


def slow_matrix(features: Features) -> NDArray[np.float64]:
    query, gallery = features.query, features.gallery
    return np.array(
        [
            [
                slow_distance(query, gallery, row, column, features.metric, features.part_share)
                for column in range(len(gallery.features))
            ]
            for row in range(len(query.features))
        ]
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("soft", [True, False])
def test_blocks_equal_a_slow_loop_over_pairs_and_parts(metric: str, share: float, soft: bool) -> None:
    features = some_features(1, share=share, metric=metric, soft=soft)
    slow = slow_matrix(features)
    assert distance_matrix(features) == pytest.approx(slow, abs=2e-6)
    for rows in (1, 5):
        blocks = [block.distances.copy() for block in distance_blocks(features, rows=rows, columns=slice(3, 20))]
        assert np.concatenate(blocks) == pytest.approx(slow[:, 3:20], abs=2e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_the_distance_is_symmetric(metric: str) -> None:
    features = some_features(2, metric=metric, share=0.6)
    swapped = replace(features, query=features.gallery, gallery=features.query)
    assert pytest.approx(distance_matrix(features), abs=2e-6) == distance_matrix(swapped).T


@pytest.mark.parametrize("metric", METRICS)
def test_a_part_that_one_side_hides_counts_nowhere(metric: str) -> None:
    features = some_features(3, metric=metric)
    other = np.where(features.gallery.visible[:, :, None] == 0, 77.0, features.gallery.parts).astype(np.float32)
    changed = replace(features, gallery=replace(features.gallery, parts=other))
    assert np.array_equal(distance_matrix(changed), distance_matrix(features))


def test_how_visible_all_parts_are_together_does_not_matter() -> None:
    features = some_features(4)
    dimmer = replace(features, query=replace(features.query, visible=features.query.visible / 8))
    assert distance_matrix(dimmer) == pytest.approx(distance_matrix(features), abs=1e-6)


def test_crops_that_share_no_part_are_compared_as_whole_bodies_or_stand_at_right_angles() -> None:
    features = some_features(5, share=0.5)
    hidden = replace(features.query, visible=np.zeros_like(features.query.visible))
    none = replace(features, query=hidden)
    assert distance_matrix(none) == pytest.approx(distance_matrix(replace(none, part_share=0.0)), abs=1e-6)
    assert (distance_matrix(replace(none, part_share=1.0)) == 1).all()


def test_tiny_visibilities_lose_no_digits() -> None:
    features = some_features(6)
    small = np.float32(1e-3)
    query, gallery = (
        replace(one, visible=one.visible * np.where(np.arange(PARTS) == 0, 1, small).astype(np.float32))
        for one in (features.query, features.gallery)
    )
    faint = replace(features, query=query, gallery=gallery)
    assert distance_matrix(faint) == pytest.approx(slow_matrix(faint), abs=5e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_gallery_copies_are_exactly_as_far_as_each_other(metric: str) -> None:
    features = some_features(7, metric=metric, share=0.5)
    which = np.random.default_rng(0).integers(0, 29, 200)
    copies = replace(features, gallery=features.gallery.take(which))
    distances = distance_matrix(copies)
    first = {one: column for column, one in reversed(list(enumerate(which)))}
    assert np.array_equal(distances, distances[:, [first[one] for one in which]])


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_neighbours_over_parts_equal_a_full_sort_in_float64(share: float) -> None:
    features = some_features(8, share=share)
    everything = Features(*[_together(features)] * 2, part_share=share)
    slow = slow_matrix(everything)
    np.fill_diagonal(slow, -1)
    found = nearest(points_of(features), 7, look=lambda *_: None)
    chosen = np.take_along_axis(slow, found.order.astype(np.intp), axis=1)
    assert chosen[:, 1:] == pytest.approx(np.sort(slow, axis=1)[:, 1:7], abs=1e-6)
    assert found.halves[:, 1:] == pytest.approx(chosen[:, 1:], abs=2e-6)
    np.fill_diagonal(slow, 0)
    assert found.farthest == pytest.approx(slow.max(axis=1), abs=0.5)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_reranking_over_parts_equals_the_published_procedure_on_part_distances(share: float) -> None:
    features = some_features(9, share=share, soft=False)
    everything = Features(*[_together(features)] * 2, part_share=share)
    squared = 2 * slow_matrix(everything)
    ranked = np.round(squared, 12)
    np.fill_diagonal(ranked, -1)
    np.fill_diagonal(squared, 0)
    slow = slow_rerank_of(squared, np.argsort(ranked, axis=1, kind="stable"), 13, k1=6, k2=3, lambda_=0.3)
    assert rerank_features(features, k1=6, k2=3, lambda_=0.3) == pytest.approx(slow, abs=1e-5)


def test_without_parts_reranking_features_is_reranking_arrays() -> None:
    features = some_features(10, share=0.0)
    plain = rerank(features.query.features, features.gallery.features, k1=5, k2=2, lambda_=0.3)
    assert np.array_equal(rerank_features(features, k1=5, k2=2, lambda_=0.3), plain)


def test_parts_survive_a_features_file_and_the_user_chooses_what_is_compared(tmp_path) -> None:
    features = some_features(11, share=0.25)
    save_features(tmp_path / "f.npz", features)
    back = load_features(tmp_path / "f.npz")
    assert np.array_equal(back.query.parts, features.query.parts)
    assert np.array_equal(back.gallery.visible, features.gallery.visible)
    assert back.part_share == 0.25
    chosen = [choose_distance(back, name).part_share for name in ("global", "parts", "both", None)]
    assert chosen == [0.0, 1.0, 0.25, 0.25]
    assert choose_distance(back, "both", 0.75).part_share == 0.75
    assert score_features(choose_distance(back, "parts")).answered > 0
    with pytest.raises(BadRecipe, match=r"1\.5"):
        choose_distance(back, "both", 1.5)
    with pytest.raises(BadRecipe, match="goes with the distance `both`"):
        choose_distance(back, "parts", 0.5)
    without = replace(
        features,
        query=replace(features.query, parts=None, visible=None),
        gallery=replace(features.gallery, parts=None, visible=None),
        part_share=0.0,
    )
    assert choose_distance(without, None) is without
    with pytest.raises(BadFeatures, match="tell no parts apart"):
        choose_distance(without, "parts")


def test_parts_that_cannot_be_compared_are_refused_by_name(tmp_path) -> None:
    features = some_features(12)
    path = tmp_path / "f.npz"
    save_features(path, features)
    good = dict(np.load(path))

    def refused(match: str, **changed: object) -> None:
        kept = {**good, **changed}
        np.savez(path, **{key: value for key, value in kept.items() if value is not None})
        with pytest.raises(BadFeatures, match=match):
            load_features(path)

    refused("no `gallery_visible`", gallery_visible=None)
    refused("no `gallery_parts`, `gallery_visible`", gallery_parts=None, gallery_visible=None)
    refused("4 parts of width 6, the gallery 4 of 5", gallery_parts=good["gallery_parts"][:, :, :5])
    refused("query_parts has the shape", query_parts=good["query_parts"][:-1])
    refused("query_visible row 0 .* needs 0 to 1", query_visible=good["query_visible"] + 2)
    bad = good["query_parts"].copy()
    bad[3, 1, 2] = np.nan
    refused("query_parts row 3 .*nan", query_parts=bad)
    refused("part_share is 3", part_share=np.array(3.0))


def test_pooled_queries_weigh_their_parts_by_how_visible_they_are() -> None:
    parts = np.array([[[2.0, 0.0]], [[0.0, 3.0]]])
    query = side(np.eye(2), np.array([1, 1]), np.array([0, 0]), parts=parts, visible=np.array([[1.0], [0.5]]))
    pooled = pool_queries(Features(query, query, part_share=1.0))
    assert pooled.query.parts == pytest.approx(np.array([[[2 / 3, 1 / 3]]]))
    assert pooled.query.visible == pytest.approx(np.array([[0.75]]))
    assert pooled.part_share == 1.0


def _together(features: Features) -> Side:
    query, gallery = features.query, features.gallery
    return Side(*(np.concatenate([getattr(query, name), getattr(gallery, name)]) for name in Side.__slots__))
