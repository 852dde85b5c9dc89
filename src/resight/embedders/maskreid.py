"""MaskReID: the picture and the picture without background enter one net; low, middle and high features are fused.

Source: Qi et al., "MaskReID: A Mask Based Deep Ranking Neural Network for Person Re-identification", arXiv:1804.03864.
On the paper's own net (`dgd`, 144 × 56) each picture has three convolutions of its own; maps after 4b, 5b and 6b are
averaged and joined (384 + 768 + 1536 = 2688) and brought to 256 numbers, which are compared by cosine.
Differs: on other backbones both pictures enter through a 3×3 convolution to three channels that starts as the plain
picture, so that ImageNet's weights keep their meaning. The figure's extra block on the low and middle taps is not
described and left out. Batches hold P × K pictures instead of one person's 10 and 54 others. The background becomes
mean grey, and a crop whose mask failed enters twice as it is, not as a black picture.
Proof: tests/embedders/test_maskreid.py; tests/test_losses_parts.py for the loss and its floor of log 55.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resight.embedders.masks import cut_free
from resight.losses import Joint, identity_losses
from resight.losses_parts import ranking_loss
from resight.nn.backbones import build_backbone
from resight.nn.blocks import IdentityHeads
from resight.nn.embeddings import Embeddings
from resight.nn.freezable import FreezableBackbone
from resight.nn.small import DGD


class MaskReID(nn.Module):
    """images B 3 H W and maps B 20 h w -> matching B 256; `fusion` off takes the last map alone (the paper's -M)."""

    needs_maps = True
    learns_from_maps = False

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "dgd",
        pooling: str = "average",
        last_stride: int = 1,
        width: int = 256,
        fusion: bool = True,
    ) -> None:
        super().__init__()
        del pooling  # the paper averages
        self.fusion = fusion
        self.backbone: FreezableBackbone
        self.entry: nn.Conv2d | None = None
        if backbone == "dgd":
            self.backbone = DGD(inputs=2)
        else:
            self.backbone = build_backbone(backbone, last_stride=last_stride)
            self.entry = _plain_picture()
        levels = self.backbone.stage_channels[1:] if fusion else self.backbone.stage_channels[-1:]
        self.join = nn.Linear(sum(levels), width)
        self.classifier = IdentityHeads([width], classes)

    def forward(self, images: Float[Tensor, "B 3 H W"], maps: Float[Tensor, "B 20 h w"]) -> Embeddings:
        both = torch.cat([images, cut_free(images, maps.detach())], 1)
        stages = self.backbone.stages(both if self.entry is None else self.entry(both))
        levels = stages[1:] if self.fusion else stages[-1:]
        vector = self.join(torch.cat([level.float().mean((2, 3)) for level in levels], 1))
        return Embeddings(matching=vector, before_neck=vector, logits=self.classifier(vector))


def _plain_picture() -> nn.Conv2d:
    """Six channels to three: at the start the first picture as it is."""
    entry = nn.Conv2d(6, 3, 3, 1, 1)
    nn.init.zeros_(entry.weight)
    nn.init.zeros_(entry.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        for channel in range(3):
            entry.weight[channel, channel, 1, 1] = 1.0
    return entry


def maskreid_objective(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Joint,
    *,
    smoothing: float,
    identity_weight: float,
    ranking_weight: float,
    slack: float,
    attraction: float,
    nearest: int,
    only_active: bool,
) -> dict[str, Float[Tensor, ""]]:
    """Softmax over persons (the paper's first stage) and the ranking loss (its second); either may have weight 0.

    The paper: slack 0.15, attraction 2, "some" nearest negatives, all of them inside the logarithm.
    """
    ranking = ranking_loss(
        *(joint.features, joint.classes),
        slack=slack,
        attraction=attraction,
        nearest=nearest,
        only_active=only_active,
    )
    return {
        "identity": identity_weight * identity_losses(found.logits, classes, smoothing=smoothing).mean(),
        "ranking": ranking_weight * joint.mean(ranking),
    }
