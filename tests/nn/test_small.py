from __future__ import annotations

import torch

from resight.nn.small import DGD, MSCAN


def test_mscan_has_the_shapes_of_mgcams_table() -> None:
    stages = MSCAN(inputs=4).stages(torch.zeros(1, 4, 160, 64))
    assert [tuple(stage.shape[1:]) for stage in stages] == [(96, 40, 16), (96, 20, 8), (96, 10, 4), (96, 5, 2)]


def test_dgd_has_the_shapes_of_its_table_and_no_73_by_29() -> None:
    stages = DGD(inputs=2).stages(torch.zeros(1, 6, 144, 56))
    assert [tuple(stage.shape[1:]) for stage in stages] == [(256, 72, 28), (384, 36, 14), (768, 18, 7), (1536, 9, 4)]


def test_dgd_with_two_inputs_still_has_384_channels_after_4b() -> None:
    """4b passes its input through: 2 × 64 + 256, whatever entered 4a."""
    assert DGD(inputs=1).stage_channels == DGD(inputs=2).stage_channels == (256, 384, 768, 1536)
