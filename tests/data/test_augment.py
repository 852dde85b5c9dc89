from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from resight.data.augment import Augmentation, augment, flip, normalise

NOTHING = Augmentation(flip=0.0, shift=0.0, zoom=0.0, light=0.0, colour=0.0, erase=0.0)


def pictures(count: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 32, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_with_everything_off_only_the_grey_levels_are_scaled() -> None:
    found = augment(pictures(), NOTHING, size=(32, 16), rng=generator())
    assert torch.allclose(found, normalise(pictures()).clamp(-1, 1), atol=1e-4)


def test_flip_twice_is_the_identity() -> None:
    images = normalise(pictures())
    assert torch.equal(flip(flip(images)), images)
    assert not torch.equal(flip(images), images)


def test_a_sure_flip_mirrors_every_picture() -> None:
    sure = Augmentation(flip=1.0, shift=0.0, zoom=0.0, light=0.0, colour=0.0, erase=0.0)
    found = augment(pictures(), sure, size=(32, 16), rng=generator())
    assert torch.allclose(found, flip(normalise(pictures()).clamp(-1, 1)), atol=1e-4)


def test_a_shift_moves_by_whole_pixels_and_blurs_nothing() -> None:
    how = Augmentation(flip=0.0, shift=0.1, zoom=0.0, light=0.0, colour=0.0, erase=0.0)
    found, given_ = augment(pictures(), how, size=(32, 16), rng=generator()), normalise(pictures())
    for moved, still in zip(found, given_, strict=True):
        shifted = (torch.roll(still, (down, right), (1, 2)) for down in range(-4, 5) for right in range(-2, 3))
        least = min((moved - one)[:, 4:-4, 2:-2].abs().max() for one in shifted)
        assert least < 1e-4


def test_the_same_chance_gives_the_same_pictures_and_another_gives_others() -> None:
    once, again, other = (augment(pictures(), Augmentation(), size=(32, 16), rng=generator(s)) for s in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_coarse_pictures_lose_detail_and_keep_their_mean_and_others_stay_as_they_are() -> None:
    how = replace(NOTHING, coarse=0.5)
    shown, given_ = augment(pictures(64), how, size=(32, 16), rng=generator()), normalise(pictures(64)).clamp(-1, 1)
    spread = [one.diff(dim=2).square().mean((1, 2, 3)) for one in (shown, given_)]
    lost = spread[0] < 0.5 * spread[1]
    assert 16 < int(lost.sum()) < 48
    assert torch.allclose(shown[~lost], given_[~lost], atol=1e-4)
    assert torch.allclose(shown[lost].mean((1, 2, 3)), given_[lost].mean((1, 2, 3)), atol=0.02)
    assert torch.equal(
        augment(pictures(), replace(Augmentation(), coarse=0.0), size=(32, 16), rng=generator(3)),
        augment(pictures(), Augmentation(), size=(32, 16), rng=generator(3)),
    )


@given(st.integers(0, 1000))
def test_erased_rectangles_keep_to_the_promised_area(seed: int) -> None:
    white = torch.full((8, 64, 32, 3), 255, dtype=torch.uint8)
    how = Augmentation(flip=0.0, shift=0.0, zoom=0.0, light=0.0, colour=0.0, erase=1.0, erase_area=(0.1, 0.3))
    found = augment(white, how, size=(64, 32), rng=generator(seed))
    share = (found[:, 0] == 0).float().mean((1, 2))
    assert (share > 0.02).all()  # a long thin one is cut at the border
    assert (share < 0.36).all()


def test_values_stay_in_range_and_the_size_is_the_one_asked_for() -> None:
    found = augment(pictures(), Augmentation(light=0.9, colour=0.9), size=(48, 24), rng=generator())
    assert found.shape == (4, 3, 48, 24)
    assert found.abs().max() <= 1
