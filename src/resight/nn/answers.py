"""What a parser's network answers for a batch, several answers as one, and maps at the pictures' own sizes.

Proof: tests/test_parsing.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import Tensor


class Answer(NamedTuple):
    """Of a batch; NaN where the network does not say."""

    probabilities: Float32[Tensor, "B K h w"]
    sure: Float32[Tensor, " B"]
    second_share: Float32[Tensor, " B"]
    view: Float32[Tensor, "B 2"]
    hidden: Float32[Tensor, " B"]
    company: Float32[Tensor, " B"]


def mean_answer(answers: Sequence[Answer], *, aligned: bool) -> Answer:
    """Mean of answers at several sizes, brought to the grid of the first."""
    grid = answers[0].probabilities.shape[2:]
    maps = [
        one if one.shape[2:] == grid else F.interpolate(one, grid, mode="bilinear", align_corners=aligned)
        for one in (answer.probabilities for answer in answers)
    ]
    rest = (torch.stack(parts).mean(0) for parts in zip(*(answer[1:] for answer in answers), strict=True))
    return Answer(torch.stack(maps).mean(0), *rest)


def largest(
    probabilities: Tensor, size: tuple[int, int], *, through: tuple[int, int] | None = None
) -> UInt8[np.ndarray, "B H W"]:
    """Class of the largest probability at each pixel of pictures of `size`, height and width; B K h w -> B H W.

    `through` is the network's own picture, for answers whose corners lie on its corners: they are brought to it first.
    """
    found = torch.empty((len(probabilities), *size), dtype=torch.uint8)
    for row, high in enumerate(probabilities.float().split(1)):  # large pictures need their classes' room only once
        if through is not None and tuple(high.shape[2:]) != through:
            high = F.interpolate(high, through, mode="bilinear", align_corners=True)
        if tuple(high.shape[2:]) != size:
            high = F.interpolate(high, size, mode="bilinear", align_corners=False)
        found[row] = high[0].argmax(0)
    return found.numpy()
