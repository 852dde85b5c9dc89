"""Train an embedder: from a recipe and a data set to a run folder, resumable at any moment.

A run folder holds `config.toml`, `log.jsonl`, `run.json`, `last/` (exact resume) and `model.safetensors`.
Everything random depends on seed and step alone, so a run killed and resumed logs the losses of an unbroken one.
Proof: tests/train/test_embedder.py kills a run and compares.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from resight.data.files import write_beside
from resight.embedders.baseline import baseline_objective
from resight.errors import BadRecipe, BadWeights, TrainingStopped
from resight.model import ModelSettings, build_embedder, save_model
from resight.nn.backbones import FreezableBackbone, imagenet_weights
from resight.train.loop import Step, WeightAverage, cosine_with_warmup, training_steps
from resight.train.pictures import TrainingSet, training_batches
from resight.train.recipe import EmbedderRecipe, Stage
from resight.train.resources import peak_device_mib, peak_host_mib, surroundings

SAVE_EVERY_S: Final = 120.0
Watcher = Callable[[str, dict[str, Any]], None]
"""Called with an event's name ("start", "decoded", "step", "stage", "end") and its facts, on the first process."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which steps belong to which stage and epoch."""

    recipe: EmbedderRecipe
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * sum(stage.epochs for stage in self.recipe.stages)

    def first_step(self, number: int) -> int:
        """First step (from 1) of stage `number` (from 0)."""
        return 1 + self.steps_per_epoch * sum(stage.epochs for stage in self.recipe.stages[:number])

    def rate(self, step: int) -> float:
        share = cosine_with_warmup(
            step,
            steps=self.steps,
            warmup=round(self.recipe.warmup_epochs * self.steps_per_epoch),
            last=self.recipe.last_rate,
        )
        return self.recipe.learning_rate * share


