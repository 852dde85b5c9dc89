"""CE2P: context, high resolution and borders between parts, for one parsing.

Source: Ruan et al., "Devil in the Details: Towards Accurate Single and Multiple Human Parsing", AAAI 2019,
arXiv:1809.05996, in the form of its code of 2019: a deep stem, leaky ReLU in the heads, dropout before the last layer.
Differs: batch norm is PyTorch's with the activation behind it (the code's in-place norm computes with |weight| + 1e-5:
`ce2p_import` translates); ignored pixels are ignored by the border loss too (the code counts them as no border); a
batch without any border costs nothing (there: NaN). Every resize aligns the corners (the code forgets it in one place,
see `published`).
Each of the three components can be left out, and the backbone be a smaller one, to see what a component is worth.
Proof: tests/parsers/test_ce2p.py; tests/parsers/test_ce2p_import.py.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor, nn

from resight.data.augment import PIXEL_MEAN, PIXEL_SPREAD
from resight.losses import PixelLoss, mean_where
from resight.nn.parsing import Parsing, resize
from resight.nn.resnet import build_resnet
from resight.types import IGNORE

PYRAMID: Final = (1, 2, 3, 6)
LEAK: Final = 0.01
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_SPREAD: Final = (0.229, 0.224, 0.225)


class CE2P(nn.Module):
    """Pictures B 3 H W (normalised) -> parsing on a quarter of the size, rounded up; 66,723,928 parameters at 20.

    `published` computes as the released code does, for its weights: pictures are turned to blue-green-red order under
    ImageNet's red-green-blue statistics, and the context is resized to the fine grid without aligned corners.
    """

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "resnet101",
        deep_stem: bool = True,
        context: bool = True,
        high_resolution: bool = True,
        edge: bool = True,
        published: bool = False,
    ) -> None:
        super().__init__()
        self.published = published
        self.backbone = build_resnet(backbone, last_stride=1, last_dilation=2, deep_stem=deep_stem)
        fine, second, third, last = self.backbone.stage_channels
        self.context = Pyramid(inputs=last, sizes=PYRAMID if context else ())
        self.decoder = Decoder(fine=fine if high_resolution else 0, classes=classes, aligned=not published)
        self.edge = Edges(inputs=(fine, second, third)) if edge else None
        self.fusion: nn.Sequential | None = None
        if edge:
            self.fusion = nn.Sequential(*_activated(1024, 256), nn.Dropout2d(0.1), nn.Conv2d(256, classes, 1))

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Parsing:
        fine, second, third, last = self.backbone.stages(as_published(images) if self.published else images)
        first, features = self.decoder(self.context(last), fine)
        if self.edge is None or self.fusion is None:
            return Parsing(logits=first)
        borders, border_features = self.edge(fine, second, third)
        features = resize(features, border_features)
        logits = self.fusion(torch.cat([features, border_features], 1))
        return Parsing(logits=logits, side=(first,), edge=borders)


class Pyramid(nn.Module):
    """Averages over coarse grids, seen from everywhere (PSPNet); B C h w -> B 512 h w. Without sizes: no context."""

    def __init__(self, *, inputs: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), *_activated(inputs, 512)) for size in sizes
        )
        self.bottleneck = nn.Sequential(*_activated(inputs + 512 * len(sizes), 512, kernel=3))

    def forward(self, maps: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        seen = [resize(stage(maps), maps) for stage in self.stages]
        found: Tensor = self.bottleneck(torch.cat([*seen, maps], 1))
        return found


class Decoder(nn.Module):
    """Context brought to the fine grid and joined with 48 fine channels; gives a first parsing and its 256 features.

    With `fine=0` nothing fine is joined, and the parsing stays on the context's grid.
    """

    def __init__(self, *, fine: int, classes: int, aligned: bool) -> None:
        super().__init__()
        self.aligned = aligned
        self.coarse = nn.Sequential(*_activated(512, 256))
        self.fine = nn.Sequential(*_activated(fine, 48)) if fine else None
        self.joined = nn.Sequential(*_activated(256 + (48 if fine else 0), 256), *_activated(256, 256))
        self.scores = nn.Conv2d(256, classes, 1)

    def forward(
        self, context: Float[Tensor, "B 512 h w"], fine: Float[Tensor, "B C H W"]
    ) -> tuple[Float[Tensor, "B K _ _"], Float[Tensor, "B 256 _ _"]]:
        maps = self.coarse(context)
        if self.fine is not None:
            maps = torch.cat([resize(maps, fine, aligned=self.aligned), self.fine(fine)], 1)
        features = self.joined(maps)
        return self.scores(features), features


class Edges(nn.Module):
    """Borders between parts from three stages, by one shared 3×3; gives scores B 2 H W and features B 768 H W."""

    def __init__(self, *, inputs: tuple[int, int, int]) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(nn.Sequential(*_activated(channels, 256)) for channels in inputs)
        self.shared = nn.Conv2d(256, 2, 3, padding=1)
        self.joined = nn.Conv2d(6, 2, 1)

    def forward(self, *stages: Float[Tensor, "B _ _ _"]) -> tuple[Float[Tensor, "B 2 H W"], Float[Tensor, "B 768 H W"]]:
        features = [narrow(maps) for narrow, maps in zip(self.narrow, stages, strict=True)]
        scores = [resize(self.shared(maps), stages[0]) for maps in features]
        return self.joined(torch.cat(scores, 1)), torch.cat([resize(maps, stages[0]) for maps in features], 1)


def _activated(inputs: int, outputs: int, *, kernel: int = 1) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Convolution, batch norm, leaky ReLU: three modules, so that making the norm a synchronised one keeps the last."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(LEAK, inplace=True)


def as_published(images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Pictures as `normalise` makes them -> as the released weights saw them: blue first, under red's statistics."""
    pixels = (images.flip(1) * PIXEL_SPREAD + PIXEL_MEAN) / 255
    mean, spread = (pixels.new_tensor(numbers)[:, None, None] for numbers in (IMAGENET_MEAN, IMAGENET_SPREAD))
    return (pixels - mean) / spread


