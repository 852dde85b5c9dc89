"""Depthwise convolution that trains faster on processors where the map has few places.

The library's gradient of 5 × 5 depthwise weights takes many times its forward pass there. Here the products of each
place of the input with each place of the output, summed over the batch, are one small matrix a channel, and a weight's
gradient is the sum of those entries whose places lie as far apart as the weight reaches. The same sums in another
order, so equal up to rounding.
Proof: tests/nn/test_depthwise.py.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

MOST_PLACES: Final = 80
"""Height by width from which on the products cost more than they save."""
LEAST_KERNEL: Final = 5


def depthwise_conv(x: Float[Tensor, "B C H W"], weight: Float[Tensor, "C 1 k k"]) -> Float[Tensor, "B C H W"]:
    """Convolve each channel by its own odd kernel, with zeros around and stride 1."""
    small = weight.shape[2] >= LEAST_KERNEL and x.shape[2] * x.shape[3] <= MOST_PLACES
    on_processor = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    learns = torch.is_grad_enabled() and weight.requires_grad
    if small and on_processor and learns and not torch.is_autocast_enabled("cpu"):
        return torch.as_tensor(_OfSmallMaps.apply(x, weight))  # type: ignore[no-untyped-call]
    return _conv(x, weight)


def _conv(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, None, 1, weight.shape[2] // 2, 1, len(weight))


class _OfSmallMaps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _conv(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:  # the transposed convolution of an odd kernel is the convolution by its mirror
            of_x = _conv(gradient, weight.flip(2, 3))
        if ctx.needs_input_grad[1]:
            products = torch.bmm(_by_channel(x).transpose(1, 2), _by_channel(gradient))
            of_weight = products.flatten(1) @ _apart(x.shape[2], x.shape[3], weight.shape[2])
            of_weight = of_weight.view_as(weight)
        return of_x, of_weight


def _by_channel(maps: Tensor) -> Tensor:
    """B C H W (last the channels in memory) -> C B HW."""
    rows = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
    return rows.t().contiguous().view(maps.shape[1], maps.shape[0], -1)


@functools.lru_cache(maxsize=32)
def _apart(height: int, width: int, kernel: int) -> Tensor:
    """PP kk: 1 where an input's place lies as far from an output's as a weight reaches, P = HW, inputs first."""
    row, column = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
    down = row[:, None] - row[None, :] + kernel // 2
    right = column[:, None] - column[None, :] + kernel // 2
    reached = (down >= 0) & (down < kernel) & (right >= 0) & (right < kernel)
    found = torch.zeros(height * width, height * width, kernel * kernel)
    found[reached] = F.one_hot((down * kernel + right)[reached], kernel * kernel).float()
    return found.flatten(0, 1)
