"""What an embedder says of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from resight.nn.parsing import Parsing


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Features of B crops.

    `matching` is compared at test time (B D); `before_neck` is what a metric loss sees (B E).
    """

    matching: Float[Tensor, "B D"]
    before_neck: Float[Tensor, "B E"]
    logits: tuple[Float[Tensor, "B K"], ...] = ()
    """Identity classes by each head; which ones, the embedder says. Empty outside training."""
    parts: Float[Tensor, "B P F"] | None = None
    """One vector a part, compared beside `matching` where both crops show the part."""
    visible: Float[Tensor, "B P"] | None = None
    """Share of each part that the crop shows, 0..1; a part with 0 is compared with nothing."""
    attention: Float[Tensor, "B A h w"] | None = None
    """Learned maps that part maps teach in training; what they mean, the embedder says."""
    streams: tuple[Float[Tensor, "B S"], ...] = ()
    """Vectors of further streams, which only the losses see."""
    parsing: Parsing | None = None
    """What a network that also parses says of the same crops."""
