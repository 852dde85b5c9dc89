from __future__ import annotations

import torch

from resight.embedders.masks import cut_free, failed, foreground, mask_of, regions, six_parts
from toy_maps import background_maps, person_maps


def test_regions_overlap_and_the_foreground_is_what_is_not_background() -> None:
    maps = person_maps(sure=0.8)
    found = regions(maps)
    assert found.shape[1] == 5
    assert torch.allclose(found[:, :1], foreground(maps), atol=1e-6)
    assert (found[:, 0] >= found[:, 1:].amax(1) - 1e-6).all()


def test_six_parts_and_the_background_share_every_pixel() -> None:
    found = six_parts(person_maps(sure=0.7))
    assert found.shape[1] == 7
    assert torch.allclose(found.sum(1), torch.ones(2, 16, 8), atol=1e-5)


def test_a_failed_mask_leaves_the_picture_as_it_is_and_not_black() -> None:
    images = torch.randn(3, 3, 32, 16)
    broken = person_maps(1)
    broken[:] = torch.nan
    maps = torch.cat([person_maps(1), background_maps(1), broken])
    assert failed(maps).tolist() == [False, True, True]
    found = cut_free(images, maps)
    assert torch.equal(found[1:], images[1:])
    assert torch.isfinite(found).all()
    assert not found[0, :, 28:, 14:].any()
    assert mask_of(maps, (8, 4))[1:].min() == 1


def test_a_hard_mask_is_0_and_1() -> None:
    assert set(mask_of(person_maps(sure=0.8), (16, 8), hard=True).unique().tolist()) == {0.0, 1.0}
