"""Co-CNN: a parsing that knows which classes the whole picture shows, and that neighbouring patches belong together.

Source: Liang et al., "Human Parsing with Contextualized Convolutional Neural Network", ICCV 2015: an encoder-decoder on
pictures of 150 × 100 with summed skips; the probabilities of the image's labels join every step of the decoder and the
scores; super-pixels smooth the scores and vote.
Differs: He's initialisation (under the paper's Gaussian of 0.001 the signal is gone before the last layer);
super-pixels are switched on by `superpixels`, since they need an extra; see also `nn.superpixels`.
Proof: tests/parsers/test_cocnn.py.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Integer
from torch import Tensor, nn

from resight.data.augment import PIXEL_MEAN, PIXEL_SPREAD
from resight.errors import BadPicture, UnknownName
from resight.losses import PixelLoss, mean_where
from resight.nn.parsing import Parsing, resize
from resight.nn.superpixels import bags_of, find_regions, need_library, neighbours, region_means, spread, vote
from resight.types import IGNORE

HEIGHT: Final = 150
WIDTH: Final = 100
REGIONS: Final = 500
"""Super-pixels of a picture in the paper."""
IMAGE_WEIGHT: Final = 0.3
"""Of the loss of the image's labels."""


class CoCNN(nn.Module):
    """Pictures B 3 `height` `width` (normalised, no other size) -> parsing of the same size, and the image's labels.

    `superpixels` is about how many regions smooth and vote, 0 for none; other numbers need the extra `superpixels`.
    """

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "cocnn",
        height: int = HEIGHT,
        width: int = WIDTH,
        superpixels: int = 0,
    ) -> None:
        super().__init__()
        if backbone not in ("cocnn", "", "none"):
            raise UnknownName("backbone of Co-CNN", backbone, ("cocnn",))
        if superpixels:
            need_library()
        self.size = (height, width)
        self.superpixels = superpixels
        self.at_full = nn.Sequential(*_conv(3, 128), *_conv(128, 192))
        self.at_half = nn.Sequential(*_conv(192, 192), *_conv(192, 192))
        self.at_quarter = nn.Sequential(*_conv(192, 192), *_conv(192, 192))
        self.at_eighth = nn.Sequential(*_conv(192, 192), *_conv(192, 192), *_conv(192, 96, kernel=1))
        smallest = height, width
        for _ in range(3):
            smallest = _pooled(smallest[0]), _pooled(smallest[1])
        self.image = nn.Sequential(
            nn.Flatten(),
            nn.Linear(96 * smallest[0] * smallest[1], 1024),
            *(nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(1024, classes)),
        )
        self.up_quarter = Step(inputs=96, classes=classes, kernel=5)
        self.up_half = Step(inputs=192, classes=classes, kernel=3)
        self.up_full = Step(inputs=192, classes=classes, kernel=5)
        self.raw = nn.Sequential(*_conv(3, 192))
        self.scores = nn.Sequential(*_conv(192, 256, kernel=3), nn.Conv2d(256, classes, 1))
        self.judged = nn.Conv2d(classes, classes, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Parsing:
        if images.shape[2:] != self.size:
            high, wide = images.shape[2:]
            raise BadPicture(f"Co-CNN reads pictures of {self.size[0]} × {self.size[1]} pixels, not {high} × {wide}.")
        full = self.at_full(images)
        half = self.at_half(_pool(full))
        quarter = self.at_quarter(_pool(half))
        eighth = self.at_eighth(_pool(quarter))
        image_classes = self.image(eighth)
        shown = image_classes.softmax(1)
        maps = self.up_quarter(eighth, quarter, shown)
        maps = self.up_half(maps, half, shown)
        maps = self.up_full(maps, full + self.raw(images), shown)
        logits = self.judged(self.scores(maps) + shown[:, :, None, None])
        if self.superpixels:
            pixels = (images * PIXEL_SPREAD + PIXEL_MEAN) / 255
            logits = smooth_and_vote(logits, pixels, find_regions(pixels, count=self.superpixels))
        return Parsing(logits=logits, image_classes=image_classes)


class Step(nn.Module):
    """One step up: resize to the skip's own size (never simply double), convolve, add the skip, join the labels."""

    def __init__(self, *, inputs: int, classes: int, kernel: int) -> None:
        super().__init__()
        self.before = nn.Sequential(*_conv(inputs, 192, kernel=kernel))
        self.after = nn.Sequential(*_conv(192 + classes, 192))

    def forward(
        self, maps: Float[Tensor, "B C h w"], skip: Float[Tensor, "B 192 H W"], shown: Float[Tensor, "B K"]
    ) -> Float[Tensor, "B 192 H W"]:
        summed = self.before(resize(maps, skip)) + skip
        planes = shown[:, :, None, None].expand(-1, -1, *skip.shape[2:])
        found: Tensor = self.after(torch.cat([summed, planes], 1))
        return found


def _conv(inputs: int, outputs: int, *, kernel: int = 5) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True)


def _pool(maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
    """3 × 3, stride 2, the last window may stand over the border: 150 -> 75 -> 37 -> 18 and 100 -> 50 -> 25 -> 12."""
    return F.max_pool2d(maps, 3, 2, ceil_mode=True)


def _pooled(size: int) -> int:
    """Length that `_pool` makes of a length."""
    return F.max_pool2d(torch.empty(1, 1, size, size), 3, 2, ceil_mode=True).shape[2]


def smooth_and_vote(
    scores: Float[Tensor, "B K H W"], pictures: Float[Tensor, "B 3 H W"], regions: Integer[Tensor, "B H W"]
) -> Float[Tensor, "B K H W"]:
    """Give every pixel its super-pixel's mean score, mixed with those of neighbours that look alike."""
    regions = regions.long()
    count = int(regions.max()) + 1
    means = region_means(scores, regions, count=count)
    voted = vote(means, bags_of(pictures, regions, count=count), neighbours(regions, count=count))
    return spread(voted, regions)


def image_targets(labels: Integer[Tensor, "B H W"], *, classes: int) -> tuple[Float[Tensor, "B K"], Bool[Tensor, " B"]]:
    """Equal shares of the classes that each picture shows, background among them; and which pictures tell them all.

    A picture with labels that are no single class (sets of classes), or without any label, does not tell.
    """
    known = F.one_hot(labels.long().clamp_max(classes), classes + 1).amax((1, 2))[:, :classes].float()
    unsure = ((labels != IGNORE) & (labels >= classes)).flatten(1).any(1)
    return known / known.sum(1, keepdim=True).clamp_min(1), known.any(1) & ~unsure


def cocnn_objective(
    found: Parsing, labels: Integer[Tensor, "B H W"], *, pixel_loss: PixelLoss
) -> dict[str, Float[Tensor, ""]]:
    """Cross-entropy of the pixels, and 0.3 times the squared error of the image's labels after the softmax."""
    parsing = mean_where(pixel_loss(resize(found.logits, labels[:, None]), labels), labels != IGNORE)
    if found.image_classes is None:
        return {"parsing": parsing}
    wanted, told = image_targets(labels, classes=found.image_classes.shape[1])
    square = (wanted - found.image_classes.float().softmax(1)).square().sum(1)
    return {"parsing": parsing, "image": IMAGE_WEIGHT * mean_where(square, told)}


def with_superpixels(*, classes: int, backbone: str = "cocnn") -> CoCNN:
    """Co-CNN as in the paper, with its 500 super-pixels; raises MissingExtra without the library."""
    return CoCNN(classes=classes, backbone=backbone, superpixels=REGIONS)
