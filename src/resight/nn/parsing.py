"""What a parser says of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Parsing:
    """Unnormalised scores of B pictures on the network's own grid h w; K classes, 0 is the background.

    Only `logits` is read at test time; what a parser does not say is empty or None.
    """

    logits: Float[Tensor, "B K h w"]
    """The final parsing."""
    side: tuple[Float[Tensor, "B K _ _"], ...] = ()
    """Further parsings trained beside it, each on a grid of its own."""
    edge: Float[Tensor, "B 2 h w"] | None = None
    """Scores of no border, border between two classes."""
    image_classes: Float[Tensor, "B K"] | None = None
    """Scores of how much of each class the picture shows; their softmax is the prediction."""
    second: Float[Tensor, "B 1 h w"] | None = None
    """Logit of "this pixel belongs to another person"."""
    sure: Float[Tensor, " B"] | None = None
    """How sure the parser is that it parsed the wanted person."""
    view: Float[Tensor, "B 2"] | None = None
    """Cosine (1: from the front) and sine (1: looking to the picture's right) of the angle the person is seen at."""
    hidden: Float[Tensor, " B"] | None = None
    """Logit of "something in front hides a part of the person"."""
    company: Float[Tensor, " B"] | None = None
    """Logit of "a part of another person shows"."""


def probabilities(logits: Float[Tensor, "B K h w"]) -> Float[Tensor, "B K h w"]:
    """Of each class, 0..1, in fp32.

    Exported, the softmax is written out: ONNX Runtime's own, along channels, takes a tenth of a whole `one-pass`.
    """
    logits = logits.float()
    if not torch.compiler.is_exporting():
        return logits.softmax(1)
    raised = (logits - logits.amax(1, keepdim=True)).exp()
    return raised / raised.sum(1, keepdim=True)


def resize(maps: Float[Tensor, "B C _ _"], like: Num[Tensor, "B _ H W"], *, aligned: bool = True) -> Tensor:
    """Maps brought to the height and width of `like`, bilinearly, corner on corner unless told otherwise."""
    return F.interpolate(maps, size=like.shape[2:], mode="bilinear", align_corners=aligned)
