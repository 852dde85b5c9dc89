"""Losses as functions: one value per sample of re-identification, one per pixel of parsing; the caller averages.

Sources: label smoothing, Szegedy et al., CVPR 2016, arXiv:1512.00567; batch-hard triplets, Hermans et al., 2017,
arXiv:1703.07737; sets of labels, Cour, Sapp and Taskar, JMLR 2011 (learning from partial labels). The losses of papers
that use masks and parts are in `losses_parts`.
Proof: tests/test_losses.py compares each with a slow loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Integer, Shaped
from torch import Tensor

from resight.types import IGNORE


@dataclass(frozen=True, slots=True)
class Joint:
    """The batch of all processes, J crops of which `own` are this one's: what metric losses compare.

    Shapes: `features` J E (before the neck), `classes` J; parts J P D and visible J P of those that tell parts apart.
    """

    features: Float[Tensor, "J E"]
    classes: Int[Tensor, " J"]
    own: int
    parts: Float[Tensor, "J P D"] | None = None
    visible: Float[Tensor, "J P"] | None = None

    def mean(self, loss: Float[Tensor, " J"]) -> Float[Tensor, ""]:
        """The mean over all crops, on every process the same; its gradient is multiplied by the number of processes.

        It reaches this process's crops alone, and processes average their gradients.
        """
        value = loss.mean()
        return value.detach() + len(self.classes) / self.own * (value - value.detach())


PixelLoss = Callable[[Tensor, Tensor], Tensor]
"""Scores B K H W and labels B H W -> one loss per pixel B H W."""


def identity_loss(logits: Float[Tensor, "B K"], classes: Int[Tensor, " B"], *, smoothing: float) -> Float[Tensor, " B"]:
    """Cross-entropy against the person's class, with `smoothing` (0..1) of the target spread over all classes."""
    return F.cross_entropy(logits.float(), classes, label_smoothing=smoothing, reduction="none")


def identity_losses(
    heads: Sequence[Float[Tensor, "B K"]], classes: Int[Tensor, " B"], *, smoothing: float
) -> Float[Tensor, " H"]:
    """Each head's mean `identity_loss`. Raises ValueError where no head said anything."""
    if not heads:
        raise ValueError("the objective needs logits: build the embedder with classes > 0 and call .train()")
    return torch.stack([identity_loss(one, classes, smoothing=smoothing).mean() for one in heads])


def pairwise_distance(left: Float[Tensor, "A D"], right: Float[Tensor, "B D"]) -> Float[Tensor, "A B"]:
    """Euclidean distances in fp32, with a gradient that stays finite where two rows are equal."""
    left, right = left.float(), right.float()
    squared = left.square().sum(1)[:, None] + right.square().sum(1)[None] - 2 * left @ right.T
    return squared.clamp_min(1e-12).sqrt()


def hard_triplet(features: Float[Tensor, "B D"], persons: Int[Tensor, " B"], *, margin: float) -> Float[Tensor, " B"]:
    """Farthest same person against nearest other person, per crop, by a hinge at `margin` (a distance, > 0).

    0 where a crop's person or any other person is not there to compare with.
    """
    same = persons[:, None] == persons[None]
    return batch_hard(pairwise_distance(features, features), same, margin=margin)


def batch_hard(
    distance: Float[Tensor, "A B"],
    same: Bool[Tensor, "A B"],
    *,
    margin: float,
    known: Bool[Tensor, "A B"] | None = None,
) -> Float[Tensor, " A"]:
    """The hinge of `hard_triplet` on distances of any kind, per row; `same` says which columns are the row's person.

    Pairs that are not `known` (nothing to compare) are neither far nor near. The row itself is a column of its person.
    """
    alike, other = (same, ~same) if known is None else (same & known, ~same & known)
    farthest = distance.masked_fill(~alike, 0).amax(1)
    nearest = distance.masked_fill(~other, torch.inf).amin(1)
    comparable = (alike.sum(1) > 1) & other.any(1)
    return torch.where(comparable, F.relu(farthest - nearest.nan_to_num(posinf=0.0) + margin), farthest * 0)


def set_loss(
    logits: Float[Tensor, "B K H W"], sets_of: Integer[Tensor, "B H W"], sets: Bool[Tensor, "S K"]
) -> Float[Tensor, "B H W"]:
    """Per pixel −log of the probability that its class is one of a set; 0 where `sets_of` is 255.

    Row s of `sets` says which classes the label s may mean; each row holds at least one. A set of one class makes this
    cross-entropy, the set of all classes costs nothing. Computed in fp32; only pixels with larger sets cost more time.
    """
    log_p = F.log_softmax(logits.float(), dim=1)
    sets = sets.to(log_p.device)
    labels = sets_of.long()
    ignored = labels == IGNORE
    labels = labels.masked_fill(ignored, 0)
    first = sets.int().argmax(1)  # S: the one class of a set of one
    chosen = log_p.gather(1, first[labels][:, None])[:, 0]
    several = (sets.sum(1) > 1)[labels] & ~ignored
    rows = log_p.movedim(1, -1)[several].masked_fill(~sets[labels[several]], -torch.inf)  # N K
    chosen = chosen.masked_scatter(several, rows.logsumexp(1))
    return -chosen.masked_fill(ignored, 0)


def pixel_cross_entropy(logits: Float[Tensor, "B K H W"], labels: Integer[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Cross-entropy of each pixel's class, in fp32; 0 where the label is `IGNORE`."""
    return F.cross_entropy(logits.float(), labels.long(), ignore_index=IGNORE, reduction="none")


def mean_where(values: Float[Tensor, "*shape"], counted: Shaped[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean of the values that count (true, or 1 among zeros); 0, never NaN, where none does."""
    return (values * counted).sum() / counted.sum().clamp_min(1)
