"""Recipes are listed with whole sentences, in lines that fit the screen."""

from __future__ import annotations

import pytest

from resight.cli import main
from resight.commands.recipes import summary
from resight.config import read_recipe, recipe_names


@pytest.mark.parametrize("columns", [80, 110])
def test_every_recipe_is_told_in_whole_sentences_within_the_screen(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    listed = " ".join(" ".join(lines).split())
    for name in recipe_names():
        recipe = read_recipe(name)
        words = summary(recipe)
        assert f"{name} {words}" in listed
        assert words.endswith(".")
        assert words.startswith(recipe.splitlines()[0].lstrip("# ").rstrip())


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("# One\n# two. Three\n# four.\nseed = 1\n", "One two."),
        ("# One. Two\n# three. Four.\n", "One. Two three."),
        ("# No full stop: 1.5\nseed = 1\n", "No full stop: 1.5"),
        ("seed = 1\n# late.\n", ""),
    ],
)
def test_the_sentences_that_begin_in_the_first_line_are_told(recipe, said):
    assert summary(recipe) == said
