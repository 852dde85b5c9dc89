"""`resight recipes`: list the shipped recipes, or print one to start your own from."""

from __future__ import annotations

import re
import shutil
import textwrap
from dataclasses import dataclass
from itertools import takewhile

from resight.config import read_recipe, recipe_names


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipes:
    """List the recipes that come with resight; with a name, print that recipe as TOML.

    A recipe says everything about a training: network, losses, schedule, augmentation. Print one into a file, change
    it, and pass the file where a name is asked for.
    """

    name: str | None = None
    """A shipped recipe (or a TOML file) to print; all are listed when it is left out."""


def recipes(config: Recipes) -> int:
    """Print names with what their comment says first, or one recipe."""
    if config.name is not None:
        print(read_recipe(config.name), end="")
        return 0
    names = recipe_names()
    width = max(map(len, names), default=0) + 2
    across = max(shutil.get_terminal_size((120, 0)).columns, width + 40)
    for name in names:
        said = f"{name:<{width}}{summary(read_recipe(name))}"
        print(textwrap.fill(said, across, subsequent_indent=" " * width, break_on_hyphens=False))
    return 0


def summary(recipe: str) -> str:
    """The sentences that begin in the first line of a recipe's comment, in full; empty where there is no comment."""
    lines = [line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), recipe.lstrip().splitlines())]
    text = " ".join(lines)
    end = re.compile(r"\.(?=\s|$)").search(text, len(lines[0]) - 1 if lines else 0)
    return text[: end.end()] if end else text
