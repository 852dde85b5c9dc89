"""Cells against a list of all triples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from planted import likeness_of, planted
from resight.diagnose import marks
from resight.diagnose.marks import cells_of
from resight.errors import BadFeatures
from resight.evaluate.ranking import score_features
from resight.search.distances import distance_matrix


def slow_cells(features, marks):
    """Exposure and loss of each pattern of conditions, triple by triple."""
    far = distance_matrix(features)
    found: dict[tuple[bool, ...], list[float]] = {}
    query, gallery = features.query, features.gallery
    for q in range(len(query.persons)):
        same = gallery.persons == query.persons[q]
        right = np.flatnonzero(same & (gallery.cameras != query.cameras[q]))
        for t in right:
            rank = 1 + ((far[q] < far[q, t]) & (~same | (gallery.cameras != query.cameras[q]))).sum()
            for f in np.flatnonzero(~same):
                bits = [*marks.query[q], *marks.gallery[t], *marks.gallery[f]]
                for one in marks.likenesses:
                    bits += [one.query[q] @ one.gallery[f] >= level for level in one.levels]
                bits += [one.query[q] @ one.gallery[t] < one.least for one in marks.likenesses]
                cell = found.setdefault(tuple(map(bool, bits)), [0.0, 0.0])
                cell[0] += 1 / len(right)
                cell[1] += (far[q, f] < far[q, t]) / len(right) / rank
    return found


def test_cells_do_not_depend_on_how_many_are_packed_together(monkeypatch):
    one = planted(4, harm=(0.5, 0.0), persons=6)
    whole = cells_of(one.features, one.marks)
    monkeypatch.setattr(marks, "BLOCK", 7)
    found = cells_of(one.features, one.marks)
    np.testing.assert_array_equal(found.patterns, whole.patterns)
    for kind in ("exposure", "loss"):
        np.testing.assert_array_equal(getattr(found, kind).toarray(), getattr(whole, kind).toarray())
    assert found.asked.all()


@pytest.mark.parametrize("alike", [0, 2])
def test_cells_hold_what_listing_all_triples_gives(alike):
    one = planted(1, harm=(0.5, 0.0), persons=6, cameras=3, pictures=2)
    likenesses = tuple(likeness_of(one.features, first=3 + n, levels=(0.2, 0.7)[: 2 - n]) for n in range(alike))
    marks = dataclasses.replace(one.marks, likenesses=likenesses)
    slow = slow_cells(one.features, marks)
    found = cells_of(one.features, marks)
    table = np.column_stack([found.exposure.sum(0), found.loss.sum(0)])
    assert {tuple(row.tolist()) for row in found.patterns} == set(slow)
    for row, values in zip(found.patterns.tolist(), table, strict=True):
        np.testing.assert_allclose(values, slow[tuple(row)], atol=1e-9)
    for kind in ("exposure", "loss"):  # seen by wrong picture, the same triples
        assert getattr(found, f"wrong_{kind}").sum() == pytest.approx(getattr(found, kind).sum())
    seen = found.wrong_patterns[found.wrong_pattern] * found.wrong_loss[:, None]
    wrong = [place for place, one in enumerate(found.factors) if one.where == "wrong" or one.level is not None]
    there = found.loss.sum(0) @ found.patterns
    np.testing.assert_allclose(seen.sum(0)[wrong], there[wrong])


def test_cells_sum_to_what_evaluate_calls_lost():
    one = planted(2, harm=(0.5, 0.0, 1.0))
    assert cells_of(one.features, one.marks).total == pytest.approx(1 - score_features(one.features).mean_ap, abs=1e-9)


def test_conditions_of_other_pictures_are_refused():
    one = planted(3, persons=6)
    wrong = dataclasses.replace(one.marks, query=one.marks.query[1:])
    with pytest.raises(BadFeatures, match="query pictures have conditions"):
        cells_of(one.features, wrong)
    with pytest.raises(BadFeatures, match="pools queries"):
        cells_of(one.features, one.marks, protocol="multi-query")
