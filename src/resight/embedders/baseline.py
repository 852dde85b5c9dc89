"""The strong baseline: one global vector per crop.

Source: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-identification", CVPR Workshops 2019,
arXiv:1903.07071: last stride 1, batch-norm neck, label smoothing, random erasing, warm-up, batch-hard triplets.
Differs: no centre loss; generalised-mean pooling is offered; any backbone of `nn.backbones`.
Proof: benchmarks/market1501.py; tests/embedders/test_baseline.py.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from resight.losses import Joint, hard_triplet, identity_losses
from resight.nn.backbones import build_backbone
from resight.nn.blocks import IdentityHeads, batch_norm_neck, spatial_pool
from resight.nn.embeddings import Embeddings


class Baseline(nn.Module):
    """Backbone, pooling, batch-norm neck, and in training a linear classifier over the training persons.

    Shapes: images B 3 H W (normalised) -> matching B D and before_neck B D, D = the backbone's channels.
    """

    needs_maps = False
    learns_from_maps = False

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "efficientnet-lite0",
        pooling: Literal["gem", "average"] = "gem",
        last_stride: int = 1,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, last_stride=last_stride)
        self.pool = spatial_pool(pooling)
        self.neck = batch_norm_neck(self.backbone.channels)
        self.classifier = IdentityHeads([self.backbone.channels], classes)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Embeddings:
        before_neck = self.pool(self.backbone(images))
        matching = self.neck(before_neck)
        return Embeddings(matching=matching, before_neck=before_neck, logits=self.classifier(matching))


def baseline_objective(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Joint,
    *,
    smoothing: float,
    margin: float,
    triplet_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """The two losses, named and weighted: identities of this process's crops, triplets of the joint batch."""
    return {
        "identity": identity_losses(found.logits, classes, smoothing=smoothing).mean(),
        "triplet": triplet_weight * joint.mean(hard_triplet(joint.features, joint.classes, margin=margin)),
    }
