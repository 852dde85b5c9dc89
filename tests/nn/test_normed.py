"""A convolution with its batch norm answers the same in one step as in two."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resight.nn.backbones import EfficientNetLite, SameConv, build_backbone
from resight.nn.normed import NormedConv, normed
from resight.parsers.lite import ParserLite


def with_statistics(network: nn.Module) -> nn.Module:
    """Batch norms as after training: means and spreads of their own."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.4, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(6, 8, 1, bias=False),
        nn.Conv2d(6, 8, 3, 2, 1),
        nn.Conv2d(6, 6, 5, 1, 4, 2, 6, bias=False),
        SameConv(6, 6, 5, groups=6, bias=False),
        SameConv(6, 6, 5, 2, groups=6, bias=False),
        SameConv(6, 8, 3, 2, bias=False),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(8, 4), (9, 7), (1, 1), (2, 2)])
def test_one_step_answers_as_two(conv: nn.Conv2d, size: tuple[int, int]) -> None:
    pair = with_statistics(NormedConv(conv, nn.BatchNorm2d(conv.out_channels)))
    x = torch.randn(3, 6, *size)
    with torch.no_grad():
        two = pair[1](pair[0](x))
    with torch.inference_mode():
        one = pair(x)
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", ["efficientnet-lite0", "resnet18", "resnet50"])
def test_a_whole_backbone_answers_the_same(network: str) -> None:
    net, x = with_statistics(build_backbone(network, last_stride=1)), torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        two = net(x)
    with torch.inference_mode():
        one = net(x)
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4 * float(two.abs().max()))


def test_the_parser_answers_the_same() -> None:
    net, x = with_statistics(ParserLite()), torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        two = net(x).logits
    with torch.inference_mode():
        one = net(x).logits
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4 * float(two.abs().max()))


def test_a_learning_norm_counts_the_batch_and_names_stay() -> None:
    pair = NormedConv(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).train()
    before = pair[1].running_mean.clone()
    assert pair(torch.randn(4, 2, 3, 3)).requires_grad
    assert not torch.equal(before, pair[1].running_mean)
    with torch.inference_mode():  # of the batch still: no statistics are made up
        assert abs(float(pair(torch.randn(4, 2, 3, 3)).mean())) < 1e-5
    assert [name for name, _ in pair.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_norms_of_other_kinds_are_asked_themselves() -> None:
    conv, norm = nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4).eval()
    x = torch.randn(1, 2, 3, 3)
    with torch.inference_mode():
        assert torch.equal(normed(conv, norm, x), norm(conv(x)))


def test_no_statistics_are_left_out_of_the_weights_of_a_file() -> None:
    net = EfficientNetLite().eval()
    names = set(net.state_dict())
    with torch.inference_mode():
        net(torch.zeros(1, 3, 32, 32))
    assert set(net.state_dict()) == names
