"""What every parser answers."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Parsing:
    """Answer of a parser for a batch, at its own stride; what a network does not say is None."""

    logits: Float[Tensor, "B K h w"]
    """Of each class, before the softmax."""
    side: tuple[Float[Tensor, "B K h2 w2"], ...] = ()
    """Earlier answers that are trained beside the last one."""
    edge: Float[Tensor, "B 2 h3 w3"] | None = None
    """No edge, edge."""
    image_classes: Float[Tensor, "B K"] | None = None
    """Logits of a class being in the picture at all."""
    second: Float[Tensor, "B 1 h w"] | None = None
    """Logits of a pixel being another person's."""
    sure: Float[Tensor, " B"] | None = None
    """Expected quality of the map, 0..1."""
