from __future__ import annotations

import pytest
import torch

from resight.config import load_toml
from resight.data.label_sets import find_labels
from resight.parsing import PARSERS, build_parser
from resight.train.parser_recipe import ParserRecipe

SAMPLES = {  # of the recipes' budgets and of the papers: pictures a batch, steps, height, width, labels
    "ce2p-384x128": (20, 230_000, 384, 128, "parts7"),
    "ce2p-473": (20, 230_000, 473, 473, "parts7"),
    "ce2p-512": (32, 120_000, 512, 512, "parts8"),
    "ce2p-authors": (40, 115_000, 473, 473, "lip20"),
    "ce2p-authors-384": (96, 47_597, 384, 384, "lip20"),
    "attention-ssl": (10, 152_310, 321, 321, "lip20"),
    "cocnn": (12, 228_465, 150, 100, "lip20"),
}
LIP_PICTURES = 30_462


@pytest.mark.parametrize("name", SAMPLES)
def test_recipes_hold_the_numbers_of_plan_and_papers(name: str) -> None:
    recipe = load_toml(ParserRecipe, name).check()
    assert (recipe.batch, recipe.steps, recipe.height, recipe.width, recipe.labels) == SAMPLES[name]
    assert recipe.parser in PARSERS
    assert recipe.optimiser == "sgd"
    assert recipe.average == 0
    with torch.device("meta"):
        build_parser(recipe.parser, classes=len(find_labels(recipe.labels).classes), backbone=recipe.backbone)


def test_the_plan_trained_with_random_scale_and_without_a_mirror() -> None:
    for name in ("ce2p-384x128", "ce2p-473", "ce2p-512"):
        recipe = load_toml(ParserRecipe, name)
        assert recipe.scale == (0.5, 1.6)
        assert recipe.mirror == 0


@pytest.mark.parametrize(("name", "epochs"), [("ce2p-384x128", 151), ("ce2p-512", 126), ("ce2p-authors", 151)])
def test_budgets_are_the_epochs_that_the_plan_and_the_authors_ran(name: str, epochs: int) -> None:
    recipe = load_toml(ParserRecipe, name)
    assert round(recipe.batch * recipe.steps / LIP_PICTURES) == epochs


@pytest.mark.parametrize(("name", "epochs"), [("ce2p-authors-384", 150), ("attention-ssl", 50), ("cocnn", 90)])
def test_epochs_of_the_papers_are_whole(name: str, epochs: int) -> None:
    recipe = load_toml(ParserRecipe, name)
    assert recipe.steps == round(epochs * LIP_PICTURES / recipe.batch)
