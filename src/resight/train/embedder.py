"""Train an embedder: from a recipe and a data set to a run folder, resumable at any moment.

A run folder holds `config.toml`, `log.jsonl`, `run.json`, `last/` (exact resume) and `model.safetensors`.
Everything random depends on seed and step alone, so a run killed and resumed logs the losses of an unbroken one.
Proof: tests/train/test_embedder.py kills a run and compares.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from resight.data.augment import augment
from resight.data.cache import decoded_pictures, fingerprint
from resight.data.files import write_beside
from resight.data.sampling import person_batches
from resight.embedders.baseline import baseline_objective
from resight.errors import BadRecipe, BadWeights, TrainingStopped
from resight.model import ModelSettings, build_embedder, save_model
from resight.nn.backbones import imagenet_weights
from resight.train.loop import Step, WeightAverage, cosine_with_warmup, training_steps
from resight.train.recipe import EmbedderRecipe, Stage
from resight.train.resources import peak_device_mib, peak_host_mib, surroundings
from resight.types import Crop

SAVE_EVERY_S: Final = 120.0
Watcher = Callable[[str, dict[str, Any]], None]
"""Called with an event's name ("start", "decoded", "step", "stage", "end") and its facts, on the first process."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Pictures of the training persons as one array, and each one's class (0, 1, … in sorted order of persons)."""

    pictures: NDArray[np.uint8]
    classes: NDArray[np.int64]
    fingerprint: str


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


def split_persons(crops: Sequence[Crop], held_out: int) -> tuple[list[Crop], list[Crop]]:
    """Training crops and those of the `held_out` highest-numbered persons. Junk and distractors are left out."""
    usable = [crop for crop in crops if not crop.junk and not crop.distractor]
    persons = sorted({crop.person for crop in usable}, key=lambda person: (str(type(person)), person))
    if held_out >= len(persons):
        raise BadRecipe(f"validation_persons is {held_out} and the training set has {len(persons)} persons.")
    kept = set(persons[: len(persons) - held_out])
    return [crop for crop in usable if crop.person in kept], [crop for crop in usable if crop.person not in kept]


def query_per_camera(crops: Sequence[Crop]) -> tuple[list[Crop], list[Crop]]:
    """Split crops as Market-1501 does: a person's first picture (in the order given) in each camera asks, the rest
    answer."""
    query: dict[tuple[object, object], Crop] = {}
    for crop in crops:
        query.setdefault((crop.person, crop.camera), crop)
    asked = {crop.path for crop in query.values()}
    return list(query.values()), [crop for crop in crops if crop.path not in asked]


def load_training_set(
    crops: Sequence[Crop], recipe: EmbedderRecipe, told: Callable[[int], None] | None = None
) -> TrainingSet:
    """Decode the training pictures once, at the largest size that a stage asks for."""
    height = max(stage.height for stage in recipe.stages)
    width = max(stage.width for stage in recipe.stages)
    paths = [crop.path for crop in crops]
    number = {person: row for row, person in enumerate(sorted({crop.person for crop in crops}, key=str))}
    classes = np.array([number[crop.person] for crop in crops], dtype=np.int64)
    return TrainingSet(decoded_pictures(paths, height=height, width=width, told=told), classes, fingerprint(paths))


def _stream(*keys: int) -> int:
    """One 63-bit seed from several numbers, so that every (seed, purpose, step, process) has its own chance."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> 1)


def _batches(
    data: TrainingSet, plan: Plan, stage: Stage, steps: range, accelerator: Accelerator
) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's share of the batches of `steps`."""
    recipe, rank = plan.recipe, accelerator.process_index
    share = recipe.persons // accelerator.num_processes * recipe.pictures
    rows: list[NDArray[np.int64]] = []
    for step in steps:
        epoch, place = divmod(step - 1, plan.steps_per_epoch)
        if not rows or place == 0:
            order = np.random.default_rng(_stream(recipe.seed, 0, epoch))
            rows = list(
                person_batches(
                    data.classes,
                    persons=recipe.persons,
                    pictures=recipe.pictures,
                    batches=plan.steps_per_epoch,
                    rng=order,
                )
            )
        mine = rows[place][rank * share : (rank + 1) * share]
        pictures = torch.from_numpy(data.pictures[mine]).to(accelerator.device)
        rng = torch.Generator().manual_seed(_stream(recipe.seed, 1, step, rank))
        images = augment(pictures, recipe.augmentation, size=(stage.height, stage.width), rng=rng)
        yield images, torch.from_numpy(data.classes[mine]).to(accelerator.device)


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
        network.backbone.load_state_dict(imagenet_weights(recipe.backbone))  # type: ignore[union-attr, operator]
    elif recipe.backbone_weights != "none":
        network.backbone.load_state_dict(_backbone_file(Path(recipe.backbone_weights)))  # type: ignore[union-attr, operator]
    return network


def _backbone_file(path: Path) -> dict[str, Tensor]:
    """Backbone weights out of a weights file: of a whole embedder, or of a bare backbone."""
    if not path.is_file():
        raise BadWeights(f"No weights file {path}. Pass `imagenet`, `none`, or a file that exists.")
    state = safetensors.torch.load_file(path)
    inside = {name.removeprefix("backbone."): value.float() for name, value in state.items() if "backbone." in name}
    return inside or state


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
        self.network.backbone.freeze(stage.frozen_blocks)  # type: ignore[union-attr, operator]
        self.network.train()
        self.accelerator.free_memory()  # an older wrapper would still hook into the gradients
        wrapped, optimizer = self.accelerator.prepare(self.network, self.optimizer)
        batches = _batches(self.data, self.plan, stage, steps, self.accelerator)
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
