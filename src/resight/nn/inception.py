"""Inception-V3: the backbone of SPReID's own rows.

Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, arXiv:1512.00567, as it
was released: 21.8 M parameters up to the last pooling; names are those of torchvision's network, the auxiliary
classifier left out. No weights come with resight: pass a file of torchvision's as `backbone-weights`, or `none`.
Differs: the stem's poolings round up, as SPReID's code does, so that 512 × 170 becomes 14 × 4 (Kalayeh et al., CVPR
2018); the last stride is 1 when asked for, padded, as in their parser. Grey levels go in as -1..1, as its weights were
trained and as the package's normalisation gives them. The smallest picture is 75 × 75.
Proof: tests/nn/test_inception.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from resight.nn.freezable import FreezableBackbone


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, ReLU; `same` padding where it is asked for."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], *, stride: int = 1, same: bool = True
    ) -> None:
        super().__init__()
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (high // 2, wide // 2) if same else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, (high, wide), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Branches(nn.Module):
    """Ways side by side, joined by channel: chains of layers by name, and a 3 × 3 pooling before the last.

    `ways` name the layers of each way in order; a way that ends in a tuple splits into its layers at the end.
    """

    def __init__(self, layers: dict[str, ConvNorm], ways: tuple[tuple[str | tuple[str, str], ...], ...]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.ways = ways
        self.pooled = "branch_pool"

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        found = [end for way in self.ways for end in self._along(way, x)]
        return torch.cat([*found, self._pool(x)], 1)

    def _along(self, way: tuple[str | tuple[str, str], ...], x: Tensor) -> list[Tensor]:
        for step in way:
            if isinstance(step, tuple):
                return [self.get_submodule(name)(x) for name in step]
            x = self.get_submodule(step)(x)
        return [x]

    def _pool(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.get_submodule(self.pooled)(F.avg_pool2d(x, 3, 1, 1))
        return pooled


class Reduction(Branches):
    """Halves the map by strided convolutions beside a maximum; with `stride=1` keeps its size, padded."""

    def __init__(self, layers: dict[str, ConvNorm], ways: tuple[tuple[str, ...], ...], *, stride: int) -> None:
        super().__init__(layers, ways)
        self.stride = stride

    def _pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, self.stride, 1 if self.stride == 1 else 0)


def _fine(inputs: int, pooled: int) -> Branches:
    """Blocks at stride 8: 1 × 1, 5 × 5 and two 3 × 3."""
    layers = {
        "branch1x1": ConvNorm(inputs, 64, 1),
        "branch5x5_1": ConvNorm(inputs, 48, 1),
        "branch5x5_2": ConvNorm(48, 64, 5),
        "branch3x3dbl_1": ConvNorm(inputs, 64, 1),
        "branch3x3dbl_2": ConvNorm(64, 96, 3),
        "branch3x3dbl_3": ConvNorm(96, 96, 3),
        "branch_pool": ConvNorm(inputs, pooled, 1),
    }
    ways = (("branch1x1",), ("branch5x5_1", "branch5x5_2"), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"))
    return Branches(layers, ways)


def _middle(narrow: int) -> Branches:
    """Blocks at stride 16: 7 × 7 as rows and columns, once and twice."""
    layers = {
        "branch1x1": ConvNorm(768, 192, 1),
        "branch7x7_1": ConvNorm(768, narrow, 1),
        "branch7x7_2": ConvNorm(narrow, narrow, (1, 7)),
        "branch7x7_3": ConvNorm(narrow, 192, (7, 1)),
        "branch7x7dbl_1": ConvNorm(768, narrow, 1),
        "branch7x7dbl_2": ConvNorm(narrow, narrow, (7, 1)),
        "branch7x7dbl_3": ConvNorm(narrow, narrow, (1, 7)),
        "branch7x7dbl_4": ConvNorm(narrow, narrow, (7, 1)),
        "branch7x7dbl_5": ConvNorm(narrow, 192, (1, 7)),
        "branch_pool": ConvNorm(768, 192, 1),
    }
    once = tuple(f"branch7x7_{number}" for number in range(1, 4))
    twice = tuple(f"branch7x7dbl_{number}" for number in range(1, 6))
    return Branches(layers, (("branch1x1",), once, twice))


def _coarse(inputs: int) -> Branches:
    """The last blocks: 3 × 3 split into a row and a column side by side."""
    layers = {
        "branch1x1": ConvNorm(inputs, 320, 1),
        "branch3x3_1": ConvNorm(inputs, 384, 1),
        "branch3x3_2a": ConvNorm(384, 384, (1, 3)),
        "branch3x3_2b": ConvNorm(384, 384, (3, 1)),
        "branch3x3dbl_1": ConvNorm(inputs, 448, 1),
        "branch3x3dbl_2": ConvNorm(448, 384, 3),
        "branch3x3dbl_3a": ConvNorm(384, 384, (1, 3)),
        "branch3x3dbl_3b": ConvNorm(384, 384, (3, 1)),
        "branch_pool": ConvNorm(inputs, 192, 1),
    }
    single = ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b"))
    double = ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b"))
    return Branches(layers, (("branch1x1",), single, double))


def _to_16() -> Reduction:
    layers = {
        "branch3x3": ConvNorm(288, 384, 3, stride=2, same=False),
        "branch3x3dbl_1": ConvNorm(288, 64, 1),
        "branch3x3dbl_2": ConvNorm(64, 96, 3),
        "branch3x3dbl_3": ConvNorm(96, 96, 3, stride=2, same=False),
    }
    return Reduction(layers, (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")), stride=2)


def _to_last(stride: int) -> Reduction:
    layers = {
        "branch3x3_1": ConvNorm(768, 192, 1),
        "branch3x3_2": ConvNorm(192, 320, 3, stride=stride, same=stride == 1),
        "branch7x7x3_1": ConvNorm(768, 192, 1),
        "branch7x7x3_2": ConvNorm(192, 192, (1, 7)),
        "branch7x7x3_3": ConvNorm(192, 192, (7, 1)),
        "branch7x7x3_4": ConvNorm(192, 192, 3, stride=stride, same=stride == 1),
    }
    long = tuple(f"branch7x7x3_{number}" for number in range(1, 5))
    return Reduction(layers, (("branch3x3_1", "branch3x3_2"), long), stride=stride)


class InceptionV3(FreezableBackbone):
    """Pictures B 3 H W (at least 75 × 75) -> maps B 2048 h w: 14 × 4 of 512 × 170, 30 × 9 with `last_stride=1`."""

    channels = 2048
    stage_channels = (64, 288, 768, 2048)

    def __init__(self, *, last_stride: int = 1) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNorm(3, 32, 3, stride=2, same=False)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, 3, same=False)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, 3)
        self.Conv2d_3b_1x1 = ConvNorm(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, 3, same=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _fine(192, 32), _fine(256, 64), _fine(288, 64)
        self.Mixed_6a = _to_16()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (_middle(n) for n in (128, 160, 160, 192))
        self.Mixed_7a = _to_last(last_stride)
        self.Mixed_7b, self.Mixed_7c = _coarse(1280), _coarse(2048)

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        stem: list[nn.Module] = [self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3]
        stem += [self.Conv2d_3b_1x1, self.Conv2d_4a_3x3]
        return stem, [module for name, module in self.named_children() if name.startswith("Mixed")]

    def stages(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps at strides 4, 8 and 16, and the last map."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images)))
        first = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(first)), 3, 2, ceil_mode=True)
        second = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        third = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(second)))))
        return first, second, third, self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(third)))

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        return self.stages(images)[-1]
