"""The one mirror of everything about a batch of crops that has sides: pictures, maps, keypoints, parts, visibility.

What belongs to the person's left becomes the right, by the names of the label sets (`left x`, `right x`). Applied twice
it is the identity, bit for bit. `labels.flip_all` is the same for one picture with its label maps, as files hold them.
Proof: tests/data/test_mirror.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resight.data.label_sets import LIP20, PARTS6, LabelSet
from resight.data.labels import COCO_SWAP


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What is known of a batch; what is not known is None.

    Keypoints are x, y in pixels (centres at whole numbers) of pictures `width` pixels wide, and anything more behind.
    `parts` and `visible` have one row for each class of their label set but the background.
    """

    images: Float[Tensor, "B C H W"] | None = None
    maps: Float[Tensor, "B K h w"] | None = None
    keypoints: Float[Tensor, "B J _"] | None = None
    parts: Float[Tensor, "B P D"] | None = None
    visible: Float[Tensor, "B P"] | None = None


def mirror(
    seen: Mirrored,
    *,
    maps: LabelSet = LIP20,
    parts: LabelSet = PARTS6,
    keypoints: Sequence[int] = COCO_SWAP,
    width: int | None = None,
) -> Mirrored:
    """Mirror a batch; `maps` and `parts` are the label sets of the channels and of the part rows.

    `keypoints` says which keypoint each one becomes. Raises ValueError where keypoints come without a picture or width.
    """
    turned = None
    if seen.keypoints is not None:
        wide = width if width is not None else None if seen.images is None else seen.images.shape[3]
        if wide is None:
            raise ValueError("keypoints are mirrored within a picture: give `images` or `width`")
        turned = seen.keypoints[:, list(keypoints)].clone()
        turned[..., 0] = wide - 1 - turned[..., 0]
    rows = part_swap(parts)
    return Mirrored(
        images=None if seen.images is None else seen.images.flip(3),
        maps=None if seen.maps is None else flip_soft(seen.maps, maps),
        keypoints=turned,
        parts=None if seen.parts is None else seen.parts[:, rows],
        visible=None if seen.visible is None else seen.visible[:, rows],
    )


def flip_soft(maps: Float[Tensor, "B K h w"], labels: LabelSet) -> Float[Tensor, "B K h w"]:
    """Mirror soft maps and swap the channels of left and right."""
    return maps.flip(3)[:, torch.from_numpy(labels.swap()).long().to(maps.device)]


def part_swap(labels: LabelSet) -> list[int]:
    """Row that each part becomes in a mirror; the background has no row."""
    return [int(number) - 1 for number in labels.swap()[1:]]
