"""Spatial attention without parameters: each place counts by the softmax of its summed activation.

Source: Wang et al., "Parameter-Free Spatial Attention Network for Person Re-Identification", arXiv:1811.12150: A is the
sum over channels, p the softmax of A over the places, f p is pooled. Six stripes with a shared 1×1 to 256 numbers and a
classifier each, a classifier on their mean, and side classifiers on the first three stages (deep supervision) with
attention before each of their poolings (SA2); attention on the last map (SA1) is off in the paper's main rows.
Loss: (1 - λ) Σ stripes + λ (Σ sides + mean), λ = 0.2, all cross-entropy.
Differs: the paper writes global pooling as a *sum*; a true mean after the attention would shrink features by the number
of places, so the sum is used (an attention-weighted mean). Sums of hundreds of ReLU channels make the softmax almost
one-hot, so a `temperature` divides them; computed in fp32. Without stripes and sides what remains is the baseline with
attention in its pooling (average, the paper's, or generalised mean), the row to contrast with it: equal weights would
give the baseline. Side heads are dropped after training.
Proof: tests/embedders/test_spatial_attention.py.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from resight.losses import Joint, hard_triplet, identity_losses
from resight.nn.backbones import build_backbone
from resight.nn.blocks import IdentityHeads, batch_norm_neck, spatial_pool
from resight.nn.embeddings import Embeddings

Matched = Literal["stripes", "reduced", "pooled"]


def attention_weights(maps: Float[Tensor, "B C h w"], *, temperature: float) -> Float[Tensor, "B 1 h w"]:
    """Softmax over the places of the channels' sum; in fp32, sums to 1 for each crop."""
    with torch.autocast(maps.device.type, enabled=False):
        summed = maps.float().sum(1) / temperature  # B h w
        return summed.flatten(1).softmax(1).reshape(len(maps), 1, *maps.shape[2:])


def attend(maps: Float[Tensor, "B C h w"], *, temperature: float) -> Float[Tensor, "B C"]:
    """Sum over the places of features times attention: a weighted mean, so a constant map gives its constant."""
    return (maps.float() * attention_weights(maps, temperature=temperature)).sum((2, 3))


class SpatialAttention(nn.Module):
    """images B 3 H W -> matching B D; D = 6 C from stripes, 6 × 256 reduced, 256 pooled, C without stripes.

    In training `logits` are: stripes 1-6, sides 1-3, mean; without stripes the one classifier first.
    """

    needs_maps = False
    learns_from_maps = False

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "resnet50",
        pooling: Literal["gem", "average"] = "average",
        last_stride: int = 1,
        stripes: int = 6,
        sides: bool = True,
        side_attention: bool = True,
        backbone_attention: bool = False,
        temperature: float = 1.0,
        matched: Matched = "stripes",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, last_stride=last_stride)
        self.stripes, self.sides, self.matched = stripes, sides, matched
        self.side_attention, self.backbone_attention, self.temperature = side_attention, backbone_attention, temperature
        channels = self.backbone.channels
        self.pool = spatial_pool("average" if stripes else pooling)
        self.reduce = nn.Sequential(nn.Linear(channels, 256), nn.ReLU(inplace=True)) if stripes else None
        self.neck = None if stripes else batch_norm_neck(channels)
        self.dropout = nn.Dropout(dropout)
        side_widths = self.backbone.stage_channels[:3] if sides else ()
        widths = (*([256] * stripes if stripes else [channels]), *side_widths, *([256] if stripes else []))
        self.classifier = IdentityHeads(widths, classes)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Embeddings:
        stages = self.backbone.stages(images)
        rows = self._rows(stages[-1])  # B S C
        if self.reduce is None or self.neck is not None:
            before = rows[:, 0]
            matching = before if self.neck is None else self.neck(before)
            return self._answer(matching, before, [matching], stages, None)
        reduced = self.reduce(rows)  # B 6 256
        mean = reduced.mean(1)
        matching = {"stripes": rows.flatten(1), "reduced": reduced.flatten(1), "pooled": mean}[self.matched]
        return self._answer(matching, matching, list(reduced.unbind(1)), stages, mean)

    def _rows(self, last: Tensor) -> Tensor:
        """The last map's vectors: one a stripe, or one of the whole crop."""
        if not self.stripes:
            weights = attention_weights(last, temperature=self.temperature) if self.backbone_attention else None
            found: Tensor = self.pool(last, weights)
            return found[:, None]
        if self.backbone_attention:  # the mean over a stripe times the number of places is the paper's sum
            last = last.float() * attention_weights(last, temperature=self.temperature) * last[0, 0].numel()
        return F.adaptive_avg_pool2d(last.float(), (self.stripes, 1)).squeeze(3).transpose(1, 2)

    def _answer(
        self, matching: Tensor, before: Tensor, main: list[Tensor], stages: tuple[Tensor, ...], mean: Tensor | None
    ) -> Embeddings:
        rows: list[Tensor] = []
        if self.training:
            rows = [self.dropout(row) for row in main]
            for stage in stages[:3] if self.sides else ():  # no dropout on side branches
                pooled = attend(stage, temperature=self.temperature) if self.side_attention else stage.mean((2, 3))
                rows.append(pooled)
            rows += [] if mean is None else [self.dropout(mean)]
        return Embeddings(matching=matching, before_neck=before, logits=self.classifier(*rows))


def spatial_attention_objective(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Joint,
    *,
    stripes: int,
    smoothing: float,
    side_weight: float,
    margin: float,
    triplet_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """(1 - λ) of the stripes' (or the one) identity losses, λ = `side_weight` of all others; the paper has no triplet.

    Where nothing stands beside the one classifier its weight is 1, so that the row differs from the baseline's in the
    attention alone.
    """
    named = identity_losses(found.logits, classes, smoothing=smoothing)
    main, beside = named[: stripes or 1].sum(), named[stripes or 1 :]
    losses = {"identity": (1 - side_weight) * main if len(beside) else main}
    if len(beside):
        losses["sides"] = side_weight * beside.sum()
    if triplet_weight:
        losses["triplet"] = triplet_weight * joint.mean(hard_triplet(joint.features, joint.classes, margin=margin))
    return losses
