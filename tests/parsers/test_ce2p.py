from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from resight.errors import UnknownName
from resight.losses import pixel_cross_entropy
from resight.nn.parsing import Parsing
from resight.parsers.ce2p import CE2P, ce2p_objective, edge_loss, edge_targets
from resight.types import IGNORE


@pytest.fixture(scope="module")
def small() -> CE2P:
    torch.manual_seed(0)
    return CE2P(classes=7, backbone="resnet18").eval()


def slow_edges(labels: np.ndarray) -> np.ndarray:
    """Pixel by pixel, as section 7 words it."""
    high, wide = labels.shape
    start = np.zeros_like(labels)
    for y in range(high):
        for x in range(wide):
            for down, right in ((-1, 0), (0, 1), (1, 1), (1, -1)):
                if 0 <= y + down < high and 0 <= x + right < wide:
                    there = labels[y + down, x + right]
                    start[y, x] |= labels[y, x] != there and IGNORE not in (labels[y, x], there)
    found = np.zeros_like(labels)
    for y in range(high):
        for x in range(wide):
            found[y, x] = start[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any()
            if labels[y, x] == IGNORE:
                found[y, x] = IGNORE
    return found


@given(st.data())
def test_edge_targets_equal_the_slow_loop(data: st.DataObject) -> None:
    high, wide = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    values = st.sampled_from([0, 1, 2, IGNORE])
    labels = np.array(data.draw(st.lists(values, min_size=high * wide, max_size=high * wide))).reshape(high, wide)
    found = edge_targets(torch.from_numpy(labels)[None])[0].numpy()
    np.testing.assert_array_equal(found, slow_edges(labels))


def test_edges_are_those_of_the_active_labels() -> None:
    """Once arm and leg are one class, there is no border between them: stored edges of 20 classes would show one."""
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    labels[:, :, 5:] = 3
    assert (edge_targets(labels) == 1).any()
    assert not (edge_targets(torch.tensor([0, 0, 0, 0])[labels]) == 1).any()


def test_padding_is_neither_border_nor_plain() -> None:
    labels = torch.ones(1, 8, 8, dtype=torch.uint8)
    labels[:, 5:] = IGNORE
    targets = edge_targets(labels)
    assert (targets[:, 5:] == IGNORE).all()
    assert (targets[:, :5] == 0).all()
    scores = torch.randn(1, 2, 8, 8)
    other = scores.clone()
    other[:, :, 5:] += 9
    assert edge_loss(scores, targets) == edge_loss(other, targets)


@given(st.integers(0, 99))
def test_edge_loss_is_the_weighted_mean_with_each_side_weighing_the_other_sides_share(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 2, (2, 5, 4), generator=rng)
    targets[0, 0, 0], targets[0, 0, 1] = 0, 1
    targets[1, 1] = IGNORE
    scores = torch.randn(2, 2, 5, 4, generator=rng)
    border, plain = int((targets == 1).sum()), int((targets == 0).sum())
    weights = torch.tensor([border, plain]) / (border + plain)
    expected = F.cross_entropy(scores, targets, weights, ignore_index=IGNORE)
    torch.testing.assert_close(edge_loss(scores, targets), expected)


@pytest.mark.parametrize("value", [0, 1, IGNORE])
def test_a_batch_of_one_kind_of_pixel_costs_nothing_instead_of_nan(value: int) -> None:
    scores = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = edge_loss(scores, torch.full((1, 4, 4), value))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(scores.grad).all()


@pytest.mark.slow
def test_parameters_are_exactly_those_of_the_released_network() -> None:
    with torch.device("meta"):
        network = CE2P(classes=20)
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert sum(count.values()) == 66_723_928
    assert round(count["backbone"] / 1e6, 2) == 42.62
    assert round(count["context"] / 1e6, 2) == 23.07


@pytest.mark.parametrize(
    ("size", "grids"),
    [((473, 473), [(119, 119), (60, 60), (30, 30), (30, 30)]), ((384, 128), [(96, 32), (48, 16), (24, 8), (24, 8)])],
)
def test_stages_have_the_sizes_of_the_paper_and_height_stays_height(
    small: CE2P, size: tuple[int, int], grids: list[tuple[int, int]]
) -> None:
    """A picture 384 high and 128 wide was once trained lying down, since a resize took width before height."""
    with torch.inference_mode():
        image = torch.zeros(1, 3, *size)
        assert [tuple(maps.shape[2:]) for maps in small.backbone.stages(image)] == grids
        found = small(image)
    assert found.logits.shape == (1, 7, *grids[0])
    assert found.side[0].shape == (1, 7, *grids[0])
    assert found.edge is not None
    assert found.edge.shape == (1, 2, *grids[0])


def test_what_the_upper_half_shows_moves_the_upper_half_of_the_answer() -> None:
    torch.manual_seed(0)
    network = CE2P(classes=3, backbone="resnet18", context=False).eval()
    with torch.inference_mode():
        plain, lit = torch.zeros(1, 3, 192, 64), torch.zeros(1, 3, 192, 64)
        lit[:, :, :48] = 1
        rows = (network(lit).logits - network(plain).logits).abs().mean((0, 1, 3))
    assert rows.shape == (48,)
    assert rows[:16].mean() > 3 * rows[-16:].mean()


@pytest.mark.parametrize(
    "switches", [(False, False, False), (True, False, False), (True, True, False), (False, True, True)]
)
def test_each_component_can_be_left_out(switches: tuple[bool, bool, bool]) -> None:
    context, high_resolution, edge = switches
    network = CE2P(classes=4, backbone="resnet18", context=context, high_resolution=high_resolution, edge=edge)
    found = network(torch.rand(2, 3, 64, 32))
    assert found.logits.shape == (2, 4, *((16, 8) if high_resolution or edge else (4, 2)))
    assert (found.edge is not None) == edge
    assert len(found.side) == edge
    labels = torch.randint(0, 4, (2, 64, 32))
    losses = ce2p_objective(found, labels, pixel_loss=pixel_cross_entropy)
    assert set(losses) == ({"parsing", "first parsing", "edge"} if edge else {"parsing"})
    torch.stack(tuple(losses.values())).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_objective_is_three_losses_of_weight_one_at_the_size_of_the_labels() -> None:
    torch.manual_seed(1)
    found = Parsing(logits=torch.randn(2, 4, 5, 3), side=(torch.randn(2, 4, 5, 3),), edge=torch.randn(2, 2, 5, 3))
    labels = torch.randint(0, 4, (2, 3, 2)).repeat_interleave(6, 1)[:, :17].repeat_interleave(5, 2)[:, :, :9]
    labels[0, :4] = IGNORE
    losses = ce2p_objective(found, labels, pixel_loss=pixel_cross_entropy)

    def slow(scores: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        wide = F.interpolate(scores, (17, 9), mode="bilinear", align_corners=True)
        return F.cross_entropy(wide, wanted, weights, ignore_index=IGNORE)

    edges = edge_targets(labels)
    border, plain = (edges == 1).sum(), (edges == 0).sum()
    torch.testing.assert_close(losses["parsing"], slow(found.logits, labels))
    torch.testing.assert_close(losses["first parsing"], slow(found.side[0], labels))
    weights = torch.stack([border, plain]) / (border + plain)
    torch.testing.assert_close(losses["edge"], slow(found.edge, edges, weights))


def test_no_label_at_all_costs_nothing_instead_of_nan() -> None:
    found = Parsing(logits=torch.randn(1, 4, 5, 3), edge=torch.randn(1, 2, 5, 3))
    losses = ce2p_objective(found, torch.full((1, 9, 9), IGNORE), pixel_loss=pixel_cross_entropy)
    assert {name: loss.item() for name, loss in losses.items()} == {"parsing": 0, "edge": 0}


def test_another_loss_per_pixel_can_be_handed_in() -> None:
    found = Parsing(logits=torch.randn(1, 4, 5, 3))
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    losses = ce2p_objective(found, labels, pixel_loss=lambda scores, _: scores.sum(1) * 0 + 2)
    assert losses["parsing"].item() == 2


def test_every_resize_aligns_the_corners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the old code dropped to half of its mean IoU on newer versions of PyTorch."""
    seen = []
    plain = F.interpolate

    def watched(*args: object, **keywords: object) -> torch.Tensor:
        seen.append((keywords["mode"], keywords["align_corners"]))
        return plain(*args, **keywords)

    monkeypatch.setattr(F, "interpolate", watched)
    network = CE2P(classes=3, backbone="resnet18").eval()
    found = network(torch.rand(1, 3, 64, 32))
    ce2p_objective(found, torch.zeros(1, 64, 32, dtype=torch.long), pixel_loss=pixel_cross_entropy)
    assert set(seen) == {("bilinear", True)}
    seen.clear()
    CE2P(classes=3, backbone="resnet18", published=True).eval()(torch.rand(1, 3, 64, 32))
    assert seen.count(("bilinear", False)) == 1


def test_the_activation_survives_synchronised_batch_norm() -> None:
    network = nn.SyncBatchNorm.convert_sync_batchnorm(CE2P(classes=3, backbone="resnet18"))
    leaks = [module for module in network.modules() if isinstance(module, nn.LeakyReLU)]
    assert len(leaks) == 4 + 1 + 2 + 2 + 3 + 1
    assert {leak.negative_slope for leak in leaks} == {0.01}
    assert not any(type(module) is nn.BatchNorm2d for module in network.modules())


def test_an_unknown_backbone_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean `resnet101`"):
        CE2P(classes=3, backbone="resnet-101")
