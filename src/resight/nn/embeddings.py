"""What an embedder says of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Features of B crops.

    `matching` is compared at test time (B D); `before_neck` is what a metric loss sees (B D); `logits` are the identity
    classes (B K), None outside training.
    """

    matching: Float[Tensor, "B D"]
    before_neck: Float[Tensor, "B D"]
    logits: Float[Tensor, "B K"] | None = None
