"""The training loop: it yields after each step; logging, saving and stopping belong to the caller.

Works on one process or, under `torchrun`, on several: each embeds its share of the batch, triplets look at the whole.
Proof: tests/train/test_loop.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

Objective = Callable[[Any, Any], dict[str, Tensor]]
"""(what the network found, what it should have found) -> named, weighted losses."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one optimiser step did; `number` counts from 1 over the whole run."""

    number: int
    losses: dict[str, float]
    accuracy: float
    """Share of this process's pictures (of an embedder) or known pixels (of a parser) that were named right, 0..1."""
    learning_rate: float
    pictures: int
    """Over all processes."""


def cosine_with_warmup(step: int, *, steps: int, warmup: int, last: float) -> float:
    """Share of the base learning rate at `step` (1..steps): linear up over `warmup`, then a cosine down to `last`."""
    if step <= warmup:
        return step / max(warmup, 1)
    done = (step - warmup) / max(steps - warmup, 1)
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def poly(step: int, *, steps: int, warmup: int, power: float) -> float:
    """Share of the base learning rate at `step` (1..steps): linear up, then (1 - share of the steps done) ^ power.

    Source: DeepLab (Chen et al., TPAMI 2018, arXiv:1606.00915); falls with every step.
    """
    if step <= warmup:
        return step / max(warmup, 1)
    return float((1 - (step - 1) / max(steps, 1)) ** power)


class WeightAverage:
    """Exponential moving average of weights and batch statistics, kept beside the trained network."""

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the network; early steps count more, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)


def seed_of(*keys: int) -> int:
    """One 63-bit seed from several numbers, so that every (seed, purpose, step, process) has its own chance."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> 1)


def gather(rows: Tensor) -> Tensor:
    """Rows of all processes, this one's with its gradient."""
    if not dist.is_initialized():
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.detach().contiguous())
    parts[dist.get_rank()] = rows
    return torch.cat(parts)


def classes_named(found: Any, classes: Tensor) -> float:
    """Share of the rows whose class has the largest logit of the first head; 0 without heads."""
    return float((found.logits[0].argmax(1) == classes).float().mean()) if found.logits else 0.0


def training_steps(
    network: Callable[..., Any],
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[Tensor | tuple[Tensor, ...], Any]],
    objective: Objective,
    *,
    rate: Callable[[int], float],
    first: int = 1,
    backward: Callable[[Tensor], None] = torch.Tensor.backward,
    accuracy: Callable[[Any, Any], float] = classes_named,
) -> Iterator[Step]:
    """Train on each batch of (images B 3 H W, what they show) and yield what happened.

    A network of several inputs gets a tuple, images first.
    `rate(step)` is the learning rate of a step; `first` the number of the first step. A loss that is not finite is
    not stepped on: the step is yielded as it is and the caller decides.
    """
    for number, (given, truth) in enumerate(batches, start=first):
        inputs = given if isinstance(given, tuple) else (given,)
        for group in optimizer.param_groups:
            group["lr"] = rate(number) * group.get("times", 1.0)
        found = network(*inputs)
        losses = objective(found, truth)
        total = torch.stack(tuple(losses.values())).sum()
        if bool(torch.isfinite(total)):
            optimizer.zero_grad(set_to_none=True)
            backward(total)
            optimizer.step()
        world = dist.get_world_size() if dist.is_initialized() else 1
        yield Step(
            number,
            {name: loss.item() for name, loss in losses.items()},
            accuracy(found, truth),
            rate(number),
            len(inputs[0]) * world,
        )
