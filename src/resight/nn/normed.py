"""A convolution with its batch norm: two steps where the network learns, one where it only answers.

A batch norm with fixed statistics scales and shifts each channel, so the convolution before it can do that with scaled
weights and a bias. In `torch.inference_mode` the scaled weights are made for each batch, which costs less than going
through the maps once more; elsewhere (training, export) the two modules are called. Equal up to rounding.
Proof: tests/nn/test_normed.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def normed(conv: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """`norm(conv(x))`, B C H W -> B D h w."""
    if norm.training or not torch.is_inference_mode_enabled() or not isinstance(norm, nn.BatchNorm2d):
        return torch.as_tensor(norm(conv(x)))
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without statistics cannot answer")
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    mean = norm.running_mean if conv.bias is None else norm.running_mean - conv.bias
    return torch.as_tensor(conv._conv_forward(x, conv.weight * scale[:, None, None, None], norm.bias - mean * scale))


class NormedConv(nn.Sequential):
    """A convolution (`0`) and its batch norm (`1`) in a row."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__(conv, norm)

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = self
        return normed(conv, norm, x)  # type: ignore[arg-type]
