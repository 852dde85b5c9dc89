from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resight.losses import hard_triplet, identity_loss, pairwise_distance


def slow_hard_triplet(rows: torch.Tensor, persons: list[int], margin: float) -> list[float]:
    values = []
    for a, anchor in enumerate(rows):
        same = [math.dist(anchor, rows[i]) for i in range(len(rows)) if persons[i] == persons[a] and i != a]
        other = [math.dist(anchor, rows[i]) for i in range(len(rows)) if persons[i] != persons[a]]
        values.append(max(0.0, max(same) - min(other) + margin) if same and other else 0.0)
    return values


@given(st.lists(st.integers(0, 3), min_size=2, max_size=10), st.integers(0, 2**31), st.floats(0.01, 2))
def test_hard_triplet_equals_the_slow_loop(persons: list[int], seed: int, margin: float) -> None:
    rows = torch.randn(len(persons), 5, generator=torch.Generator().manual_seed(seed))
    found = hard_triplet(rows, torch.tensor(persons), rows, torch.tensor(persons), margin=margin)
    assert found.tolist() == pytest.approx(slow_hard_triplet(rows, persons, margin), abs=1e-4)


@given(st.floats(0.1, 10), st.integers(0, 2**31))
def test_scaling_rows_and_margin_scales_the_triplet_loss(scale: float, seed: int) -> None:
    rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
    persons = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    once = hard_triplet(rows, persons, rows, persons, margin=0.3)
    scaled = hard_triplet(rows * scale, persons, rows * scale, persons, margin=0.3 * scale)
    assert scaled.tolist() == pytest.approx((once * scale).tolist(), rel=1e-3, abs=1e-3)


def test_a_batch_of_one_person_costs_nothing_and_has_a_finite_gradient() -> None:
    rows = torch.ones(4, 3, requires_grad=True)
    persons = torch.zeros(4, dtype=torch.int64)
    loss = hard_triplet(rows, persons, rows, persons, margin=0.3).mean()
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(rows.grad).all()


def test_equal_rows_have_a_finite_gradient() -> None:
    rows = torch.ones(4, 3, requires_grad=True)
    persons = torch.tensor([0, 0, 1, 1])
    hard_triplet(rows, persons, rows, persons, margin=0.3).sum().backward()
    assert torch.isfinite(rows.grad).all()


def test_distances_are_symmetric_and_never_negative() -> None:
    rows = torch.randn(20, 2048) * 100
    distance = pairwise_distance(rows, rows)
    assert torch.allclose(distance, distance.T, atol=1e-2)
    assert (distance >= 0).all()


def test_smoothing_moves_the_target_by_its_share() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    log = torch.log_softmax(logits, 1)[0]
    found = identity_loss(logits, torch.tensor([0]), smoothing=0.3)
    assert found.item() == pytest.approx(-(0.8 * log[0] + 0.1 * log[1] + 0.1 * log[2]).item(), rel=1e-5)
