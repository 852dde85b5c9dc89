"""One network, one pass: who it is, part by part, how much of each part is seen, and the parsing itself.

An own design: the decoder of `parser-lite` and the heads of `visible_parts` read one EfficientNet-Lite0; the parser's
own probabilities, grouped to six parts, are the attention. They carry no gradient from the identities: the classes
would bend into whatever tells persons apart, and the maps would be no parsing any more.
The decoder is handed in ready-made (`model.py`), since networks of one kind do not know those of the other.
Proof: tests/embedders/test_one_pass.py.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from resight.embedders.masks import six_parts
from resight.embedders.part_features import PartFeatures, seen_share
from resight.embedders.visible_parts import identity_and_parts
from resight.errors import BadRecipe
from resight.losses import Joint, mean_where
from resight.losses_parts import soft_cross_entropy, visibility_loss
from resight.nn.backbones import DECODED_BLOCKS, DECODED_STRIDE, EfficientNetLite, in_multiples
from resight.nn.blocks import IdentityHeads, batch_norm_neck, spatial_pool
from resight.nn.embeddings import Embeddings
from resight.nn.parsing import Parsing, probabilities
from resight.types import IGNORE


class OnePass(nn.Module):
    """images B 3 H W -> matching B 2C, parts B 6 `width`, visible B 6, and a Parsing of 20 classes at half the size."""

    needs_maps = False
    learns_from_maps = True

    def __init__(
        self,
        *,
        classes: int,
        parser: nn.Module,
        backbone: str = "efficientnet-lite0",
        pooling: Literal["gem", "average"] = "gem",
        last_stride: int = 1,
        width: int = 256,
    ) -> None:
        super().__init__()
        if backbone != "efficientnet-lite0":
            raise BadRecipe(f"one-pass reads EfficientNet-Lite0 at four strides; the recipe says `{backbone}`.")
        self.backbone = EfficientNetLite(last_stride=last_stride)
        self.parser = parser
        channels = self.backbone.channels
        self.pool = spatial_pool(pooling)
        self.parts = PartFeatures(channels, width=width)
        self.neck, self.foreground_neck = batch_norm_neck(channels), batch_norm_neck(channels)
        self.classifier = IdentityHeads((channels, channels), classes)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Embeddings:
        images = in_multiples(images, DECODED_STRIDE)
        *fine, last = self.backbone.taps(images, DECODED_BLOCKS)
        parsing: Parsing = self.parser(tuple(fine))
        whole = self.pool(last)
        parts = self.parts(last, six_parts(probabilities(parsing.logits)).detach())
        vectors = self.neck(whole), self.foreground_neck(parts.foreground)
        return Embeddings(
            matching=torch.cat(vectors, 1),
            before_neck=whole,
            logits=self.classifier(*vectors),
            parts=parts.parts,
            visible=parts.visible,
            parsing=parsing,
        )


def second_share(parsing: Parsing) -> Float[Tensor, " B"]:
    """Share of the crop that another person covers, 0..1; NaN where the parser does not say."""
    if parsing.second is None:
        return parsing.logits.new_full((len(parsing.logits),), torch.nan)
    return torch.sigmoid(parsing.second.float()).mean((1, 2, 3))


def one_pass_objective(
    found: Embeddings,
    classes: Int[Tensor, " B"],
    joint: Joint,
    maps: Float[Tensor, "B 20 h w"],
    unhidden: Float[Tensor, "B 20"],
    others: UInt8[Tensor, "B h w"],
    *,
    smoothing: float,
    margin: float,
    triplet_weight: float,
    part_triplet_weight: float,
    map_weight: float,
    visible_weight: float,
    second_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """The losses of visible parts, with the 20 classes of `maps` as the parser's soft truth.

    `others` is 1 where another person was pasted, 0 where certainly none is, 255 unknown. The parser also foresees how
    much of the foreground it shares with `maps`.
    """
    if found.parsing is None or found.visible is None:
        raise ValueError("the objective needs a parsing: these are not the embeddings of one pass")
    losses = identity_and_parts(
        found,
        classes,
        joint,
        smoothing=smoothing,
        margin=margin,
        triplet_weight=triplet_weight,
        part_triplet_weight=part_triplet_weight,
    )
    size = maps.shape[2], maps.shape[3]
    logits = F.interpolate(found.parsing.logits.float(), size, mode="area")  # a cell of `maps` is a mean
    losses["maps"] = map_weight * soft_cross_entropy(logits, maps).mean()
    losses["visible"] = visible_weight * visibility_loss(found.visible, seen_share(maps, unhidden)).mean()
    if found.parsing.second is not None:
        second = F.interpolate(found.parsing.second.float(), size, mode="area")[:, 0]
        told = others != IGNORE
        wrong = F.binary_cross_entropy_with_logits(second, (others == 1).float(), reduction="none")
        losses["second"] = second_weight * mean_where(wrong, told)
    if found.parsing.sure is not None:
        agrees = _shared_foreground(logits.detach(), maps)
        with torch.autocast(maps.device.type, enabled=False):
            losses["sure"] = map_weight * (found.parsing.sure.float() - agrees).square().mean()
    return losses


def _shared_foreground(logits: Tensor, maps: Tensor) -> Float[Tensor, " B"]:
    """Pixels of the right foreground class over all that either map calls foreground."""
    here, there = logits.argmax(1), maps.argmax(1)
    either = (here > 0) | (there > 0)
    return ((here == there) & either).sum((1, 2)) / either.sum((1, 2)).clamp_min(1)
