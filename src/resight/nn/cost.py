"""What one picture costs a network: multiply-adds of convolutions and linear layers, and parameters.

One multiply-add is one product and one sum; papers that count both apart say "FLOPs" for twice as much. Norms,
activations, pooling and products of features with masks are left out: some per cent of a convolutional network.
Proof: tests/nn/test_cost.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

COUNTED: Final = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one network at one picture size."""

    multiply_adds: int
    """For one picture, forward."""
    parameters: int
    """Everything that learns or could learn; running means of norms are no parameters."""


@torch.inference_mode(mode=False)  # there convolutions that a norm was counted into are not called as such
@torch.no_grad()
def cost_of(network: nn.Module, *inputs: Tensor, call: Callable[..., Any] | None = None) -> Cost:
    """Run the network once on `inputs` (batches of one size) and count; `call` replaces `network(*inputs)`.

    A layer that is called twice counts twice. The network's mode and its running means stay as they were.
    """
    total = 0

    def count(module: nn.Module, given: tuple[Tensor, ...], found: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Linear):
            total += found.numel() * module.in_features
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            each = given[0] if isinstance(module, nn.ConvTranspose2d) else found
            total += each.numel() * module.weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, COUNTED)]
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        (call or network)(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return Cost(total // len(inputs[0]), sum(value.numel() for value in network.parameters()))
