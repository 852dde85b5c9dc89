from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from resight.losses_parts import (
    pair_loss,
    part_distance,
    part_triplet,
    ranking_loss,
    region_triplet,
    soft_cross_entropy,
    visibility_loss,
)

SEEDS = st.integers(0, 2**31)
PERSONS = st.lists(st.integers(0, 3), min_size=2, max_size=9)


def some(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_part_distance(a: torch.Tensor, va: torch.Tensor, b: torch.Tensor, vb: torch.Tensor) -> torch.Tensor:
    found = torch.zeros(len(a), len(b))
    for i in range(len(a)):
        for j in range(len(b)):
            total, weight = 0.0, 0.0
            for part in range(a.shape[1]):
                shared = float(va[i, part] * vb[j, part])
                gap = F.normalize(a[i, part], dim=0) - F.normalize(b[j, part], dim=0)
                total += shared * float(gap.square().sum())
                weight += shared
            found[i, j] = math.sqrt(total / weight) if weight > 1e-9 else math.sqrt(2)
    return found


@given(SEEDS, st.booleans())
def test_part_distance_equals_the_slow_loop(seed: int, all_or_nothing: bool) -> None:
    a, b = some(seed, 4, 6, 3), some(seed + 1, 5, 6, 3)
    va, vb = some(seed + 2, 4, 6).sigmoid(), some(seed + 3, 5, 6).sigmoid()
    if all_or_nothing:
        va, vb = va.round(), vb.round()
    found, shared = part_distance(a, va, b, vb)
    assert torch.allclose(found, slow_part_distance(a, va, b, vb), atol=2e-3)
    assert torch.allclose(shared, va @ vb.T)


def test_part_distance_is_symmetric_and_ignores_parts_that_one_side_hides() -> None:
    parts, visible = some(0, 4, 6, 3), torch.ones(4, 6)
    visible[0, 2] = 0
    found, _ = part_distance(parts, visible, parts, visible)
    assert torch.allclose(found, found.T, atol=1e-4)
    changed = parts.clone()
    changed[0, 2] = 1e6
    assert torch.equal(part_distance(changed, visible, parts, visible)[0], found)


def test_crops_that_share_no_part_are_at_right_angles() -> None:
    parts = some(0, 2, 2, 3)
    visible = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert part_distance(parts, visible, parts, visible)[0][0, 1].item() == pytest.approx(math.sqrt(2))


def slow_part_triplet(parts: torch.Tensor, visible: torch.Tensor, persons: list[int], margin: float) -> list[float]:
    distance = slow_part_distance(parts, visible, parts, visible)
    known = visible @ visible.T > 1e-9
    values = []
    for a in range(len(parts)):
        same = [float(distance[a, i]) for i in range(len(parts)) if persons[i] == persons[a] and known[a, i]]
        other = [float(distance[a, i]) for i in range(len(parts)) if persons[i] != persons[a] and known[a, i]]
        values.append(max(0.0, max(same) - min(other) + margin) if len(same) > 1 and other else 0.0)
    return values


@given(PERSONS, SEEDS)
def test_part_triplets_equal_the_slow_loop(persons: list[int], seed: int) -> None:
    parts = some(seed, len(persons), 6, 3)
    visible = some(seed + 1, len(persons), 6).sigmoid().round()
    visible[:, 0] = 0.3  # everybody shares something with himself
    found = part_triplet(parts, visible, torch.tensor(persons), margin=0.3)
    assert found.tolist() == pytest.approx(slow_part_triplet(parts, visible, persons, 0.3), abs=2e-3)


def test_a_part_that_nobody_shows_gets_no_gradient_and_visibility_gets_none_from_triplets() -> None:
    """A network must not learn to hide what it finds hard."""
    parts, visible = some(0, 4, 3, 5).requires_grad_(), torch.ones(4, 3)
    visible[:, 1] = 0
    visible.requires_grad_()
    part_triplet(parts, visible, torch.tensor([0, 0, 1, 1]), margin=0.5).sum().backward()
    assert parts.grad is not None
    assert not parts.grad[:, 1].any()
    assert parts.grad[:, 0].any()
    assert visible.grad is None


def test_everybody_hidden_costs_nothing_and_stays_finite() -> None:
    parts = some(0, 4, 3, 5).requires_grad_()
    loss = part_triplet(parts, torch.zeros(4, 3), torch.tensor([0, 0, 1, 1]), margin=0.5)
    loss.sum().backward()
    assert not loss.any()
    assert torch.isfinite(parts.grad).all()


def slow_ranking(rows: torch.Tensor, persons: list[int], slack: float, attraction: float, active: bool) -> list[float]:
    unit = F.normalize(rows, dim=1)
    values = []
    for k in range(len(rows)):
        positive = [float(unit[k] @ unit[i]) for i in range(len(rows)) if persons[i] == persons[k] and i != k]
        negative = [float(unit[k] @ unit[j]) for j in range(len(rows)) if persons[j] != persons[k]]
        if not positive:
            values.append(0.0)
            continue
        hinges = [max(0.0, s - min(positive) + slack) for s in negative]
        if active:
            hinges = [hinge for hinge in hinges if hinge > 0]
        pull = sum((s - 1) ** 2 for s in positive) / len(positive)
        values.append(math.log(1 + sum(math.exp(hinge) for hinge in hinges)) + attraction / 2 * pull)
    return values


@given(PERSONS, SEEDS, st.booleans())
def test_the_ranking_loss_equals_the_slow_loop(persons: list[int], seed: int, active: bool) -> None:
    rows = some(seed, len(persons), 4)
    found = ranking_loss(*(rows, torch.tensor(persons)), slack=0.15, attraction=2.0, nearest=0, only_active=active)
    assert found.tolist() == pytest.approx(slow_ranking(rows, persons, 0.15, 2.0, active), abs=1e-4)


def easy_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """One person's 10 equal pictures and 54 others, all at right angles to it."""
    rows = torch.zeros(64, 55)
    rows[:10, 0] = 1
    rows[10:, 1:] = torch.eye(54)
    persons = torch.tensor([0] * 10 + list(range(1, 55)))
    return rows, persons


def test_the_floor_of_the_ranking_loss_is_log_55_with_54_easy_negatives() -> None:
    """The hinge is inside the exponential: a satisfied negative adds exp(0) = 1, not 0."""
    rows, persons = easy_batch()
    settings = {"slack": 0.15, "attraction": 2.0}
    whole = ranking_loss(rows, persons, nearest=0, only_active=False, **settings)
    assert whole[:10].tolist() == pytest.approx([math.log(55)] * 10, abs=1e-5)
    assert math.log(55) == pytest.approx(4.007, abs=1e-3)
    few = ranking_loss(rows, persons, nearest=5, only_active=True, **settings)
    assert few[:10].tolist() == pytest.approx([0.0] * 10, abs=1e-5)


def test_easy_negatives_thin_out_the_gradient_of_the_active_one_unless_they_are_left_out() -> None:
    rows, persons = easy_batch()
    rows[10, 0] = 2.0  # one hard negative
    strengths = []
    for only_active in (False, True):
        given_rows = rows.clone().requires_grad_()
        ranking_loss(*(given_rows, persons), slack=0.15, attraction=2.0, nearest=0, only_active=only_active)[
            :10
        ].sum().backward()
        strengths.append(given_rows.grad[10].norm().item())
    assert strengths[1] > 10 * strengths[0]


def test_the_nearest_negatives_are_the_nearest() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0]])
    persons = torch.tensor([0, 0, 1, 2])
    settings = {"slack": 0.15, "attraction": 0.0, "only_active": False}
    alone = ranking_loss(rows[:3], persons[:3], nearest=0, **settings)
    chosen = ranking_loss(rows, persons, nearest=1, **settings)
    assert chosen[:2].tolist() == pytest.approx(alone[:2].tolist(), abs=1e-6)


