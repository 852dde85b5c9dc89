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

from resight.losses import hard_triplet, identity_loss, over_processes
from resight.nn.backbones import build_backbone
from resight.nn.blocks import AveragePool, GeM
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
        self.pool = GeM() if pooling == "gem" else AveragePool()
        self.neck = nn.BatchNorm1d(self.backbone.channels)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(self.backbone.channels, classes, bias=False) if classes else None
        if self.classifier is not None:
            nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Embeddings:
        before_neck = self.pool(self.backbone(images))
        matching = self.neck(before_neck)
        logits = self.classifier(matching) if self.classifier is not None and self.training else None
        return Embeddings(matching=matching, before_neck=before_neck, logits=logits)


def baseline_objective(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Float[Tensor, "J D"],
    joint_classes: Int[Tensor, " J"],
    *,
    smoothing: float,
    margin: float,
    triplet_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """The two losses, named and weighted; `joint` is the batch gathered over all processes.

    The triplet loss is the joint batch's on every process; its gradient reaches only this process's rows and is
    multiplied by the number of processes, since they average their gradients.
    """
    if found.logits is None:
        raise ValueError("the objective needs logits: build the embedder with classes > 0 and call .train()")
    triplet = hard_triplet(joint, joint_classes, joint, joint_classes, margin=margin).mean()
    return {
        "identity": identity_loss(found.logits, classes, smoothing=smoothing).mean(),
        "triplet": triplet_weight * over_processes(triplet, joint=len(joint_classes), own=len(classes)),
    }
