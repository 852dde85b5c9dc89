"""The shipped recipes of embedders: each builds, and those that are compared share what must be equal."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from resight.config import load_toml, recipe_names
from resight.data.augment import Augmentation
from resight.data.augment_parts import Covering
from resight.errors import BadRecipe
from resight.model import build_embedder
from resight.train.recipe import (
    OF_THE_METHOD,
    EmbedderRecipe,
    MethodLosses,
    Stage,
    check_recipe,
    differences,
    recipe_hash,
)


def embedder_recipes() -> dict[str, EmbedderRecipe]:
    found = {}
    for name in recipe_names():
        try:
            found[name] = load_toml(EmbedderRecipe, name)
        except BadRecipe:  # a parser's recipe has other keys; tests of parsers load it
            continue
    return found


RECIPES = embedder_recipes()
METHODS = ("spreid", "maskreid", "mgcam", "spatial-attention", "two-stream", "visible-parts", "one-pass")


def test_every_method_has_a_recipe_of_its_name() -> None:
    assert set(METHODS) <= set(RECIPES)
    assert all(RECIPES[name].embedder == name for name in METHODS)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_its_network(name: str) -> None:
    recipe = RECIPES[name]
    build_embedder(
        recipe.embedder,
        classes=2,
        backbone=recipe.backbone,
        pooling=recipe.pooling,
        last_stride=recipe.last_stride,
        options=recipe.options,
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"learning_rate": 0.0}, "`learning-rate` is 0; it must be above 0"),
        ({"learning_rate": float("nan")}, "`learning-rate` is nan"),
        ({"stages": (Stage(epochs=0, height=64, width=32),)}, "`epochs of stage 1` is 0; it must be at least 1"),
        ({"stages": (Stage(epochs=1, height=-64, width=32),)}, "`height of stage 1` is -64"),
        ({"persons": 1}, "`persons` is 1; it must be at least 2"),
        ({"validation_persons": -1}, "`validation-persons` is -1"),
        ({"label_smoothing": 1.5}, "`label-smoothing` is 1.5; it must be from 0 to 1"),
        ({"part_share": -0.1}, "`part-share` is -0.1"),
        ({"covering": Covering(paste=3.0)}, "`covering.paste` is 3.0; it must be from 0 to 1"),
        ({"augmentation": Augmentation(erase_area=(0.5, 0.1))}, "the smaller number comes first"),
        ({"losses": MethodLosses(map_weight=-1.0)}, "`losses.map-weight` is -1.0; it must be at least 0"),
    ],
)
def test_numbers_that_make_no_training_are_refused_by_name(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRecipe, match=said):
        check_recipe(replace(EmbedderRecipe(), **wrong))


def test_the_contrasts_on_the_light_backbone_share_one_hash() -> None:
    alike = ("baseline-lite", "spreid", "spatial-attention", "two-stream")
    assert len({recipe_hash(RECIPES[name]) for name in alike}) == 1
    assert recipe_hash(RECIPES["visible-parts"]) == recipe_hash(RECIPES["baseline-pasted"])
    assert differences(RECIPES["visible-parts"], RECIPES["baseline-lite"]) == ["covering"]


def test_a_field_is_of_the_method_or_must_be_equal() -> None:
    assert set(OF_THE_METHOD) < {field.name for field in fields(EmbedderRecipe)}
