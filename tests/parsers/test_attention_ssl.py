from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from resight.data.labels import LIP20
from resight.errors import BadLabels, UnknownName
from resight.losses import pixel_cross_entropy
from resight.nn.parsing import Parsing
from resight.nn.vgg import VGG16
from resight.parsers.attention_ssl import (
    FLOOR,
    JOINTS,
    SCALES,
    AttentionSSL,
    attention_ssl_objective,
    joint_maps,
    joint_table,
    nearest_labels,
    structure_weights,
)
from resight.train.starting import load_backbone, of_our_grey_levels
from resight.types import IGNORE

PARTS7 = ("background", "head", "clothes", "left arm", "right arm", "left leg", "right leg")
PARTS8 = ("background", "head", "upper", "lower", "left arm", "right arm", "left leg", "right leg")
LIP_JOINTS = [{1, 2, 4, 13}, {5, 7, 11}, {9, 12}, {14}, {15}, {16}, {17}, {18}, {19}]


def slow_maps(labels: np.ndarray, joints: list[set[int]]) -> np.ndarray:
    """Section 5's maps, one picture, one joint, one pixel at a time."""
    high, wide = labels.shape
    found = np.zeros((len(joints), high, wide))
    for joint, classes in enumerate(joints):
        places = [(y, x) for y in range(high) for x in range(wide) if int(labels[y, x]) in classes]
        if not places:
            continue
        centre_y, centre_x = (int(sum(values) / len(places)) for values in zip(*places, strict=True))
        for y in range(high):
            for x in range(wide):
                square = (y - centre_y) ** 2 + (x - centre_x) ** 2
                found[joint, y, x] = 4 / math.sqrt(2 * math.pi) * math.exp(-square / 2)
    return found


def as_scores(labels: Tensor, classes: int) -> Tensor:
    return F.one_hot(labels.clamp_max(classes - 1), classes).movedim(-1, 1).float() * 9


def test_the_nine_joints_are_those_of_the_paper_on_lip() -> None:
    table = joint_table(LIP20.classes)
    assert [set(row.nonzero().flatten().tolist()) for row in table] == LIP_JOINTS
    in_none = {LIP20.classes[number] for number in (~table.any(0)).nonzero().flatten().tolist()}
    assert in_none == {"background", "glove", "dress", "socks", "jumpsuits"}


@pytest.mark.parametrize(("classes", "there"), [(PARTS7, 6), (PARTS8, 7)])
def test_joints_are_those_of_the_active_label_set(classes: tuple[str, ...], there: int) -> None:
    table = joint_table(classes)
    assert table.shape == (9, len(classes))
    assert int(table.any(1).sum()) == there
    for name in classes[1:]:
        assert table[:, classes.index(name)].sum() == 1, name
    assert table[list(JOINTS).index("left arm"), classes.index("left arm")]


def test_a_label_set_without_any_joint_is_refused() -> None:
    with pytest.raises(BadLabels, match="belongs to a joint"):
        joint_table(("background", "bag"))


