"""Two small nets that papers train from scratch on crops of people: DGD's inceptions and MSCAN.

Sources: DGD, Xiao et al., CVPR 2016, arXiv:1604.07528 (the base of MaskReID, input 144 × 56); MSCAN, Li et al., CVPR
2017, arXiv:1710.06555, as MGCAM uses it (input 160 × 64).
Differs: DGD's poolings have no padding in both directions, so that 144 × 56 becomes 72 × 28 and 9 × 4 in the end (a
re-implementation pads and gets 73 × 29); pictures of any size are taken.
Proof: tests/nn/test_small.py checks the tables of shapes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from resight.nn.freezable import FreezableBackbone


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, ReLU; "same" at stride 1."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class MultiScale(nn.Module):
    """Three 3×3 convolutions of dilation 1, 2 and 3, 32 channels each, side by side: B C H W -> B 96 H W."""

    channels = 96

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList([ConvNorm(inputs, 32, 3, dilation=dilation) for dilation in (1, 2, 3)])

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return torch.cat([scale(x) for scale in self.scales], 1)


class MSCANStart(FreezableBackbone):
    """Stage 0 (5×5, 32), then two multi-scale stages, 2×2 max-pools between them; 160 × 64 -> 96×40×16.

    `inputs` is 4 where a mask is the fourth channel. The result is MGCAM's f_stage2.
    """

    channels = 96

    def __init__(self, *, inputs: int = 3) -> None:
        super().__init__()
        self.stage0 = ConvNorm(inputs, 32, 5)
        self.stage1, self.stage2 = MultiScale(32), MultiScale(96)

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        return [self.stage0], [self.stage1, self.stage2]

    def first(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 96 h w"]:
        """A quarter of the picture's height and width."""
        x = F.max_pool2d(self.stage0(images), 2)
        x = F.max_pool2d(self.stage1(x), 2)
        return torch.as_tensor(self.stage2(x))

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        return self.first(images)


class MSCAN(MSCANStart):
    """The start and two more multi-scale stages; 160 × 64 -> 96×40×16, 96×20×8, 96×10×4, 96×5×2 (the last pooled)."""

    stage_channels = (96, 96, 96, 96)

    def __init__(self, *, last_stride: int = 2, inputs: int = 3) -> None:
        super().__init__(inputs=inputs)
        self.last_stride = last_stride
        self.stage3, self.stage4 = MultiScale(96), MultiScale(96)

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        return [self.stage0], [self.stage1, self.stage2, self.stage3, self.stage4]

    def stages(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        second = self.first(images)
        third = self.stage3(F.max_pool2d(second, 2))
        fourth = self.stage4(F.max_pool2d(third, 2))
        return second, third, fourth, F.max_pool2d(fourth, 2) if self.last_stride == 2 else fourth

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        return self.stages(images)[-1]


class Inception(nn.Module):
    """Side by side: 1×1; 3×3; two 3×3; pooling. With `stride` 2 there is no 1×1 and the pool passes through."""

    def __init__(self, inputs: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.point = ConvNorm(inputs, width, 1) if stride == 1 else None
        self.near = nn.Sequential(ConvNorm(inputs, width, 1), ConvNorm(width, width, 3, stride=stride))
        self.far = nn.Sequential(
            *(ConvNorm(inputs, width, 1), ConvNorm(width, width, 3), ConvNorm(width, width, 3, stride=stride))
        )
        self.pooled = ConvNorm(inputs, width, 1) if stride == 1 else None
        self.channels = 4 * width if stride == 1 else 2 * width + inputs

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        ways = [self.near(x), self.far(x)]
        if self.point is not None and self.pooled is not None:
            ways += [self.point(x), self.pooled(F.avg_pool2d(x, 3, 1, 1))]
        else:
            ways.append(F.max_pool2d(x, 3, 2, 1))
        return torch.cat(ways, 1)


class DGD(FreezableBackbone):
    """Three 3×3 convolutions an input, then inceptions 4a-6b; 144 × 56 -> 384×36×14, 768×18×7, 1536×9×4.

    `inputs` pictures of 3 channels each enter by convolutions of their own, whose 32 maps are laid side by side. The
    last map is at stride 16 whatever `last_stride` says.
    """

    def __init__(self, *, last_stride: int = 1, inputs: int = 1) -> None:
        super().__init__()
        del last_stride
        self.stems = nn.ModuleList(
            [nn.Sequential(ConvNorm(3, 32, 3), ConvNorm(32, 32, 3), ConvNorm(32, 32, 3)) for _ in range(inputs)]
        )
        blocks: list[Inception] = []
        width = 32 * inputs
        for out, stride in ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2)):
            blocks.append(Inception(width, out, stride=stride))
            width = blocks[-1].channels
        self.blocks = nn.ModuleList(blocks)
        self.channels = width
        self.stage_channels = (blocks[0].channels, blocks[1].channels, blocks[3].channels, width)

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        return list(self.stems), list(self.blocks)

    def stages(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps after 4a, 4b, 5b and 6b; pictures of several inputs are laid one after another as channels."""
        pictures = images.split(3, dim=1)
        x = torch.cat([stem(picture) for stem, picture in zip(self.stems, pictures, strict=True)], 1)
        x = F.max_pool2d(x, 2)
        found: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found[0], found[1], found[3], found[5]

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        return self.stages(images)[-1]
