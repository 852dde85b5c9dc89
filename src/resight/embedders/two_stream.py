"""Two streams, one for the picture and one for the person cut free of it, joined.

Source: an unpublished net ("two-stream", no attention, no feature matching): 384 × 128, 16 persons × 4 pictures,
400 epochs, batch-hard triplets on all features; mAP 49.3, Rank-1 71.2 as was reported, on a set that was not named.
Differs, since it is not described: what the streams see (here RGB and RGB without background), the backbone (any of the
table), that each stream has weights of its own, and the batch-norm neck. "All features" is read as each stream's and
both together.
Proof: tests/embedders/test_two_stream.py.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resight.embedders.masks import cut_free
from resight.losses import Joint, hard_triplet, identity_losses
from resight.nn.backbones import build_backbone
from resight.nn.blocks import IdentityHeads, batch_norm_neck, spatial_pool
from resight.nn.embeddings import Embeddings


class TwoStream(nn.Module):
    """images B 3 H W and maps B 20 h w -> matching B 2C; `before_neck` holds the two streams one after the other."""

    needs_maps = True
    learns_from_maps = False

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "resnet50",
        pooling: Literal["gem", "average"] = "average",
        last_stride: int = 1,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, last_stride=last_stride)
        self.mask_backbone = build_backbone(backbone, last_stride=last_stride)
        self.pool = spatial_pool(pooling)
        width = 2 * self.backbone.channels
        self.neck = batch_norm_neck(width)
        self.classifier = IdentityHeads([width], classes)

    def forward(self, images: Float[Tensor, "B 3 H W"], maps: Float[Tensor, "B 20 h w"]) -> Embeddings:
        streams = self.pool(self.backbone(images)), self.pool(self.mask_backbone(cut_free(images, maps.detach())))
        before_neck = torch.cat(streams, 1)
        matching = self.neck(before_neck)
        return Embeddings(matching=matching, before_neck=before_neck, logits=self.classifier(matching), streams=streams)


def two_stream_objective(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Joint,
    *,
    smoothing: float,
    margin: float,
    identity_weight: float,
    triplet_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """Batch-hard triplets on both streams together and on each; `identity_weight` 0 leaves the classes out."""
    losses = {"identity": identity_weight * identity_losses(found.logits, classes, smoothing=smoothing).mean()}
    features = joint.features
    for name, rows in zip(("both", "picture", "cut-out"), (features, *features.chunk(2, dim=1)), strict=True):
        triplet = joint.mean(hard_triplet(rows, joint.classes, margin=margin))
        losses[f"triplet {name}"] = triplet_weight / 3 * triplet
    return losses
