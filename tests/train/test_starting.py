"""What a training starts from: ImageNet, another run, a shipped model, a parser."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from resight.data.augment import normalise
from resight.errors import BadRecipe, BadWeights
from resight.model import build_embedder, save_model
from resight.nn.resnet import ResNet18
from resight.nn.vgg import VGG16
from resight.parsers.ce2p import IMAGENET_MEAN, IMAGENET_SPREAD
from resight.parsing import load_parser
from resight.train import embedder, starting
from resight.train.pictures import TrainingSet
from resight.train.recipe import EmbedderRecipe, recipe_hash
from resight.weight_files import find_weights
from small_parser import untrained

RECIPE = EmbedderRecipe(backbone_weights="none")


def saved(path: Path, name: str, **options: bool) -> torch.nn.Module:
    torch.manual_seed(5)
    network = build_embedder(
        name, classes=0, backbone="efficientnet-lite0", pooling="gem", last_stride=1, options=options
    )
    facts = {"embedder": name, "backbone": "efficientnet-lite0", "pooling": "gem", "last_stride": 1}
    from resight.model import ModelSettings

    save_model(path, network.state_dict(), ModelSettings(**facts, height=64, width=32, options=options))
    return network


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize(
    ("name", "options", "second"),
    [("two-stream", {}, "mask_backbone"), ("spreid", {"shared": False}, "part_backbone")],
)
def test_a_second_stream_starts_from_the_same_weights_and_freezes_alike(
    name: str, options: dict[str, bool], second: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    start = saved(path, "baseline")
    made = starting.new_network(replace(RECIPE, embedder=name, options=options, backbone_weights=str(path)), 3)
    assert same(made.backbone, start.backbone)
    assert same(made.get_submodule(second), start.backbone)
    assert starting.backbones(made) == [made.backbone, made.get_submodule(second)]


def test_only_the_backbone_is_taken_from_a_file_with_two_streams(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    start = saved(path, "two-stream")
    made = starting.new_network(replace(RECIPE, backbone_weights=str(path)), 3)
    assert same(made.backbone, start.backbone)


def test_one_pass_starts_from_a_trained_backbone_and_a_trained_parser(tmp_path: Path) -> None:
    parser = untrained(tmp_path / "parser.safetensors")
    recipe = replace(RECIPE, embedder="one-pass", backbone_weights="baseline-lite", parser_weights=str(parser))
    made = starting.new_network(recipe, 3)
    assert same(made.parser, load_parser(parser).network.head)
    assert recipe_hash(recipe) == recipe_hash(replace(recipe, parser_weights="none"))
    with pytest.raises(BadRecipe, match="`baseline` has none"):
        starting.new_network(replace(recipe, embedder="baseline"), 3)


def test_a_name_that_nothing_has_is_answered_with_what_may_stand_there() -> None:
    with pytest.raises(BadWeights, match="There is no weights file nowhere"):
        starting.new_network(replace(RECIPE, backbone_weights="nowhere"), 3)


def test_held_out_persons_are_not_scored_by_weights_that_know_them(tmp_path: Path) -> None:
    pictures, classes = np.zeros((16, 64, 32, 3), np.uint8), np.repeat(np.arange(8), 2)
    recipe = replace(RECIPE, backbone_weights="baseline-lite", validation_persons=2, persons=4, pictures=2)
    with pytest.raises(BadRecipe, match="learned from all training persons"):
        embedder.Run(tmp_path, recipe, TrainingSet(pictures, classes, "toy"), watch=lambda *_: None)
    copy = tmp_path / "m.safetensors"
    shutil.copy(find_weights("baseline-lite"), copy)
    with pytest.raises(BadRecipe, match="learned from all training persons"):
        embedder.Run(
            tmp_path,
            replace(recipe, backbone_weights=str(copy)),
            TrainingSet(pictures, classes, "toy"),
            watch=lambda *_: None,
        )
    run = tmp_path / "run"  # a folder of one's own, by its whole path, is no shipped model
    run.mkdir()
    saved(run / "model.safetensors", "baseline")
    embedder.Run(
        tmp_path / "next",
        replace(recipe, backbone_weights=str(run)),
        TrainingSet(pictures, classes, "toy"),
        watch=lambda *_: None,
    )


def test_torchvisions_first_convolutions_see_our_grey_levels_as_their_own() -> None:
    pictures = torch.randint(0, 256, (2, 40, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    theirs = pictures.permute(0, 3, 1, 2).float() / 255
    theirs = (theirs - theirs.new_tensor(IMAGENET_MEAN)[:, None, None]) / theirs.new_tensor(IMAGENET_SPREAD)[
        :, None, None
    ]
    torch.manual_seed(2)
    resnet, vgg = ResNet18().eval(), VGG16().eval()
    resnet.bn1.running_mean.normal_()
    for network, first in (
        (resnet, lambda x: resnet.bn1(resnet.conv1(x))),
        (vgg, lambda x: vgg.features[0](x)),
    ):
        wanted = first(theirs)
        network.load_state_dict(starting.of_our_grey_levels(network.state_dict()))
        inside = (..., slice(4, -4), slice(4, -4))
        assert torch.allclose(first(normalise(pictures))[inside], wanted[inside], atol=1e-4)
    deep = {"conv1.weight": torch.ones(64, 3, 3, 3), "bn1.running_mean": torch.zeros(64)}
    assert starting.of_our_grey_levels(deep) == deep
