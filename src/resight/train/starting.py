"""What a network starts as: drawn by its recipe's seed, then weights of ImageNet, of another run, of a shipped model.

Proof: tests/train/test_starting.py.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from resight.data.augment import PIXEL_MEAN, PIXEL_SPREAD
from resight.data.files import sha256
from resight.embedders.one_pass import OnePass
from resight.errors import BadRecipe, BadWeights, UnknownName
from resight.model import build_embedder
from resight.nn.backbones import FreezableBackbone, imagenet_weights
from resight.parsers.ce2p import IMAGENET_MEAN, IMAGENET_SPREAD
from resight.parsers.lite import TELLS
from resight.parsing import load_parser
from resight.train.recipe import EmbedderRecipe
from resight.weight_files import find_weights, shipped_names


def new_network(recipe: EmbedderRecipe, classes: int) -> nn.Module:
    """An embedder of so many persons as a recipe starts it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = _built(recipe, classes)
    for backbone in backbones(network):
        if recipe.backbone_weights == "imagenet":
            backbone.load_state_dict(imagenet_weights(recipe.backbone))
        elif recipe.backbone_weights != "none":
            load_backbone(backbone, recipe.backbone_weights)
    if recipe.parser_weights != "none":
        _start_parser(network, recipe)
    return network


def check_start(recipe: EmbedderRecipe, *, maps: bool, cutouts: bool) -> None:
    """Raise BadRecipe where a recipe asks for part maps or things to paste and there are none; needs no pictures.

    Also where held-out persons would be scored by weights that know them.
    """
    covering = recipe.covering
    if recipe.validation_persons and ships(recipe.backbone_weights):
        raise BadRecipe(
            f"The shipped `{recipe.backbone_weights}` learned from all training persons, so the "
            f"{recipe.validation_persons} held-out ones would not be new to it. Start from `imagenet` or from "
            "a run with the same `validation-persons`, or hold none out."
        )
    if not maps and learns_from_maps(recipe):
        asks = "The recipe's covering" if covering.erase_part or covering.swap_background else f"`{recipe.embedder}`"
        raise BadRecipe(
            f"{asks} learns from part maps. Make them with `resight parts` and pass their folder: `--parts`."
        )
    if not cutouts and covering.paste:
        raise BadRecipe(
            f"The recipe pastes things before {covering.paste:.0%} of the pictures. Pass a folder of cut-out "
            "objects, `--occluders`, or set `covering.paste = 0`."
        )


def learns_from_maps(recipe: EmbedderRecipe) -> bool:
    """Whether part maps must come with the training pictures."""
    covered = recipe.covering.erase_part or recipe.covering.swap_background
    return bool(covered) or needs_maps(recipe) or bool(getattr(_empty(recipe), "learns_from_maps", False))


def needs_maps(recipe: EmbedderRecipe) -> bool:
    """Whether part maps must come with every picture that the trained model embeds."""
    return bool(getattr(_empty(recipe), "needs_maps", False))


def _empty(recipe: EmbedderRecipe) -> nn.Module:
    """The network as it is built, without a single weight."""
    with torch.device("meta"):
        return _built(recipe, classes=1)


def _built(recipe: EmbedderRecipe, classes: int) -> nn.Module:
    return build_embedder(
        recipe.embedder,
        classes=classes,
        backbone=recipe.backbone,
        pooling=recipe.pooling,
        last_stride=recipe.last_stride,
        options=recipe.options,
    )


def backbones(network: nn.Module) -> list[FreezableBackbone]:
    """The backbone, and that of a second stream where there is one: both start and freeze alike."""
    found = [child for child in network.children() if isinstance(child, FreezableBackbone)]
    if not found:
        raise TypeError(f"{type(network).__name__} has no backbone that can be frozen")
    return found


def _start_parser(network: nn.Module, recipe: EmbedderRecipe) -> None:
    """Give the decoder of an embedder that also parses the weights of a trained `parser-lite`."""
    if not isinstance(network, OnePass):
        raise BadRecipe(f"`parser-weights` starts the parser of one-pass; `{recipe.embedder}` has none.")
    found = load_parser(recipe.parser_weights)
    if (found.settings.parser, found.settings.labels) != ("lite", "lip20"):
        seen = f"a {found.settings.parser} of {found.settings.labels}"
        raise BadWeights(f"{recipe.parser_weights} is {seen}; one-pass starts from a `lite` parser of `lip20`.")
    learned = found.network.get_submodule("head").state_dict()
    network.parser.load_state_dict({name: v for name, v in learned.items() if name.split(".")[0] not in TELLS})


def of_our_grey_levels(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of torchvision's ResNets and VGGs for pictures of -1..1 (`data.augment.normalise`).

    Theirs saw each channel less ImageNet's mean and divided by its spread. The first convolution takes the difference
    up; only at the borders, where both pad with zeros, does it remain.
    """
    plain = "features.0.bias" in weights  # a VGG: a bias, no batch norm
    kernel_of, shift_of = ("features.0.weight", "features.0.bias") if plain else ("conv1.weight", "bn1.running_mean")
    kernel = weights.get(kernel_of)
    if kernel is None or shift_of not in weights or not (plain or kernel.shape[2] == 7):  # Inception; a deep stem
        return weights
    mean, spread = (kernel.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_SPREAD))
    shift = (kernel * (PIXEL_MEAN / 255 - mean) / spread).sum((1, 2, 3))
    seen = weights[shift_of] + (shift if plain else -shift)
    return {**weights, kernel_of: kernel * (PIXEL_SPREAD / 255 / spread), shift_of: seen}


def ships(weights: str) -> bool:
    """Whether these are shipped weights, by name or by what the file holds."""
    if weights in ("imagenet", "none"):
        return False
    try:
        given = sha256(find_weights(weights))
    except (UnknownName, BadWeights):  # told when they are loaded
        return False
    return given in [sha256(find_weights(name)) for name in shipped_names()]


def load_backbone(backbone: nn.Module, name: str | Path) -> None:
    """Load a backbone from a file of a whole embedder, of a bare backbone, or of torchvision's network.

    A shipped model's name or a run folder stands for its weights file.
    """
    try:
        path = find_weights(name)
    except UnknownName as error:
        raise BadWeights(
            f"There is no weights file {name}. Pass `imagenet`, `none`, a shipped model's name, or a file that exists."
        ) from error
    try:
        state = (
            safetensors.torch.load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
        state = {name: value.float() for name, value in state.items()}
        inside = {
            name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")
        }
        heads = ("fc.", "classifier.", "AuxLogits.")
        bare = {name: value for name, value in state.items() if not name.startswith(heads)}
        backbone.load_state_dict(inside or of_our_grey_levels(bare))
    except (RuntimeError, safetensors.SafetensorError, pickle.UnpicklingError, AttributeError) as error:
        raise BadWeights(f"{path} does not hold weights of this backbone: {error}") from error
