from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from resight.nn.embeddings import Embeddings
from resight.train.loop import Step, WeightAverage, cosine_with_warmup, gather, training_steps
from resight.train.resources import shared_mib


def test_the_rate_climbs_in_the_warm_up_then_falls_to_its_last_share() -> None:
    rates = [cosine_with_warmup(step, steps=100, warmup=10, last=0.01) for step in range(1, 101)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[9] == 1
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


def test_the_average_of_a_network_that_stands_still_is_the_network() -> None:
    network = nn.BatchNorm1d(3)
    average = WeightAverage(network, decay=0.9)
    for step in range(1, 5):
        average.update(network, step)
    assert all(torch.equal(average.values[name], value) for name, value in network.state_dict().items())


def test_the_average_lags_behind_a_moving_network() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = WeightAverage(network, decay=0.99)
    for step in range(1, 200):
        nn.init.constant_(network.weight, float(step))
        average.update(network, step)
    assert 0 < average.values["weight"].item() < 199


def test_one_process_gathers_its_own_rows_with_their_gradient() -> None:
    rows = torch.ones(2, 3, requires_grad=True)
    gather(rows).sum().backward()
    assert torch.equal(rows.grad, torch.ones(2, 3))


class _Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> Embeddings:
        rows = self.line(images.mean((2, 3)))
        return Embeddings(matching=rows, before_neck=rows, logits=(rows,))


def _run(losses_of: object, batches: int = 3) -> tuple[list[Step], nn.Module]:
    torch.manual_seed(0)
    network = _Tiny()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    images = [(torch.randn(4, 3, 2, 2), torch.tensor([0, 0, 1, 1])) for _ in range(batches)]
    steps = training_steps(network, optimizer, iter(images), losses_of, rate=lambda step: 0.1 * step, first=5)
    return list(steps), network


def test_each_step_is_numbered_and_sets_its_own_rate() -> None:
    steps, _ = _run(lambda found, *_: {"size": found.matching.square().mean()})
    assert [step.number for step in steps] == [5, 6, 7]
    assert [step.learning_rate for step in steps] == pytest.approx([0.5, 0.6, 0.7])
    assert all(step.pictures == 4 for step in steps)


def test_a_loss_that_is_not_finite_is_told_but_not_stepped_on() -> None:
    steps, network = _run(lambda found, *_: {"size": found.matching.sum() * torch.nan}, batches=1)
    assert steps[0].losses["size"] != steps[0].losses["size"]
    assert all(torch.isfinite(value).all() for value in network.parameters())


def test_host_memory_grows_with_what_is_held_and_not_with_mapped_files(tmp_path: Path) -> None:
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("this system does not tell the memory of a process by kind")
    np.save(tmp_path / "file.npy", np.ones((32, 2**20), np.uint8))
    before = shared_mib()
    mapped = np.load(tmp_path / "file.npy", mmap_mode="r")
    assert int(mapped.sum()) == 32 * 2**20
    assert shared_mib() - before < 16
    with mmap.mmap(-1, 32 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:  # never room freed before
        held.write(b"1" * len(held))
        assert shared_mib() - before > 24
