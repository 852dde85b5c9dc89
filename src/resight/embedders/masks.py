"""What embedders make of soft part maps of 20 LIP classes: SPReID's regions, the foreground, and pictures cut free.

Proof: tests/embedders/test_masks.py.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from resight.data.regrouping import LIP20_PARTS6, POOLING, regroup_probabilities

LEAST_FOREGROUND: Final = 0.05
"""A mask that covers less of the crop than this has failed: the crop is taken as it is."""
Maps = Float[Tensor, "B 20 h w"]


def regions(maps: Maps) -> Float[Tensor, "B 5 h w"]:
    """SPReID's overlapping regions: foreground, head, upper, lower, shoes."""
    return torch.einsum("gk,bkhw->bghw", torch.from_numpy(POOLING.copy()).to(maps), maps)


def six_parts(maps: Maps) -> Float[Tensor, "B 7 h w"]:
    """Background and the six parts of `parts6`."""
    return regroup_probabilities(maps, LIP20_PARTS6)


def foreground(maps: Maps) -> Float[Tensor, "B 1 h w"]:
    """Probability that a pixel is the person's, 0..1: what is not background."""
    return (1 - maps[:, :1]).clamp(0, 1)


def failed(maps: Maps) -> Bool[Tensor, " B"]:
    """Crops whose mask is (nearly) empty or not finite."""
    share = foreground(maps).mean((1, 2, 3))
    return ~(share >= LEAST_FOREGROUND)  # also where it is NaN


def mask_of(maps: Maps, size: tuple[int, int], *, hard: bool = False) -> Float[Tensor, "B 1 H W"]:
    """The person's mask at `size` (height, width), 0..1, or 0 and 1 when `hard`; all 1 where the mask failed."""
    mask = F.interpolate(foreground(maps), size, mode="bilinear", align_corners=False)
    if hard:
        mask = (mask > 0.5).to(mask.dtype)
    return torch.where(failed(maps)[:, None, None, None], torch.ones_like(mask), mask)


def cut_free(images: Float[Tensor, "B 3 H W"], maps: Maps) -> Float[Tensor, "B 3 H W"]:
    """Pictures with the background at the mean grey (0 when normalised); where the mask failed, as they are."""
    return images * mask_of(maps, (images.shape[2], images.shape[3])).to(images.dtype)
