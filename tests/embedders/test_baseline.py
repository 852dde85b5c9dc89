from __future__ import annotations

import pytest
import torch

from resight.embedders.baseline import baseline_objective
from resight.model import build_embedder
from resight.nn.backbones import BACKBONES
from resight.train.objectives import joint


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("pooling", ["gem", "average"])
def test_the_baseline_learns_a_step_on_every_backbone(backbone: str, pooling: str) -> None:
    torch.manual_seed(0)
    network = build_embedder("baseline", classes=2, backbone=backbone, pooling=pooling, last_stride=1).train()
    size = (128, 64) if backbone == "inception-v3" else (64, 32)
    images, classes = torch.randn(4, 3, *size), torch.tensor([0, 0, 1, 1])
    found = network(images)
    losses = baseline_objective(found, classes, joint(found, classes), smoothing=0.1, margin=0.3, triplet_weight=1.0)
    sum(losses.values()).backward()
    learns = {key for key, value in network.named_parameters() if value.requires_grad}
    moved = {key for key, value in network.named_parameters() if value.grad is not None}
    assert learns == moved
    assert "neck.bias" not in learns
    assert [logits.shape for logits in found.logits] == [(4, 2)]


def test_outside_training_there_are_no_logits_and_pictures_do_not_influence_each_other() -> None:
    network = build_embedder("baseline", classes=3).eval()
    images = torch.randn(3, 3, 64, 32)
    with torch.no_grad():
        together = network(images)
        alone = network(images[1:2])
    assert together.logits == ()
    assert torch.allclose(together.matching[1], alone.matching[0], atol=1e-4)


def test_a_constant_map_pools_to_its_constant() -> None:
    from resight.nn.blocks import AveragePool, GeM

    maps = torch.full((1, 2, 3, 4), 0.7)
    assert torch.allclose(GeM()(maps), torch.full((1, 2), 0.7), atol=1e-5)
    assert torch.allclose(AveragePool()(maps), torch.full((1, 2), 0.7))


def test_power_one_is_the_average_and_a_large_power_nears_the_maximum() -> None:
    from resight.nn.blocks import GeM

    maps = torch.rand(2, 3, 4, 5)
    assert torch.allclose(GeM(power=1.0)(maps), maps.mean((2, 3)), atol=1e-5)
    assert torch.allclose(GeM(power=200.0)(maps), maps.amax((2, 3)), rtol=0.05)
