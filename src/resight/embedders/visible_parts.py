"""Parts of a person as vectors, each with how much of it is seen; no parser is needed after training.

An own design on known ideas: part attention taught by part maps; identity on whole, foreground and all parts in a row,
triplets on parts (Somers et al., WACV 2023, arXiv:2211.03679); visibility as a weight of the distance (Sun et al., CVPR
2019, arXiv:1904.00537).
Differs: visibility is a share, 0..1, learned from what pasted objects hide of each part, not a threshold on attention;
six parts without sides, clothes apart from skin; the foreground has a neck of its own and is matched beside the whole;
parts have one too, since vectors of nothing but positive numbers all look alike to a cosine.
Proof: tests/embedders/test_visible_parts.py.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from resight.embedders.masks import six_parts
from resight.embedders.part_features import PART_NAMES, PartFeatures, seen_share
from resight.losses import Joint, hard_triplet, identity_losses
from resight.losses_parts import part_triplet, soft_cross_entropy, visibility_loss
from resight.nn.backbones import build_backbone
from resight.nn.blocks import IdentityHeads, batch_norm_neck, spatial_pool
from resight.nn.embeddings import Embeddings
from resight.nn.part_pool import shrink_masks

FIELDS: Final = (4, 2)


class SeenByPlace(nn.Module):
    """What of each part is seen, by what stands where: the map B C h w in 4 × 2 fields -> logits B 6.

    A thing before somebody looks unlike a person wherever it is, and where it is says which parts it hides.
    """

    def __init__(self, channels: int, *, width: int = 64) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.answer = nn.Linear(math.prod(FIELDS) * width, len(PART_NAMES))

    def forward(self, maps: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 6"]:
        return torch.as_tensor(self.answer(F.adaptive_avg_pool2d(self.look(maps), FIELDS).flatten(1)))


class VisibleParts(nn.Module):
    """images B 3 H W -> matching B 2C (whole, foreground), parts B 6 `width`, visible B 6 (0..1).

    `attention` are logits of background and six parts on the map's grid; `logits` of whole, foreground and all parts.
    """

    needs_maps = False
    learns_from_maps = True

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "efficientnet-lite0",
        pooling: Literal["gem", "average"] = "gem",
        last_stride: int = 1,
        width: int = 256,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, last_stride=last_stride)
        channels = self.backbone.channels
        self.pool = spatial_pool(pooling)
        self.look = nn.Sequential(
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 1 + len(PART_NAMES), 1),
        )
        self.parts = PartFeatures(channels, width=width)
        self.seen = SeenByPlace(channels)
        joined = width * len(PART_NAMES)
        self.neck, self.foreground_neck = batch_norm_neck(channels), batch_norm_neck(channels)
        self.parts_neck = batch_norm_neck(joined)
        self.classifier = IdentityHeads((channels, channels, joined), classes)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Embeddings:
        maps = self.backbone(images)
        attention = self.look(maps)
        whole = self.pool(maps)
        parts = self.parts(maps, attention.float().softmax(1), self.seen(maps.detach()), self.pool)
        vectors = self.neck(whole), self.foreground_neck(parts.foreground), self.parts_neck(parts.parts.flatten(1))
        return Embeddings(
            matching=torch.cat(vectors[:2], 1),
            before_neck=whole,
            logits=self.classifier(*vectors),
            parts=vectors[2].unflatten(1, (len(PART_NAMES), -1)),
            visible=parts.visible,
            attention=attention,
        )


def visible_parts_objective(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Joint,
    maps: Float[Tensor, "B 20 h w"],
    unhidden: Float[Tensor, "B 20"],
    *,
    smoothing: float,
    margin: float,
    triplet_weight: float,
    part_triplet_weight: float,
    map_weight: float,
    visible_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """Identity of whole and foreground, triplets of the whole and of the parts that are seen, maps and visibility.

    `maps` show what is left of the person after pasting, `unhidden` how much of each class there was before.
    """
    losses = identity_and_parts(
        found,
        classes,
        joint,
        smoothing=smoothing,
        margin=margin,
        triplet_weight=triplet_weight,
        part_triplet_weight=part_triplet_weight,
    )
    if found.attention is None or found.visible is None:
        raise ValueError("the objective needs attention and visibility: these are not the embeddings of visible parts")
    target = shrink_masks(six_parts(maps), (found.attention.shape[2], found.attention.shape[3]))
    losses["maps"] = map_weight * soft_cross_entropy(found.attention, target).mean()
    losses["visible"] = visible_weight * visibility_loss(found.visible, seen_share(maps, unhidden)).mean()
    return losses


def identity_and_parts(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Joint,
    *,
    smoothing: float,
    margin: float,
    triplet_weight: float,
    part_triplet_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """What tells persons apart: identity of whole and foreground, and the two triplet losses of the joint batch."""
    if joint.parts is None or joint.visible is None:
        raise ValueError("the objective needs parts: these are not the embeddings of an embedder that tells them apart")
    whole = hard_triplet(joint.features, joint.classes, margin=margin)
    parts = part_triplet(joint.parts, joint.visible, joint.classes, margin=margin)
    return {
        "identity": identity_losses(found.logits, classes, smoothing=smoothing).mean(),
        "triplet": triplet_weight * joint.mean(whole),
        "part triplet": part_triplet_weight * joint.mean(parts),
    }
