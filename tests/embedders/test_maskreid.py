from __future__ import annotations

import pytest
import torch

from resight.embedders.maskreid import MaskReID
from toy_maps import background_maps, person_maps


def network(**more: object) -> MaskReID:
    torch.manual_seed(0)
    return MaskReID(**{"classes": 0, **more}).eval()


def test_three_levels_of_its_own_net_are_2688_numbers_brought_to_256() -> None:
    assert network().join.in_features == 384 + 768 + 1536 == 2688
    assert network(fusion=False).join.in_features == 1536
    with torch.no_grad():
        assert network()(torch.randn(2, 3, 144, 56), person_maps()).matching.shape == (2, 256)


@torch.no_grad()
def test_a_failed_mask_falls_back_to_the_plain_picture_twice() -> None:
    net, images = network(), torch.randn(2, 3, 144, 56)
    everything = torch.zeros(2, 20, 16, 8)
    everything[:, 5] = 1
    assert torch.equal(net(images, background_maps()).matching, net(images, everything).matching)
    assert not torch.allclose(net(images, person_maps()).matching, net(images, everything).matching)


@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "resnet18"])
@torch.no_grad()
def test_on_another_backbone_the_start_is_the_plain_picture(backbone: str) -> None:
    """So that ImageNet's weights see what they know."""
    net, images = network(backbone=backbone), torch.randn(2, 3, 64, 32)
    one, other = net(images, person_maps()).matching, net(images, background_maps()).matching
    assert torch.allclose(one, other, atol=1e-5)
    assert torch.allclose(net.entry(torch.cat([images, images], 1)), images)
