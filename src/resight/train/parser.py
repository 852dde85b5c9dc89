"""Train a parser: from a recipe and canvases of several sources to a run folder, resumable at any moment.

What a run folder holds and how it goes on stands in `train.run`; here are the network, its losses and its batches.
Proof: tests/train/test_parser.py kills a run and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resight.data.label_sets import find_labels
from resight.data.parsing_batches import ParsingBatch
from resight.errors import BadRecipe, UnknownName
from resight.losses import set_loss
from resight.nn.backbones import imagenet_weights
from resight.nn.parsing import Parsing
from resight.parsers.lite import TELLS
from resight.parsing import PARSERS, ParserSettings, build_parser, load_parser, save_parser
from resight.train.loop import cosine_with_warmup, poly
from resight.train.parser_recipe import ParserRecipe
from resight.train.parsing_pictures import CanvasSet
from resight.train.photo_batches import PhotoSet
from resight.train.run import FolderRun, Watcher
from resight.train.starting import load_backbone
from resight.types import IGNORE


def new_network(recipe: ParserRecipe) -> nn.Module:
    """A parser as its recipe starts it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        classes = len(find_labels(recipe.labels).classes)
        network = build_parser(recipe.parser, classes=classes, backbone=recipe.backbone)
    if recipe.start:
        old = load_parser(recipe.start)
        if (old.settings.parser, old.settings.labels) != (recipe.parser, recipe.labels):
            raise BadRecipe(
                f"`start` is a {old.settings.parser} of {old.settings.labels}; the recipe trains a {recipe.parser} of "
                f"{recipe.labels}."
            )
        learned = old.network.state_dict()
        told = tuple(f"head.{name}." for name in TELLS)  # parsers of before could not tell
        new = {name: value for name, value in network.state_dict().items() if name.startswith(told)}
        network.load_state_dict({**new, **learned})
        return network
    if recipe.backbone_weights == "none":
        return network
    backbone: Any = network.backbone
    if recipe.backbone_weights != "imagenet":
        load_backbone(backbone, Path(recipe.backbone_weights))
    elif hasattr(backbone, "load_whole"):
        backbone.load_whole(imagenet_weights(recipe.backbone))
    else:
        backbone.load_state_dict(imagenet_weights(recipe.backbone))
    return network


def _optimizer(network: nn.Module, recipe: ParserRecipe) -> torch.optim.Optimizer:
    """Groups by backbone or head, and by matrix or not; `times` is what a group takes of the learning rate."""
    adam = recipe.optimiser == "adamw"
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, value in network.named_parameters():
        groups.setdefault((name.startswith("backbone."), value.ndim > 1), []).append(value)
    listed = [
        {
            "params": values,
            "weight_decay": recipe.weight_decay if matrix or not adam else 0.0,
            "times": recipe.backbone_rate if inside else 1.0,
        }
        for (inside, matrix), values in sorted(groups.items())
    ]
    if adam:
        return torch.optim.AdamW(listed, lr=recipe.learning_rate)
    return torch.optim.SGD(listed, lr=recipe.learning_rate, momentum=recipe.momentum)


