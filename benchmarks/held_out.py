"""What scorings on held-out training persons share: who they are, and that the model never learned from them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from resight.commands.embed import embed_sides
from resight.config import load_toml
from resight.data.reid_sets import find_set
from resight.search.features import Features
from resight.train.pictures import query_per_camera, split_persons
from resight.train.recipe import EmbedderRecipe

PERSONS: Final = 100


def refuse_learned(model: Path) -> None:
    """Stop unless a run and each that it started from held the validation persons out; shipped weights did not."""
    run, who = model, f"{model}"
    while True:
        file = run / "config.toml"
        recipe = load_toml(EmbedderRecipe, file) if file.is_file() else None
        if recipe is None or recipe.validation_persons < PERSONS:
            sys.exit(f"{who} learned from the {PERSONS} validation persons: train with --validation-persons {PERSONS}.")
        if recipe.backbone_weights in ("imagenet", "none"):
            return
        start = Path(recipe.backbone_weights)
        run, who = start if start.is_dir() else start.parent, f"{model} started from {start}, which"


def held_out_features(data: Path, model: Any, parts: Path | None = None) -> Features:
    """One query a camera of each validation person, and their other pictures as the gallery."""
    reid_set = find_set(data)
    _, held_out = split_persons(list(reid_set.crops("train")), PERSONS)
    return embed_sides(*query_per_camera(held_out), model, root=reid_set.root, parts=parts)
