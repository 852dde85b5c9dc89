"""Train an embedder: from a recipe and a data set to a run folder, resumable at any moment.

What a run folder holds and how it goes on stands in `train.run`; here are the network, its stages and its losses.
Proof: tests/train/test_embedder.py kills a run and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from resight.errors import BadRecipe
from resight.model import ModelSettings, save_model
from resight.nn.embeddings import Embeddings
from resight.train.loop import classes_named, cosine_with_warmup
from resight.train.objectives import losses_of
from resight.train.pictures import TrainingSet, Truth, training_batches
from resight.train.recipe import EmbedderRecipe, Stage, check_recipe, recipe_hash
from resight.train.run import FolderRun, Watcher
from resight.train.starting import backbones, check_start, new_network


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


class Run(FolderRun):
    """One training run of an embedder. `train()` does everything; it may be killed and called again."""

    def __init__(self, folder: Path, recipe: EmbedderRecipe, data: TrainingSet, *, watch: Watcher) -> None:
        self.recipe, self.data = check_recipe(recipe), data
        classes = int(data.classes.max()) + 1
        self.plan = Plan(recipe, max(1, len(data.classes) // (recipe.persons * recipe.pictures)))
        check_start(recipe, maps=data.maps is not None, cutouts=data.cutouts is not None)
        super().__init__(
            folder,
            network=new_network(recipe, classes),
            optimizer=partial(_optimizer, recipe=recipe),
            precision=recipe.precision,
            average=recipe.average,
            seed=recipe.seed,
            data=data.fingerprint,
            steps=self.plan.steps,
            watch=watch,
        )
        if recipe.persons % self.accelerator.num_processes:
            raise BadRecipe(f"{recipe.persons} persons do not divide over {self.accelerator.num_processes} processes.")

    def settings(self, stage: Stage) -> ModelSettings:
        recipe = self.recipe
        return ModelSettings(
            embedder=recipe.embedder,
            backbone=recipe.backbone,
            pooling=recipe.pooling,
            last_stride=recipe.last_stride,
            height=stage.height,
            width=stage.width,
            options=dict(recipe.options),
            part_share=recipe.part_share,
            parser=self.data.parser,
            map_height=0 if self.data.maps is None else self.data.maps.shape[2],
            map_width=0 if self.data.maps is None else self.data.maps.shape[3],
            source=f"seed {recipe.seed}, data {self.data.fingerprint}, step {self.step} of {self.plan.steps}",
        )

    def train(self) -> Path:
        """Train from where the folder stands to the end; returns the weights file.

        Raises TrainingStopped when a loss is not finite: `last/` keeps the newest good state.
        """
        persons = int(self.data.classes.max()) + 1
        if not self.begin(classes=persons):
            return self.weights
        for number, stage in enumerate(self.recipe.stages):
            steps = range(self.plan.first_step(number), self.plan.first_step(number + 1))
            if self.step >= steps.stop:
                continue
            if self.step + 1 < steps.stop:
                self._stage(stage, range(max(self.step + 1, steps.start), steps.stop))
            self.validate({"stage": number}, settings=self.settings(stage))
        if self.leads:
            save_model(self.weights, self.state(), self.settings(self.recipe.stages[-1]))
            cutouts = self.data.cutouts
            people = 0 if cutouts is None else int(cutouts.person.sum())
            pasted = {"objects": 0 if cutouts is None else len(cutouts.person) - people, "people": people}
            facts = {"pictures": len(self.data.classes), "persons": persons, "pasted": pasted}
            self.write_facts(**facts, recipe_hash=recipe_hash(self.recipe))
        self.tell("end", path=self.weights)
        return self.weights

    def _stage(self, stage: Stage, steps: range) -> None:
        for backbone in backbones(self.network):
            backbone.freeze(stage.frozen_blocks)
        batches = training_batches(
            self.data,
            self.recipe,
            stage,
            steps,
            steps_per_epoch=self.plan.steps_per_epoch,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            device=self.accelerator.device,
            with_maps=self._takes_maps,
        )
        self.learn(
            batches,
            self._objective,
            rate=self.plan.rate,
            save_every=self.plan.steps_per_epoch,
            accuracy=lambda found, truth: classes_named(found, truth.classes),
        )

    def _objective(self, found: Embeddings, truth: Truth) -> dict[str, Tensor]:
        return losses_of(self.recipe, found, truth)

    @property
    def _takes_maps(self) -> bool:
        return bool(getattr(self.network, "needs_maps", False))
