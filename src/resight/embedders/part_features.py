"""From a map of features and part probabilities to vectors of parts, of the foreground, and what of each part is seen.

Shared by `visible_parts`, which learns the probabilities, and `one_pass`, whose parser gives them.
Proof: tests/embedders/test_visible_parts.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resight.data.label_sets import PARTS6
from resight.embedders.masks import six_parts
from resight.nn.blocks import AveragePool, GeM
from resight.nn.part_pool import pool_parts

PART_NAMES: Final = PARTS6.classes[1:]
LEAST_SHARE: Final = 0.002
"""A part that covers less of the crop than this, before anything was put before it, is not there to be seen."""


@dataclass(frozen=True, slots=True)
class PartVectors:
    """Shapes: parts B 6 D, visible B 6 (0..1), foreground B C."""

    parts: Float[Tensor, "B P D"]
    visible: Float[Tensor, "B P"]
    foreground: Float[Tensor, "B C"]


class PartFeatures(nn.Module):
    """Pool a map under six parts and the foreground, and estimate which share of each part is in view.

    The estimate looks at the part's vector and at how large and how certain all parts are; it teaches neither. On a
    grid of few cells that tells little, and a caller who knows more adds its own logits.
    """

    def __init__(self, channels: int, *, width: int) -> None:
        super().__init__()
        count = len(PART_NAMES)
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.seen_by_look = nn.Linear(width, 1)
        self.seen_by_size = nn.Linear(2 * count, count)

    def forward(
        self,
        maps: Float[Tensor, "B C h w"],
        groups: Float[Tensor, "B 7 H W"],
        seen: Float[Tensor, "B 6"] | None = None,
        pool: GeM | AveragePool | None = None,
    ) -> PartVectors:
        """`groups` are probabilities of the background and the six parts, 0..1, on a grid of their own.

        `seen` are logits of what is visible that are added to the estimate; `pool` is the kind of mean, else the plain.
        """
        pool = AveragePool() if pool is None else pool
        parts, share = pool_parts(pool.raised(self.reduce(maps)), groups[:, 1:])
        whole, _ = pool_parts(pool.raised(maps), 1 - groups[:, :1])
        parts, whole = pool.lowered(parts), pool.lowered(whole)
        facts = torch.cat([share.clamp_min(1e-4).log() / 4 + 1, groups[:, 1:].float().amax((2, 3))], 1).detach()
        logits = self.seen_by_look(parts.detach()).squeeze(2) + self.seen_by_size(facts)
        logits = logits if seen is None else logits + seen
        return PartVectors(parts=parts, visible=torch.sigmoid(logits.float()), foreground=whole[:, 0])


def seen_share(maps: Float[Tensor, "B 20 h w"], unhidden: Float[Tensor, "B 20"]) -> Float[Tensor, "B 6"]:
    """Share of each part that is still seen, 0..1: its mass in `maps` over the mass before anything covered it.

    `unhidden` is the mean of each class over the crop before. A part that was not there has share 0.
    """
    before = six_parts(unhidden[:, :, None, None])[:, 1:, 0, 0]
    after = six_parts(maps.mean((2, 3), keepdim=True))[:, 1:, 0, 0]
    return torch.where(before >= LEAST_SHARE, after / before.clamp_min(LEAST_SHARE), 0.0).clamp(0, 1)
