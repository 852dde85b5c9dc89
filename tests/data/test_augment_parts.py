from __future__ import annotations

import numpy as np
import pytest
import torch

from resight.data.augment import Augmentation, augment
from resight.data.augment_parts import Covered, Covering, CutOuts, augment_covered, cut_outs, hide
from resight.data.mirror import Mirrored, mirror

NOTHING = Augmentation(flip=0.0, shift=0.0, zoom=0.0, light=0.0, colour=0.0, erase=0.0)


def pictures(count: int = 6) -> torch.Tensor:
    return torch.randint(0, 256, (count, 64, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def body_maps(count: int = 6) -> torch.Tensor:
    """A person in the middle: hair, clothes, a left arm, pants, shoes; certain of everything."""
    classes = torch.zeros(count, 32, 16, dtype=torch.long)
    classes[:, 2:6, 5:11] = 2
    classes[:, 6:16, 4:12] = 5
    classes[:, 8:16, 2:4] = 14
    classes[:, 16:28, 5:11] = 9
    classes[:, 28:31, 5:11] = 18
    return torch.nn.functional.one_hot(classes, 20).permute(0, 3, 1, 2).float()


def things() -> CutOuts:
    box = np.full((40, 20, 4), 255, np.uint8)
    person = np.full((60, 20, 4), (200, 0, 0, 255), np.uint8)
    return cut_outs([box], [person])


def covered(how: Augmentation = NOTHING, covering: Covering | None = None, seed: int = 0, **more: object) -> Covered:
    rng = torch.Generator().manual_seed(seed)
    given = {"maps": body_maps(), "cutouts": things(), **more}
    return augment_covered(
        *(pictures(), given["maps"], how, covering or Covering(), given["cutouts"]), size=(64, 32), rng=rng
    )


def test_with_nothing_to_cover_the_pictures_are_those_of_augment() -> None:
    plain = augment(pictures(), Augmentation(), size=(64, 32), rng=torch.Generator().manual_seed(3))
    assert torch.equal(covered(Augmentation(), seed=3).images, plain)
    assert torch.equal(covered(Augmentation(), seed=3, maps=None, cutouts=None).images, plain)


def test_maps_follow_the_mirror_of_their_pictures_with_sides_swapped() -> None:
    found = covered(Augmentation(flip=1.0, shift=0.0, zoom=0.0, light=0.0, colour=0.0, erase=0.0))
    expected = mirror(Mirrored(maps=body_maps())).maps
    assert torch.allclose(found.maps, expected, atol=1e-5)
    assert found.maps[:, 15].sum() == pytest.approx(float(body_maps()[:, 14].sum()), rel=1e-3)


def test_maps_follow_shift_and_zoom_as_a_picture_of_them_would() -> None:
    how = Augmentation(flip=0.5, shift=0.1, zoom=0.1, light=0.0, colour=0.0, erase=0.0)
    maps = body_maps()
    as_picture = (maps[:, 5:6].repeat(1, 3, 1, 1).permute(0, 2, 3, 1) * 255).to(torch.uint8)
    rng = torch.Generator().manual_seed(5)
    found = augment_covered(as_picture, maps, how, Covering(), None, size=(32, 16), rng=rng)
    seen = (found.images[:, 0] * 128 + 127) / 255
    assert (seen - found.maps[:, 5]).abs().max() < 0.02


def test_what_is_pasted_hides_the_person_in_the_maps_and_leaves_the_rest_alone() -> None:
    found = covered(covering=Covering(paste=1.0, people=0.0))
    before = body_maps()
    hidden = (found.maps[:, 1:].sum(1) < before[:, 1:].sum(1) - 0.5).float()
    assert hidden.sum() > 0
    assert torch.allclose(found.maps.sum(1), torch.ones(6, 32, 16), atol=1e-4)
    assert (found.maps[:, 1:] <= before[:, 1:] + 1e-5).all()
    assert torch.allclose(found.unhidden, before.mean((2, 3)))
    white = (found.images > 0.99).all(1).float()
    large = torch.nn.functional.interpolate(hidden[:, None], (64, 32))[:, 0] > 0
    assert white[large].mean() > 0.95


def test_only_another_person_is_another_person() -> None:
    things_only = covered(covering=Covering(paste=1.0, people=0.0)).others
    assert not (things_only == 1).any()
    people = covered(covering=Covering(paste=1.0, people=1.0))
    assert (people.others == 1).any()
    assert set(people.others.unique().tolist()) <= {0, 1, 255}
    nothing = covered().others
    assert ((nothing == 0) == (body_maps()[:, 0] < 0.5)).all()


def test_never_more_than_the_promised_share_of_the_person_is_hidden() -> None:
    for seed in range(8):
        found = covered(covering=Covering(paste=1.0, most=0.3), seed=seed)
        left = found.maps[:, 1:].sum((1, 2, 3)) / body_maps()[:, 1:].sum((1, 2, 3))
        assert (left > 0.69).all()


def test_erasing_a_part_hides_that_part_and_no_other() -> None:
    found = covered(covering=Covering(erase_part=1.0))
    left = found.maps.mean((2, 3)) / body_maps().mean((2, 3)).clamp_min(1e-9)
    present = body_maps()[0].sum((1, 2)) > 0
    present[0] = False
    gone = (left[:, present] < 0.5).sum(1)
    assert (gone <= 1).all()
    assert (gone == 1).any()  # a part that is not there is erased in vain
    kept = left[:, present]
    assert (kept[kept >= 0.5] > 0.6).all()


def test_another_background_changes_no_pixel_of_the_person() -> None:
    found = covered(covering=Covering(swap_background=1.0))
    before = covered()
    person = torch.nn.functional.interpolate(body_maps()[:, :1], (64, 32), mode="bilinear") <= 0.5
    assert torch.equal(found.images[person.expand(-1, 3, -1, -1)], before.images[person.expand(-1, 3, -1, -1)])
    assert not torch.equal(found.images, before.images)


def test_another_background_is_another_persons() -> None:
    """Pictures of a person stand in a row: here two persons, three pictures each, of one grey level a person."""
    images = torch.cat([torch.full((3, 64, 32, 3), 10), torch.full((3, 64, 32, 3), 200)]).to(torch.uint8)
    rng = torch.Generator().manual_seed(0)
    found = augment_covered(images, body_maps(), NOTHING, Covering(swap_background=1.0), None, size=(64, 32), rng=rng)
    corners = found.images[:, 0, 0, 0]
    assert (corners[:3] > 0).all()
    assert (corners[3:] < 0).all()


def test_the_same_chance_gives_the_same_batch_and_another_gives_another() -> None:
    how = Covering(paste=0.7, erase_part=0.4, swap_background=0.4)
    once, again, other = (covered(Augmentation(), how, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(once.images, again.images)
    assert torch.equal(once.maps, again.maps)
    assert not torch.equal(once.images, other.images)


def test_a_pasted_thing_keeps_its_proportions_and_an_empty_corner_hides_nothing() -> None:
    cutout = np.zeros((30, 60, 4), np.uint8)
    cutout[:, :30] = 255
    layers = cut_outs([cutout], []).layers[0]
    assert layers[3].mean() == pytest.approx(0.25, abs=0.02)
    assert not layers[:3, layers[3] == 0].any()


def test_hiding_all_of_a_map_leaves_background_and_hiding_nothing_leaves_it() -> None:
    maps = torch.rand(2, 20, 4, 3).softmax(1)
    everything = hide(maps, torch.ones(2, 1, 4, 3))
    assert torch.allclose(everything[:, 0], torch.ones(2, 4, 3), atol=1e-6)
    assert torch.allclose(hide(maps, torch.zeros(2, 1, 4, 3)), maps)


def test_changes_that_need_maps_or_things_say_so() -> None:
    with pytest.raises(ValueError, match="need part maps"):
        covered(covering=Covering(erase_part=0.5), maps=None)
    with pytest.raises(ValueError, match="pasting needs cut-outs"):
        covered(covering=Covering(paste=0.5), cutouts=None)
    with pytest.raises(ValueError, match="nothing to paste"):
        cut_outs([], [])
