"""`resight train parser`: from a recipe and parsing sets to a run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resight.commands.progress import bar
from resight.commands.train import check_kept, keep_recipe, load_recipe, tell_begin, threads_of, training_note
from resight.errors import BadRecipe
from resight.train.parser_recipe import ParserRecipe

if TYPE_CHECKING:
    from resight.train.parser_validation import HeldOut
    from resight.train.parsing_pictures import CanvasSet
    from resight.train.photo_batches import PhotoSet


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainParser:
    """Train a parser on one or several parsing sets, each recognised by its layout.

    Known are LIP, CIHP, ATR, Pascal-Person-Part, sets of `resight people`, Clothing Co-Parsing (photos 1-800),
    Penn-Fudan (photos 1-120) and Market-1501 with keypoints14.npz (its training persons but the highest-numbered 100).
    Differently labelled sets teach one table: a label stands for all classes that it may mean. What the set holds out
    is scored during the run (validation.jsonl).

    Killed or stopped by Ctrl-C, the same command goes on where it was and reaches the same result. Over several
    processes or GPUs: `torchrun --nproc-per-node 2 -m resight train parser ...`; two processes use two CPU cores
    better than two threads do.
    """

    data: tuple[Path, ...]
    """Folders of parsing sets; `sample` is none, for it has no maps of persons. Of two with one layout the second's
    scores are told as `people 2`."""
    out: Path
    """Run folder: made when new, gone on with when it holds an unfinished run of the same recipe and data, left as
    it is when that is finished."""
    recipe: str = "parser-lite"
    """A shipped recipe (`resight recipes` lists them) or a TOML file."""
    labels: str | None = None
    """Label set that the network answers in, instead of the recipe's: lip20, parts7 or parts8."""
    steps: int | None = None
    """Batches of the whole run, instead of the recipe's; the schedule is stretched to them."""
    batch: int | None = None
    """Pictures in a batch, instead of the recipe's."""
    seed: int | None = None
    """Instead of the recipe's."""
    threads: int | None = None
    """Threads of torch; left out, one per core, or one with several processes."""


def train_parser(config: TrainParser) -> int:
    """Train, with one progress line on stderr; prints the path of the weights."""
    recipe = _recipe(config)
    check_kept(config.out, recipe)
    from resight.data.label_sets import find_labels
    from resight.data.parsing_targets import table_for
    from resight.train.parser import ParserRun, new_network
    from resight.train.parser_validation import held_out
    from resight.train.parsing_pictures import load_parsing_set
    from resight.train.parsing_sources import find_source
    from resight.train.photo_batches import photo_set
    from resight.train.resources import torch_threads

    new_network(recipe)  # tells what is wrong with it before minutes of decoding
    sources = [find_source(root) for root in config.data]
    table = table_for([source.source for source in sources], find_labels(recipe.labels))
    sets = held_out(config.data)
    data: CanvasSet | PhotoSet
    if recipe.crop == "box":
        with bar("decoding", total=sum(len(source.pictures) for source in sources)) as told:
            data = load_parsing_set(sources, table, recipe, told)
    else:
        data = photo_set(sources, table, recipe)
    with torch_threads(threads_of(config.threads)), bar("training", total=None) as told:
        run = ParserRun(config.out, recipe, data, watch=_Watch(told, sets))
        keep_recipe(config.out, recipe)
        weights = run.train()
    if run.leads:
        print(weights)
    return 0


def _recipe(config: TrainParser) -> ParserRecipe:
    recipe = load_recipe(ParserRecipe, config.recipe)
    for name in ("labels", "steps", "batch", "seed"):
        if (value := getattr(config, name)) is not None:
            recipe = replace(recipe, **{name: value})
    if not config.data:
        raise BadRecipe("Say what to train on: --data FOLDER, more than one if you like.")
    return recipe.check()


class _Watch:
    """Shows the run's events on the progress line and scores what is held out."""

    def __init__(self, told: Callable[..., None], sets: list[HeldOut]) -> None:
        self.told, self.sets = told, sets

    def __call__(self, event: str, facts: dict[str, Any]) -> dict[str, Any] | None:
        if event == "step":
            step = facts["step"]
            note = f"right {step.accuracy:.1%} {training_note(step, facts['host_mib'])}"
            self.told(1, pictures=step.pictures, note=note)
        else:
            tell_begin(self.told, event, facts)
        return self._score(facts) if event == "stage" and self.sets else None

    def _score(self, facts: dict[str, Any]) -> dict[str, Any]:
        from resight.parsing import parser_from_state
        from resight.train.parser_validation import validate

        found = validate(parser_from_state(facts["state"], facts["settings"]), self.sets)
        parts = []
        for name, scores in found.items():
            numbers = [f"{key} {value:.3f}" for key, value in scores.items() if isinstance(value, float)]
            parts.append(f"{name}: {', '.join(numbers)}")
        self.told(0, note=f"held out: {'; '.join(parts)}", keep=True)
        return found
