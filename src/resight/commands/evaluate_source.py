"""Where `resight evaluate` has its features from: a features file, or a data set that is embedded first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from resight.commands.datasets import SET_OPTIONS
from resight.commands.options import refuse
from resight.data.images import real_file
from resight.data.reid_sets import plain_pictures
from resight.errors import DatasetNotFound
from resight.evaluate.protocols import pool_queries, rules_of
from resight.search.features import Features, load_features, side
from resight.types import Side

if TYPE_CHECKING:
    from resight.commands.evaluate import Evaluate
    from resight.data.reid_sets import ReidSet
    from resight.model import Model

EXPECTED: Final = (
    "`resight evaluate` expects a features file (.npz), a data set (a folder or the word `sample`), "
    "or with --truth a folder of label maps"
)


def features_of(config: Evaluate) -> tuple[Features, list[str]]:
    """Features of X, and what has to be said of them; a data set is embedded first."""
    path = Path(config.x)
    if path.suffix == ".npz":
        refuse(config, ("model", "parts", *SET_OPTIONS), f"{path} holds features already")
        return load_features(path), []
    if config.x != "sample" and not path.is_dir() and path.suffix.lower() != ".csv" and real_file(path) == path:
        seen = "is a file of another kind" if path.exists() else "does not exist"
        raise DatasetNotFound(f"{config.x} {seen}: {EXPECTED}.")
    return _embedded(config)


def _embedded(config: Evaluate) -> tuple[Features, list[str]]:
    from resight.commands.embed import embed_sides, open_model, sides_to_search

    try:
        reid_set = config.reid_set(config.x)
    except DatasetNotFound as error:
        if plain_pictures(config.x):
            raise DatasetNotFound(f"{error} Label maps are scored with `--truth MAPS`.") from error
        raise
    query, gallery = sides_to_search("evaluate", config, reid_set)
    model = open_model(config.model, parts=config.parts)
    features = embed_sides(query, gallery, model, root=reid_set.root, parts=config.parts)
    notes = list(reid_set.notes)
    if rules_of(config.protocol).pooled:
        more = _more_query_pictures(reid_set, features.query, model, config.parts)
        if more is not None:
            before = len(features.query.persons)
            features = pool_queries(features, more)
            notes.append(
                f"{before} queries and {len(more.persons)} pictures of gt_bbox were pooled into "
                f"{len(features.query.persons)}: one for each person and camera, by mean at length 1"
            )
    return features, notes


def _more_query_pictures(reid_set: ReidSet, query: Side, model: Model, parts: Path | None) -> Side | None:
    """Embed Market-1501's hand-drawn boxes of the queries' persons in the queries' cameras, if they were unpacked.

    Their part maps are those that `resight parts MARKET1501/gt_bbox` adds to the same folder.
    """
    from resight.commands.embed import part_maps
    from resight.commands.progress import bar

    wanted = {(str(person), str(camera)) for person, camera in zip(query.persons, query.cameras, strict=True)}
    found = []
    for path in sorted((reid_set.root / "gt_bbox").glob("*.jpg")):
        name = re.match(r"(\d+)_c(\d+)", path.name)
        if name and (str(int(name[1])), name[2]) in wanted:
            found.append((path, int(name[1]), int(name[2])))
    if not found:
        return None
    paths, persons, cameras = zip(*found, strict=True)
    maps = part_maps(parts, paths, reid_set.root / "gt_bbox", model)
    with bar("embedding gt_bbox", total=len(paths)) as told:
        rows = model.embed_files(paths, told=told, maps=maps)
    names = np.array([path.name for path in paths])
    return side(rows.features, np.array(persons), np.array(cameras), names, parts=rows.parts, visible=rows.visible)
