"""Which pictures a run learns from, and in which batches they come.

Proof: tests/train/test_embedder.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from resight.data.arrays import digest
from resight.data.augment_parts import CutOuts, augment_covered
from resight.data.cache import decoded_pictures, identity
from resight.data.sampling import check_persons, person_batches
from resight.errors import BadRecipe
from resight.train.loop import seed_of
from resight.train.recipe import EmbedderRecipe, Stage
from resight.types import Crop


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Pictures of the training persons as one array, and each one's class (0, 1, … in sorted order of persons).

    `maps` are their part maps of 20 classes, 0..255, and `parser` says who made them; `cutouts` may be pasted before
    them.
    """

    pictures: NDArray[np.uint8]
    classes: NDArray[np.int64]
    fingerprint: str
    maps: UInt8[np.ndarray, "N 20 h w"] | None = None
    parser: str = ""
    cutouts: CutOuts | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What the pictures of a batch show: persons' classes B; part maps and what covers them where there are maps."""

    classes: Int[Tensor, " B"]
    maps: Float[Tensor, "B 20 h w"] | None = None
    unhidden: Float[Tensor, "B 20"] | None = None
    others: UInt8[Tensor, "B h w"] | None = None


def split_persons(crops: Sequence[Crop], held_out: int, learning: int = 0) -> tuple[list[Crop], list[Crop]]:
    """Training crops and those of the `held_out` highest-numbered persons. Junk and distractors are left out.

    `learning` keeps so many of the other persons, lowest-numbered first; 0 keeps all. Raises BadRecipe for too many.
    """
    usable = [crop for crop in crops if not crop.junk and not crop.distractor]
    persons = sorted({crop.person for crop in usable}, key=lambda person: (str(type(person)), person))
    if held_out >= len(persons):
        raise BadRecipe(f"validation_persons is {held_out} and the training set has {len(persons)} persons.")
    rest = persons[: len(persons) - held_out]
    if not 0 <= learning <= len(rest):
        raise BadRecipe(f"training_persons is {learning} and {len(rest)} persons are left to learn from.")
    kept, asked = set(rest[: learning or None]), set(persons[len(rest) :])
    return [crop for crop in usable if crop.person in kept], [crop for crop in usable if crop.person in asked]


def query_per_camera(crops: Sequence[Crop]) -> tuple[list[Crop], list[Crop]]:
    """Split crops as Market-1501 does: a person's first picture in each camera, in the order given, is a query."""
    query: dict[tuple[object, object], Crop] = {}
    for crop in crops:
        query.setdefault((crop.person, crop.camera), crop)
    asked = {crop.path for crop in query.values()}
    return list(query.values()), [crop for crop in crops if crop.path not in asked]


def load_training_set(
    crops: Sequence[Crop],
    recipe: EmbedderRecipe,
    told: Callable[[int], None] | None = None,
    *,
    maps: UInt8[np.ndarray, "N 20 h w"] | None = None,
    parser: str = "",
    cutouts: CutOuts | None = None,
) -> TrainingSet:
    """Decode the training pictures once, at the largest size that a stage asks for.

    Raises TrainingStopped, before it, where there are fewer persons than a batch needs.
    """
    height = max(stage.height for stage in recipe.stages)
    width = max(stage.width for stage in recipe.stages)
    paths = [crop.path for crop in crops]
    number = {person: row for row, person in enumerate(sorted({crop.person for crop in crops}, key=str))}
    check_persons(len(number), recipe.persons)
    classes = np.array([number[crop.person] for crop in crops], dtype=np.int64)
    pictures = decoded_pictures(paths, height=height, width=width, told=told)
    given = [classes]
    given += [] if maps is None else [maps]
    given += [] if cutouts is None else [cutouts.layers.numpy(), cutouts.person.numpy()]
    return TrainingSet(pictures, classes, identity(paths, parser, digest(*given)), maps, parser, cutouts)


def training_batches(
    data: TrainingSet,
    recipe: EmbedderRecipe,
    stage: Stage,
    steps: range,
    *,
    steps_per_epoch: int,
    process: int,
    processes: int,
    device: torch.device,
    with_maps: bool = False,
) -> Iterator[tuple[tuple[Tensor, ...], Truth]]:
    """Yield one process's share of the batches of `steps`: what the network takes, and what it shows.

    The network gets images B 3 H W, and with `with_maps` the part maps behind them. Order and augmentation depend on
    seed, step and process alone.
    """
    cutouts = None if data.cutouts is None else data.cutouts.to(device)
    share = recipe.persons // processes * recipe.pictures
    rows: list[NDArray[np.int64]] = []
    for step in steps:
        epoch, place = divmod(step - 1, steps_per_epoch)
        if not rows or place == 0:
            rows = list(
                person_batches(
                    data.classes,
                    persons=recipe.persons,
                    pictures=recipe.pictures,
                    batches=steps_per_epoch,
                    rng=np.random.default_rng(seed_of(recipe.seed, 0, epoch)),
                )
            )
        mine = rows[place][process * share : (process + 1) * share]
        pictures = torch.from_numpy(data.pictures[mine]).to(device)
        rng = torch.Generator().manual_seed(seed_of(recipe.seed, 1, step, process))
        maps = None
        if data.maps is not None:
            maps = torch.from_numpy(data.maps[mine]).to(device).float() / 255
        seen = augment_covered(
            *(pictures, maps, recipe.augmentation, recipe.covering, cutouts), size=(stage.height, stage.width), rng=rng
        )
        classes = torch.from_numpy(data.classes[mine]).to(device)
        inputs = (seen.images, seen.maps) if with_maps and seen.maps is not None else (seen.images,)
        yield inputs, Truth(classes, seen.maps, seen.unhidden, seen.others)
