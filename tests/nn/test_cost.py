"""Multiply-adds equal those counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resight.nn.backbones import build_backbone
from resight.nn.cost import cost_of


@pytest.mark.parametrize(
    ("layer", "shape", "by_hand"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 6), 10 * 6 * 8 * 3 * 9),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 10, 6), 5 * 3 * 8 * 3 * 9),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 10, 6), 10 * 6 * 8 * 9),  # depthwise
        (nn.Conv2d(8, 4, 1, bias=False), (1, 8, 10, 6), 10 * 6 * 8 * 4),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (1, 4, 5, 5), 5 * 5 * 4 * 6 * 4),
        (nn.Linear(7, 5), (1, 7), 35),
        (nn.Linear(7, 5), (1, 3, 7), 3 * 35),
    ],
)
def test_each_kind_of_layer_is_counted_as_by_hand(layer: nn.Module, shape: tuple[int, ...], by_hand: int) -> None:
    assert cost_of(layer, torch.zeros(shape)).multiply_adds == by_hand


def test_the_cost_is_of_one_picture_whatever_the_batch_and_doubles_when_a_layer_is_called_twice() -> None:
    layer = nn.Conv2d(3, 3, 3, padding=1)
    once, batch = (cost_of(layer, torch.zeros(count, 3, 8, 8)).multiply_adds for count in (1, 5))
    assert once == batch
    assert cost_of(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 3, 8, 8)).multiply_adds == 2 * once


def test_parameters_are_counted_and_nothing_is_changed() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    network[2].eval()
    means = network[1].running_mean.clone()
    assert cost_of(network, torch.ones(2, 3, 8, 8)).parameters == 3 * 4 * 9 + 4 + 8
    assert [module.training for module in network] == [True, True, False]
    assert torch.equal(network[1].running_mean, means)
    assert not network[0]._forward_hooks


def test_the_cost_is_the_same_where_norms_are_counted_into_convolutions() -> None:
    backbone, picture = build_backbone("efficientnet-lite0", last_stride=1).eval(), torch.zeros(1, 3, 32, 32)
    with torch.inference_mode():
        found = cost_of(backbone, picture)
    assert found == cost_of(backbone, picture)


def test_the_light_backbone_costs_what_its_authors_say() -> None:
    """EfficientNet-Lite0 at 224 × 224: 407 M multiply-adds and 4.7 M parameters, 1.3 M of both the classifier's."""
    backbone = build_backbone("efficientnet-lite0", last_stride=2)
    found = cost_of(backbone, torch.zeros(1, 3, 224, 224))
    assert found.multiply_adds + 1.3e6 == pytest.approx(407e6, rel=0.06)
    assert found.parameters + 1.3e6 == pytest.approx(4.7e6, rel=0.03)
