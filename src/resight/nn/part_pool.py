"""Pool a map of features under soft masks, as if the map had been enlarged to the masks' size first.

Source: SPReID (Kalayeh et al., CVPR 2018): f_r = Σ p_r X' / Σ p_r with X' the bilinear enlargement of X.
Differs: X' is never made. Enlarging is linear, so Σ p (U X) = Σ (Uᵀ p) X: the few masks are brought to the map's grid
by the transpose of the enlargement, and the result is the same to rounding.
Proof: tests/nn/test_part_pool.py compares with the enlargement.
"""

from __future__ import annotations

import functools
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LEAST: Final = 1e-6
"""A mask whose sum is below this is of a part that is not seen."""


@functools.lru_cache(maxsize=64)
def _enlargement(small: int, large: int) -> Tensor:
    """Matrix large × small that interpolates linearly between pixel centres (corners not aligned)."""
    with torch.inference_mode(False):  # kept for later calls, which may learn
        rows = torch.eye(small)[None]  # 1 small small: each column enlarged by itself
        return F.interpolate(rows, large, mode="linear", align_corners=False)[0].T.contiguous()


def on_grid(masks: Float[Tensor, "B P H W"], size: tuple[int, int]) -> Float[Tensor, "B P h w"]:
    """Masks as weights on a grid of `size` (height, width): the transpose of the enlargement. Their sums stay."""
    if (masks.shape[2], masks.shape[3]) == size:
        return masks
    down, right = (_enlargement(small, large).to(masks) for small, large in zip(size, masks.shape[2:], strict=True))
    return torch.as_tensor(down.T @ (masks @ right))


def pool_parts(
    maps: Float[Tensor, "B C h w"], masks: Float[Tensor, "B P H W"]
) -> tuple[Float[Tensor, "B P C"], Float[Tensor, "B P"]]:
    """Mean of the features under each mask (weights ≥ 0), and each mask's mean over the crop (0..1 for masks of 0..1).

    A part that is not seen gives zeros, never NaN. In fp32, whatever the arithmetic around it.
    """
    with torch.autocast(maps.device.type, enabled=False):
        share = masks.float().mean((2, 3))
        weights = on_grid(masks.float(), (maps.shape[2], maps.shape[3])).flatten(2)  # B P hw
        area = weights.sum(2)
        summed = weights @ maps.float().flatten(2).transpose(1, 2)
        return torch.where((area > LEAST)[..., None], summed / area.clamp_min(LEAST)[..., None], 0.0), share


def shrink_masks(masks: Float[Tensor, "B P H W"], size: tuple[int, int]) -> Float[Tensor, "B P h w"]:
    """Mean of the masks in each cell of a coarser grid: what a head at that stride is taught."""
    return F.adaptive_avg_pool2d(masks.float(), size)
