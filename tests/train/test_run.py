"""A run that is stopped at any moment, and killed while it writes its log, goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resight.train.run import FolderRun

STEPS = 6


class Toy(nn.Module):
    """Something of all that a state must hold: weights, batch statistics, chance."""

    def __init__(self, *, within: Callable[[], None]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
        self.within = within

    def forward(self, x: Tensor) -> Tensor:
        answer = self.layers(x)
        self.within()
        return torch.as_tensor(answer)


def learned(folder: Path, *, seed: int = 1, during: Callable[[FolderRun, str], None] = lambda run, moment: None) -> Any:
    """Losses of a run, in order; `during` is called within the forward pass, the objective and the optimiser."""
    torch.manual_seed(0)
    network = Toy(within=lambda: during(run, "forward"))

    def optimizer(network: nn.Module) -> torch.optim.Optimizer:
        made = torch.optim.AdamW(network.parameters(), lr=0.1)
        made.register_step_post_hook(lambda *_: during(run, "optimizer"))
        return made

    run = FolderRun(
        folder,
        network=network,
        optimizer=optimizer,
        precision="fp32",
        average=0.9,
        seed=seed,
        data="d",
        steps=STEPS,
        watch=lambda event, facts: None,
    )
    run.resume()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(run.step + 1, STEPS + 1):
            chance = torch.Generator().manual_seed(step)
            yield torch.randn(16, 4, generator=chance), torch.randint(2, (16,), generator=chance)

    def objective(found: Tensor, truth: Tensor) -> dict[str, Tensor]:
        during(run, "objective")
        return {"loss": nn.functional.cross_entropy(found, truth)}

    run.learn(batches(), objective, rate=lambda step: 0.1, save_every=100, accuracy=lambda found, truth: 0.0)
    run.save()
    return [json.loads(line)["losses"]["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("where", ["forward", "objective", "optimizer"])
def test_ctrl_c_in_the_middle_of_a_step_saves_a_whole_one(tmp_path: Path, where: str) -> None:
    def stop(run: FolderRun, moment: str) -> None:
        if moment == where and run.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    whole = learned(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        learned(tmp_path / "broken", during=stop)
    state = torch.load(tmp_path / "broken" / "last" / "state.pt", weights_only=True)
    assert state["step"] == state["network"]["layers.1.num_batches_tracked"] == 4
    assert state["optimizer"]["state"][0]["step"] == 4
    assert learned(tmp_path / "broken") == whole
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    def stop(run: FolderRun, moment: str) -> None:
        if moment != "optimizer" and run.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        learned(tmp_path, during=stop)
    assert torch.load(tmp_path / "last" / "state.pt", weights_only=True)["step"] == 0


def test_what_drops_out_depends_on_the_seed(tmp_path: Path) -> None:
    assert learned(tmp_path / "a") == learned(tmp_path / "b") != learned(tmp_path / "c", seed=2)


def test_a_log_whose_last_line_was_cut_off_is_no_obstacle(tmp_path: Path) -> None:
    whole = learned(tmp_path)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"number": 7, "los')
    assert learned(tmp_path) == whole


def test_the_scale_of_half_precision_gradients_goes_on_where_it_was(tmp_path: Path) -> None:
    def run(scale: float) -> FolderRun:
        made = FolderRun(
            tmp_path,
            network=Toy(within=lambda: None),
            optimizer=lambda network: torch.optim.AdamW(network.parameters(), lr=0.1),
            precision="fp32",
            average=0.0,
            seed=1,
            data="d",
            steps=STEPS,
            watch=lambda event, facts: None,
        )
        made.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)  # on a GPU, of `fp16` itself
        return made

    run(512.0).save()
    again = run(65536.0)
    again.resume()
    assert again.accelerator.scaler.get_scale() == 512.0
