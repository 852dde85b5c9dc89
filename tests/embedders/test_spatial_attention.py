from __future__ import annotations

import pytest
import torch

from resight.embedders.spatial_attention import (
    SpatialAttention,
    attend,
    attention_weights,
    spatial_attention_objective,
)
from resight.nn.backbones import BACKBONES
from resight.train.objectives import joint


def network(**more: object) -> SpatialAttention:
    torch.manual_seed(0)
    return SpatialAttention(**{"classes": 3, "backbone": "resnet18", **more})


def test_attention_is_the_softmax_over_places_of_the_channels_sum() -> None:
    maps = torch.rand(2, 5, 3, 4)
    found = attention_weights(maps, temperature=1.0)
    expected = torch.softmax(maps.sum(1).reshape(2, 12), 1).reshape(2, 1, 3, 4)
    assert torch.allclose(found, expected, atol=1e-6)


def test_pooling_is_a_sum_so_a_constant_map_gives_its_constant_and_nothing_shrinks() -> None:
    """A true mean after the attention would divide by the number of places, 3072 at stage 1."""
    maps = torch.full((1, 4, 96, 32), 0.7)
    assert torch.allclose(attend(maps, temperature=1.0), torch.full((1, 4), 0.7), atol=1e-4)


def test_raw_sums_make_the_softmax_one_hot_and_a_temperature_spreads_it() -> None:
    maps = torch.randn(1, 2048, 24, 8).relu()
    assert attention_weights(maps, temperature=1.0).max() > 0.9
    assert attention_weights(maps, temperature=512.0).max() < 0.05


def test_huge_sums_stay_finite_in_half_precision() -> None:
    maps = torch.full((1, 2048, 8, 4), 60.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention_weights(maps.bfloat16(), temperature=1.0)
    assert found.dtype == torch.float32
    assert torch.allclose(found.sum(), torch.tensor(1.0))


def test_attention_multiplies_and_has_no_parameters() -> None:
    plain = network(stripes=0, sides=False)
    attending = network(stripes=0, sides=False, backbone_attention=True)
    assert [*plain.state_dict()] == [*attending.state_dict()]
    maps = torch.rand(1, 3, 2, 2)
    assert torch.allclose(attend(maps * 0, temperature=1.0), torch.zeros(1, 3))


def test_six_stripes_four_further_heads_and_what_is_matched() -> None:
    images = torch.randn(2, 3, 384, 128)
    found = network().train()(images)
    assert len(found.logits) == 6 + 3 + 1
    with torch.no_grad():
        widths = [network(matched=name).eval()(images).matching.shape[1] for name in ("stripes", "reduced", "pooled")]
    assert widths == [6 * 512, 6 * 256, 256]


@torch.no_grad()
def test_each_stripe_is_the_mean_of_its_sixth() -> None:
    net, images = network().eval(), torch.randn(1, 3, 384, 128)
    last = net.backbone(images)
    found = net(images).matching.reshape(6, 512)
    assert last.shape[2] == 24
    assert torch.allclose(found[1], last[0, :, 4:8].mean((1, 2)), atol=1e-5)


@torch.no_grad()
def test_stripes_under_attention_add_up_to_the_attended_whole() -> None:
    net, images = network(backbone_attention=True).eval(), torch.randn(1, 3, 384, 128)
    found = net(images).matching.reshape(6, 512).mean(0)
    assert torch.allclose(found, attend(net.backbone(images), temperature=1.0)[0], rtol=1e-3, atol=1e-4)


def test_the_loss_weighs_stripes_and_sides_by_one_minus_lambda_and_lambda() -> None:
    net, classes = network().train(), torch.tensor([0, 1])
    found = net(torch.randn(2, 3, 96, 48))
    settings = {"smoothing": 0.0, "margin": 0.3, "triplet_weight": 0.0}
    got = spatial_attention_objective(*(found, classes, joint(found, classes)), stripes=6, side_weight=0.2, **settings)
    single = [torch.nn.functional.cross_entropy(one, classes) for one in found.logits]
    assert torch.allclose(got["identity"], 0.8 * sum(single[:6]), rtol=1e-5)
    assert torch.allclose(got["sides"], 0.2 * sum(single[6:]), rtol=1e-5)


def test_without_stripes_and_sides_the_one_classifier_counts_fully() -> None:
    net, classes = network(stripes=0, sides=False).train(), torch.tensor([0, 1])
    found = net(torch.randn(2, 3, 64, 32))
    got = spatial_attention_objective(
        *(found, classes, joint(found, classes)),
        stripes=0,
        side_weight=0.2,
        smoothing=0.0,
        margin=0.3,
        triplet_weight=1.0,
    )
    assert torch.allclose(got["identity"], torch.nn.functional.cross_entropy(found.logits[0], classes))
    assert set(got) == {"identity", "triplet"}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_attention_runs_on_every_backbone(backbone: str) -> None:
    assert network(backbone=backbone).train()(torch.randn(2, 3, 96, 48)).logits[0].shape == (2, 3)
