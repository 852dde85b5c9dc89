"""Changed training pictures: the box is seen, labels follow the pixels, sides swap in a mirror, others stay others."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import torch
import torch.nn.functional as F

from resight.data.augment import normalise
from resight.data.parsing_batches import Canvases, LabelRows, Spoiling, changed, seen_company, still_hidden

ROWS = LabelRows(person=np.array([False, True, True]), mirrored=np.array([0, 2, 1], np.uint8))
SIZE = (32, 16)


NONE = dict.fromkeys(("turn", "stretch", "light", "colour", "grey", "low", "compress", "noise", "second", "erase"), 0.0)


def quiet(**some: float) -> Spoiling:
    """Spoiling in nothing but what is named."""
    return Spoiling(**{**NONE, "low_height": 16.0, **some})


def canvases(count: int = 4) -> Canvases:
    """A person of class 1 left and 2 right of the middle, on a picture whose red tells the class."""
    labels = torch.zeros(count, 48, 24, dtype=torch.uint8)
    labels[:, 12:36, 8:12], labels[:, 12:36, 12:16] = 1, 2
    pictures = (labels[..., None] * torch.tensor([100, 0, 0], dtype=torch.uint8)).contiguous()
    whole = torch.ones(count, dtype=torch.bool)
    views, hidden = torch.tensor([[0.6, 0.8]]).repeat(count, 1), torch.full((count,), 0.2)
    company = torch.full((count,), torch.nan)
    return Canvases(pictures, labels, torch.zeros_like(labels), whole, views, hidden, company)


def change(given: Canvases, how: Spoiling, *, seed: int = 0, scale=(1.0, 1.0), shift: float = 0.0, mirror: float = 0.0):
    rng = torch.Generator().manual_seed(seed)
    return changed(given, ROWS, how, size=SIZE, scale=scale, shift=shift, mirror=mirror, rng=rng)


def test_unchanged_the_box_is_the_middle_two_thirds() -> None:
    given = canvases()
    found = change(given, quiet())
    assert torch.equal(found.labels, given.labels[:, 8:40, 4:20])
    assert torch.allclose(found.images, normalise(given.pictures[:, 8:40, 4:20]), atol=1e-3)


def test_a_mirror_swaps_sides_so_that_they_stay_the_persons_own() -> None:
    given = canvases()
    found = change(given, quiet(), mirror=1.0)
    assert torch.equal(found.labels, given.labels[:, 8:40, 4:20])  # this person is its own mirror image
    assert torch.allclose(found.images, normalise(given.pictures[:, 8:40, 4:20]).flip(3), atol=1e-3)
    assert torch.equal(found.views, given.views * torch.tensor([1.0, -1.0]))  # looks the other way, as much from ahead
    assert torch.equal(change(given, quiet()).views, given.views)


def test_labels_move_as_the_pixels_do_and_nothing_is_known_outside() -> None:
    found = change(canvases(16), quiet(turn=5.0, stretch=0.2), seed=3, scale=(0.7, 2.2), shift=0.3)
    red = (found.images[:, 0] + 127 / 128) * 128
    inside = found.labels != 255
    assert bool((~inside).any())
    values = found.labels.float()[:, None]
    flat = (F.max_pool2d(values, 3, 1, 1) == -F.max_pool2d(-values, 3, 1, 1))[:, 0]  # away from borders
    agree = (red - found.labels.float() * 100).abs() < 25
    assert float(agree[inside & flat].float().mean()) > 0.99


def test_a_pasted_person_is_background_and_marked_as_another_one() -> None:
    given = canvases(32)
    found = change(given, quiet(second=1.0), seed=1)
    pasted = found.others == 1
    assert bool(pasted.any())
    assert bool((found.labels[pasted] == 0).all())
    wanted = (found.labels > 0).sum((1, 2)) / (given.labels[:, 8:40, 4:20] > 0).sum((1, 2))
    assert float(wanted.min()) > 0.5  # the wanted person is never mostly hidden


def test_nothing_is_put_behind_a_person_without_an_outline() -> None:
    given = canvases(8)
    sparse = replace(given, labels=torch.full_like(given.labels, 255), whole=given.whole & False)
    found = change(sparse, quiet(second=1.0), seed=1)
    assert not bool((found.others == 1).any())


def test_what_pastes_and_blocks_hide_comes_on_top_of_what_was_hidden() -> None:
    given = canvases(64)
    unchanged = change(given, quiet()).labels > 0
    found = change(given, quiet(second=1.0, erase=1.0), seed=1)
    left = (found.labels > 0).sum((1, 2)) / unchanged.sum((1, 2))
    assert bool((left < 0.9).any())
    assert torch.allclose(found.hidden, 1 - 0.8 * left, atol=1e-6)
    sparse = replace(given, whole=given.whole & False)
    assert bool(change(sparse, quiet(erase=1.0), seed=1).hidden.isnan().all())


def test_much_that_is_hidden_is_known_from_either_side_alone() -> None:
    nan = torch.nan
    before, left = torch.tensor([nan, nan, 0.5, 0.0, nan, 0.1]), torch.tensor([0.7, 0.9, nan, nan, nan, 0.5])
    expected = torch.tensor([0.3, nan, 0.5, nan, nan, 0.55])
    assert torch.allclose(still_hidden(before, left), expected, equal_nan=True)


def test_company_is_what_the_pixels_show_or_an_eye_saw() -> None:
    others = torch.zeros(7, 20, 10, dtype=torch.uint8)
    others[1, 0, :2] = 1  # a hand
    others[2], others[3] = 255, 255
    others[4, :, 6:] = 255
    others[5, 0, :2], others[6] = 1, 255
    by_eye = torch.tensor([torch.nan, torch.nan, torch.nan, 1.0, torch.nan, 0.0, 0.0])
    expected = torch.tensor([0.0, 1.0, torch.nan, 1.0, 0.0, 1.0, 0.0])
    assert torch.equal(seen_company(others, by_eye).nan_to_num(-1), expected.nan_to_num(-1))
    pasted = change(replace(canvases(32), company=torch.zeros(32)), quiet(second=1.0), seed=1)
    assert torch.equal(pasted.company == 1, (pasted.others == 1).any(2).any(1))


def test_an_erased_block_is_background() -> None:
    given = canvases(64)
    found = change(given, quiet(erase=1.0), seed=2)
    lost = (given.labels[:, 8:40, 4:20] > 0) & (found.labels == 0)
    assert bool(lost.any())
    assert float(lost.sum((1, 2)).max()) <= 0.5 * float((given.labels[0] > 0).sum())


def test_the_same_generator_draws_the_same_batch_and_light_changes_no_label() -> None:
    loud = quiet(turn=6.0, light=0.4, colour=0.1, grey=0.2, low=1.0, compress=0.5, noise=0.05, second=0.5, erase=0.3)
    first, again = (change(canvases(8), loud, seed=7, scale=(0.8, 1.3), shift=0.1, mirror=0.5) for _ in range(2))
    assert all(torch.equal(getattr(first, one.name), getattr(again, one.name)) for one in fields(first))
    assert bool((first.images.abs() <= 1).all())
    lit = change(canvases(8), quiet(light=0.4, colour=0.1, low=1.0, compress=1.0, noise=0.05), seed=7)
    assert torch.equal(lit.labels, canvases(8).labels[:, 8:40, 4:20])
