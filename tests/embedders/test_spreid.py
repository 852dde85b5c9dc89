from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from resight.embedders.spreid import SPReID
from resight.nn.backbones import BACKBONES
from toy_maps import background_maps, person_maps


def network(**more: object) -> SPReID:
    torch.manual_seed(0)
    settings = {"classes": 0, "backbone": "resnet18", **more}
    return SPReID(**settings).eval()


@torch.no_grad()
def test_the_vector_is_the_papers_formula() -> None:
    spreid, images, maps = network(), torch.randn(2, 3, 64, 32), person_maps(sure=0.9)
    found = spreid(images, maps).before_neck
    x = spreid.backbone(images)
    large = F.interpolate(x, maps.shape[2:], mode="bilinear", align_corners=False)

    def under(classes: list[int]) -> torch.Tensor:
        p = maps[:, classes].sum(1, keepdim=True)
        return (large * p).sum((2, 3)) / p.sum((2, 3))

    parts = [under([1, 2, 4, 13]), under([3, 5, 6, 7, 10, 11, 14, 15]), under([9, 12, 16, 17]), under([8, 18, 19])]
    expected = torch.cat([under(list(range(1, 20))), torch.stack(parts).amax(0), x.mean((2, 3))], 1)
    assert found.shape == (2, 3 * 512)
    assert torch.allclose(found, expected, atol=1e-4)


@torch.no_grad()
def test_regions_are_pooled_as_the_whole_is() -> None:
    spreid, images, maps = network(pooling="gem"), torch.randn(2, 3, 64, 32), person_maps(sure=0.9)
    found = spreid(images, maps).before_neck
    x = spreid.backbone(images)
    large = F.interpolate(x.clamp_min(1e-6) ** 3, maps.shape[2:], mode="bilinear", align_corners=False)
    p = 1 - maps[:, :1]
    foreground = ((large * p).sum((2, 3)) / p.sum((2, 3))) ** (1 / 3)
    assert torch.allclose(found[:, :512], foreground, rtol=1e-3, atol=1e-4)
    assert torch.allclose(found[:, 1024:], spreid.pool(x), atol=1e-5)


def test_a_region_that_is_not_seen_gives_a_finite_gradient() -> None:
    spreid = network(pooling="gem", classes=2).train()
    spreid(torch.randn(4, 3, 64, 32), background_maps(4)).logits[0].sum().backward()
    assert all(torch.isfinite(value.grad).all() for value in spreid.parameters() if value.grad is not None)


@torch.no_grad()
def test_g_is_the_mean_of_the_map_before_any_enlarging_and_does_not_see_the_maps() -> None:
    spreid, images = network(), torch.randn(2, 3, 64, 32)
    one, other = spreid(images, person_maps()), spreid(images, background_maps())
    assert torch.equal(one.before_neck[:, -512:], other.before_neck[:, -512:])
    assert torch.allclose(one.before_neck[:, -512:], spreid.backbone(images).mean((2, 3)))


@torch.no_grad()
def test_an_empty_map_gives_zeros_and_never_nan() -> None:
    found = network()(torch.randn(2, 3, 64, 32), background_maps())
    assert torch.isfinite(found.matching).all()
    assert not found.before_neck[:, :1024].any()


def test_without_foreground_a_third_less_and_an_own_backbone_doubles_the_weights() -> None:
    assert network(foreground=False).neck.num_features == 1024
    count = {shared: sum(p.numel() for p in network(shared=shared).parameters()) for shared in (True, False)}
    assert count[False] > 1.9 * count[True]


def test_no_gradient_reaches_the_parser() -> None:
    maps = person_maps(4).requires_grad_()
    spreid = network(classes=2).train()
    spreid(torch.randn(4, 3, 64, 32), maps).logits[0].sum().backward()
    assert maps.grad is None


@torch.no_grad()
def test_sides_do_not_matter_so_a_flip_is_harmless() -> None:
    spreid, images, maps = network(), torch.randn(2, 3, 64, 32), person_maps()
    swap = [*range(14), 15, 14, 17, 16, 19, 18]
    assert torch.allclose(spreid(images, maps).matching, spreid(images, maps[:, swap]).matching, atol=1e-6)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_spreid_runs_on_every_backbone(backbone: str) -> None:
    size = (128, 64) if backbone == "inception-v3" else (64, 32)
    found = network(backbone=backbone, classes=2).train()(torch.randn(2, 3, *size), person_maps())
    assert found.logits[0].shape == (2, 2)