class ParserRun(FolderRun):
    """One training run of a parser. `train()` does everything; it may be killed and called again."""

    def __init__(self, folder: Path, recipe: ParserRecipe, data: CanvasSet | PhotoSet, *, watch: Watcher) -> None:
        self.recipe, self.data = recipe.check(), data
        super().__init__(
            folder,
            network=new_network(recipe),
            optimizer=partial(_optimizer, recipe=recipe),
            precision=recipe.precision,
            average=recipe.average,
            seed=recipe.seed,
            data=data.fingerprint,
            steps=recipe.steps,
            watch=watch,
        )
        processes = self.accelerator.num_processes
        if recipe.batch % processes:
            raise BadRecipe(f"A batch of {recipe.batch} does not divide over {processes} processes.")
        if processes > 1 and self.accelerator.device.type == "cuda":  # one norm for the whole batch
            self.network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
            self.optimizer = _optimizer(self.network, recipe)
        self.objective = build_objective(recipe, data, self.accelerator.device)

    @property
    def settings(self) -> ParserSettings:
        recipe = self.recipe
        return ParserSettings(
            parser=recipe.parser,
            labels=recipe.labels,
            backbone=recipe.backbone,
            height=recipe.height,
            width=recipe.width,
            source=f"seed {recipe.seed}, data {self.data.fingerprint}, step {self.step} of {recipe.steps}",
        )

    def rate(self, step: int) -> float:
        recipe = self.recipe
        steps, warmup = recipe.steps, recipe.warmup
        if recipe.schedule == "poly":
            return recipe.learning_rate * poly(step, steps=steps, warmup=warmup, power=recipe.power)
        return recipe.learning_rate * cosine_with_warmup(step, steps=steps, warmup=warmup, last=recipe.last_rate)

    def train(self) -> Path:
        """Train from where the folder stands to the end; returns the weights file.

        Raises TrainingStopped when a loss is not finite: `last/` keeps the newest good state.
        """
        if not self.begin():
            return self.weights
        every = self.recipe.validate_every or self.steps
        for end in (*range(every, self.steps, every), self.steps):
            if self.step > end:
                continue
            if self.step < end:
                self.learn(
                    self._batches(range(self.step + 1, end + 1)),
                    self.objective,
                    rate=self.rate,
                    save_every=every,
                    accuracy=partial(pixels_named, sets=self.data.set_rows(self.accelerator.device)),
                )
            self.validate({"step": end}, settings=self.settings)
        if self.leads:
            save_parser(self.weights, self.state(), self.settings)
            self.write_facts(pictures=self.data.counts, labels=self.recipe.labels)
        self.tell("end", path=self.weights)
        return self.weights

    def _batches(self, steps: range) -> Iterator[tuple[Tensor, ParsingBatch]]:
        return self.data.batches(
            self.recipe,
            steps,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            device=self.accelerator.device,
        )


Objective = Callable[[Parsing, ParsingBatch], dict[str, Tensor]]


def build_objective(recipe: ParserRecipe, data: CanvasSet | PhotoSet, device: torch.device) -> Objective:
    """The losses of a parser: its own objective, each pixel's loss taken over the set of classes that it may be."""
    sets = data.set_rows(device)
    if recipe.parser == "lite":
        from resight.parsers.lite_losses import lite_objective

        weights = torch.from_numpy(data.weights(recipe.balance, points=recipe.point_weight)).to(device)
        mirrored = torch.from_numpy(data.table.swap().astype(np.int64)).to(device)
        return lambda found, truth: lite_objective(
            found,
            truth.labels,
            truth.others,
            truth.views,
            truth.hidden,
            truth.company,
            sets=sets,
            mirrored=mirrored,
            weights=weights,
            second_weight=recipe.second_weight,
            sure_weight=recipe.sure_weight,
            edge_weight=recipe.edge_weight,
            side_weight=recipe.side_weight,
            view_weight=recipe.view_weight,
            hidden_weight=recipe.hidden_weight,
            company_weight=recipe.company_weight,
        )

    def pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
        return set_loss(logits.float(), labels.long(), sets)

    if recipe.parser == "ce2p":
        from resight.parsers.ce2p import ce2p_objective

        return lambda found, truth: ce2p_objective(found, truth.labels, pixel_loss=pixel_loss)
    _needs_classes(recipe, data)
    if recipe.parser == "attention-ssl":
        from resight.parsers.attention_ssl import attention_ssl_objective

        classes = data.table.target.classes
        return lambda found, truth: attention_ssl_objective(found, truth.labels, pixel_loss=pixel_loss, classes=classes)
    if recipe.parser == "cocnn":
        from resight.parsers.cocnn import cocnn_objective

        return lambda found, truth: cocnn_objective(found, truth.labels, pixel_loss=pixel_loss)
    raise UnknownName("parser that can be trained", recipe.parser, PARSERS)


def _needs_classes(recipe: ParserRecipe, data: CanvasSet | PhotoSet) -> None:
    """Attention+SSL's joints and Co-CNN's labels of the picture need to know each pixel's class."""
    if len(data.table.sets) > len(data.table.target.classes):
        raise BadRecipe(
            f"{recipe.parser} learns from sets labelled by {recipe.labels} alone; one of --data is labelled otherwise "
            "(its labels may mean several classes). Leave it out, or train `lite` or `ce2p`."
        )


@torch.no_grad()
def pixels_named(found: Parsing, truth: ParsingBatch, *, sets: Tensor) -> float:
    """Share of the known pixels whose likeliest class is one of the label's set, on the network's own grid."""
    size = found.logits.shape[2:]
    labels = F.interpolate(truth.labels[:, None].float(), size, mode="nearest")[:, 0].long()
    known = labels != IGNORE
    right = sets[torch.where(known, labels, 0), found.logits.argmax(1)] & known
    return float(right.sum() / known.sum().clamp_min(1))
