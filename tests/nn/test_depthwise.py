"""The gradients of depthwise convolutions on small maps are those of the library."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from resight.nn import depthwise
from resight.nn.backbones import build_backbone
from resight.nn.depthwise import MOST_PLACES, depthwise_conv


def plain(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return F.conv2d(x, weight, None, 1, weight.shape[2] // 2, 1, len(weight))


def gradients(call, x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    found = call(x, weight)
    found.backward(torch.randn(found.shape, generator=torch.Generator().manual_seed(3)))
    return found.detach(), x.grad, weight.grad


@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("height", "width"), [(8, 4), (1, 1), (3, 7), (10, 8), (2, 1)])
@pytest.mark.parametrize("kernel", [5, 7])
def test_gradients_are_those_of_the_library(height: int, width: int, kernel: int, memory: torch.memory_format) -> None:
    torch.manual_seed(1)
    x = torch.randn(3, 6, height, width).contiguous(memory_format=memory)
    weight = torch.randn(6, 1, kernel, kernel)
    for mine, theirs in zip(gradients(depthwise_conv, x, weight), gradients(plain, x, weight), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "kernel", "taken"), [((2, 4, 8, 4), 5, True), ((2, 4, 8, 4), 3, False), ((2, 4, 9, 9), 5, False)]
)
def test_only_small_maps_and_large_kernels_take_the_other_way(shape, kernel, taken) -> None:
    x, weight = torch.randn(shape), torch.randn(4, 1, kernel, kernel, requires_grad=True)
    assert (type(depthwise_conv(x, weight).grad_fn).__name__ == "_OfSmallMapsBackward") is taken
    assert (shape[2] * shape[3] <= MOST_PLACES) is (shape[2] != 9)


def test_frozen_weights_and_scoring_go_the_plain_way() -> None:
    x, weight = torch.randn(2, 4, 8, 4, requires_grad=True), torch.randn(4, 1, 5, 5)
    assert type(depthwise_conv(x, weight).grad_fn).__name__ == "ConvolutionBackward0"
    with torch.no_grad():
        assert depthwise_conv(x, weight.requires_grad_()).grad_fn is None
    with torch.autocast("cpu", torch.bfloat16):
        assert depthwise_conv(x, weight).dtype == torch.bfloat16


def test_a_step_of_the_light_backbone_has_the_gradients_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = build_backbone("efficientnet-lite0", last_stride=1).train()
    other = copy.deepcopy(net)
    x = torch.randn(4, 3, 64, 32).contiguous(memory_format=torch.channels_last)
    net(x).square().mean().backward()
    monkeypatch.setattr(depthwise, "MOST_PLACES", 0)
    other(x).square().mean().backward()
    for (name, one), two in zip(net.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, rtol=1e-2, atol=1e-5 + 1e-3 * float(two.grad.abs().max())), name
