"""Super-pixels: small regions of like colour, means over them, and votes between neighbours that look alike.

Source: Liang et al., "Human Parsing with Contextualized Convolutional Neural Network", ICCV 2015, section 3: smoothing
within super-pixels and voting between neighbours, both differentiable; bags of RGB, Lab and oriented gradients.
Differs: the regions are SLIC's (Achanta et al., TPAMI 2012) from scikit-image, the paper's entropy-rate super-pixels
have no kept-up library; the bags are plain histograms, since the paper does not say its codebook; a region without a
neighbour keeps its own scores whole.
Maps of regions are B H W integers from 0; numbers that a picture does not use are empty regions.
Proof: tests/nn/test_superpixels.py.
"""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resight.errors import MissingExtra

VOTE: Final = 0.3
"""Share of a region's score that its neighbours say."""
COLOUR_BINS: Final = 8
DIRECTIONS: Final = 9
TO_XYZ: Final = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
WHITE: Final = (0.95047, 1.0, 1.08883)


def need_library() -> None:
    """Raise MissingExtra when super-pixels cannot be made here."""
    try:
        import skimage.segmentation  # noqa: F401
    except ImportError as error:
        raise MissingExtra("Super-pixels are made by scikit-image", extra="superpixels") from error


def find_regions(pictures: Float[Tensor, "B 3 H W"], *, count: int) -> Int[Tensor, "B H W"]:
    """About `count` regions in each picture (red green blue, 0..1); raises MissingExtra without the library."""
    need_library()
    from skimage.segmentation import slic

    maps = [
        torch.from_numpy(slic(picture, n_segments=count, compactness=10, start_label=0, channel_axis=-1)).long()
        for picture in pictures.detach().float().clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    ]
    return torch.stack(maps).to(pictures.device)


def region_means(
    maps: Float[Tensor, "B C H W"], regions: Int[Tensor, "B H W"], *, count: int
) -> Float[Tensor, "B S C"]:
    """Mean of each region, 0 for an empty one; `count` is S, more than the largest number of a region."""
    batch, channels = maps.shape[:2]
    place = regions.flatten(1)[..., None]  # B N 1
    values = maps.flatten(2).transpose(1, 2)  # B N C
    sums = values.new_zeros(batch, count, channels).scatter_add(1, place.expand(-1, -1, channels), values)
    pixels = values.new_zeros(batch, count, 1).scatter_add(1, place, torch.ones_like(values[..., :1]))
    return sums / pixels.clamp_min(1)


def spread(values: Float[Tensor, "B S C"], regions: Int[Tensor, "B H W"]) -> Float[Tensor, "B C H W"]:
    """Give every pixel the value of its region."""
    place = regions.flatten(1)[..., None].expand(-1, -1, values.shape[2])
    pixels = values.gather(1, place).transpose(1, 2)
    return pixels.reshape(*pixels.shape[:2], *regions.shape[1:])


def neighbours(regions: Int[Tensor, "B H W"], *, count: int) -> Bool[Tensor, "B S S"]:
    """Which regions share a border (up, down, left or right); none is its own neighbour."""
    found = torch.zeros(len(regions), count, count, dtype=torch.bool, device=regions.device)
    row = torch.arange(len(regions), device=regions.device)[:, None]
    for here, there in ((regions[:, 1:], regions[:, :-1]), (regions[:, :, 1:], regions[:, :, :-1])):
        found[row, here.flatten(1), there.flatten(1)] = True
        found[row, there.flatten(1), here.flatten(1)] = True
    return found & ~torch.eye(count, dtype=torch.bool, device=regions.device)


def vote(
    means: Float[Tensor, "B S C"], bags: Float[Tensor, "B S D"], near: Bool[Tensor, "B S S"], *, share: float = VOTE
) -> Float[Tensor, "B S C"]:
    """Mix each region's scores with its neighbours', weighted by the softmax of minus the squared distance of bags."""
    square = torch.cdist(bags.float(), bags.float(), compute_mode="donot_use_mm_for_euclid_dist").square()
    alone = ~near.any(2, keepdim=True)
    likeness = (-square).masked_fill(~near, -torch.inf).masked_fill(alone, 0).softmax(2)
    mixed = (1 - share) * means + share * (likeness.to(means.dtype) @ means)
    return torch.where(alone, means, mixed)


def bags_of(pictures: Float[Tensor, "B 3 H W"], regions: Int[Tensor, "B H W"], *, count: int) -> Float[Tensor, "B S D"]:
    """Histograms of each region, each of sum 1: red, green, blue, L, a, b (8 bins each) and 9 gradient directions.

    Pictures are red green blue, 0..1. Gradients count by their strength; a flat region has no direction (zeros).
    """
    pictures = pictures.detach().float().clamp(0, 1)
    lab = lab_of(pictures)
    ranges = lab.new_tensor([[0, 100], [-128, 128], [-128, 128]])
    scaled = (lab - ranges[:, :1, None]) / (ranges[:, 1:] - ranges[:, :1])[..., None]
    colours = torch.cat([pictures, scaled], 1)
    bins = (colours * COLOUR_BINS).long().clamp(0, COLOUR_BINS - 1)
    ones = F.one_hot(bins, COLOUR_BINS).permute(0, 1, 4, 2, 3).flatten(1, 2).float()  # B 6·bins H W
    histograms = region_means(ones, regions, count=count)
    strength, direction = gradients(pictures.mean(1))
    turned = F.one_hot(direction, DIRECTIONS).permute(0, 3, 1, 2) * strength[:, None]
    directions = region_means(turned, regions, count=count)
    directions = directions / directions.sum(2, keepdim=True).clamp_min(1e-6)
    return torch.cat([histograms, directions], 2)


def gradients(grey: Float[Tensor, "B H W"]) -> tuple[Float[Tensor, "B H W"], Int[Tensor, "B H W"]]:
    """Strength, and direction without sign as one of 9 sectors, by central differences (borders repeat)."""
    padded = F.pad(grey[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    angle = torch.atan2(down, across) % math.pi
    sector = (angle / math.pi * DIRECTIONS).long().clamp(0, DIRECTIONS - 1)
    return torch.hypot(across, down), sector


def lab_of(pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """sRGB, 0..1, to CIE L*a*b* under D65: L 0..100, a and b about -128..128."""
    linear = torch.where(pictures <= 0.04045, pictures / 12.92, ((pictures + 0.055) / 1.055) ** 2.4)
    xyz = torch.einsum("xc,bchw->bxhw", pictures.new_tensor(TO_XYZ), linear)
    ratio = xyz / pictures.new_tensor(WHITE)[:, None, None]
    bent = torch.where(ratio > (6 / 29) ** 3, ratio.clamp_min(1e-9) ** (1 / 3), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = bent.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
