"""Slices of unexplained loss: a planted one is found, chance is not."""

from __future__ import annotations

import numpy as np

from resight.diagnose.slices import query_properties, unexplained_slices


def some(planted, seed):
    rng = np.random.default_rng(seed)
    persons, cameras = np.repeat(np.arange(60), 4), np.tile(np.arange(4), 60)
    loss = rng.random(240) * 0.3 + np.where(cameras == 2, planted, 0)
    return loss, persons, query_properties(cameras, [3] * 240, {"light": rng.random(240)})


def test_a_camera_that_loses_more_comes_first():
    first, *_ = unexplained_slices(*some(0.2, 0))
    assert (first.kind, first.name, first.queries) == ("camera", "2", 60)
    assert first.mean - first.rest > 0.15


def test_where_nothing_differs_slices_are_rare():
    found = sum(bool(unexplained_slices(*some(0.0, seed))) for seed in range(40))
    assert found <= 6


def test_nothing_to_compare_gives_no_slices():
    assert unexplained_slices(np.zeros(3), np.arange(3), {}) == ()
