"""Backbones whose first blocks can be kept as they are."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class FreezableBackbone(nn.Module):
    """A backbone whose first blocks can be kept as they are; pictures B 3 H W -> maps B `channels` h w."""

    channels: int
    stage_channels: tuple[int, int, int, int]

    def __init__(self) -> None:
        super().__init__()
        self._frozen: list[nn.Module] = []

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The stem's modules and the blocks, from the picture inwards."""
        raise NotImplementedError

    def stages(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps of four stages, fine to coarse; the last is what the backbone gives."""
        raise NotImplementedError

    def freeze(self, blocks: int) -> None:
        """Stop learning (and batch statistics) in the stem and the first `blocks` blocks; 0 frees everything."""
        stem, body = self._in_order()
        self._frozen = [*stem, *body[:blocks]] if blocks else []
        for module in (*stem, *body):
            module.requires_grad_(module not in self._frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> FreezableBackbone:
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self
