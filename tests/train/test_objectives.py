"""Every embedder of the table learns a step from its objective, alone and with the options that change its losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from resight.data.augment_parts import Covering, cut_outs
from resight.errors import BadRecipe
from resight.model import EMBEDDERS, build_embedder, load_model
from resight.train.embedder import Run
from resight.train.objectives import OBJECTIVES, losses_of
from resight.train.pictures import TrainingSet, Truth
from resight.train.recipe import EmbedderRecipe, MethodLosses, Stage, differences, recipe_hash
from resight.train.starting import new_network

BACKBONES = {"mgcam": "mscan", "maskreid": "dgd"}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in EMBEDDERS),
    ("spreid", {"foreground": False, "shared": False}),
    ("maskreid", {"fusion": False}),
    ("mgcam", {"inputs": "rgb", "attention": "none"}),
    ("mgcam", {"inputs": "masked-rgb", "attention": "none"}),
    ("mgcam", {"attention": "hard"}),
    ("mgcam", {"inputs": "rgb", "attention": "soft", "tied": True}),
    ("spatial-attention", {"stripes": 0, "sides": False, "backbone_attention": True}),
    ("spatial-attention", {"stripes": 0, "side_attention": False}),
    ("spatial-attention", {"backbone_attention": True, "matched": "pooled"}),
    ("spatial-attention", {"matched": "reduced"}),
]


def soft_maps(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    maps = rng.dirichlet(np.full(20, 0.2), (count, 16, 8)).astype(np.float32)
    return np.ascontiguousarray(maps.transpose(0, 3, 1, 2))


def truth(count: int = 4) -> Truth:
    maps = torch.from_numpy(soft_maps(count))
    others = torch.randint(0, 2, (count, 16, 8), dtype=torch.uint8)
    return Truth(torch.arange(count) // 2, maps, maps.mean((2, 3)), others)


def recipe_of(name: str, options: dict[str, Any]) -> EmbedderRecipe:
    return EmbedderRecipe(
        embedder=name,
        backbone=BACKBONES.get(name, "efficientnet-lite0"),
        backbone_weights="none",
        options=options,
        stages=(Stage(epochs=1, height=64, width=32),),
        persons=4,
        pictures=2,
        warmup_epochs=0.5,
    )


def network_of(recipe: EmbedderRecipe, classes: int = 2) -> torch.nn.Module:
    torch.manual_seed(0)  # of what a test draws after it
    return new_network(recipe, classes)


def test_every_embedder_has_an_objective() -> None:
    assert set(OBJECTIVES) == set(EMBEDDERS)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_every_parameter_learns_a_step_and_every_loss_is_finite(name: str, options: dict[str, Any]) -> None:
    """A parameter without a gradient would also stop training over several processes."""
    recipe = recipe_of(name, options)
    network = network_of(recipe).train()
    shown = truth()
    assert shown.maps is not None
    images = torch.randn(4, 3, 64, 32)
    found = network(images, shown.maps) if network.needs_maps else network(images)
    losses = losses_of(recipe, found, shown)
    assert all(torch.isfinite(value) for value in losses.values()), losses
    torch.stack(list(losses.values())).sum().backward()
    learns = {key for key, value in network.named_parameters() if value.requires_grad}
    moved = {key for key, value in network.named_parameters() if value.grad is not None}
    assert learns == moved
    assert all(torch.isfinite(value.grad).all() for value in network.parameters() if value.grad is not None)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_a_trained_embedder_comes_back_from_its_file_and_embeds_a_mirror_alike(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    from resight.model import ModelSettings, save_model

    recipe = recipe_of(name, options)
    settings = ModelSettings(
        embedder=name,
        backbone=recipe.backbone,
        pooling="gem",
        last_stride=1,
        height=64,
        width=32,
        options=options,
    )
    path = tmp_path / "m.safetensors"
    save_model(path, network_of(recipe, classes=5).state_dict(), settings)
    assert not any(key.startswith("classifier") for key in safetensors.torch.load_file(path))
    model = load_model(path)
    assert model.settings == settings
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 32, 3), dtype=np.uint8)
    maps = soft_maps(3)
    swap = [*range(14), 15, 14, 17, 16, 19, 18]
    found = model.describe(pictures, maps)
    mirrored = model.describe(pictures[:, :, ::-1].copy(), maps[:, swap, :, ::-1].copy())
    scale = np.abs(found.features).max()
    assert np.allclose(found.features, mirrored.features, atol=1e-4 * max(1, scale))
    if found.parts is not None and found.visible is not None:
        assert found.parts.shape[:2] == found.visible.shape == (3, 6)
        assert np.allclose(found.visible, mirrored.visible, atol=1e-4)
        assert np.allclose(found.parts, mirrored.parts, atol=1e-3)
        assert ((found.visible >= 0) & (found.visible <= 1)).all()


def toy_set(*, maps: bool, paste: bool = False) -> TrainingSet:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (32, 64, 32, 3), dtype=np.uint8)
    things = rng.integers(0, 256, (2, 20, 10, 4), dtype=np.uint8)
    return TrainingSet(
        pictures,
        np.repeat(np.arange(8), 4),
        "toy",
        maps=(soft_maps(32) * 255).round().astype(np.uint8) if maps else None,
        parser="toy parser" if maps else "",
        cutouts=cut_outs(list(things), list(things)) if paste else None,
    )


def silent(event: str, facts: dict[str, Any]) -> None:
    del event, facts


@pytest.mark.parametrize("name", ["spreid", "visible-parts", "one-pass"])
def test_a_run_with_part_maps_and_pasting_reaches_its_end_and_says_which_parser(name: str, tmp_path: Path) -> None:
    how = Covering(paste=0.8, erase_part=0.3, swap_background=0.3)
    recipe = replace(recipe_of(name, {}), covering=how)
    path = Run(tmp_path, recipe, toy_set(maps=True, paste=True), watch=silent).train()
    assert load_model(path).settings.parser == "toy parser"


def test_features_say_the_part_share_that_the_recipe_chose(tmp_path: Path) -> None:
    from resight.commands.embed import embed_sides
    from resight.types import Crop

    recipe = replace(recipe_of("visible-parts", {}), part_share=0.9)
    model = load_model(Run(tmp_path / "run", recipe, toy_set(maps=True), watch=silent).train())
    Image.fromarray(np.full((64, 32, 3), 90, np.uint8)).save(tmp_path / "a.png")
    crop = Crop(tmp_path / "a.png", 1, 1)
    assert embed_sides([crop], [crop], model).part_share == 0.9
    with pytest.raises(BadRecipe, match=r"`part-share` is 1\.5"):
        Run(tmp_path / "other", replace(recipe, part_share=1.5), toy_set(maps=True), watch=silent)


def test_missing_maps_and_missing_things_to_paste_are_refused_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="`visible-parts` learns from part maps"):
        Run(tmp_path / "a", recipe_of("visible-parts", {}), toy_set(maps=False), watch=silent)
    pasting = replace(recipe_of("baseline", {}), covering=Covering(paste=0.5))
    with pytest.raises(BadRecipe, match="pastes things before 50% of the pictures"):
        Run(tmp_path / "b", pasting, toy_set(maps=False), watch=silent)


def test_an_option_of_another_embedder_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadRecipe, match=r"no option `strips`\. Did you mean `stripes`"):
        build_embedder("spatial-attention", classes=2, options={"strips": 6})
    with pytest.raises(BadRecipe, match="no option `parser`"):
        build_embedder("one-pass", classes=2, options={"parser": "x"})


def test_rows_of_one_comparison_share_a_hash_and_others_say_in_what_they_differ() -> None:
    one = recipe_of("baseline", {})
    other = replace(
        one,
        embedder="spatial-attention",
        options={"stripes": 0},
        seed=3,
        part_share=0.9,
        losses=MethodLosses(side_weight=0.5),
    )
    assert recipe_hash(one) == recipe_hash(other)
    assert differences(one, other) == []
    longer = replace(other, persons=8, covering=Covering(paste=0.5))
    assert recipe_hash(longer) != recipe_hash(one)
    assert differences(one, longer) == ["persons", "covering"]


def test_rows_that_start_from_one_file_share_a_hash_wherever_it_lies(tmp_path: Path) -> None:
    for name, weights in (("a", b"same"), ("b", b"same"), ("c", b"others")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(weights)
    recipe = recipe_of("baseline", {})
    runs = [replace(recipe, backbone_weights=str(tmp_path / name)) for name in "abc"]
    file = replace(recipe, backbone_weights=str(tmp_path / "a" / "model.safetensors"))
    assert recipe_hash(runs[0]) == recipe_hash(runs[1]) == recipe_hash(file) != recipe_hash(runs[2])
    assert differences(runs[0], runs[2]) == ["backbone-weights"]
