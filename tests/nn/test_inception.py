"""Inception-V3 has the released network's parameters, names and map sizes."""

from __future__ import annotations

import pytest
import torch

from resight.model import build_embedder
from resight.nn.inception import InceptionV3

RELEASED = 27_161_264
"""Parameters of torchvision's `inception_v3`, as its documentation says: with classifier and auxiliary classifier."""
CLASSIFIER = 2048 * 1000 + 1000
AUXILIARY = 768 * 128 + 2 * 128 + 128 * 768 * 5 * 5 + 2 * 768 + 768 * 1000 + 1000


def test_parameters_up_to_the_last_pooling_are_the_released_networks() -> None:
    with torch.device("meta"):
        network = InceptionV3()
    assert sum(value.numel() for value in network.parameters()) == RELEASED - CLASSIFIER - AUXILIARY == 21_785_568
    names = set(network.state_dict())
    assert {"Conv2d_1a_3x3.conv.weight", "Mixed_5b.branch5x5_2.bn.running_var"} <= names
    assert {"Mixed_6a.branch3x3.conv.weight", "Mixed_7c.branch3x3dbl_3b.conv.weight"} <= names


@pytest.mark.parametrize(("stride", "shape"), [(2, (14, 4)), (1, (30, 9))])
def test_a_crop_of_the_papers_size_becomes_the_papers_map(stride: int, shape: tuple[int, int]) -> None:
    with torch.device("meta"):
        network = InceptionV3(last_stride=stride).eval()
        stages = network.stages(torch.zeros(2, 3, 512, 170))
    assert stages[-1].shape == (2, 2048, *shape)
    assert tuple(stage.shape[1] for stage in stages) == network.stage_channels


def test_grey_levels_reach_the_first_convolution_as_the_package_gives_them() -> None:
    network, seen = InceptionV3().eval(), []
    network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.linspace(-1, 1, 3 * 75 * 75).reshape(1, 3, 75, 75)  # its weights saw -1..1 too
    with torch.inference_mode():
        network.stages(images)
    assert torch.equal(seen[0], images)


def test_the_paper_features_have_6144_numbers() -> None:
    with torch.device("meta"):
        network = build_embedder("spreid", classes=0, backbone="inception-v3", pooling="average", last_stride=2)
    assert network.neck.num_features == 6144
