"""`resight recipes`: list the shipped recipes, or print one to start your own from."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Print names with their first comment line, or one recipe."""
    if config.name is not None:
        print(read_recipe(config.name), end="")
        return 0
    names = recipe_names()
    width = max(map(len, names), default=0) + 2
    for name in names:
        first = read_recipe(name).lstrip().splitlines()[0]
        print(f"{name:<{width}}{first.lstrip('# ') if first.startswith('#') else ''}".rstrip())
    return 0
