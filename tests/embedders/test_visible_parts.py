from __future__ import annotations

import pytest
import torch

from resight.data.augment_parts import hide
from resight.embedders.masks import six_parts
from resight.embedders.part_features import PART_NAMES, PartFeatures, seen_share
from resight.embedders.visible_parts import VisibleParts, visible_parts_objective
from resight.losses_parts import part_distance
from resight.nn.backbones import BACKBONES
from resight.train.objectives import joint
from toy_maps import background_maps, person_maps


def network(**more: object) -> VisibleParts:
    torch.manual_seed(0)
    return VisibleParts(**{"classes": 3, "backbone": "resnet18", **more})


def losses(net: VisibleParts, images: torch.Tensor, maps: torch.Tensor, **weights: float) -> dict[str, torch.Tensor]:
    found, classes = net(images), torch.arange(len(images)) // 2
    settings = {
        **{"smoothing": 0.1, "margin": 0.3, "triplet_weight": 1.0, "part_triplet_weight": 1.0},
        **{"map_weight": 1.0, "visible_weight": 1.0},
        **weights,
    }
    return visible_parts_objective(*(found, classes, joint(found, classes), maps, maps.mean((2, 3))), **settings)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_shapes_on_every_backbone(backbone: str) -> None:
    net = network(backbone=backbone).train()
    found = net(torch.randn(2, 3, 128, 64))
    assert found.parts.shape == (2, 6, 256)
    assert found.visible.shape == (2, 6)
    assert found.matching.shape == (2, 2 * net.backbone.channels)
    assert found.attention.shape[1] == 7
    assert [logits.shape for logits in found.logits] == [(2, 3)] * 3


@torch.no_grad()
def test_no_parser_is_needed_at_test_time_and_crops_do_not_influence_each_other() -> None:
    net, images = network().eval(), torch.randn(3, 3, 128, 64)
    assert not net.needs_maps
    together, alone = net(images), net(images[1:2])
    assert together.logits == ()
    assert torch.allclose(together.parts[1], alone.parts[0], atol=1e-4)
    assert torch.allclose(together.visible[1], alone.visible[0], atol=1e-5)


def test_a_constant_map_gives_every_part_the_same_vector() -> None:
    head = PartFeatures(8, width=4).eval()
    found = head(torch.full((1, 8, 8, 4), 0.5), six_parts(person_maps(1)))
    seen = found.parts[:, [0, 1, 2, 3, 5]]  # no bare legs
    assert torch.allclose(seen, seen[:, :1].expand_as(seen), atol=1e-5)
    assert torch.allclose(found.foreground, torch.full((1, 8), 0.5), atol=1e-5)
    assert not found.parts[:, PART_NAMES.index("legs")].any()


def test_hiding_a_part_changes_no_other_parts_vector() -> None:
    head, maps = PartFeatures(8, width=4).eval(), torch.randn(1, 8, 16, 8)
    whole = six_parts(person_maps(1))
    covered = torch.zeros(1, 1, 16, 8)
    covered[:, :, 8:13] = 1  # the trousers
    changed = torch.where(covered > 0, torch.full_like(maps, 9.0), maps)
    before, after = head(maps, whole), head(changed, hide(whole, covered))
    lower = PART_NAMES.index("lower")
    others = [number for number in range(6) if number != lower]
    assert torch.allclose(before.parts[:, others], after.parts[:, others], atol=1e-6)
    assert not after.parts[:, lower].any()


def test_a_part_with_visibility_0_is_ignored_by_the_distance_and_by_the_loss() -> None:
    parts = torch.randn(4, 6, 5)
    visible = torch.ones(4, 6)
    visible[:, 3] = 0
    other = parts.clone()
    other[:, 3] = torch.randn(4, 5) * 100
    assert torch.equal(
        part_distance(parts, visible, parts, visible)[0], part_distance(other, visible, other, visible)[0]
    )


def test_the_share_that_is_seen_is_what_is_left_of_each_part() -> None:
    maps = person_maps(1)
    covered = torch.zeros(1, 1, 16, 8)
    covered[:, :, 13:] = 1  # shoes
    covered[:, :, 8:13] = 0.5  # half of the trousers
    found = seen_share(hide(maps, covered), maps.mean((2, 3)))[0]
    expected = {"head": 1.0, "upper": 1.0, "arms": 1.0, "lower": 0.5, "legs": 0.0, "shoes": 0.0}
    assert dict(zip(PART_NAMES, found.tolist(), strict=True)) == pytest.approx(expected, abs=1e-5)


def test_nobody_in_the_maps_means_nothing_is_seen_and_every_loss_stays_finite() -> None:
    assert not seen_share(background_maps(), background_maps().mean((2, 3))).any()
    net = network().train()
    found = losses(net, torch.randn(4, 3, 64, 32), background_maps(4))
    torch.stack(list(found.values())).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_visibility_teaches_its_own_head_and_nothing_else() -> None:
    net = network().train()
    only = losses(net, torch.randn(4, 3, 64, 32), person_maps(4))["visible"]
    only.backward()
    moved = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert all(name.startswith(("parts.seen", "seen.")) for name in moved)


@pytest.mark.slow
def test_attention_and_visibility_are_learned_from_maps() -> None:
    """Drawn bars: the head at the top, trousers below, which some pictures hide by a grey block."""
    torch.manual_seed(0)
    maps = person_maps(8)
    images = torch.nn.functional.interpolate(
        maps[:, [2, 5, 9]] * 2 - 1 + maps[:, 18:19] * torch.tensor([1.0, -1, 1])[None, :, None, None], (64, 32)
    )
    covered = torch.zeros(8, 1, 16, 8)
    covered[::2, :, 8:] = 1
    large = torch.nn.functional.interpolate(covered, (64, 32))
    images = images * (1 - large)
    left = hide(maps, covered)
    net, classes = network(backbone="mscan", last_stride=1).train(), torch.arange(8) // 4
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(40):
        found = net(images + 0.05 * torch.randn_like(images))
        got = visible_parts_objective(
            *(found, classes, joint(found, classes), left, maps.mean((2, 3))),
            smoothing=0.1,
            margin=0.3,
            triplet_weight=0.0,
            part_triplet_weight=0.0,
            map_weight=1.0,
            visible_weight=1.0,
        )
        optimizer.zero_grad()
        torch.stack(list(got.values())).sum().backward()
        optimizer.step()
    lower, head = PART_NAMES.index("lower"), PART_NAMES.index("head")
    assert found.visible[::2, lower].max() < 0.3
    assert found.visible[1::2, lower].min() > 0.7
    assert found.visible[:, head].min() > 0.7
