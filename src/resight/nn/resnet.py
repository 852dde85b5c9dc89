"""Residual networks, with torchvision's names: a picture in, a map of features out, or the maps of all four stages.

Source: He et al., CVPR 2016, arXiv:1512.03385. Differs, when asked for: a last stride of 1, with the last stage dilated
so that it still sees as far; the deep stem of three 3×3 convolutions that parsers use (64, 64, 128 channels), whose
names are those of the file of weights that CE2P starts from.
Proof: tests/nn/test_backbones.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from resight.errors import UnknownName
from resight.nn.freezable import FreezableBackbone
from resight.nn.normed import NormedConv, normed


class ResidualBottleneck(nn.Module):
    """1×1 narrow, 3×3, 1×1 wide, with a shortcut; the stride sits on the 3×3 as in torchvision."""

    widening: Final = 4

    def __init__(self, *, inputs: int, width: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        outputs = self.widening * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        y = F.relu(normed(self.conv1, self.bn1, x), inplace=True)
        y = F.relu(normed(self.conv2, self.bn2, y), inplace=True)
        y = normed(self.conv3, self.bn3, y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResidualPair(nn.Module):
    """Two 3×3 convolutions with a shortcut: the block of ResNet-18."""

    widening: Final = 1

    def __init__(self, *, inputs: int, width: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        y = F.relu(normed(self.conv1, self.bn1, x), inplace=True)
        y = normed(self.conv2, self.bn2, y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


def _shortcut(inputs: int, outputs: int, stride: int) -> NormedConv | None:
    if stride == 1 and inputs == outputs:
        return None
    return NormedConv(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(FreezableBackbone):
    """Pictures B 3 H W -> maps B `channels` H/32 W/32, or H/16 W/16 with `last_stride=1`.

    `blocks` are the blocks of the four stages, `stage_channels` what each stage gives.
    """

    def __init__(
        self,
        *,
        blocks: tuple[int, int, int, int],
        block: type[ResidualBottleneck] | type[ResidualPair],
        last_stride: int = 1,
        last_dilation: int = 1,
        deep_stem: bool = False,
    ) -> None:
        super().__init__()
        stem = 128 if deep_stem else 64
        self.deep_stem = deep_stem
        if deep_stem:
            self.conv1 = nn.Conv2d(3, 64, 3, 2, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(64)
            self.conv2 = nn.Conv2d(64, 64, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(64)
            self.conv3 = nn.Conv2d(64, stem, 3, 1, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(stem)
        else:
            self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(stem)
        wide = block.widening
        self.stage_channels = (64 * wide, 128 * wide, 256 * wide, 512 * wide)
        self.channels = self.stage_channels[-1]
        inputs = (stem, *self.stage_channels[:-1])
        self.layer1 = _stage(block, blocks[0], inputs=inputs[0], width=64, stride=1)
        self.layer2 = _stage(block, blocks[1], inputs=inputs[1], width=128, stride=2)
        self.layer3 = _stage(block, blocks[2], inputs=inputs[2], width=256, stride=2)
        self.layer4 = _stage(block, blocks[3], inputs=inputs[3], width=512, stride=last_stride, dilation=last_dilation)

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        stem: list[nn.Module] = [self.conv1, self.bn1]
        if self.deep_stem:
            stem += [self.conv2, self.bn2, self.conv3, self.bn3]
        return stem, [*self.layer1, *self.layer2, *self.layer3, *self.layer4]

    def stages(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps of the four stages, each B C h w: a quarter of the picture's size first, rounded up."""
        x = F.relu(normed(self.conv1, self.bn1, images), inplace=True)
        if self.deep_stem:
            x = F.relu(normed(self.conv2, self.bn2, x), inplace=True)
            x = F.relu(normed(self.conv3, self.bn3, x), inplace=True)
        first = self.layer1(F.max_pool2d(x, 3, 2, 1))
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        return self.stages(images)[-1]


def _stage(
    block: type[ResidualBottleneck] | type[ResidualPair],
    blocks: int,
    *,
    inputs: int,
    width: int,
    stride: int,
    dilation: int = 1,
) -> nn.Sequential:
    first = block(inputs=inputs, width=width, stride=stride, dilation=dilation)
    outputs = block.widening * width
    rest = (block(inputs=outputs, width=width, stride=1, dilation=dilation) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class ResNet18(ResNet):
    """ResNet-18: 11.2 M parameters, 512 channels."""

    def __init__(self, *, last_stride: int = 1, last_dilation: int = 1, deep_stem: bool = False) -> None:
        super().__init__(
            blocks=(2, 2, 2, 2),
            block=ResidualPair,
            last_stride=last_stride,
            last_dilation=last_dilation,
            deep_stem=deep_stem,
        )


class ResNet50(ResNet):
    """ResNet-50: 23.5 M parameters, 2048 channels."""

    def __init__(self, *, last_stride: int = 1, last_dilation: int = 1, deep_stem: bool = False) -> None:
        super().__init__(
            blocks=(3, 4, 6, 3),
            block=ResidualBottleneck,
            last_stride=last_stride,
            last_dilation=last_dilation,
            deep_stem=deep_stem,
        )


class ResNet101(ResNet):
    """ResNet-101: 42.5 M parameters, 2048 channels."""

    def __init__(self, *, last_stride: int = 1, last_dilation: int = 1, deep_stem: bool = False) -> None:
        super().__init__(
            blocks=(3, 4, 23, 3),
            block=ResidualBottleneck,
            last_stride=last_stride,
            last_dilation=last_dilation,
            deep_stem=deep_stem,
        )


RESNETS: Final[dict[str, Callable[..., ResNet]]] = {
    "resnet18": ResNet18,
    "resnet50": ResNet50,
    "resnet101": ResNet101,
}


def build_resnet(name: str, *, last_stride: int, last_dilation: int, deep_stem: bool) -> ResNet:
    """Make a residual network without weights; an unknown name is answered with the nearest known one."""
    if name not in RESNETS:
        raise UnknownName("residual network", name, RESNETS)
    return RESNETS[name](last_stride=last_stride, last_dilation=last_dilation, deep_stem=deep_stem)
