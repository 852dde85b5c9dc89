"""What can be done about the causes that were found: remedies with commands that run as printed, and what they won.

A gain is credited to a remedy only where it was measured: re-ranking and parts on the search itself, a trained remedy
by a model of `--against` whose recipe, in the run folder of its features, holds it. What other models won stands under
their own names.
Proof: tests/commands/test_diagnose_remedies.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from resight.commands.check import Check
from resight.commands.datasets import SetOptions
from resight.commands.diagnose_page import DOSE
from resight.commands.dose import Dose
from resight.commands.embed import Embed
from resight.commands.options import command_line
from resight.commands.parts import Parts
from resight.commands.rerank import Rerank
from resight.commands.train import TrainEmbedder, recipe_value
from resight.config import load_toml, recipe_names
from resight.diagnose.findings import Findings
from resight.diagnose.remedies import ALL, PARTS, RERANK
from resight.errors import ResightError
from resight.model import DEFAULT_MODEL
from resight.report.diagnosis_facts import Advice, Look
from resight.report.words import Both, say
from resight.train.recipe import EmbedderRecipe
from resight.train.starting import learns_from_maps, needs_maps

if TYPE_CHECKING:
    from resight.commands.diagnose import Diagnose

LIGHT: Final = "baseline-lite"
"""The recipe that is changed where the judged model's own is not known."""
UNKNOWN: Final = "DATASET"
"""Stands for a data set that the search does not name."""
FEATURES: Final = "features.npz"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing that this toolkit has against some causes."""

    name: str
    causes: tuple[str, ...]
    recipe: str = ""
    """What is trained; empty: the judged model's own recipe."""
    changes: tuple[str, ...] = ()
    """KEY=VALUE of the recipe."""
    held: Callable[[EmbedderRecipe], bool] | None = None
    """Whether a model trained by a recipe has it; None where nothing is trained."""


def _augmented(recipe: EmbedderRecipe) -> bool:
    usual, mine = EmbedderRecipe().augmentation, recipe.augmentation
    return mine.light > usual.light or mine.colour > usual.colour


REMEDIES: Final = (
    Remedy("rerank", ("similar_clothing", "changed_look", "similar_pose")),
    Remedy(
        "parts",
        ("occlusion", "truncation", "multi_person", "pose_viewpoint"),
        recipe="visible-parts",
        held=lambda recipe: recipe.embedder in ("visible-parts", "one-pass") and recipe.part_share > 0,
    ),
    Remedy(
        "mask",
        ("background_bias",),
        recipe="maskreid",
        held=lambda recipe: recipe.embedder in ("maskreid", "mgcam", "two-stream"),
    ),
    Remedy(
        "augment",
        ("low_light", "color_cast"),
        changes=("augmentation.light=0.4", "augmentation.colour=0.2"),
        held=_augmented,
    ),
    Remedy(
        "coarse",
        ("low_res", "motion_blur"),
        changes=("augmentation.coarse=0.3",),
        held=lambda recipe: recipe.augmentation.coarse > 0,
    ),
    Remedy("check", ("gallery_distractor",)),
)
MEASURED: Final = {"rerank": RERANK, "parts": PARTS}
"""Remedies that are measured on the search itself, and what their gains are called."""


def advice(config: Diagnose, found: Findings, folders: Sequence[Path]) -> tuple[Advice, ...]:
    """Remedies of the causes that cost something or were proven, dearest first; then what other models won.

    `folders` hold the search's pictures; one of them may be a data set that can be trained on.
    """
    hurt = {one.cause: one.loss for one in found.verdicts if one.loss > 0 or one.grade}
    others = {name: recipe_beside(path) for name, path in other_models(config.against).items()}
    own = own_recipe(config)
    mine = None if own is None else load_toml(EmbedderRecipe, own)
    places = _places(config, folders)
    rows = []
    for remedy in REMEDIES:
        causes = tuple(cause for cause in hurt if cause in remedy.causes)
        if not causes:
            continue
        gains = _gains(found, remedy, causes, others)
        if remedy.name == "parts":
            already = found.ledger.features.part_share > 0
        else:
            already = mine is not None and remedy.held is not None and remedy.held(mine)
        commands: tuple[str, ...] = ()
        hints = [say("remedy_already" if already else "remedy_harms")]
        if not already and not _harms(found, remedy):
            commands, hints = _steps(remedy, config, own or LIGHT, places)
        if remedy.held is not None and not already and not gains:
            hints.append(say("gain_none"))
        rows.append(Advice(say(f"remedy_{remedy.name}"), causes, gains, commands, tuple(hints)))
    rows.sort(key=lambda one: -max(hurt[cause] for cause in one.causes))
    return (*rows, *(_other_model(name, found, hurt) for name in others))


def dose_command(config: Diagnose, folders: Sequence[Path]) -> str:
    """What measures dose curves of the judged model where the next diagnosis finds them."""
    model = "MODEL" if features_file(config) is not None else config.model
    how: dict[str, Any] = {"parts": config.parts, "protocol": config.protocol, **_set_options(config)}
    return command_line("dose", Dose(dataset=_places(config, folders)[0], out=config.folder / DOSE, model=model, **how))


