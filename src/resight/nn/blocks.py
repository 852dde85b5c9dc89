"""Small blocks that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GeM(nn.Module):
    """Generalised mean over space: 1 is the average, large is the maximum; the power is learned.

    Source: Radenović et al., TPAMI 2019, arXiv:1711.02512. Maps B C H W, values below `floor` count as `floor`.
    """

    def __init__(self, *, power: float = 3.0, floor: float = 1e-6) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(power))
        self.floor = floor

    def forward(
        self, maps: Float[Tensor, "B C H W"], weights: Float[Tensor, "B 1 H W"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Mean over space, or with `weights` (of sum 1 for each crop) the weighted one."""
        powers = self.raised(maps)
        return self.lowered(powers.mean((2, 3)) if weights is None else (powers * weights).sum((2, 3)))

    def raised(self, maps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """What is averaged, by whatever weights: the power by way of the logarithm, which takes less than half."""
        return (maps.float().clamp_min(self.floor).log() * self.power).exp()

    def lowered(self, means: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The generalised mean of means of what was raised; a mean of nothing (0) counts as `floor`."""
        least = (self.floor**self.power).detach()
        return torch.as_tensor(means.clamp_min(least).pow(1 / self.power))


class AveragePool(nn.Module):
    """Plain mean over space."""

    def forward(
        self, maps: Float[Tensor, "B C H W"], weights: Float[Tensor, "B 1 H W"] | None = None
    ) -> Float[Tensor, "B C"]:
        """As that of `GeM`."""
        return maps.float().mean((2, 3)) if weights is None else (maps.float() * weights).sum((2, 3))

    def raised(self, maps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """What is averaged: the maps."""
        return maps.float()

    def lowered(self, means: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The means themselves."""
        return means


def batch_norm_neck(width: int) -> nn.BatchNorm1d:
    """Batch norm between the vector that metric losses see and the one that is matched; its bias does not learn."""
    neck = nn.BatchNorm1d(width)
    neck.bias.requires_grad_(False)
    return neck


def spatial_pool(kind: Literal["gem", "average"]) -> GeM | AveragePool:
    """The mean over space that a recipe names."""
    return GeM() if kind == "gem" else AveragePool()


def _identity_head(width: int, classes: int) -> nn.Linear:
    head = nn.Linear(width, classes, bias=False)
    nn.init.normal_(head.weight, std=0.001)
    return head


class IdentityHeads(nn.ModuleList):
    """Linear classes of the training persons, one head a vector, started small; without classes there are none.

    Vectors B D -> classes B K by each head in training, nothing otherwise.
    """

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__([_identity_head(width, classes) for width in widths] if classes else [])

    def forward(self, *vectors: Float[Tensor, "B _"]) -> tuple[Float[Tensor, "B K"], ...]:
        """One vector a head."""
        if not self.training or not len(self):
            return ()
        return tuple(head(vector) for head, vector in zip(self, vectors, strict=True))
