"""`resight train embedder`: from a recipe and a data set to a run folder."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from resight.commands.datasets import SetOptions
from resight.commands.progress import bar
from resight.config import load_toml, to_toml
from resight.data.files import write_text
from resight.errors import BadRecipe
from resight.train.recipe import EmbedderRecipe, check_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from resight.data.augment_parts import CutOuts
    from resight.train.loop import Step
    from resight.types import Crop

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainEmbedder(SetOptions):
    """Train an embedder on the training persons of a data set.

    Killed or stopped by Ctrl-C, the same command goes on where it was and reaches the same result. Over several
    processes or GPUs: `torchrun --nproc-per-node 2 -m resight train embedder ...`; two processes use two CPU cores
    better than two threads do.
    """

    data: str
    """A data set's folder, or the word `sample`."""
    out: Path
    """Run folder: made when new, gone on with when it holds an unfinished run of the same recipe and data, left as
    it is when that is finished."""
    recipe: str = "baseline-lite"
    """A shipped recipe (`resight recipes` lists them) or a TOML file."""
    epochs: int | None = None
    """Shorten or lengthen the last stage to this many epochs; other stages are left out."""
    seed: int | None = None
    """Instead of the recipe's."""
    validation_persons: int | None = None
    """Hold out this many highest-numbered training persons and score them after each stage."""
    set_: tuple[str, ...] = ()
    """Other values of the recipe, as KEY=VALUE in TOML's words; a dot reaches into a table: `covering.paste=0.5`,
    `training-persons=375`, `'stages=[{epochs=12, height=128, width=64}]'`."""
    parts: Path | None = None
    """Folder of part maps of the set (`resight parts`), for embedders and changes of pictures that know parts."""
    occluders: Path | None = None
    """Folder of cut-out objects (KIND/*.png with alpha), for recipes that paste them; a third of each kind is left."""
    people: Path | None = None
    """Penn-Fudan's folder, for recipes that paste pedestrians; the last 50 photos are left out."""
    threads: int | None = None
    """Threads of torch; left out, one per core, or one with several processes."""


def train_embedder(config: TrainEmbedder) -> int:
    """Train, with one progress line on stderr; prints the path of the weights."""
    recipe = _recipe(config)
    check_kept(config.out, recipe)
    from resight.train.embedder import Run
    from resight.train.pictures import load_training_set, split_persons
    from resight.train.resources import torch_threads
    from resight.train.starting import check_start, new_network

    check_start(recipe, maps=config.parts is not None, cutouts=bool(config.occluders or config.people))
    new_network(recipe, 2)  # tells what is wrong with its start before minutes of decoding
    reid_set = config.reid_set(config.data)
    crops = list(reid_set.crops("train"))
    cutouts = _cut_outs(config)
    learn, held_out = split_persons(crops, recipe.validation_persons, recipe.training_persons)
    with bar("decoding", total=len(learn)) as told:
        maps, parser = _part_maps(config.parts, learn, reid_set.root)
        data = load_training_set(learn, recipe, told, maps=maps, parser=parser, cutouts=cutouts)
    with torch_threads(threads_of(config.threads)), bar("training", total=None) as told:
        watch = _Watch(told, held_out, parts=config.parts, root=reid_set.root)
        run = Run(config.out, recipe, data, watch=watch)
        keep_recipe(config.out, recipe)
        weights = run.train()
    if run.leads:
        print(weights)
    return 0


def _part_maps(folder: Path | None, crops: Sequence[Crop], root: Path) -> tuple[np.ndarray | None, str]:
    """Part maps of the training pictures, in their order, and which parser made them; none without a folder."""
    if folder is None:
        return None, ""
    from resight.data.part_maps import load_part_maps

    found = load_part_maps(folder, [crop.path for crop in crops], root=root, labels="lip20")
    return found.maps, found.stamp.weights


def _cut_outs(config: TrainEmbedder) -> CutOuts | None:
    """What may be pasted in training; test objects and test photos are never opened."""
    from resight.data.augment_parts import cut_outs
    from resight.data.occluders import read_objects, read_pedestrians

    things = [one.cutout for one in read_objects(config.occluders, "train")] if config.occluders else []
    people = [one.cutout for one in read_pedestrians(config.people, "train")] if config.people else []
    return cut_outs(things, people) if things or people else None