def edge_targets(labels: Integer[Tensor, "B H W"]) -> Integer[Tensor, "B H W"]:
    """1 where a border between two classes is at most a pixel away, 0 elsewhere, `IGNORE` where the label is.

    A pixel starts a border where its label differs from its upper, right, lower right or lower left neighbour's, both
    known; the border is then widened by one pixel all around.
    """
    edge = torch.zeros_like(labels, dtype=torch.bool)
    whole, early, late = slice(None), slice(None, -1), slice(1, None)
    for rows, columns, other_rows, other_columns in (
        (late, whole, early, whole),  # upper
        (whole, early, whole, late),  # right
        (early, early, late, late),  # lower right
        (early, late, late, early),  # lower left
    ):
        here, there = labels[:, rows, columns], labels[:, other_rows, other_columns]
        edge[:, rows, columns] |= (here != there) & (here != IGNORE) & (there != IGNORE)
    wide = F.max_pool2d(edge[:, None].float(), 3, 1, 1)[:, 0].long()
    return wide.masked_fill(labels == IGNORE, IGNORE)


def edge_loss(scores: Float[Tensor, "B 2 H W"], targets: Integer[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Cross-entropy of border and no border, each weighted by the share of the other in this batch; 0 without both."""
    border, plain = (targets == 1).sum(), (targets == 0).sum()
    share = border / (border + plain).clamp_min(1)
    losses = F.cross_entropy(scores.float(), targets.long(), ignore_index=IGNORE, reduction="none")
    weights = torch.where(targets == 1, 1 - share, share) * (targets != IGNORE)
    return (weights * losses).sum() / weights.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def ce2p_objective(
    found: Parsing, labels: Integer[Tensor, "B H W"], *, pixel_loss: PixelLoss
) -> dict[str, Float[Tensor, ""]]:
    """Final parsing, first parsing and borders, each of weight 1 and at the size of the labels."""
    like = labels[:, None]
    losses = {"parsing": mean_where(pixel_loss(resize(found.logits, like), labels), labels != IGNORE)}
    for side in found.side:
        losses["first parsing"] = mean_where(pixel_loss(resize(side, like), labels), labels != IGNORE)
    if found.edge is not None:
        losses["edge"] = edge_loss(resize(found.edge, like), edge_targets(labels))
    return losses
