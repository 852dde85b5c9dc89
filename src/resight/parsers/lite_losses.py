"""What parser-lite learns by: its map, sides, view, other people and their pixels, what is hidden, its own quality.

Proof: tests/parsers/test_lite.py.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

from resight.losses import mean_where, set_loss
from resight.nn.parsing import Parsing
from resight.types import IGNORE

HIDDEN: Final = (0.05, 0.15)
"""Shares of the person: up to the first nothing counts as hidden, from the second on a part does."""


def lite_objective(
    found: Parsing,
    labels: UInt8[Tensor, "B H W"],
    others: UInt8[Tensor, "B H W"],
    views: Float[Tensor, "B 2"],
    hidden: Float[Tensor, " B"],
    company: Float[Tensor, " B"],
    *,
    sets: Bool[Tensor, "S K"],
    mirrored: Int[Tensor, " 256"],
    weights: Float[Tensor, " S"],
    second_weight: float,
    sure_weight: float,
    edge_weight: float,
    side_weight: float,
    view_weight: float,
    hidden_weight: float,
    company_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """Parse the wanted person, find the others' pixels, tell the view, and foresee the quality of one's own map.

    `labels` are rows of `sets` (the classes that a pixel may be; 255 is ignored), `weights` say how much each row
    counts, `mirrored` is the row that each becomes in a mirror (`SetTable.swap`); `others` is 1 where another person is
    (255 unknown), `views` cosine and sine of the view, `hidden` the share that something hides, `company` 1 where
    another person shows (all NaN unknown).
    Pixels beside another label count `edge_weight` more. Sided parts are few pixels: `side_weight` asks once more which
    of the two sides they are, given that it is one of them.
    """
    size = labels.shape[1:]
    edges = thinned(borders(labels)[:, None])[:, 0]
    ids, others = (thinned(maps[:, None])[:, 0] for maps in (labels, others))
    ids = ids.long()
    logits = thinned(F.interpolate(found.logits.float(), tuple(size), mode="bilinear", align_corners=False))
    known = ids != IGNORE
    share = torch.where(known, weights[ids.clamp_max(len(weights) - 1)], 0.0)
    share = share * (1 + edge_weight * edges)
    wrong = set_loss(logits, ids, sets)
    losses = {"parts": (wrong * share).sum() / share.sum().clamp_min(1.0)}
    turned = mirrored[ids]
    sided = turned != ids
    asked = logits.movedim(1, -1)[sided].T[None, :, :, None]  # 1 K N 1: few pixels have a side
    other_side = set_loss(asked, turned[sided][None, :, None], sets).flatten()
    losses["sides"] = side_weight * F.softplus(wrong[sided] - other_side).sum() / sided.sum().clamp_min(1)
    if found.view is not None:
        told = views.isfinite()
        missed = torch.where(told, found.view.float() - views.nan_to_num(), 0.0).square()
        losses["view"] = view_weight * mean_where(missed, told)
    if found.hidden is not None:
        much = (hidden > HIDDEN[1]).float()
        told = hidden.isfinite() & ((hidden < HIDDEN[0]) | (much > 0))
        wrong = F.binary_cross_entropy_with_logits(found.hidden.float(), much, reduction="none")
        losses["hidden"] = hidden_weight * mean_where(wrong, told)
    if found.company is not None:
        told = company.isfinite()
        wrong = F.binary_cross_entropy_with_logits(found.company.float(), company.nan_to_num(), reduction="none")
        losses["company"] = company_weight * mean_where(wrong, told)
    if found.second is not None:
        second = F.interpolate(found.second.float(), tuple(size), mode="bilinear", align_corners=False)
        told = others != IGNORE
        wrong = F.binary_cross_entropy_with_logits(thinned(second)[:, 0], (others == 1).float(), reduction="none")
        losses["second"] = second_weight * mean_where(wrong, told)
    if found.sure is not None:
        quality, counts = foreground_iou(logits.argmax(1), ids, sets)
        sure = found.sure.float().clamp(1e-6, 1 - 1e-6)
        wrong = -(quality * sure.log() + (1 - quality) * (1 - sure).log())
        losses["sure"] = sure_weight * mean_where(wrong, counts)
    return losses


def thinned(maps: Shaped[Tensor, "B C H W"]) -> Shaped[Tensor, "B C h w"]:
    """One pixel of each block of 2 × 2: a batch's rows take turns with its four places, so that all places teach.

    The network answers at half the size: its four bilinear answers in a block differ little and cost four times as
    much. Sides that are odd are kept whole.
    """
    count, channels, high, wide = maps.shape
    if high % 2 or wide % 2:
        return maps
    row = torch.arange(count, device=maps.device)
    blocks = maps.reshape(count, channels, high // 2, 2, wide // 2, 2)
    return blocks[row, :, :, row % 2, :, row // 2 % 2]


def borders(labels: UInt8[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """1 where a pixel's neighbour above, below, left or right has another label, neither of them ignored."""
    found = torch.zeros(labels.shape, device=labels.device)
    for first, second in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(None), slice(None), slice(1, None)), (slice(None), slice(None), slice(None, -1))),
    ):
        here, there = labels[first], labels[second]
        differs = ((here != there) & (here != IGNORE) & (there != IGNORE)).float()
        found[first] = torch.maximum(found[first], differs)
        found[second] = torch.maximum(found[second], differs)
    return found


@torch.no_grad()
def foreground_iou(
    classes: Int[Tensor, "B H W"], ids: Int[Tensor, "B H W"], sets: Bool[Tensor, "S K"]
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Right foreground pixels over all that are foreground in map or truth; and whether enough truth is known (0, 1).

    A class is right where it is one of the label's set; a truth counts as foreground when its set lacks class 0.
    """
    known = ids != IGNORE
    rows = ids.clamp_max(len(sets) - 1)
    right = sets[rows, classes] & known
    truly = ~sets[rows, 0] & known
    either = (truly | ((classes > 0) & ~right)) & known
    quality = (right & truly).sum((1, 2)) / either.sum((1, 2)).clamp_min(1)
    enough = known.float().mean((1, 2)) > 0.5
    return quality, (enough & (truly.sum((1, 2)) > 0)).float()
