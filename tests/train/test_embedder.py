"""A run that is killed and called again must reach what an unbroken run reaches, to the last digit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from resight.data.augment import Augmentation
from resight.errors import BadRecipe, BadWeights, TrainingStopped
from resight.train.embedder import Plan, Run
from resight.train.pictures import TrainingSet, query_per_camera, split_persons
from resight.train.recipe import EmbedderRecipe, Stage
from resight.types import Crop

RECIPE = EmbedderRecipe(
    backbone_weights="none",
    stages=(Stage(epochs=1, height=32, width=16), Stage(epochs=1, height=48, width=24, frozen_blocks=2)),
    persons=4,
    pictures=2,
    warmup_epochs=0.5,
    seed=7,
)


def toy_set() -> TrainingSet:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (32, 48, 24, 3), dtype=np.uint8)
    return TrainingSet(pictures, np.repeat(np.arange(8), 4), "toy")


def losses(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def silent(event: str, facts: dict[str, Any]) -> None:
    del event, facts


def test_an_interrupted_run_goes_on_with_the_losses_of_an_unbroken_one(tmp_path: Path) -> None:
    whole = Run(tmp_path / "whole", RECIPE, toy_set(), watch=silent).train()

    def stop_at_3(event: str, facts: dict[str, Any]) -> None:
        if event == "step" and facts["step"].number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path / "broken", RECIPE, toy_set(), watch=stop_at_3).train()
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    mended = Run(tmp_path / "broken", RECIPE, toy_set(), watch=silent).train()
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 8
    first, second = (safetensors.torch.load_file(path) for path in (whole, mended))
    assert all(torch.equal(first[name], second[name]) for name in first)


def scored(events: list[str], *, dies_at: int = 0) -> Any:
    """A watcher that notes events and answers a stage with a number of its weights; it dies at the n-th stage."""

    def watch(event: str, facts: dict[str, Any]) -> dict[str, Any] | None:
        events.append(event)
        if event != "stage":
            return None
        if events.count("stage") == dies_at:
            raise KeyboardInterrupt
        return {"sum": float(sum(value.double().sum() for value in facts["state"].values())), "none": float("nan")}

    return watch


def test_a_run_killed_while_it_is_scored_gets_every_score_of_an_unbroken_one(tmp_path: Path) -> None:
    Run(tmp_path / "whole", RECIPE, toy_set(), watch=scored([])).train()
    lines = (tmp_path / "whole" / "validation.jsonl").read_text()
    assert [json.loads(line)["stage"] for line in lines.splitlines()] == [0, 1]
    assert all(json.loads(line)["none"] is None for line in lines.splitlines())
    for dies_at in (1, 2, 0):  # the second sitting takes up the first stage, the third the last one
        events: list[str] = []
        run = Run(tmp_path / "broken", RECIPE, toy_set(), watch=scored(events, dies_at=dies_at))
        if dies_at:
            with pytest.raises(KeyboardInterrupt):
                run.train()
            with (tmp_path / "broken" / "validation.jsonl").open("a") as file:
                file.write('{"stage": 1, "su')  # cut off by the kill
        else:
            run.train()
    assert events == ["start", "stage", "end"]
    for name in ("validation.jsonl", "log.jsonl", "model.safetensors"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    sittings = json.loads((tmp_path / "broken" / "run.json").read_text())["sittings"]
    assert [one["steps"] for one in sittings] == [[1, 4], [5, 8]]


def test_a_finished_run_called_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    def held() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    Run(tmp_path, RECIPE, toy_set(), watch=scored([])).train()
    before, events = held(), list[str]()
    assert Run(tmp_path, RECIPE, toy_set(), watch=scored(events)).train() == tmp_path / "model.safetensors"
    assert (events, held()) == (["finished"], before)
    (tmp_path / "last" / "state.pt").unlink()  # then it begins anew, and no score of before is left
    Run(tmp_path, RECIPE, toy_set(), watch=scored(events)).train()
    assert events.count("stage") == 2
    assert held()["validation.jsonl"] == before["validation.jsonl"]


def test_a_run_of_several_sittings_tells_each_of_them_and_the_time_of_all(tmp_path: Path) -> None:
    def stop_at_3(event: str, facts: dict[str, Any]) -> None:
        if event == "step" and facts["step"].number == 3:
            os.kill(os.getpid(), signal.SIGINT)  # noted: the state of this step is saved

    first = Run(tmp_path, RECIPE, toy_set(), watch=stop_at_3)
    first.surroundings["commit"] = "of old"
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = Run(tmp_path, RECIPE, toy_set(), watch=silent)
    second.surroundings["commit"] = "of now"
    second.train()
    facts = json.loads((tmp_path / "run.json").read_text())
    assert [(one["commit"], one["steps"]) for one in facts["sittings"]] == [("of old", [1, 3]), ("of now", [4, 8])]
    assert facts["seconds"] == pytest.approx(sum(one["seconds"] for one in facts["sittings"]), abs=0.11)
    assert facts["peak_host_mib"] == max(one["peak_host_mib"] for one in facts["sittings"])
    assert facts["host_mib"][0][0] == 1
    assert facts["commit"] == "of now"


@pytest.mark.slow
def test_a_run_killed_without_warning_goes_on(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
        import torch; torch.set_num_threads(1)
        import test_embedder as t, resight.train.embedder as e, resight.train.run as r, time
        from pathlib import Path
        r.SAVE_EVERY_S = 0.0
        slow = lambda event, facts: time.sleep(0.4) if event == "step" else None
        e.Run(Path({str(tmp_path / "killed")!r}), t.RECIPE, t.toy_set(), watch=slow).train()
        """
    )
    running = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 90
    while not (tmp_path / "killed" / "last" / "state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.9)
    running.send_signal(signal.SIGKILL)
    running.wait()
    Run(tmp_path / "killed", RECIPE, toy_set(), watch=silent).train()
    Run(tmp_path / "whole", RECIPE, toy_set(), watch=silent).train()
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_take_the_gradient_of_one_process_with_the_joint_batch(tmp_path: Path) -> None:
    program = f"""
import sys; sys.path[:0] = {sys.path!r}
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from resight.embedders.baseline import baseline_objective
from resight.losses import Joint
from resight.train.objectives import joint
from resight.nn.embeddings import Embeddings

class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.names = torch.nn.Linear(6, 5), torch.nn.Linear(5, 4)
    def forward(self, pictures):
        rows = self.rows(pictures).tanh()
        return Embeddings(matching=rows, before_neck=rows, logits=(self.names(rows),))

def gradient(alone):
    torch.manual_seed(0)
    network, pictures, classes = Tiny(), torch.randn(8, 6), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    mine = slice(0, 8) if alone else slice(4 * dist.get_rank(), 4 * dist.get_rank() + 4)
    wrapped = network if alone else DistributedDataParallel(network)
    found = wrapped(pictures[mine])
    all_of_it = Joint(found.before_neck, classes, own=8) if alone else joint(found, classes[mine])
    losses = baseline_objective(
        found, classes[mine], all_of_it, smoothing=0.1, margin=0.3, triplet_weight=1.0)
    sum(losses.values()).backward()
    return torch.cat([p.grad.flatten() for p in network.parameters()])

torch.set_num_threads(1)
dist.init_process_group("gloo")
one, two = gradient(True), gradient(False)
assert one.abs().max() > 1e-2
assert torch.allclose(one, two, rtol=1e-4, atol=1e-6), (one - two).abs().max()
print("equal", flush=True)
dist.destroy_process_group()
"""
    ran = on_two_processes(program, tmp_path)
    assert ran.stdout.count("equal") == 2, ran.stderr[-6000:]


@pytest.mark.slow
def test_two_processes_take_the_gradient_of_one_process_for_visible_parts_too(tmp_path: Path) -> None:
    program = f"""
import sys; sys.path[:0] = {sys.path!r}
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from resight.embedders.visible_parts import visible_parts_objective
from resight.losses import Joint
from resight.train.objectives import joint
from resight.nn.embeddings import Embeddings

class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.names = torch.nn.Linear(6, 5), torch.nn.Linear(5, 4)
        self.parts, self.seen, self.look = torch.nn.Linear(6, 18), torch.nn.Linear(6, 6), torch.nn.Linear(6, 7 * 8)
    def forward(self, pictures):
        rows = self.rows(pictures).tanh()
        return Embeddings(
            matching=rows, before_neck=rows, logits=(self.names(rows), self.names(rows.sin())),
            parts=self.parts(pictures).reshape(-1, 6, 3), visible=self.seen(pictures).sigmoid(),
            attention=self.look(pictures).reshape(-1, 7, 4, 2))

def gradient(alone):
    torch.manual_seed(0)
    network, pictures, classes = Tiny(), torch.randn(8, 6), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    maps = torch.randn(8, 20, 4, 2).softmax(1)
    mine = slice(0, 8) if alone else slice(4 * dist.get_rank(), 4 * dist.get_rank() + 4)
    wrapped = network if alone else DistributedDataParallel(network)  # kept until the gradients are there
    found = wrapped(pictures[mine])
    whole = Joint(found.before_neck, classes, own=8, parts=found.parts, visible=found.visible)
    losses = visible_parts_objective(
        found, classes[mine], whole if alone else joint(found, classes[mine]), maps[mine], maps[mine].mean((2, 3)),
        smoothing=0.1, margin=0.3, triplet_weight=1.0, part_triplet_weight=1.0, map_weight=0.5, visible_weight=0.3)
    sum(losses.values()).backward()
    return torch.cat([p.grad.flatten() for p in network.parameters()]), network.parts.weight.grad

torch.set_num_threads(1)
dist.init_process_group("gloo")
(one, parts), (two, _) = gradient(True), gradient(False)
assert parts.abs().max() > 1e-3
assert torch.allclose(one, two, rtol=1e-4, atol=1e-6), (one - two).abs().max()
print("equal", flush=True)
dist.destroy_process_group()
"""
    ran = on_two_processes(program, tmp_path)
    assert ran.stdout.count("equal") == 2, ran.stderr[-6000:]


def on_two_processes(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "two.py"
    script.write_text(program)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)


@pytest.mark.slow
def test_two_processes_hold_the_same_weights_after_every_stage(tmp_path: Path) -> None:
    program = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
import torch; torch.set_num_threads(1)
import torch.distributed as dist
import test_embedder as t
from pathlib import Path
from resight.train.embedder import Run

run = Run(Path({str(tmp_path / "run")!r}), t.RECIPE, t.toy_set(), watch=t.silent)
start = torch.cat([p.detach().flatten() for p in run.network.parameters()])
run.train()
mine = torch.cat([p.detach().flatten() for p in run.network.parameters()])
other = [torch.empty_like(mine) for _ in range(2)]
dist.all_gather(other, mine)
assert not torch.equal(start, mine)
assert torch.equal(*other), (other[0] - other[1]).abs().max()
print("equal", flush=True)
dist.destroy_process_group()
"""
    ran = on_two_processes(program, tmp_path)
    assert ran.stdout.count("equal") == 2, ran.stderr[-6000:]
    assert [step["number"] for step in losses(tmp_path / "run")] == list(range(1, 9))


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match=r"not finite at step .* keeps the state of step 0; .* a new folder"):
        Run(tmp_path, replace(RECIPE, learning_rate=1e30, last_rate=1.0), toy_set(), watch=silent).train()
    kept = torch.load(tmp_path / "last" / "state.pt", weights_only=True)
    assert kept["step"] == 0
    assert all(value.isfinite().all() for value in kept["network"].values())


def test_a_damaged_state_and_one_of_another_network_are_refused(tmp_path: Path) -> None:
    Run(tmp_path / "other", replace(RECIPE, pooling="average"), toy_set(), watch=silent).train()
    (tmp_path / "run" / "last").mkdir(parents=True)
    state = tmp_path / "run" / "last" / "state.pt"
    whole = (tmp_path / "other" / "last" / "state.pt").read_bytes()
    for content in (whole, whole[: len(whole) // 2], b"nothing"):
        state.write_bytes(content)
        with pytest.raises(BadWeights, match=r"another network than this recipe's.*new folder"):
            Run(tmp_path / "run", RECIPE, toy_set(), watch=silent).train()


def test_a_folder_of_another_set_is_refused(tmp_path: Path) -> None:
    Run(tmp_path, RECIPE, toy_set(), watch=silent).train()
    with pytest.raises(BadRecipe, match="other pictures"):
        Run(tmp_path, RECIPE, replace(toy_set(), fingerprint="other"), watch=silent).train()


def test_the_run_folder_says_what_was_used(tmp_path: Path) -> None:
    Run(tmp_path, RECIPE, toy_set(), watch=silent).train()
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["data"] == "toy"
    assert facts["seed"] == 7
    assert facts["peak_host_mib"] > 50
    assert {"commit", "versions", "machine", "seconds", "peak_device_mib"} <= set(facts)


def test_stages_follow_each_other_without_gap_or_overlap() -> None:
    plan = Plan(replace(RECIPE, stages=(Stage(epochs=2, height=8, width=8), Stage(epochs=3, height=8, width=8))), 10)
    assert plan.steps == 50
    assert [plan.first_step(number) for number in range(3)] == [1, 21, 51]


def test_training_learns_to_tell_coloured_persons_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 256, (8, 1, 1, 3))
    pictures = np.repeat(colours, 8, axis=0) + rng.integers(-20, 20, (64, 32, 16, 3))
    data = TrainingSet(pictures.clip(0, 255).astype(np.uint8), np.repeat(np.arange(8), 8), "colours")
    recipe = replace(
        RECIPE,
        stages=(Stage(epochs=8, height=32, width=16),),
        augmentation=Augmentation(light=0.0, colour=0.0),
        average=0.0,
    )
    Run(tmp_path, recipe, data, watch=silent).train()
    log = losses(tmp_path)
    identity = [line["losses"]["identity"] for line in log]
    assert np.mean(identity[-4:]) < np.mean(identity[:4]) - 0.1


def crops(*persons: int | str) -> list[Crop]:
    return [Crop(Path(f"{n}.jpg"), person, camera=n % 2) for n, person in enumerate(persons)]


def test_the_highest_numbered_persons_are_held_out_and_junk_is_left_out() -> None:
    given = [*crops(1, 2, 10, 10, 3), Crop(Path("j.jpg"), -1, junk=True), Crop(Path("d.jpg"), 0, distractor=True)]
    learn, held_out = split_persons(given, 1)
    assert {crop.person for crop in held_out} == {10}
    assert {crop.person for crop in learn} == {1, 2, 3}


def test_holding_out_everybody_is_refused() -> None:
    with pytest.raises(BadRecipe, match="has 2 persons"):
        split_persons(crops(1, 2), 2)


def test_each_person_asks_once_per_camera_and_the_rest_answers() -> None:
    given = crops(1, 1, 1, 1, 2)
    query, gallery = query_per_camera(given)
    assert [crop.path.name for crop in query] == ["0.jpg", "1.jpg", "4.jpg"]
    assert [crop.path.name for crop in gallery] == ["2.jpg", "3.jpg"]
