"""The shipped recipes of embedders: each builds, and those that are compared share what must be equal."""

from __future__ import annotations

from dataclasses import fields

import pytest

from resight.config import load_toml, recipe_names
from resight.errors import BadRecipe
from resight.model import build_embedder
from resight.train.recipe import OF_THE_METHOD, EmbedderRecipe, differences, recipe_hash


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


def test_the_contrasts_on_the_light_backbone_share_one_hash() -> None:
    alike = ("baseline-lite", "spreid", "spatial-attention", "two-stream")
    assert len({recipe_hash(RECIPES[name]) for name in alike}) == 1
    assert recipe_hash(RECIPES["visible-parts"]) == recipe_hash(RECIPES["baseline-pasted"])
    assert differences(RECIPES["visible-parts"], RECIPES["baseline-lite"]) == ["covering"]


def test_a_field_is_of_the_method_or_must_be_equal() -> None:
    assert set(OF_THE_METHOD) < {field.name for field in fields(EmbedderRecipe)}