def test_a_batch_of_one_person_leaves_only_the_pull() -> None:
    rows = torch.ones(3, 2).requires_grad_()
    loss = ranking_loss(rows, torch.zeros(3).long(), slack=0.15, attraction=2.0, nearest=0, only_active=False)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    assert torch.isfinite(rows.grad).all()


@given(SEEDS)
def test_region_triplets_equal_the_formula(seed: int) -> None:
    full, body, background = some(seed, 3, 4), some(seed + 1, 3, 4), some(seed + 2, 3, 4)
    expected = [
        math.dist(f, b) ** 2 + max(10 - math.dist(f, g) ** 2, 0)
        for f, b, g in zip(full.tolist(), body.tolist(), background.tolist(), strict=True)
    ]
    assert region_triplet(full, body, background, margin=10.0).tolist() == pytest.approx(expected, rel=1e-4)


@given(PERSONS, SEEDS)
def test_pairs_equal_the_slow_loop(persons: list[int], seed: int) -> None:
    rows = some(seed, len(persons), 4)
    expected = []
    for a in range(len(rows)):
        squares = [math.dist(rows[a], row) ** 2 for row in rows]
        near = [squares[i] for i in range(len(rows)) if persons[i] == persons[a] and i != a]
        far = [max(10 - squares[i], 0) for i in range(len(rows)) if persons[i] != persons[a]]
        expected.append((sum(near) / max(len(near), 1) + sum(far) / max(len(far), 1)) / 2)
    assert pair_loss(rows, torch.tensor(persons), margin=10.0).tolist() == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_hard_classes_make_soft_cross_entropy_the_usual_one_and_the_unknown_rest_costs_nothing() -> None:
    logits, labels = some(0, 2, 5, 3, 3), torch.randint(0, 5, (2, 3, 3))
    target = F.one_hot(labels, 5).permute(0, 3, 1, 2).float()
    expected = F.cross_entropy(logits, labels, reduction="none")
    assert torch.allclose(soft_cross_entropy(logits, target), expected, atol=1e-6)
    assert not soft_cross_entropy(logits, target * 0).any()


def test_visibility_costs_least_where_it_is_right_and_is_finite_at_both_ends() -> None:
    target = torch.tensor([[0.0, 0.3, 1.0]])
    right = visibility_loss(target, target)
    assert (right < visibility_loss(torch.tensor([[0.1, 0.5, 0.8]]), target)).all()
    assert torch.isfinite(visibility_loss(1 - target.round(), target.round())).all()
