"""The settings of a training run: the only home of their defaults. A recipe file in `recipes/` changes some of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal

from resight.data.augment import Augmentation
from resight.data.augment_parts import Covering
from resight.data.files import sha256
from resight.errors import BadRecipe


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
class MethodLosses:
    """Weights and margins of losses that only some embedders have; the defaults are their papers'."""

    identity_weight: float = 1.0
    """maskreid, two-stream: weight of the identity loss; 0 leaves it out."""
    ranking_weight: float = 1.0
    """maskreid: weight of the ranking loss."""
    ranking_slack: float = 0.15
    """maskreid: how far a negative must stay below the hardest positive, a cosine."""
    ranking_attraction: float = 2.0
    """maskreid: how strongly all positives are pulled to a cosine of 1."""
    ranking_nearest: int = 0
    """maskreid: nearest negatives that count; 0 = all."""
    ranking_only_active: bool = False
    """maskreid: sum over negatives inside the slack alone, which takes away the floor of log(1 + negatives)."""
    siamese_weight: float = 0.01
    """mgcam: weight of the pairs."""
    region_weight: float = 0.01
    """mgcam: weight of the triplet of whole, body and background."""
    attention_weight: float = 0.1
    """mgcam: weight of the taught attention."""
    push_margin: float = 10.0
    """mgcam: margin of pairs and regions, a squared distance."""
    side_weight: float = 0.2
    """spatial-attention: share of the side losses, 0..1."""
    part_triplet_weight: float = 1.0
    """visible-parts, one-pass: weight of the triplets on parts."""
    map_weight: float = 0.5
    """visible-parts, one-pass: weight of the part maps."""
    visible_weight: float = 0.3
    """visible-parts, one-pass: weight of the visibility."""
    second_weight: float = 0.2
    """one-pass: weight of pixels of another person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedderRecipe:
    """How an embedder is built and trained."""

    embedder: str = "baseline"
    """Which network; see `resight recipes`."""
    backbone: str = "efficientnet-lite0"
    """What turns a picture into a map of features."""
    backbone_weights: str = "imagenet"
    """`imagenet`, `none`, a shipped model, a run folder, or a file of backbone weights."""
    parser_weights: str = "none"
    """one-pass: `none`, or a trained `parser-lite` (shipped name, run folder, file) that its decoder starts as."""
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
    covering: Covering = field(default_factory=Covering)
    """What is put before, or changed around, the persons of training pictures."""
    part_share: float = 0.5
    """visible-parts, one-pass: the part distance's share, 0..1, when crops are compared; no training depends on it."""
    options: dict[str, bool | int | float | str] = field(default_factory=dict)
    """What only this embedder's constructor takes, such as `stripes` of spatial-attention."""
    losses: MethodLosses = field(default_factory=MethodLosses)
    """Losses that only some embedders have."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the forward pass; bf16 and fp16 pay on a GPU only."""
    validation_persons: int = 0
    """Highest-numbered training persons held out and scored at the end of each stage; 0 = train on all."""
    training_persons: int = 0
    """Learn from this many of the other training persons, lowest-numbered first; 0 = from all of them."""
    seed: int = 1
    """Of weights, order and augmentation."""


OF_THE_METHOD: Final = ("embedder", "parser_weights", "options", "losses", "pooling", "part_share", "seed")
"""Fields in which two rows of one comparison may differ: the method itself, and chance."""


LEAST: Final = {
    **{"persons": 2, "pictures": 1, "warmup-epochs": 0, "weight-decay": 0, "margin": 0, "triplet-weight": 0},
    **{"validation-persons": 0, "training-persons": 0},
    **{f"augmentation.{name}": 0 for name in ("shift", "light", "colour")},
    **{
        f"losses.{field.name.replace('_', '-')}": 0
        for field in fields(MethodLosses)
        if field.name != "ranking_only_active"
    },
}
"""The smallest value that a number of an embedder's recipe may have."""
SHARES: Final = (
    *("last-rate", "label-smoothing", "average", "part-share", "losses.side-weight"),
    *(f"augmentation.{name}" for name in ("flip", "zoom", "coarse", "erase", "erase-area")),
    *(f"covering.{field.name.replace('_', '-')}" for field in fields(Covering)),
)
"""Its chances and shares, 0 to 1."""


def check_recipe(recipe: EmbedderRecipe) -> EmbedderRecipe:
    """Raise BadRecipe for numbers that no training can be made of; returns the recipe."""
    if not recipe.stages:
        raise BadRecipe("`stages` is empty; a recipe needs one at least, such as `{epochs=12, height=128, width=64}`.")
    for number, stage in enumerate(recipe.stages, 1):
        check_numbers(stage, {"epochs": 1, "height": 16, "width": 16, "frozen-blocks": 0}, (), f" of stage {number}")
    check_numbers(recipe, LEAST, SHARES)
    return recipe


def check_numbers(recipe: Any, least: Mapping[str, float], shares: Iterable[str], where: str = "") -> None:
    """Raise BadRecipe for a number below its least one, for a share (0 to 1) beyond, for a rate that is not above 0.

    Numbers are named as in a recipe's file; a dot leads into a table, and a pair must rise. `where` follows the name.
    """
    bounds = {**{name: (low, math.inf) for name, low in least.items()}, **dict.fromkeys(shares, (0.0, 1.0))}
    for name, (low, high) in bounds.items():
        value = attrgetter(name.replace("-", "_"))(recipe)
        pair = value if isinstance(value, tuple) else (value,)
        if not all(low <= one <= high and math.isfinite(one) for one in pair):
            wanted = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
            raise BadRecipe(f"`{name}{where}` is {value}; it must be {wanted}.")
        if list(pair) != sorted(pair):
            raise BadRecipe(f"`{name}{where}` is {value}; the smaller number comes first.")
    rate = getattr(recipe, "learning_rate", 1.0)
    if not 0 < rate < math.inf:
        raise BadRecipe(f"`learning-rate` is {rate:g}; it must be above 0.")


def contrasted(recipe: EmbedderRecipe) -> dict[str, Any]:
    """What must be equal among rows that are compared: pictures, sampler, schedule, changes, backbone, validation."""
    shared = {name: value for name, value in asdict(recipe).items() if name not in OF_THE_METHOD}
    if not shared["training_persons"]:  # all of them: the hash stays that of runs that could not choose
        del shared["training_persons"]
    if not shared["augmentation"]["coarse"]:  # as above
        del shared["augmentation"]["coarse"]
    shared["backbone_weights"] = _start(recipe.backbone_weights)
    return shared


def _start(weights: str) -> str:
    """A file or run folder by what it holds, since its path says nothing elsewhere; a name as it is."""
    given = Path(weights)
    file = given / "model.safetensors" if given.is_dir() else given
    named = weights in ("imagenet", "none") or not file.is_file()
    return weights if named else sha256(file)[:12]


def recipe_hash(recipe: EmbedderRecipe) -> str:
    """Eight hex digits that rows of one comparison share."""
    return hashlib.sha256(json.dumps(contrasted(recipe), sort_keys=True).encode()).hexdigest()[:8]


def differences(one: EmbedderRecipe, other: EmbedderRecipe) -> list[str]:
    """Names of the fields that set two recipes apart beyond the method; a row that differs must say in what."""
    left, right = contrasted(one), contrasted(other)
    names = dict.fromkeys([*left, *right])
    return [name.replace("_", "-") for name in names if left.get(name) != right.get(name)]
