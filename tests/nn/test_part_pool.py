from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from resight.nn.part_pool import on_grid, pool_parts, shrink_masks


def slow(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The paper's way: enlarge the features, weigh, divide."""
    large = F.interpolate(maps, masks.shape[2:], mode="bilinear", align_corners=False)
    return torch.einsum("bchw,bphw->bpc", large, masks) / masks.sum((2, 3))[..., None]


@pytest.mark.parametrize("size", [(8, 4), (30, 30), (32, 16), (7, 5)])
def test_pooling_equals_enlarging_the_features_first(size: tuple[int, int]) -> None:
    maps, masks = torch.randn(2, 6, 8, 4), torch.rand(2, 5, *size)
    found, share = pool_parts(maps, masks)
    assert torch.allclose(found, slow(maps, masks), atol=1e-5)
    assert torch.allclose(share, masks.mean((2, 3)))


def test_masks_keep_their_sums_on_another_grid() -> None:
    masks = torch.rand(2, 3, 30, 30)
    assert torch.allclose(on_grid(masks, (8, 4)).sum((2, 3)), masks.sum((2, 3)), rtol=1e-4)


def test_a_constant_picture_pools_to_its_constant_under_every_mask() -> None:
    found, _ = pool_parts(torch.full((1, 3, 8, 4), 0.7), torch.rand(1, 5, 32, 16))
    assert torch.allclose(found, torch.full((1, 5, 3), 0.7), atol=1e-5)


def test_a_part_that_is_not_there_gives_zeros_and_a_finite_gradient() -> None:
    maps, masks = torch.randn(2, 3, 4, 2, requires_grad=True), torch.zeros(2, 2, 4, 2, requires_grad=True)
    found, share = pool_parts(maps, masks)
    found.square().sum().backward()
    assert not found.any()
    assert not share.any()
    assert torch.isfinite(maps.grad).all()
    assert torch.isfinite(masks.grad).all()


def test_hiding_a_part_changes_no_other_parts_feature() -> None:
    maps, masks = torch.randn(1, 3, 8, 4), torch.zeros(1, 3, 8, 4)
    masks[:, 0, :3], masks[:, 1, 3:6], masks[:, 2, 6:] = 1, 1, 1
    hidden = maps.clone()
    hidden[:, :, 3:6] = 99.0  # what stands before the part
    covered = masks.clone()
    covered[:, 1] = 0
    before, after = pool_parts(maps, masks)[0], pool_parts(hidden, covered)[0]
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not after[:, 1].any()


def test_a_first_call_without_gradients_does_not_spoil_later_learning() -> None:
    with torch.inference_mode():
        pool_parts(torch.randn(1, 2, 5, 3), torch.rand(1, 1, 11, 7))
    maps = torch.randn(1, 2, 5, 3, requires_grad=True)
    pool_parts(maps, torch.rand(1, 1, 11, 7, requires_grad=True))[0].sum().backward()
    assert maps.grad is not None


def test_a_coarser_grid_holds_the_means_of_its_cells() -> None:
    masks = torch.rand(1, 2, 8, 4)
    assert torch.allclose(shrink_masks(masks, (4, 2))[0, 0, 0, 0], masks[0, 0, :2, :2].mean())
