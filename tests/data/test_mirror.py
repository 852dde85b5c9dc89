from __future__ import annotations

import numpy as np
import pytest
import torch

from resight.data.label_sets import LIP20, PARTS6, PARTS8
from resight.data.labels import COCO_SWAP, flip_all
from resight.data.mirror import Mirrored, flip_soft, mirror, part_swap


def everything() -> Mirrored:
    torch.manual_seed(0)
    return Mirrored(
        images=torch.randn(2, 3, 8, 4),
        maps=torch.rand(2, 20, 6, 3),
        keypoints=torch.randint(0, 4, (2, 17, 3)).float(),
        parts=torch.randn(2, 7, 5),
        visible=torch.rand(2, 7),
    )


def test_mirrored_twice_everything_is_as_it_was() -> None:
    given = everything()
    once = mirror(given, parts=PARTS8)
    twice = mirror(once, parts=PARTS8)
    for name in ("images", "maps", "keypoints", "parts", "visible"):
        assert torch.equal(getattr(twice, name), getattr(given, name))
        assert not torch.equal(getattr(once, name), getattr(given, name))


def test_the_batch_mirror_agrees_with_the_mirror_of_one_picture() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (8, 4, 3), dtype=np.uint8)
    classes = rng.integers(0, 20, (8, 4), dtype=np.uint8)
    points = rng.integers(0, 4, (17, 3)).astype(np.float32)
    flipped, maps, turned = flip_all(picture, [(classes, LIP20)], points)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(classes).long(), 20).permute(2, 0, 1)[None].float()
    images = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    found = mirror(Mirrored(images=images, maps=one_hot, keypoints=torch.from_numpy(points)[None]))
    assert np.array_equal(found.images[0].permute(1, 2, 0).numpy().astype(np.uint8), flipped)
    assert np.array_equal(found.maps.argmax(1)[0].numpy(), maps[0])
    assert np.array_equal(found.keypoints[0].numpy(), turned)


def test_a_left_arm_at_the_left_becomes_a_right_arm_at_the_right() -> None:
    maps = torch.zeros(1, 20, 4, 4)
    maps[:, 14, :, 0] = 1
    found = flip_soft(maps, LIP20)
    assert found[0, 15, :, 3].sum() == 4
    assert found.sum() == 4


def test_parts_with_sides_swap_and_parts_without_stay() -> None:
    assert part_swap(PARTS8) == [0, 1, 2, 4, 3, 6, 5]
    assert part_swap(PARTS6) == [0, 1, 2, 3, 4, 5]
    assert list(COCO_SWAP) != list(range(17))


def test_keypoints_without_a_picture_need_a_width() -> None:
    with pytest.raises(ValueError, match="give `images` or `width`"):
        mirror(Mirrored(keypoints=torch.zeros(1, 17, 2)))
    assert mirror(Mirrored(keypoints=torch.zeros(1, 17, 2)), width=64).keypoints[0, 0, 0] == 63
