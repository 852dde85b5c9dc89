from __future__ import annotations

import torch

from resight.embedders.two_stream import TwoStream, two_stream_objective
from resight.train.objectives import joint
from toy_maps import background_maps, person_maps


@torch.no_grad()
def test_only_the_second_stream_sees_the_mask() -> None:
    torch.manual_seed(0)
    net, images = TwoStream(classes=0, backbone="resnet18").eval(), torch.randn(2, 3, 64, 32)
    one, other = net(images, person_maps()).before_neck, net(images, background_maps()).before_neck
    assert torch.equal(one[:, :512], other[:, :512])
    assert not torch.allclose(one[:, 512:], other[:, 512:])


def test_triplets_look_at_all_features() -> None:
    torch.manual_seed(0)
    net, classes = TwoStream(classes=2, backbone="resnet18").train(), torch.tensor([0, 0, 1, 1])
    found = net(torch.randn(4, 3, 64, 32), person_maps(4))
    got = two_stream_objective(
        *(found, classes, joint(found, classes)),
        smoothing=0.1,
        margin=0.3,
        identity_weight=0.0,
        triplet_weight=1.0,
    )
    assert set(got) == {"identity", "triplet both", "triplet picture", "triplet cut-out"}
    assert got["identity"] == 0
