from __future__ import annotations

import itertools

import pytest
import torch

from resight.embedders.masks import mask_of
from resight.embedders.mgcam import MGCAM, mgcam_objective
from resight.errors import BadRecipe
from resight.train.objectives import joint
from toy_maps import background_maps, person_maps


def network(**more: object) -> MGCAM:
    torch.manual_seed(0)
    return MGCAM(**{"classes": 3, **more})


def losses(net: MGCAM, maps: torch.Tensor, classes: torch.Tensor) -> dict[str, torch.Tensor]:
    found = net(torch.randn(len(classes), 3, 160, 64), maps)
    return mgcam_objective(
        *(found, classes, joint(found, classes), maps),
        smoothing=0.0,
        siamese_weight=0.01,
        region_weight=0.01,
        attention_weight=0.1,
        push_margin=10.0,
    )


def test_shapes_are_those_of_the_papers_table() -> None:
    net = network().train()
    found = net(torch.randn(2, 3, 160, 64), person_maps())
    assert found.attention.shape == (2, 1, 40, 16)
    assert [stream.shape for stream in found.streams] == [(2, 128)] * 3
    assert net.branches[0].fc.in_features == 960
    assert [logits.shape for logits in found.logits] == [(2, 3)] * 3


@torch.no_grad()
def test_at_test_time_only_the_whole_stream_runs_and_is_matched() -> None:
    net = network().eval()
    found = net(torch.randn(2, 3, 160, 64), person_maps())
    assert found.matching.shape == (2, 128)
    assert found.logits == ()
    assert len(found.streams) == 1


@pytest.mark.parametrize(
    ("inputs", "attention"),
    [*itertools.product(("rgb", "masked-rgb", "rgb+mask"), ("none", "hard", "soft"))],
)
def test_every_row_of_the_ablation_learns(inputs: str, attention: str) -> None:
    net = network(inputs=inputs, attention=attention).train()
    assert net.needs_maps == (inputs != "rgb" or attention == "hard")
    assert net.learns_from_maps == (attention == "soft")
    assert net.backbone.stage0[0].in_channels == (4 if inputs == "rgb+mask" else 3)
    found = losses(net, person_maps(4), torch.tensor([0, 0, 1, 1]))
    assert ("region" in found) == (attention != "none")
    assert ("attention" in found) == (attention == "soft")
    torch.stack(list(found.values())).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_tied_streams_share_their_weights() -> None:
    sizes = {tied: sum(p.numel() for p in network(tied=tied).branches.parameters()) for tied in (True, False)}
    assert sizes[False] == 3 * sizes[True]


def test_a_perfect_attention_costs_nothing_and_is_summed_over_the_map_and_halved() -> None:
    net, maps, classes = network().train(), person_maps(2), torch.tensor([0, 1])
    found = net(torch.randn(2, 3, 160, 64), maps)
    expected = (mask_of(maps, (40, 16)) - found.attention).square().sum() / 2 / 2
    got = mgcam_objective(
        *(found, classes, joint(found, classes), maps),
        smoothing=0.0,
        siamese_weight=0.0,
        region_weight=0.0,
        attention_weight=1.0,
        push_margin=10.0,
    )
    assert torch.allclose(got["attention"], expected, rtol=1e-5)


@torch.no_grad()
def test_hard_attention_is_the_binary_mask_and_a_failed_one_leaves_everything_to_the_body() -> None:
    net = network(attention="hard").eval()
    shared = torch.zeros(2, 96, 40, 16)
    assert set(net._gate(shared, person_maps(sure=0.9)).unique().tolist()) == {0.0, 1.0}
    assert net._gate(shared, background_maps()).min() == 1


def test_a_mask_that_is_missing_is_said_and_another_backbone_refused() -> None:
    with pytest.raises(ValueError, match="needs part maps"):
        network()(torch.randn(2, 3, 160, 64))
    with pytest.raises(BadRecipe, match="a net of its own"):
        network(backbone="resnet50")
