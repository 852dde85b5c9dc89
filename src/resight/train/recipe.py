"""The settings of a training run: the only home of their defaults. A recipe file in `recipes/` changes some of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from resight.data.augment import Augmentation


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stretch of training at one picture size."""

    epochs: int
    """Passes over the training pictures."""
    height: int
    """Picture height in pixels."""
    width: int
    """Picture width in pixels."""
    frozen_blocks: int = 0
    """Stem and first blocks of the backbone that do not learn in this stretch; 0 = all learn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedderRecipe:
    """How an embedder is built and trained."""

    embedder: str = "baseline"
    """Which network; see `resight recipes`."""
    backbone: str = "efficientnet-lite0"
    """What turns a picture into a map of features."""
    backbone_weights: str = "imagenet"
    """`imagenet`, `none`, or a file of backbone weights."""
    pooling: Literal["gem", "average"] = "gem"
    """How the map becomes one vector."""
    last_stride: Literal[1, 2] = 1
    """1 keeps the last map twice as high and wide."""
    stages: tuple[Stage, ...] = (Stage(epochs=60, height=128, width=64),)
    """Stretches of training, each at one picture size; the last one's size is the model's."""
    persons: int = 16
    """Persons in a batch, over all processes."""
    pictures: int = 4
    """Pictures of each person in a batch."""
    learning_rate: float = 1e-3
    """Peak of the schedule."""
    warmup_epochs: float = 2.0
    """Epochs of linear warm-up."""
    last_rate: float = 0.005
    """Share of the peak that the cosine ends at."""
    weight_decay: float = 0.02
    """Of AdamW; not on biases, norms and the pooling power."""
    label_smoothing: float = 0.1
    """Share of the target spread over all persons, 0..1."""
    margin: float = 0.3
    """Of the batch-hard triplet loss, a distance."""
    triplet_weight: float = 1.0
    """Weight of the triplet loss beside the identity loss."""
    average: float = 0.999
    """Decay of the moving average of the weights, which is what is saved; 0 = none."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """Random changes of the training pictures."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the forward pass; bf16 and fp16 pay on a GPU only."""
    validation_persons: int = 0
    """Highest-numbered training persons held out and scored at the end of each stage; 0 = train on all."""
    seed: int = 1
    """Of weights, order and augmentation."""
