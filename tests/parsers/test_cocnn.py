from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from resight.errors import BadPicture, UnknownName
from resight.losses import pixel_cross_entropy
from resight.nn.parsing import Parsing
from resight.parsers.cocnn import CoCNN, _pool, cocnn_objective, image_targets, smooth_and_vote
from resight.types import IGNORE


def test_sizes_are_those_of_table_1() -> None:
    """18 -> 37, 37 -> 75 and 12 -> 25 are no doublings: each step resizes to its skip's own size."""
    sizes = []
    maps = torch.zeros(1, 1, 150, 100)
    for _ in range(3):
        maps = _pool(maps)
        sizes.append(tuple(maps.shape[2:]))
    assert sizes == [(75, 50), (37, 25), (18, 12)]


def test_parameters_follow_table_1() -> None:
    with torch.device("meta"):
        network = CoCNN(classes=18)

    def conv(inputs: int, outputs: int, kernel: int = 5) -> int:
        return inputs * outputs * kernel * kernel + outputs

    encoder = conv(3, 128) + conv(128, 192) + 6 * conv(192, 192) + conv(192, 96, 1)
    image = (96 * 18 * 12 * 1024 + 1024) + (1024 * 18 + 18)
    decoder = conv(96, 192) + conv(192, 192, 3) + conv(192, 192) + 3 * conv(210, 192) + conv(3, 192)
    last = conv(192, 256, 3) + conv(256, 18, 1) + conv(18, 18, 1)
    assert sum(p.numel() for p in network.parameters()) == encoder + image + decoder + last


@pytest.mark.parametrize("size", [(30, 20), (22, 14)])
def test_it_answers_at_the_pictures_size_and_learns(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = CoCNN(classes=7, height=size[0], width=size[1])
    found = network(torch.randn(2, 3, *size))
    assert found.logits.shape == (2, 7, *size)
    assert found.image_classes is not None
    assert found.image_classes.shape == (2, 7)
    losses = cocnn_objective(found, torch.randint(0, 7, (2, *size)), pixel_loss=pixel_cross_entropy)
    torch.stack(tuple(losses.values())).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_another_size_is_refused_with_both_sizes() -> None:
    network = CoCNN(classes=3, height=22, width=14)
    with pytest.raises(BadPicture, match="22 × 14 pixels, not 14 × 22"):
        network(torch.zeros(1, 3, 14, 22))
    with pytest.raises(UnknownName, match="Co-CNN"):
        CoCNN(classes=3, backbone="resnet18")


def test_the_image_labels_reach_every_pixel() -> None:
    torch.manual_seed(0)
    network = CoCNN(classes=3, height=22, width=14).eval()
    image = torch.randn(1, 3, 22, 14)
    before = network(image).logits
    last = network.image[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias += torch.tensor([6.0, 0, -6])
    assert bool(((network(image).logits - before).abs().amax(1) > 0).all())


def test_under_the_papers_initialisation_the_picture_does_not_reach_the_answer() -> None:
    torch.manual_seed(0)
    network = CoCNN(classes=3, height=22, width=14).eval()
    two = torch.randn(2, 3, 22, 14)
    assert (network(two).logits[0] - network(two).logits[1]).abs().max() > 0.1
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.001)
    assert (network(two).logits[0] - network(two).logits[1]).abs().max() < 1e-6


def test_image_targets_share_equally_and_leave_out_what_is_not_told() -> None:
    labels = torch.zeros(4, 2, 3, dtype=torch.uint8)
    labels[0, 0] = 2
    labels[0, 1, 0] = IGNORE
    labels[1] = 1
    labels[2, 0, 0] = 5  # a set of classes, behind the last
    labels[3] = IGNORE
    wanted, told = image_targets(labels, classes=4)
    assert wanted[:2].tolist() == [[0.5, 0, 0.5, 0], [0, 1, 0, 0]]
    assert told.tolist() == [True, True, False, False]


def test_the_objective_is_pixels_and_three_tenths_of_the_squared_error_on_the_softmax() -> None:
    torch.manual_seed(0)
    found = Parsing(logits=torch.randn(2, 4, 5, 3), image_classes=torch.randn(2, 4))
    labels = torch.randint(0, 4, (2, 5, 3))
    losses = cocnn_objective(found, labels, pixel_loss=pixel_cross_entropy)
    torch.testing.assert_close(losses["parsing"], F.cross_entropy(found.logits, labels))
    square = 0.0
    for row in range(2):
        shown = labels[row].unique()
        for number in range(4):
            wanted = 1 / len(shown) if number in shown else 0
            square += (wanted - float(found.image_classes[row].softmax(0)[number])) ** 2
    assert float(losses["image"]) == pytest.approx(0.3 * square / 2, rel=1e-5)


def test_labels_that_tell_nothing_cost_nothing_instead_of_nan() -> None:
    found = Parsing(logits=torch.randn(1, 4, 5, 3), image_classes=torch.randn(1, 4))
    losses = cocnn_objective(found, torch.full((1, 5, 3), IGNORE), pixel_loss=pixel_cross_entropy)
    assert {name: loss.item() for name, loss in losses.items()} == {"parsing": 0, "image": 0}


def test_smoothed_scores_are_flat_inside_a_region_and_pass_gradients() -> None:
    scores = torch.randn(2, 3, 6, 4, requires_grad=True)
    regions = (torch.arange(6) // 2)[None, :, None].expand(2, 6, 4)
    found = smooth_and_vote(scores, torch.rand(2, 3, 6, 4), regions)
    assert found.shape == scores.shape
    for number in range(3):
        inside = found[:, :, 2 * number : 2 * number + 2].flatten(2)
        torch.testing.assert_close(inside, inside[..., :1].expand_as(inside))
    found.square().sum().backward()
    assert (scores.grad != 0).all()


def test_with_super_pixels_it_learns_too() -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    network = CoCNN(classes=3, height=22, width=14, superpixels=8)
    found = network(torch.randn(1, 3, 22, 14).clamp(-1, 1))
    found.logits.square().mean().backward()
    assert all(p.grad is not None for p in network.at_full.parameters())