def _optimizer(network: nn.Module, recipe: EmbedderRecipe) -> torch.optim.Optimizer:
    matrices = [value for value in network.parameters() if value.ndim > 1]
    rest = [value for value in network.parameters() if value.ndim <= 1 and value.requires_grad]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _new_network(recipe: EmbedderRecipe, classes: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build_embedder(
            recipe.embedder,
            classes=classes,
            backbone=recipe.backbone,
            pooling=recipe.pooling,
            last_stride=recipe.last_stride,
        )
    if recipe.backbone_weights == "imagenet":
        _backbone(network).load_state_dict(imagenet_weights(recipe.backbone))
    elif recipe.backbone_weights != "none":
        _load_backbone(_backbone(network), Path(recipe.backbone_weights))
    return network


def _backbone(network: nn.Module) -> FreezableBackbone:
    backbone = network.backbone
    if not isinstance(backbone, FreezableBackbone):
        raise TypeError(f"{type(network).__name__} has no backbone that can be frozen")
    return backbone


def _load_backbone(backbone: nn.Module, path: Path) -> None:
    """Load a backbone's weights from a file of a whole embedder, of a bare backbone, or of torchvision's network."""
    if not path.is_file():
        raise BadWeights(f"There is no weights file {path}. Pass `imagenet`, `none`, or a file that exists.")
    try:
        state = (
            safetensors.torch.load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
        inside = {name.removeprefix("backbone."): value for name, value in state.items() if "backbone." in name}
        bare = {name: value for name, value in state.items() if not name.startswith("fc.")}
        backbone.load_state_dict({name: value.float() for name, value in (inside or bare).items()})
    except (RuntimeError, safetensors.SafetensorError, pickle.UnpicklingError, AttributeError) as error:
        raise BadWeights(f"{path} does not hold weights of this backbone: {error}") from error


class Run:
    """One training run in one folder. `train()` does everything; it may be killed and called again."""

    def __init__(self, folder: Path, recipe: EmbedderRecipe, data: TrainingSet, *, watch: Watcher) -> None:
        self.folder, self.recipe, self.data, self.watch = folder, recipe, data, watch
        folder.mkdir(parents=True, exist_ok=True)
        precision = {"fp32": "no"}.get(recipe.precision, recipe.precision)
        self.accelerator = Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())
        if recipe.persons % self.accelerator.num_processes:
            raise BadRecipe(f"{recipe.persons} persons do not divide over {self.accelerator.num_processes} processes.")
        classes = int(data.classes.max()) + 1
        per_epoch = max(1, len(data.classes) // (recipe.persons * recipe.pictures))
        self.plan = Plan(recipe, per_epoch)
        network = _new_network(recipe, classes).to(self.accelerator.device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = _optimizer(self.network, recipe)
        self.average = WeightAverage(self.network, decay=recipe.average) if recipe.average else None
        self.step, self.seconds, self.saved_at = 0, 0.0, time.monotonic()
        self.surroundings = surroundings()  # of the start: the source may change while a long run goes on

    @property
    def leads(self) -> bool:
        return bool(self.accelerator.is_main_process)

    def state(self) -> dict[str, Tensor]:
        """The weights that are saved and scored: the moving average where there is one."""
        return self.average.values if self.average else self.network.state_dict()

    def settings(self, stage: Stage) -> ModelSettings:
        recipe = self.recipe
        return ModelSettings(
            embedder=recipe.embedder,
            backbone=recipe.backbone,
            pooling=recipe.pooling,
            last_stride=recipe.last_stride,
            height=stage.height,
            width=stage.width,
            source=f"seed {recipe.seed}, data {self.data.fingerprint}, step {self.step} of {self.plan.steps}",
        )

    def train(self) -> Path:
        """Train from where the folder stands to the end; returns the weights file.

        Raises TrainingStopped when a loss is not finite: `last/` keeps the newest good state.
        """
        self._resume()
        started = time.monotonic() - self.seconds
        self._tell("start", steps=self.plan.steps, step=self.step, classes=int(self.data.classes.max()) + 1)
        for number, stage in enumerate(self.recipe.stages):
            steps = range(self.plan.first_step(number), self.plan.first_step(number + 1))
            if self.step + 1 >= steps.stop:
                continue
            self._stage(stage, range(max(self.step + 1, steps.start), steps.stop), started)
            self._tell("stage", number=number, state=self.state(), settings=self.settings(stage))
        path = self.folder / "model.safetensors"
        if self.leads:
            save_model(path, self.state(), self.settings(self.recipe.stages[-1]))
            self._write_facts()
        self._tell("end", path=path)
        return path

    def _stage(self, stage: Stage, steps: range, started: float) -> None:
        _backbone(self.network).freeze(stage.frozen_blocks)
        self.network.train()
        self.accelerator.free_memory()  # an older wrapper would still hook into the gradients
        wrapped, optimizer = self.accelerator.prepare(self.network, self.optimizer)
        batches = training_batches(
            self.data,
            self.recipe,
            stage,
            steps,
            steps_per_epoch=self.plan.steps_per_epoch,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            device=self.accelerator.device,
        )
        log = (self.folder / "log.jsonl").open("a") if self.leads else None
        try:
            for step in training_steps(
                wrapped,
                optimizer,
                batches,
                self._objective,
                rate=self.plan.rate,
                first=steps.start,
                backward=self.accelerator.backward,
            ):
                self._after(step, log, started)
        except KeyboardInterrupt:
            self._save()
            raise
        finally:
            if log:
                log.close()

    def _after(self, step: Step, log: Any, started: float) -> None:
        if not all(np.isfinite(value) for value in step.losses.values()):
            raise TrainingStopped(
                f"A loss was not finite at step {step.number} ({step.losses}). `{self.folder / 'last'}` keeps the last "
                "good state; lower learning_rate and run the same command again."
            )
        self.step, self.seconds = step.number, time.monotonic() - started
        if self.average:
            self.average.update(self.network, step.number)
        if log:
            log.write(json.dumps(asdict(step)) + "\n")
        if time.monotonic() - self.saved_at > SAVE_EVERY_S or step.number % self.plan.steps_per_epoch == 0:
            if log:
                log.flush()
            self._save()
        self._tell("step", step=step, seconds=self.seconds, epoch=(step.number - 1) / self.plan.steps_per_epoch)

    def _objective(self, *given: Any) -> dict[str, Tensor]:
        recipe = self.recipe
        return baseline_objective(
            *given, smoothing=recipe.label_smoothing, margin=recipe.margin, triplet_weight=recipe.triplet_weight
        )

    def _tell(self, event: str, **facts: Any) -> None:
        if self.leads:
            self.watch(event, facts)
        self.accelerator.wait_for_everyone() if event in ("start", "stage", "end") else None

    def _save(self) -> None:
        """Write everything that the next step depends on; killed in the middle, the former state stays."""
        self.saved_at = time.monotonic()
        if not self.leads:
            return
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.values if self.average else None,
            "data": self.data.fingerprint,
        }
        with write_beside(self.folder / "last" / "state.pt") as partial:
            torch.save(state, partial)

    def _resume(self) -> None:
        path = self.folder / "last" / "state.pt"
        log = self.folder / "log.jsonl"
        if path.exists():
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["data"] != self.data.fingerprint:
                raise BadRecipe(f"{self.folder} was trained on other pictures. Choose a new folder for `--out`.")
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average and state["average"] is not None:
                self.average.values = {
                    name: value.to(self.accelerator.device) for name, value in state["average"].items()
                }
            self.step, self.seconds = state["step"], state["seconds"]
        if self.leads and log.exists():
            lines = [line for line in log.read_text().splitlines() if json.loads(line)["number"] <= self.step]
            with write_beside(log) as partial:
                partial.write_text("".join(line + "\n" for line in lines))

    def _write_facts(self) -> None:
        facts = {
            **self.surroundings,
            "data": self.data.fingerprint,
            "seed": self.recipe.seed,
            "pictures": len(self.data.classes),
            "persons": int(self.data.classes.max()) + 1,
            "processes": self.accelerator.num_processes,
            "seconds": round(self.seconds, 1),
            "peak_host_mib": round(peak_host_mib(), 1),
            "peak_device_mib": peak_device_mib(),
        }
        with write_beside(self.folder / "run.json") as partial:
            partial.write_text(json.dumps(facts, indent=2) + "\n")
