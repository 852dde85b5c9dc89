"""SPReID: features averaged under the probabilities of body regions, beside the global average.

Source: Kalayeh et al., "Human Semantic Parsing for Person Re-identification", CVPR 2018: `g` is the mean of the last
map X; X enlarged to the parser's grid is averaged under each of five overlapping regions (`POOLING`), four parts are
joined by their element-wise maximum, and [foreground; parts; g] is matched. No gradient reaches the parser.
Differs: any backbone of the table (the paper: Inception-V3); a batch-norm neck, the objective and the mean of the
baseline, so that a comparison differs in where is pooled alone: `pooling = "gem"` takes generalised means, `"average"`
the paper's, of regions and whole alike. The paper's objective is its identity loss: `triplet-weight = 0`.
`shared = false` gives the regions a backbone of their own, beside that of `g`.
Proof: tests/embedders/test_spreid.py.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resight.embedders.masks import regions
from resight.nn.backbones import build_backbone
from resight.nn.blocks import IdentityHeads, batch_norm_neck, spatial_pool
from resight.nn.embeddings import Embeddings
from resight.nn.part_pool import pool_parts


class SPReID(nn.Module):
    """images B 3 H W and maps B 20 h w -> matching B D, D = 3 × the backbone's channels (2 × without foreground)."""

    needs_maps = True
    learns_from_maps = False

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "resnet50",
        pooling: Literal["gem", "average"] = "average",
        last_stride: int = 1,
        foreground: bool = True,
        shared: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, last_stride=last_stride)
        self.part_backbone = None if shared else build_backbone(backbone, last_stride=last_stride)
        self.foreground = foreground
        self.pool = spatial_pool(pooling)
        width = self.backbone.channels * (3 if foreground else 2)
        self.neck = batch_norm_neck(width)
        self.classifier = IdentityHeads([width], classes)

    def forward(self, images: Float[Tensor, "B 3 H W"], maps: Float[Tensor, "B 20 h w"]) -> Embeddings:
        found = self.backbone(images)
        of_parts = found if self.part_backbone is None else self.part_backbone(images)
        pooled, _ = pool_parts(self.pool.raised(of_parts), regions(maps.detach()))
        pooled = self.pool.lowered(pooled)
        strongest = pooled[:, 1:].amax(1)  # head, upper, lower, shoes; a part that is not seen is 0
        vectors = [strongest, self.pool(found)]  # g from the map as it is, before any enlarging
        if self.foreground:
            vectors = [pooled[:, 0], *vectors]
        before_neck = torch.cat(vectors, 1)
        matching = self.neck(before_neck)
        return Embeddings(matching=matching, before_neck=before_neck, logits=self.classifier(matching))
