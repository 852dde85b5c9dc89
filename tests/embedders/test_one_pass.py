from __future__ import annotations

import math

import pytest
import torch

from resight.embedders.one_pass import OnePass, one_pass_objective, second_share
from resight.errors import BadRecipe
from resight.model import build_embedder
from resight.nn.parsing import Parsing, probabilities
from resight.train.objectives import joint
from toy_maps import person_maps


def network(classes: int = 3) -> OnePass:
    torch.manual_seed(0)
    made = build_embedder("one-pass", classes=classes)
    assert isinstance(made, OnePass)
    return made


def losses(net: OnePass, others: torch.Tensor) -> dict[str, torch.Tensor]:
    found, classes, maps = net(torch.randn(4, 3, 64, 32)), torch.tensor([0, 0, 1, 1]), person_maps(4)
    return one_pass_objective(
        *(found, classes, joint(found, classes), maps, maps.mean((2, 3)), others),
        smoothing=0.1,
        margin=0.3,
        triplet_weight=1.0,
        part_triplet_weight=1.0,
        map_weight=1.0,
        visible_weight=1.0,
        second_weight=1.0,
    )


@torch.no_grad()
def test_one_forward_pass_says_everything() -> None:
    net = network(classes=0).eval()
    found = net(torch.randn(2, 3, 256, 128))
    assert found.matching.shape == (2, 2560)
    assert found.parts.shape == (2, 6, 256)
    assert ((found.visible >= 0) & (found.visible <= 1)).all()
    p = probabilities(found.parsing.logits)
    assert p.shape == (2, 20, 128, 64)
    assert torch.allclose(p.sum(1), torch.ones(2, 128, 64), atol=1e-5)
    share = second_share(found.parsing)
    assert share.shape == (2,)
    assert ((share >= 0) & (share <= 1)).all()


def test_parser_and_embedder_share_one_backbone() -> None:
    names = {name.split(".")[0] for name, _ in network().named_parameters()}
    assert names == {"backbone", "parser", "pool", "parts", "neck", "foreground_neck", "classifier"}
    parser = sum(p.numel() for p in network().parser.parameters())
    backbone = sum(p.numel() for p in network().backbone.parameters())
    assert parser < backbone / 4


def test_identities_do_not_bend_the_parser() -> None:
    net = network().train()
    got = losses(net, torch.zeros(4, 16, 8, dtype=torch.uint8))
    (got["identity"] + got["triplet"] + got["part triplet"]).backward()
    assert not any(p.grad is not None and p.grad.any() for p in net.parser.parameters())
    assert net.backbone.conv_stem.weight.grad.any()


def test_other_people_count_only_where_it_is_known() -> None:
    net = network().train()
    assert losses(net, torch.full((4, 16, 8), 255, dtype=torch.uint8))["second"] == 0
    assert losses(net, torch.ones(4, 16, 8, dtype=torch.uint8))["second"] > 0


def test_a_parser_that_does_not_say_has_an_unknown_second_share() -> None:
    assert math.isnan(second_share(Parsing(logits=torch.zeros(1, 20, 4, 2)))[0])


@torch.no_grad()
def test_sides_that_are_no_multiple_of_16_are_taken() -> None:
    assert network(classes=0).eval()(torch.randn(1, 3, 130, 60)).parsing.logits.shape == (1, 20, 72, 32)


def test_another_backbone_is_refused() -> None:
    with pytest.raises(BadRecipe, match="reads EfficientNet-Lite0 at four strides"):
        build_embedder("one-pass", classes=2, backbone="resnet50")
