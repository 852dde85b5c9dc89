from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from resight.errors import MissingExtra
from resight.nn.superpixels import (
    bags_of,
    find_regions,
    gradients,
    lab_of,
    neighbours,
    region_means,
    spread,
    vote,
)


def drawn(seed: int, regions: int = 5) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 6, 5, generator=rng), torch.randint(0, regions, (2, 6, 5), generator=rng)


@given(st.integers(0, 999))
def test_means_of_regions_equal_the_slow_loop(seed: int) -> None:
    maps, regions = drawn(seed)
    found = region_means(maps, regions, count=7)
    for row in range(2):
        for region in range(7):
            inside = maps[row][:, regions[row] == region]
            expected = inside.mean(1) if inside.shape[1] else torch.zeros(3)
            torch.testing.assert_close(found[row, region], expected)


@given(st.integers(0, 999))
def test_smoothing_twice_is_smoothing_once_and_keeps_the_mean(seed: int) -> None:
    maps, regions = drawn(seed)
    once = spread(region_means(maps, regions, count=5), regions)
    torch.testing.assert_close(spread(region_means(once, regions, count=5), regions), once)
    torch.testing.assert_close(once.mean((2, 3)), maps.mean((2, 3)))
    mirrored = spread(region_means(maps.flip(3), regions.flip(2), count=5), regions.flip(2))
    torch.testing.assert_close(mirrored, once.flip(3))


@given(st.integers(0, 999))
def test_neighbours_equal_the_slow_loop(seed: int) -> None:
    _, regions = drawn(seed)
    found = neighbours(regions, count=6)
    for row in range(2):
        slow = torch.zeros(6, 6, dtype=torch.bool)
        for y in range(6):
            for x in range(5):
                for down, right in ((0, 1), (1, 0)):
                    if y + down < 6 and x + right < 5:
                        a, b = int(regions[row, y, x]), int(regions[row, y + down, x + right])
                        slow[a, b] |= a != b
                        slow[b, a] |= a != b
        assert torch.equal(found[row], slow)


@given(st.integers(0, 999))
def test_votes_equal_the_slow_loop(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    means, bags = torch.randn(1, 5, 3, generator=rng), torch.rand(1, 5, 4, generator=rng)
    near = torch.rand(1, 5, 5, generator=rng) < 0.4
    near = (near | near.transpose(1, 2)) & ~torch.eye(5, dtype=torch.bool)
    found = vote(means, bags, near)
    for region in range(5):
        others = near[0, region].nonzero().flatten().tolist()
        if not others:
            torch.testing.assert_close(found[0, region], means[0, region])
            continue
        weights = np.exp([-float((bags[0, region] - bags[0, other]).square().sum()) for other in others])
        votes = sum(w * means[0, other] for w, other in zip(weights / weights.sum(), others, strict=True))
        torch.testing.assert_close(found[0, region], 0.7 * means[0, region] + 0.3 * votes.float())


def test_smoothing_and_voting_pass_gradients_to_the_scores() -> None:
    scores, regions = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True), torch.tensor([[[0, 0, 1]] * 3])
    bags = torch.rand(1, 2, 4, dtype=torch.float64)

    def through(maps: Tensor) -> Tensor:
        return spread(vote(region_means(maps, regions, count=2), bags, neighbours(regions, count=2)), regions)

    assert torch.autograd.gradcheck(through, scores)


def test_one_region_alone_keeps_its_mean() -> None:
    scores, regions = torch.randn(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    means = region_means(scores, regions, count=1)
    voted = vote(means, torch.ones(1, 1, 3), neighbours(regions, count=1))
    torch.testing.assert_close(voted, means)
    assert torch.isfinite(voted).all()


def test_bags_are_histograms_that_tell_colours_apart() -> None:
    pictures = torch.zeros(1, 3, 8, 8)
    pictures[:, 0, :, 4:] = 1  # black beside red
    regions = (torch.arange(8) // 4)[None, None].expand(1, 8, 8).contiguous()
    bags = bags_of(pictures, regions, count=3)
    assert bags.shape == (1, 3, 6 * 8 + 9)
    parts = bags[0, :2].split([8] * 6 + [9], 1)
    for part in parts:
        torch.testing.assert_close(part.sum(1), torch.ones(2))
    assert (parts[0][0] != parts[0][1]).any()
    assert torch.equal(parts[1][0], parts[1][1])  # no green in either
    assert bags[0, 2].sum() == 0  # an empty region
    assert bags_of(torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 4, 4, dtype=torch.long), count=1)[0, 0, 48:].sum() == 0


def test_lab_knows_white_black_and_red() -> None:
    colours = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0]]).T[None, :, :, None]
    expected = torch.tensor([[100.0, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]]).T[None, :, :, None]
    torch.testing.assert_close(lab_of(colours), expected, atol=0.02, rtol=0)


def test_a_vertical_border_has_one_direction_and_its_mirror_the_same() -> None:
    grey = torch.zeros(1, 5, 6)
    grey[:, :, 3:] = 1
    strength, sector = gradients(grey)
    assert set(sector[strength > 0].tolist()) == {0}
    mirrored, turned = gradients(grey.flip(2))
    torch.testing.assert_close(mirrored.flip(2), strength)
    assert set(turned[mirrored > 0].tolist()) <= {0, 8}  # half a turn is no turn, to the last digit


def test_without_the_library_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def blocked(name: str, *rest: object, **more: object) -> object:
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[superpixels\]'"):
        find_regions(torch.rand(1, 3, 8, 8), count=4)


def test_the_library_gives_regions_of_one_colour() -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    pictures = torch.zeros(2, 3, 30, 20)
    pictures[:, :, 15:] = 1
    regions = find_regions(pictures, count=12)
    assert regions.shape == (2, 30, 20)
    assert regions.min() == 0
    assert not set(regions[0, :15].unique().tolist()) & set(regions[0, 15:].unique().tolist())
