"""Losses of embedders that use masks, parts or streams, as functions: one value per sample; the caller averages.

Sources: ranking over all positives and hard negatives, Qi et al. (MaskReID), arXiv:1804.03864; region triplets and
pairs, Song et al. (MGCAM), CVPR 2018; part distances, Sun et al., CVPR 2019, arXiv:1904.00537; triplets on parts and
identity on the whole, Somers et al., WACV 2023, arXiv:2211.03679.
Proof: tests/test_losses_parts.py compares each with a slow loop.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from resight.losses import batch_hard, pairwise_distance

SHARED: Final = 1e-9
"""Two crops whose visibilities' products sum to less than this share no part."""


def part_distance(
    left: Float[Tensor, "A P D"],
    left_visible: Float[Tensor, "A P"],
    right: Float[Tensor, "B P D"],
    right_visible: Float[Tensor, "B P"],
) -> tuple[Float[Tensor, "A B"], Float[Tensor, "A B"]]:
    """Distance over the parts that both crops show, and how much they share (the sum of the products of visibilities).

    The root of the mean squared Euclidean distance of the parts at length 1, each part weighed by the product of its
    two visibilities: √2 times the root of the mean cosine distance, 0..2. Two matrix products, no P × A × B cube.
    Where nothing is shared the distance is √2, as between parts at right angles. The gradient leaves visibility alone:
    a network must not hide what it finds hard. In fp32.
    """
    with torch.autocast(left.device.type, enabled=False):
        here, there = left_visible.detach().float(), right_visible.detach().float()
        ones, others = F.normalize(left.float(), dim=2), F.normalize(right.float(), dim=2)
        alike = (ones * here[..., None]).flatten(1) @ (others * there[..., None]).flatten(1).T
        shared = here @ there.T
        cosine = torch.where(shared > SHARED, 1 - alike / shared.clamp_min(SHARED), torch.ones_like(alike))
        return (2 * cosine).clamp_min(1e-12).sqrt(), shared


def part_triplet(
    parts: Float[Tensor, "B P D"], visible: Float[Tensor, "B P"], persons: Int[Tensor, " B"], *, margin: float
) -> Float[Tensor, " B"]:
    """Batch-hard triplets on `part_distance`; pairs that share no part count neither as far nor as near."""
    distance, shared = part_distance(parts, visible, parts, visible)
    return batch_hard(distance, persons[:, None] == persons[None], margin=margin, known=shared > SHARED)


def ranking_loss(
    rows: Float[Tensor, "B D"],
    persons: Int[Tensor, " B"],
    *,
    slack: float,
    attraction: float,
    nearest: int,
    only_active: bool,
) -> Float[Tensor, " B"]:
    """MaskReID's loss per anchor: hard negatives against the least similar positive, and all positives pulled to 1.

    With cosines S: log(1 + Σ exp([S_negative - min S_positive + slack]₊)) + attraction / 2 · mean (S_positive - 1)²,
    over the `nearest` negatives (0 = all). The hinge is inside the exponential: a satisfied negative adds exp(0) = 1,
    so N of them leave a floor of log(1 + N) (log 55 for the paper's 54) whose denominator thins out the gradient of the
    few active ones. `only_active` sums over negatives inside the slack alone: then the floor is 0.
    0 where an anchor has no positive; without negatives only the pull remains.
    """
    unit = F.normalize(rows.float(), dim=1)
    similar = unit @ unit.T
    same = persons[:, None] == persons[None]
    positive = same & ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    least = similar.masked_fill(~positive, torch.inf).amin(1)
    hinge = F.relu(similar - least.nan_to_num(posinf=0.0)[:, None] + slack)
    counted = ~same
    if nearest and nearest < len(rows):
        bar = similar.masked_fill(same, -torch.inf).topk(nearest, dim=1).values[:, -1:]
        counted = counted & (similar >= bar)
    if only_active:
        counted = counted & (hinge > 0)
    above = hinge.masked_fill(~counted, -torch.inf)
    with_one = torch.cat([above, torch.zeros_like(above[:, :1])], 1)  # log(1 + Σ exp h)
    pull = ((similar - 1).square() * positive).sum(1) / positive.sum(1).clamp_min(1)
    loss = with_one.logsumexp(1) + attraction / 2 * pull
    return torch.where(positive.any(1), loss, similar.sum(1) * 0)


def region_triplet(
    full: Float[Tensor, "B D"], body: Float[Tensor, "B D"], background: Float[Tensor, "B D"], *, margin: float
) -> Float[Tensor, " B"]:
    """MGCAM: a crop's full feature near its body's and far from its background's, ‖f - b‖² + [m - ‖f - g‖²]₊."""
    full, body, background = full.float(), body.float(), background.float()
    return (full - body).square().sum(1) + F.relu(margin - (full - background).square().sum(1))


def pair_loss(rows: Float[Tensor, "B D"], persons: Int[Tensor, " B"], *, margin: float) -> Float[Tensor, " B"]:
    """MGCAM's siamese loss, per row the mean of its pairs: d² of one person, [m - d²]₊ of two, half of each.

    The paper draws pairs with at least 30 % of one person; here all pairs of the batch, each kind averaged by itself.
    """
    squared = pairwise_distance(rows, rows).square()
    same = persons[:, None] == persons[None]
    pair = same & ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    near = (squared * pair).sum(1) / pair.sum(1).clamp_min(1)
    far = (F.relu(margin - squared) * ~same).sum(1) / (~same).sum(1).clamp_min(1)
    return (near + far) / 2


def soft_cross_entropy(logits: Float[Tensor, "B K h w"], target: Float[Tensor, "B K h w"]) -> Float[Tensor, "B h w"]:
    """Cross-entropy of each pixel against soft classes (their sum may stay below 1: the rest is unknown). In fp32."""
    return -(F.log_softmax(logits.float(), dim=1) * target.float()).sum(1)


def visibility_loss(visible: Float[Tensor, "B P"], target: Float[Tensor, "B P"]) -> Float[Tensor, " B"]:
    """Binary cross-entropy of the predicted against the true share of each part that is seen (0..1), mean of parts."""
    visible, target = visible.float().clamp(1e-6, 1 - 1e-6), target.float()
    return -(target * visible.log() + (1 - target) * torch.log1p(-visible)).mean(1)
