"""The network that one-pass's speed is measured against is the paper's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from resight.nn.cost import cost_of

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))


def test_osnet_has_the_papers_parameters_and_multiply_adds() -> None:
    from osnet import OSNet

    cost = cost_of(OSNet(), torch.zeros(1, 3, 256, 128))
    assert cost.parameters == pytest.approx(2.2e6, rel=0.02)
    assert cost.multiply_adds == pytest.approx(978.9e6, rel=0.01)