@given(st.integers(0, 999))
def test_joint_maps_equal_the_slow_loop_for_each_picture_of_a_batch(seed: int) -> None:
    """The old layer kept one picture's sums for the next: right at batch 1 alone."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 20, (3, 6, 5), generator=rng)
    labels[torch.rand(labels.shape, generator=rng) < 0.3] = IGNORE
    found = joint_maps(labels, joint_table(LIP20.classes))
    for row in range(3):
        np.testing.assert_allclose(found[row].numpy(), slow_maps(labels[row].numpy(), LIP_JOINTS), atol=1e-6)


def test_a_joint_in_the_corner_is_a_joint_and_a_missing_one_is_an_empty_map() -> None:
    labels = torch.zeros(1, 6, 6, dtype=torch.long)
    labels[0, 0, 0] = 14
    maps = joint_maps(labels, joint_table(LIP20.classes))[0]
    arm = list(JOINTS).index("left arm")
    assert maps[arm, 0, 0] == pytest.approx(4 / math.sqrt(2 * math.pi), abs=1e-6)
    assert maps.sum((1, 2)).nonzero().flatten().tolist() == [arm]


def test_labels_that_are_no_class_belong_to_no_joint() -> None:
    labels = torch.full((1, 4, 4), 23, dtype=torch.uint8)  # a set of classes, behind the last class
    labels[0, :2] = IGNORE
    assert joint_maps(labels, joint_table(LIP20.classes)).sum() == 0


@given(st.integers(0, 999))
def test_a_picture_weighs_the_same_alone_and_in_a_batch(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    labels, scores = torch.randint(0, 7, (3, 6, 5), generator=rng), torch.randn(3, 7, 6, 5, generator=rng)
    table = joint_table(PARTS7)
    together = structure_weights(scores, labels, table)
    alone = torch.cat([structure_weights(scores[[row]], labels[[row]], table) for row in range(3)])
    torch.testing.assert_close(together, alone)
    groups = [set(row.nonzero().flatten().tolist()) for row in table]
    for row in range(3):
        apart = slow_maps(scores[row].argmax(0).numpy(), groups) - slow_maps(labels[row].numpy(), groups)
        assert float(together[row]) == pytest.approx(max(FLOOR, 0.05 * 0.5 * (apart**2).sum()), rel=1e-4)


def test_joints_that_agree_still_teach() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, 1:3, 1:3] = 1
    scores = as_scores(labels, 7).requires_grad_()
    assert structure_weights(scores, labels, joint_table(PARTS7)).tolist() == pytest.approx([FLOOR])
    found = Parsing(logits=scores, side=(scores,) * 3)
    sum(attention_ssl_objective(found, labels, pixel_loss=pixel_cross_entropy, classes=PARTS7).values()).backward()
    assert scores.grad.abs().sum() > 0


def test_an_answer_of_background_alone_has_a_bounded_weight() -> None:
    labels = torch.zeros(1, 24, 24, dtype=torch.long)
    for number, name in enumerate(PARTS7[1:], start=1):
        labels[0, 3 * number : 3 * number + 2, 10:12] = PARTS7.index(name)
    weight = structure_weights(as_scores(torch.zeros_like(labels), 7), labels, joint_table(PARTS7))
    one_joint = 0.05 * 0.5 * (4 / math.sqrt(2 * math.pi)) ** 2 * math.pi
    assert float(weight) == pytest.approx(6 * one_joint, rel=1e-3)


def test_the_weight_is_a_number_without_gradient_on_all_four_losses() -> None:
    torch.manual_seed(0)
    scores = [torch.randn(2, 7, 6, 5, requires_grad=True) for _ in range(4)]
    labels = torch.randint(0, 7, (2, 6, 5))
    found = Parsing(logits=scores[0], side=tuple(scores[1:]))
    weights = structure_weights(scores[0], labels, joint_table(PARTS7))
    assert not weights.requires_grad
    losses = attention_ssl_objective(found, labels, pixel_loss=pixel_cross_entropy, classes=PARTS7)
    assert list(losses) == ["fused", "scale 1", "scale 0.75", "scale 0.5"]
    for loss, own in zip(losses.values(), scores, strict=True):
        each = F.cross_entropy(own, labels, reduction="none").mean((1, 2))
        torch.testing.assert_close(loss, (weights * each).mean())


def test_a_picture_without_labels_costs_nothing_instead_of_nan() -> None:
    scores = torch.randn(1, 7, 6, 5)
    found = Parsing(logits=scores, side=(scores,) * 3)
    labels = torch.full((1, 6, 5), IGNORE)
    losses = attention_ssl_objective(found, labels, pixel_loss=pixel_cross_entropy, classes=PARTS7)
    assert {loss.item() for loss in losses.values()} == {0}


def test_joint_maps_mirror_with_the_labels_but_for_the_cut_to_whole_cells() -> None:
    labels = torch.zeros(1, 7, 9, dtype=torch.long)
    labels[0, 1:4, 2:5] = 3  # centred on a cell
    swap = torch.tensor([0, 1, 2, 4, 3, 6, 5])
    table = joint_table(PARTS7)
    left, right = list(JOINTS).index("left arm"), list(JOINTS).index("right arm")
    mirrored = joint_maps(swap[labels.flip(2)], table)
    torch.testing.assert_close(mirrored[:, right], joint_maps(labels, table)[:, left].flip(2))


@pytest.mark.parametrize("size", [(6, 5), (3, 2), (1, 1), (2, 5)])
def test_shrunk_labels_are_picked_never_mixed(size: tuple[int, int]) -> None:
    """Resizing label maps by averaging invents classes."""
    labels = torch.randint(0, 2, (1, 6, 5), dtype=torch.uint8) * 19
    small = nearest_labels(labels, size)
    assert small.shape == (1, *size)
    assert small.dtype == torch.uint8
    assert set(small.unique().tolist()) <= {0, 19}
    assert small[0, 0, 0] == labels[0, 0, 0]
    if min(size) > 1:
        assert small[0, -1, -1] == labels[0, -1, -1]


def test_the_backbone_has_torchvisions_names_and_an_eighth_of_the_size() -> None:
    backbone = VGG16().eval()
    names = [name for name in backbone.state_dict() if name.endswith("weight")]
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    assert names == [f"features.{number}.weight" for number in numbers]
    assert sum(p.numel() for p in backbone.parameters()) == 14_714_688
    with torch.inference_mode():
        for layer in backbone.features:
            if isinstance(layer, torch.nn.Conv2d):  # a thin copy has the same sizes
                layer.weight = torch.nn.Parameter(torch.zeros(1, 1, 3, 3))
                layer.bias = torch.nn.Parameter(torch.zeros(1))
        assert backbone.features(torch.zeros(1, 1, 321, 321)).shape[2:] == (41, 41)
        assert backbone.features(torch.zeros(1, 1, 384, 128)).shape[2:] == (48, 16)


def test_it_answers_at_three_scales_mixed_by_shares_and_learns() -> None:
    torch.manual_seed(0)
    network = AttentionSSL(classes=7)
    images = torch.rand(2, 3, 48, 24)
    found = network(images)
    assert found.logits.shape == (2, 7, 6, 3)
    assert [side.shape for side in found.side] == [(2, 7, 6, 3)] * len(SCALES)
    low, high = torch.stack(found.side).aminmax(dim=0)
    assert bool(((found.logits >= low - 1e-5) & (found.logits <= high + 1e-5)).all())
    labels = torch.randint(0, 7, (2, 48, 24))
    losses = attention_ssl_objective(found, labels, pixel_loss=pixel_cross_entropy, classes=PARTS7)
    torch.stack(tuple(losses.values())).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_another_backbone_is_refused() -> None:
    with pytest.raises(UnknownName, match="vgg16"):
        AttentionSSL(classes=7, backbone="resnet50")


def test_torchvisions_file_of_weights_fits_less_its_classifier(tmp_path: Path) -> None:
    backbone = VGG16()
    theirs = {name: torch.rand_like(value) for name, value in backbone.state_dict().items()}
    torch.save({**theirs, "classifier.0.weight": torch.zeros(4, 4)}, tmp_path / "vgg16.pth")
    load_backbone(backbone, tmp_path / "vgg16.pth")
    wanted = of_our_grey_levels(theirs)
    assert all(torch.equal(value, wanted[name]) for name, value in backbone.state_dict().items())