def _recipe(config: TrainEmbedder) -> EmbedderRecipe:
    recipe = load_recipe(EmbedderRecipe, config.recipe, dict(map(recipe_value, config.set_)))
    if config.epochs is not None:
        if config.epochs < 1:
            raise BadRecipe(f"--epochs is {config.epochs}; it must be at least 1.")
        recipe = replace(recipe, stages=(replace(recipe.stages[-1], epochs=config.epochs),))
    if config.seed is not None:
        recipe = replace(recipe, seed=config.seed)
    if config.validation_persons is not None:
        recipe = replace(recipe, validation_persons=config.validation_persons)
    return check_recipe(recipe)


def load_recipe(kind: type[R], name: str, overrides: Mapping[str, object] | None = None) -> R:
    """Read a recipe; raises BadRecipe that names the right command for a recipe of the other kind of network."""
    from resight.train.parser_recipe import ParserRecipe

    try:
        return load_toml(kind, name, overrides)
    except BadRecipe:
        other, what = (ParserRecipe, "parser") if kind is EmbedderRecipe else (EmbedderRecipe, "embedder")
        if _read(other, name) is None:
            raise
    raise BadRecipe(f"{name} trains the other kind of network: `resight train {what} --recipe {name}`.")


def _read(kind: type[R], name: Path | str) -> R | None:
    """A recipe of one kind; None where it is none."""
    try:
        return load_toml(kind, name)
    except BadRecipe:
        return None


def recipe_value(text: str) -> tuple[str, object]:
    """Key and value of `KEY=VALUE`; what is no TOML is a text. Raises BadRecipe where there is no `=`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadRecipe(f"--set is `{text}`; write KEY=VALUE, such as `covering.paste=0.5`.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def check_kept(out: Path, recipe: object) -> None:
    """Refuse to go on with a run of another recipe."""
    path = out / "config.toml"
    if _begun(out) and not _same_recipe(path, recipe):
        raise BadRecipe(f"{out} holds a run of another recipe (see {path}). Choose a new folder for --out.")


def keep_recipe(out: Path, recipe: object) -> None:
    """Write `config.toml` of a run that begins; that of one that goes on stays as it is."""
    if not _begun(out) and int(os.environ.get("RANK", "0")) == 0:
        write_text(out / "config.toml", to_toml(recipe))


def _begun(out: Path) -> bool:
    return (out / "last").exists() and (out / "config.toml").exists()


def _same_recipe(path: Path, recipe: object) -> bool:
    """Whether a kept recipe says the same; one written before a field existed has its default."""
    return _read(type(recipe), path) == recipe


def threads_of(asked: int | None) -> int | None:
    """Threads of torch in a training: of several processes one each, unless the user says."""
    return 1 if asked is None and "WORLD_SIZE" in os.environ else asked


def training_note(step: Step, host_mib: float) -> str:
    """A step's losses, the host memory without mapped files and the most of the GPU, for the progress line."""
    from resight.train.resources import peak_device_mib

    losses = " ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
    memory = f"{host_mib / 1024:.1f} GiB"
    if (device := peak_device_mib()) is not None:
        memory += f" + {device / 1024:.1f} GiB on the GPU"
    return f"{losses} {memory}"


def tell_begin(told: Callable[..., None], event: str, facts: dict[str, Any]) -> None:
    """Where a run goes on from, or that it is finished, for the progress line."""
    if event == "start":
        told(facts["step"], total=facts["steps"])
    elif event == "finished":
        told(facts["step"], total=facts["steps"], note="finished before: nothing is changed", keep=True)


class _Watch:
    """Shows the run's events on the progress line and scores the held-out persons."""

    def __init__(self, told: Callable[..., None], held_out: list[Any], *, parts: Path | None, root: Path) -> None:
        self.told, self.held_out, self.parts, self.root = told, held_out, parts, root

    def __call__(self, event: str, facts: dict[str, Any]) -> dict[str, Any] | None:
        if event == "step":
            step = facts["step"]
            self.told(1, pictures=step.pictures, note=training_note(step, facts["host_mib"]))
        else:
            tell_begin(self.told, event, facts)
        return self._score(facts) if event == "stage" and self.held_out else None

    def _score(self, facts: dict[str, Any]) -> dict[str, Any]:
        from resight.commands.embed import embed_sides
        from resight.evaluate.ranking import score_features
        from resight.model import model_from_state
        from resight.train.pictures import query_per_camera

        model = model_from_state(facts["state"], facts["settings"])
        query, gallery = query_per_camera(self.held_out)
        scores = score_features(embed_sides(query, gallery, model, parts=self.parts, names_from=self.root))
        self.told(0, note=f"validation persons: mAP {scores.mean_ap:.1%}, Rank-1 {scores.cmc[0]:.1%}", keep=True)
        return {"mean_ap": scores.mean_ap, "rank1": float(scores.cmc[0])}
