from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resight.losses import hard_triplet, identity_loss, mean_where, pairwise_distance, set_loss


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
    found = hard_triplet(rows, torch.tensor(persons), margin=margin)
    assert found.tolist() == pytest.approx(slow_hard_triplet(rows, persons, margin), abs=1e-4)


@given(st.floats(0.1, 10), st.integers(0, 2**31))
def test_scaling_rows_and_margin_scales_the_triplet_loss(scale: float, seed: int) -> None:
    rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
    persons = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    once = hard_triplet(rows, persons, margin=0.3)
    scaled = hard_triplet(rows * scale, persons, margin=0.3 * scale)
    assert scaled.tolist() == pytest.approx((once * scale).tolist(), rel=1e-3, abs=1e-3)


def test_a_batch_of_one_person_costs_nothing_and_has_a_finite_gradient() -> None:
    rows = torch.ones(4, 3, requires_grad=True)
    persons = torch.zeros(4, dtype=torch.int64)
    loss = hard_triplet(rows, persons, margin=0.3).mean()
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(rows.grad).all()


def test_equal_rows_have_a_finite_gradient() -> None:
    rows = torch.ones(4, 3, requires_grad=True)
    persons = torch.tensor([0, 0, 1, 1])
    hard_triplet(rows, persons, margin=0.3).sum().backward()
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


def test_half_precision_scores_cost_what_float_scores_cost() -> None:
    logits = torch.tensor([[60000.0, -60000.0, 0.0], [0.1, 0.2, 0.3]]).half()
    found = identity_loss(logits, torch.tensor([1, 2]), smoothing=0.1)
    assert found.dtype == torch.float32
    assert torch.equal(found, identity_loss(logits.float(), torch.tensor([1, 2]), smoothing=0.1))
    assert found.isfinite().all()
    assert found[0] > 65504  # more than half precision holds


def slow_set_loss(logits: torch.Tensor, labels: torch.Tensor, sets: torch.Tensor) -> torch.Tensor:
    p = logits.double().softmax(1)
    found = torch.zeros(labels.shape, dtype=torch.float64)
    for b, y, x in itertools.product(*map(range, labels.shape)):
        if labels[b, y, x] != 255:
            found[b, y, x] = -math.log(sum(p[b, k, y, x].item() for k in range(p.shape[1]) if sets[labels[b, y, x], k]))
    return found


SETS = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 1]]).bool()


@given(st.integers(0, 2**31), st.floats(0.1, 20))
def test_the_loss_of_sets_equals_the_slow_loop(seed: int, spread: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(2, 4, 5, 3, generator=rng)
    labels = torch.randint(0, 7, (2, 5, 3), generator=rng).to(torch.uint8)
    labels[labels == 6] = 255
    found = set_loss(logits, labels, SETS)
    assert torch.allclose(found.double(), slow_set_loss(logits, labels.long(), SETS), atol=1e-4)


def test_sets_of_one_class_are_cross_entropy() -> None:
    logits = torch.randn(2, 4, 5, 3)
    labels = torch.randint(0, 4, (2, 5, 3))
    labels[0, 0] = 255
    expected = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255, reduction="none")
    assert torch.equal(set_loss(logits, labels.to(torch.uint8), SETS), expected)


def test_the_set_of_all_classes_costs_nothing_and_logits_may_be_huge() -> None:
    logits = 1e4 * torch.randn(1, 4, 2, 2)
    labels = torch.zeros(1, 2, 2, dtype=torch.uint8)
    assert set_loss(logits, labels, torch.ones(1, 4).bool()).abs().max() < 1e-3
    assert torch.isfinite(set_loss(logits, labels + 5, SETS)).all()


def test_the_loss_of_sets_has_the_right_gradient_and_none_where_ignored() -> None:
    labels = torch.tensor([[[4, 5], [0, 255]]], dtype=torch.uint8)
    logits = torch.randn(1, 4, 2, 2, requires_grad=True)
    set_loss(logits, labels, SETS).sum().backward()
    p = logits.detach().double().softmax(1)
    inside = SETS[labels.long().clamp_max(5)].movedim(-1, 1) * p
    expected = (p - inside / inside.sum(1, keepdim=True)) * (labels != 255)[:, None]
    assert torch.allclose(logits.grad.double(), expected, atol=1e-6)


def test_a_batch_in_which_everything_is_ignored_costs_nothing() -> None:
    logits = torch.randn(1, 4, 2, 2, requires_grad=True)
    loss = set_loss(logits, torch.full((1, 2, 2), 255, dtype=torch.uint8), SETS)
    loss.sum().backward()
    assert loss.sum() == 0
    assert not logits.grad.any()


def test_a_mean_counts_what_is_told_and_is_0_where_nothing_is() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 10.0]], requires_grad=True)
    told = torch.tensor([[True, False], [True, False]])
    assert mean_where(values, told) == mean_where(values, told.float()) == 2
    nothing = mean_where(values, told & False)
    nothing.backward()
    assert nothing == 0
    assert values.grad is not None
    assert (values.grad == 0).all()
