"""Attention over scales, and self-supervised structure: a parsing whose joints lie wrong costs more.

Source: Gong et al., "Look into Person", CVPR 2017, arXiv:1703.05446 (structure-sensitive learning), on Chen et al.,
"Attention to Scale", CVPR 2016, arXiv:1511.03339, on DeepLab-LargeFOV; numbers as in the authors' Caffe files.
The joints are centres of classes, found in the prediction and in the labels; how far the two sets of nine maps lie
apart is one number a picture, through which no gradient flows, and by which that picture's losses are multiplied.
Differs: the number never falls below a floor (there, joints that all agree stop a picture from teaching anything); a
missing joint is told by its pixels' count, not by the place (0, 0), where a real one may lie; each picture has its own
sums; ignored pixels belong to no joint; the nine joints come from the names of the active label set.
Proof: tests/parsers/test_attention_ssl.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor, nn

from resight.errors import BadLabels, UnknownName
from resight.losses import PixelLoss
from resight.nn.parsing import Parsing, resize
from resight.nn.vgg import VGG16
from resight.types import IGNORE

SCALES: Final = (1.0, 0.75, 0.5)
JOINTS: Final[dict[str, frozenset[str]]] = {  # joint -> names of its classes in any label set
    "head": frozenset({"head", "hat", "hair", "sunglasses", "face"}),
    "upper body": frozenset({"upper", "clothes", "upper-clothes", "coat", "scarf", "torso"}),
    "lower body": frozenset({"lower", "pants", "skirt"}),
    **{
        f"{side} {limb}": frozenset({f"{side} {limb}"}) for limb in ("arm", "leg", "shoe") for side in ("left", "right")
    },
}
"""Glove, dress, socks and jumpsuits are in no joint. Where `clothes` are one class, they stand for the upper body."""
SIGMA: Final = 1.0
"""Width of a joint's map, in cells of the score grid."""
STRENGTH: Final = 0.05
"""Of the weight, times half of the summed squares: a joint that lies all wrong adds 0.4."""
FLOOR: Final = 0.1
"""The weight of a picture whose joints all agree: a quarter of what one wrong joint adds."""


class AttentionSSL(nn.Module):
    """Pictures B 3 H W (normalised) -> parsing on an eighth of the size, rounded up; `side` are the three scales."""

    def __init__(self, *, classes: int, backbone: str = "vgg16") -> None:
        super().__init__()
        if backbone != "vgg16":
            raise UnknownName("backbone of Attention+SSL", backbone, ("vgg16",))
        self.backbone = VGG16()
        self.wide = nn.Sequential(
            nn.Conv2d(512, 1024, 3, padding=12, dilation=12),
            *(nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Conv2d(1024, 1024, 1), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        )
        self.scores = nn.Conv2d(1024, classes, 1)
        self.attention = nn.Sequential(
            nn.Conv2d(1024 * len(SCALES), 512, 3, padding=1),
            *(nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Conv2d(512, len(SCALES), 1)),
        )
        for layer in (*self.wide, *self.attention):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        for layer in (self.scores, self.attention[-1]):
            nn.init.normal_(layer.weight, std=0.01)  # type: ignore[arg-type]

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Parsing:
        features: list[Tensor] = []
        scores: list[Tensor] = []
        for scale in SCALES:
            high, wide = (max(1, round(scale * size)) for size in images.shape[2:])
            picture = images if scale == 1 else resize(images, images.new_empty(len(images), 1, high, wide))
            maps = self.wide(self.backbone(picture))
            features.append(maps if not features else resize(maps, features[0]))
            scores.append(resize(self.scores(maps), features[0]))
        shares = self.attention(torch.cat(features, 1)).softmax(1)  # B 3 h w
        fused = (shares[:, :, None] * torch.stack(scores, 1)).sum(1)
        return Parsing(logits=fused, side=tuple(scores))


@functools.cache
def joint_table(classes: tuple[str, ...]) -> Bool[Tensor, "J K"]:
    """Which class belongs to which of the nine joints; raises BadLabels for a label set without any."""
    table = torch.tensor([[name in names for name in classes] for names in JOINTS.values()])
    if not table.any():
        raise BadLabels(f"None of these classes belongs to a joint of the body: {', '.join(classes)}.")
    return table


def joint_maps(labels: Integer[Tensor, "B h w"], table: Bool[Tensor, "J K"]) -> Float[Tensor, "B J h w"]:
    """One bump per joint, 4 / (σ √2π) high, around the centre of its classes' pixels, cut down to a whole cell.

    A joint without pixels has an empty map. Labels of no class (ignored, or sets of classes) belong to no joint.
    """
    classes = table.shape[1]
    known = labels.long().clamp_max(classes)  # the column behind the last: no joint
    member = F.pad(table.to(labels.device), (0, 1))[:, known].transpose(0, 1).float()  # B J h w
    count = member.sum((2, 3))
    rows, columns = (torch.arange(size, device=labels.device, dtype=torch.float) for size in labels.shape[1:])
    y = ((member.sum(3) * rows).sum(2) / count.clamp_min(1)).floor()
    x = ((member.sum(2) * columns).sum(2) / count.clamp_min(1)).floor()
    square = (rows - y[..., None]).square()[..., None] + (columns - x[..., None]).square()[..., None, :]
    bumps = 4 / (SIGMA * math.sqrt(2 * math.pi)) * torch.exp(-square / (2 * SIGMA**2))
    return bumps * (count > 0)[..., None, None]


@torch.no_grad()
def structure_weights(
    logits: Float[Tensor, "B K h w"], labels: Integer[Tensor, "B h w"], table: Bool[Tensor, "J K"]
) -> Float[Tensor, " B"]:
    """How wrong each picture's joints lie, at least `FLOOR`; a number without gradient, from that picture alone."""
    predicted = logits.argmax(1).masked_fill(labels == IGNORE, IGNORE)
    difference = joint_maps(predicted, table) - joint_maps(labels, table)
    return (STRENGTH * 0.5 * difference.square().sum((1, 2, 3))).clamp_min(FLOOR)


def nearest_labels(labels: Integer[Tensor, "B H W"], size: tuple[int, int]) -> Integer[Tensor, "B h w"]:
    """Labels at the grid's points, corner on corner: values are picked, never mixed."""
    rows, columns = (_picked(old, new, labels.device) for old, new in zip(labels.shape[1:], size, strict=True))
    return labels[:, rows[:, None], columns]


def _picked(old: int, new: int, device: torch.device) -> Int[Tensor, " n"]:
    return torch.linspace(0, old - 1, new, device=device).round().long()


def attention_ssl_objective(
    found: Parsing, labels: Integer[Tensor, "B H W"], *, pixel_loss: PixelLoss, classes: Sequence[str]
) -> dict[str, Float[Tensor, ""]]:
    """Cross-entropy of the fused parsing and of each scale on the score grid, times the joints' weight."""
    small = nearest_labels(labels, (found.logits.shape[2], found.logits.shape[3]))
    weights = structure_weights(found.logits, small, joint_table(tuple(classes)))
    named = {"fused": found.logits} | {f"scale {s:g}": side for s, side in zip(SCALES, found.side, strict=True)}
    kept = small != IGNORE
    share = kept / kept.sum((1, 2), keepdim=True).clamp_min(1)  # a picture's pixels together weigh 1
    return {name: (weights * (pixel_loss(scores, small) * share).sum((1, 2))).mean() for name, scores in named.items()}