def _set_options(config: Diagnose) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in fields(SetOptions)}


def other_models(against: Sequence[Path]) -> dict[str, Path]:
    """Features files of other models by name: the file's, or where that says nothing its folder's."""
    names = [path.resolve().parent.name if path.name == FEATURES else path.stem for path in against]
    return {name if names.count(name) == 1 else str(path): path for name, path in zip(names, against, strict=True)}


def recipe_beside(path: Path) -> EmbedderRecipe | None:
    """The recipe of the run folder that a file lies in; None where it lies in none."""
    try:
        return load_toml(EmbedderRecipe, path.parent / "config.toml")
    except ResightError:  # there is none, or of something else
        return None


def own_recipe(config: Diagnose) -> str | None:
    """What `--recipe` calls the judged model's recipe; None where that is not known."""
    features = features_file(config)
    if features is None:
        model = config.model or DEFAULT_MODEL
        if model in recipe_names() and not Path(model).exists():
            return model
        features = Path(model) / FEATURES if Path(model).is_dir() else Path(model)
    return None if recipe_beside(features) is None else str(features.parent / "config.toml")


def features_file(config: Diagnose) -> Path | None:
    """The features that were handed in; None where the judged model made them."""
    return Path(str(config.x)) if str(config.x).endswith(".npz") else config.features


def _places(config: Diagnose, folders: Sequence[Path]) -> tuple[str, str]:
    """The search's data set and one to train on, the same where it has training pictures; UNKNOWN where not known."""
    for place in [*folders] if str(config.x).endswith(".npz") else [str(config.x)]:
        try:
            crops = config.reid_set(str(place)).crops("train")
            return str(place), str(place) if any(not crop.junk for crop in crops) else UNKNOWN
        except ResightError:  # a folder of pictures, or a set without a part for training
            continue
    return UNKNOWN, UNKNOWN


def _steps(remedy: Remedy, config: Diagnose, own: str, places: tuple[str, str]) -> tuple[tuple[str, ...], list[Both]]:
    """The remedy's commands in order, and what has to be said of them."""
    search, training = places
    options = _set_options(config)
    if remedy.name == "rerank":
        features = features_file(config) or config.folder / FEATURES
        return (command_line("rerank", Rerank(features=features, out=config.folder / "reranked.npy")),), []
    if remedy.name == "check":
        return (command_line("data check", Check(dataset=search, **options)),), _unknown(search)
    changes = remedy.changes
    name = remedy.recipe or own
    recipe = load_toml(EmbedderRecipe, name, dict(map(recipe_value, changes)))
    hints = _unknown(training)
    if recipe.covering.paste:
        changes = (*changes, "covering.paste=0")
        hints.append(say("remedy_paste"))
    run, parts = config.folder / "runs" / remedy.name, config.parts or config.folder / "parts"
    taught, asked = (parts if wanted(recipe) else None for wanted in (learns_from_maps, needs_maps))
    lines = []
    if taught is not None and config.parts is None:
        lines.append(command_line("parts", Parts(dataset=training, out=parts, **options)))
    learn = TrainEmbedder(data=training, recipe=name, out=run, parts=taught, set_=changes, **options)
    described = Embed(dataset=search, model=str(run), out=run / FEATURES, parts=asked, **options)
    lines += [command_line("train embedder", learn), command_line("embed", described)]
    lines.append(command_line("diagnose", config, against=(*config.against, run / FEATURES)))
    return tuple(lines), hints


def _unknown(place: str) -> list[Both]:
    return [say("remedy_dataset")] if place == UNKNOWN else []


def _harms(found: Findings, remedy: Remedy) -> bool:
    """Whether the remedy, measured on the search itself, takes mAP away for sure."""
    return any((one.remedy, one.cause) == (MEASURED.get(remedy.name), ALL) and one.high < 0 for one in found.gains)


def _gains(
    found: Findings, remedy: Remedy, causes: Sequence[str], others: Mapping[str, EmbedderRecipe | None]
) -> tuple[tuple[str, Look], ...]:
    """What the remedy won of each cause, on the search itself and by those models that are known to have it."""
    notes: dict[str, Both | None] = {MEASURED[remedy.name]: None} if remedy.name in MEASURED else {}
    if remedy.held is not None:
        holds = [name for name, recipe in others.items() if recipe is not None and remedy.held(recipe)]
        notes |= {name: say("gain_of", name=name) for name in holds}
    return tuple(
        (one.cause, Look(one.gain, one.low, one.high, notes[one.remedy]))
        for cause in causes
        for one in found.gains
        if one.cause == cause and one.remedy in notes
    )


def _other_model(name: str, found: Findings, hurt: Mapping[str, float]) -> Advice:
    """What another model won, whatever it is made of."""
    mine = {one.cause: Look(one.gain, one.low, one.high) for one in found.gains if one.remedy == name}
    causes = tuple(cause for cause in mine if cause in hurt)
    rows = [(cause, mine[cause]) for cause in (ALL, *causes, "unexplained") if cause in mine]
    return Advice(say("other_model", name=name), causes, tuple(rows))
