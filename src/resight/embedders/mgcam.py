"""MGCAM: a mask teaches an attention map; the map and its complement gate a body and a background stream.

Source: Song et al., "Mask-guided Contrastive Attention Model for Person Re-Identification", CVPR 2018: MSCAN from
scratch at 160 × 64, attention on f_stage2 (96×40×16) as 3×3 convolution and sigmoid, three streams (whole, body,
background) of stages 3 and 4 and 128 numbers each, all three with identity losses; the whole stream is matched.
`inputs` and `attention` give the rows of its ablation: RGB, masked RGB and RGB+mask without attention (one stream);
hard attention (the binary mask itself); soft attention on RGB or RGB+mask. `tied`: one set of weights for the streams,
as the paper's figure says, or one each, as the released net has.
Differs: batches of P × K instead of 128 random pictures, so that the siamese loss sees all pairs from the start; masks
come from a parser; where a mask failed it is all 1. Masks are asked for at test time too unless `inputs` is "rgb" and
`attention` not "hard".
Proof: tests/embedders/test_mgcam.py.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from resight.embedders.masks import cut_free, failed, mask_of
from resight.errors import BadRecipe
from resight.losses import Joint, identity_losses
from resight.losses_parts import pair_loss, region_triplet
from resight.nn.blocks import IdentityHeads
from resight.nn.embeddings import Embeddings
from resight.nn.small import MSCANStart, MultiScale

Inputs = Literal["rgb", "masked-rgb", "rgb+mask"]
Attention = Literal["none", "hard", "soft"]


class Stream(nn.Module):
    """Stages 3 and 4 with their poolings and 128 numbers; f_stage2 B 96 h w -> B 128. At 160 × 64: 960 -> 128."""

    def __init__(self, *, width: int, grid: tuple[int, int] = (5, 2)) -> None:
        super().__init__()
        self.grid = grid
        self.stage3, self.stage4 = MultiScale(96), MultiScale(96)
        self.fc = nn.Linear(96 * grid[0] * grid[1], width)

    def forward(self, x: Float[Tensor, "B 96 h w"]) -> Float[Tensor, "B D"]:
        x = self.stage3(F.max_pool2d(x, 2))
        x = self.stage4(F.max_pool2d(x, 2))
        x = F.adaptive_max_pool2d(x, self.grid)  # the 2×2 pool at the paper's size
        return torch.as_tensor(self.fc(x.flatten(1)))


class MGCAM(nn.Module):
    """images B 3 H W, and maps B 20 h w where needed -> matching B 128.

    In training `logits` and `streams` are of whole, body and background, and `attention` is the learned map Φ
    (B 1 H/4 W/4, after the sigmoid).
    """

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "mscan",
        pooling: str = "average",
        last_stride: int = 2,
        inputs: Inputs = "rgb+mask",
        attention: Attention = "soft",
        tied: bool = False,
        width: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        del pooling, last_stride
        if backbone != "mscan":
            raise BadRecipe(f"MGCAM is a net of its own, `mscan`, trained from scratch; the recipe says `{backbone}`.")
        self.inputs, self.attention = inputs, attention
        self.needs_maps = inputs != "rgb" or attention == "hard"
        self.learns_from_maps = attention == "soft"
        self.backbone = MSCANStart(inputs=4 if inputs == "rgb+mask" else 3)
        self.look = nn.Conv2d(96, 1, 3, 1, 1) if attention == "soft" else None
        count = 1 if attention == "none" or tied else 3
        self.branches = nn.ModuleList([Stream(width=width) for _ in range(count)])
        self.dropout = nn.Dropout(dropout)
        self.classifier = IdentityHeads([width] * (1 if attention == "none" else 3), classes)

    def forward(self, images: Float[Tensor, "B 3 H W"], maps: Float[Tensor, "B 20 h w"] | None = None) -> Embeddings:
        size = images.shape[2], images.shape[3]
        if maps is None and self.needs_maps:
            raise ValueError(f"MGCAM on {self.inputs} with {self.attention} attention needs part maps")
        if maps is not None and self.inputs == "masked-rgb":
            images = cut_free(images, maps)
        if maps is not None and self.inputs == "rgb+mask":
            images = torch.cat([images, 2 * mask_of(maps, size).to(images.dtype) - 1], 1)
        shared = self.backbone.first(images)
        gate = self._gate(shared, maps)
        whole = self.branches[0](shared)
        if gate is None or not self.training:
            return self._answer([whole], None)
        kinds = [whole, self.branches[-2 % len(self.branches)](shared * gate), self.branches[-1](shared * (1 - gate))]
        return self._answer(kinds, gate)

    def _gate(self, shared: Tensor, maps: Tensor | None) -> Tensor | None:
        """Φ⁺, B 1 h w in 0..1."""
        if self.look is not None:
            return torch.sigmoid(self.look(shared))
        if self.attention == "hard" and maps is not None:
            return mask_of(maps, (shared.shape[2], shared.shape[3]), hard=True).to(shared.dtype)
        return None

    def _answer(self, streams: list[Tensor], gate: Tensor | None) -> Embeddings:
        return Embeddings(
            matching=streams[0],
            before_neck=streams[0],
            logits=self.classifier(*(self.dropout(stream) for stream in streams)),
            attention=gate if self.look is not None else None,
            streams=tuple(streams),
        )


def mgcam_objective(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Joint,
    maps: Float[Tensor, "B 20 h w"] | None,
    *,
    smoothing: float,
    siamese_weight: float,
    region_weight: float,
    attention_weight: float,
    push_margin: float,
) -> dict[str, Float[Tensor, ""]]:
    """Identity of every stream, background included, siamese pairs, the region triplet and the taught attention.

    The paper: weights 0.01, 0.01 and 0.1, margin 10 (its released net pushes to 100). The attention loss is the squared
    error summed over the map and halved, averaged over the batch, as the released net computes it; a crop whose mask
    failed teaches no attention.
    """
    losses = {
        "identity": identity_losses(found.logits, classes, smoothing=smoothing).sum(),
        "siamese": siamese_weight * joint.mean(pair_loss(joint.features, joint.classes, margin=push_margin)),
    }
    if len(found.streams) == 3:
        losses["region"] = region_weight * region_triplet(*found.streams, margin=push_margin).mean()
    if found.attention is not None and maps is not None:
        high, wide = found.attention.shape[2:]
        wrong = (mask_of(maps, (high, wide)) - found.attention.float()).square()
        wrong = wrong.masked_fill(failed(maps)[:, None, None, None], 0.0)
        losses["attention"] = attention_weight * wrong.sum((1, 2, 3)).mean() / 2
    return losses
