"""`resight dose`: what darkness, lost detail, covers and the like cost a model, step by step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from resight.commands.datasets import SetOptions
from resight.commands.progress import bar
from resight.commands.tables import points
from resight.data.condition_names import CONDITIONS, condition_name
from resight.data.images import read_picture, resize
from resight.diagnose.conditions import FEWEST
from resight.diagnose.dose import COMPANY, COURSES, Curve, Setting, dose_curve, with_company
from resight.diagnose.tables import Table, check_table, write_table
from resight.errors import BadFeatures, BadRecipe, UnknownName
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.statistics import check_chance
from resight.types import Crop

if TYPE_CHECKING:
    from resight.model import Embedded, Model

BATCH = 64
LOOKED_AT = 3
"""Times as many queries are looked at as clean ones are asked for: most crops show nothing."""
CARRIED = "carried_object"
MOST_COMPANY, LEAST_PERSON = 60, 0.15
"""How many people are cut out to stand before others, and the least share of its crop that such a one covers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dose(SetOptions):
    """Spoil pictures of a data set level by level and score each level: a curve a condition, with intervals.

    Queries are drawn by --queries among those that show no condition by themselves, so that a level is the whole dose;
    those without a true match are in no score. Level 0 is the picture as it is.
    """

    dataset: str
    """A data set's folder or the word `sample`."""
    out: Path = Path("dose.csv")
    """The table to write."""
    model: str | None = None
    """A shipped name, a run folder or a weights file; left out, the default model."""
    parts: Path | None = None
    """Folder of part maps of the set (`resight parts`), for a model that looks at them."""
    parser: str | None = None
    """What says which queries are clean, cuts people out to stand before others, and with --parts made the maps; left
    out, parser-lite; `none`: no parser."""
    conditions: tuple[str, ...] = ("all",)
    """Conditions by name (`occlusion` is all its contents), or `all`; several people (`multi_person`) need a parser."""
    setting: Setting = "query"
    """What is spoilt: the queries, the gallery pictures of their persons, or both."""
    queries: int = 500
    """Queries, drawn at random; 0 takes all that are clean."""
    any_queries: bool = False
    """Draw among all queries, also those that are dark, hidden, coarse or the like by themselves."""
    protocol: ProtocolName = "market"
    """Which gallery pictures a query must ignore."""
    resamples: int = 2000
    """Bootstrap resamples behind each interval."""
    seed: int = 0
    """Seed of draws and resamples."""


def dose(config: Dose) -> int:
    """Write the table and print the curves."""
    from resight.commands.embed import embed_sides, open_model, sides_to_search
    from resight.model import DEFAULT_MODEL

    check_chance(seed=config.seed, resamples=config.resamples)
    names = asked_for(config.conditions)
    check_table(config.out)
    if config.queries < 0:
        raise BadRecipe(f"--queries is {config.queries}; give a number of queries, or 0 for all.")
    reid_set = config.reid_set(config.dataset)
    query, gallery = sides_to_search("dose", config, reid_set)
    model = open_model(config.model, parts=config.parts)
    if model.needs_maps and config.parts is None:
        raise BadFeatures(model.wants_maps)
    embed = _embedder(config, model)
    query = drawn_queries(config, query)
    features = embed_sides(query, gallery, model, root=reid_set.root, parts=config.parts)
    rows = np.flatnonzero(np.isin(features.gallery.persons, features.query.persons))
    asked = [read_picture(crop.path) for crop in query] if config.setting != "gallery" else []
    searched = [read_picture(gallery[row].path) for row in rows.tolist()] if config.setting != "query" else []
    courses = COURSES
    if COMPANY in names:
        company = cut_out_people(config, list(reid_set.crops("train")) or query)
        courses = with_company(company) if company else COURSES
        names = tuple(name for name in names if name in courses)
    curves = []
    with bar("levels", total=sum(len(courses[name].levels) - 1 for name in names)) as told:
        for name in names:
            curve = dose_curve(
                name,
                features,
                embed=embed,
                query=asked,
                gallery=searched,
                rows=rows,
                setting=config.setting,
                courses=courses,
                protocol=config.protocol,
                seed=config.seed,
                resamples=config.resamples,
                told=told,
            )
            curves.append((curve, courses[name].unit))
            _print(*curves[-1])
            write_table(config.out, _rows(curves, model=config.model or DEFAULT_MODEL))  # what is done stays
    print(f"{len(query):,} queries: {config.out.with_suffix('.csv')}")
    return 0


def asked_for(conditions: Sequence[str]) -> tuple[str, ...]:
    """Conditions by the names of their courses; `all` is every one, and `occlusion` whatever hides the person."""
    every = (*COURSES, COMPANY)
    found: dict[str, None] = {}
    for given in conditions:
        name = condition_name(given)
        mine = [one for one in every if name in ("all", one) or (name in CONDITIONS and one.startswith(f"{name}_"))]
        if not mine:
            raise UnknownName("condition", given, every)
        found |= dict.fromkeys(mine)
    return tuple(found)


def drawn_queries(config: Dose, query: Sequence[Crop]) -> list[Crop]:
    """As many queries as are asked for, in the set's order; where fewer are clean, those."""
    order = np.random.default_rng(config.seed).permutation(len(query))
    most = config.queries or len(query)
    if not config.any_queries:
        looked_at = order[: max(FEWEST, LOOKED_AT * most)]  # fewer have no usual silhouette and light
        clean = _clean(config, [query[row] for row in looked_at.tolist()])
        order = looked_at[clean]
        told = f"{clean.sum():,} of {len(looked_at):,} queries that were looked at show no condition by themselves"
        print(f"{told}; --any-queries draws among all.", file=sys.stderr)
        if not len(order):
            raise BadRecipe("Every query shows a condition by itself; --any-queries spoils them all the same.")
    return [query[row] for row in sorted(order[:most].tolist())]


def _clean(config: Dose, query: Sequence[Crop]) -> Bool[np.ndarray, " N"]:
    """Which queries show no condition; who carries something is as clean as who does not."""
    from resight.commands.conditions import conditions_of, open_parser
    from resight.diagnose.thresholds import read_thresholds

    paths = [crop.path for crop in query]
    names = [path.name for path in paths]
    parser = open_parser(config.parser)
    found = conditions_of(paths, names, parser, read_thresholds(), doing="looking for clean queries")
    shown = [found.present(name) for name in found.scores if name != CARRIED]
    return np.asarray(~np.any(shown, axis=0) & found.readable)


def _embedder(config: Dose, model: Model) -> Callable[[Sequence[NDArray[np.uint8]]], Embedded]:
    """Embed pictures of any size, a batch at a time; where part maps are needed, the pictures as they are are parsed.

    Raises BadLabels where the parser is not the one that made the maps in --parts.
    """
    from resight.model import join_embedded

    maps_of = None
    if model.needs_maps and config.parts is not None:
        from resight.commands.parts import parse_pictures

        maps_of = parse_pictures(config.parts, config.parser)
    high, wide = model.settings.height, model.settings.width

    def embed(pictures: Sequence[NDArray[np.uint8]]) -> Embedded:
        found = []
        for start in range(0, len(pictures), BATCH):
            some = pictures[start : start + BATCH]
            maps = None if maps_of is None else maps_of(some)
            found.append(model.describe([resize(one, high, wide) for one in some], maps))
        return join_embedded(found)

    return embed


def cut_out_people(config: Dose, crops: Sequence[Crop]) -> list[NDArray[np.uint8]]:
    """People of the set to put before others, colours and opacity, h w 4; none, and it is said, without a parser."""
    from resight.commands.conditions import open_parser

    parse = open_parser(config.parser)[0]
    if parse is None:
        print("resight: without a parser nobody can be cut out: several people are not tried.", file=sys.stderr)
        return []
    order = np.random.default_rng([config.seed, *b"company"]).permutation(len(crops))[:MOST_COMPANY]
    found = []
    for row in order.tolist():
        pixels = read_picture(crops[row].path)
        person = parse([pixels])[0].labels > 0
        if person.mean() >= LEAST_PERSON:
            found.append(np.dstack([pixels, person.astype(np.uint8) * 255]))
    return found


def _rows(curves: Sequence[tuple[Curve, str]], *, model: str) -> Table:
    points = [(curve, unit, point) for curve, unit in curves for point in curve.points]
    return {
        "condition": [curve.condition for curve, _, _ in points],
        "setting": [curve.setting for curve, _, _ in points],
        "unit": [unit for _, unit, _ in points],
        **{
            name: [getattr(point, name) for *_, point in points]
            for name in ("level", "mean_ap", "difference", "low", "high")
        },
        "d50": [curve.half for curve, _, _ in points],
        "model": [model for _ in points],
    }


def _print(curve: Curve, unit: str) -> None:
    print(f"{curve.condition} ({unit}), spoilt: {curve.setting}; mAP, and its change in points")
    for one in curve.points:
        change = f"{points(one.difference):>6}  {points(one.low)} … {points(one.high)}"
        print(f"  {one.level:>5g}  mAP {one.mean_ap:6.1%}  {change}")
    print(
        "  half of the mAP is never lost" if np.isnan(curve.half) else f"  half of the mAP is lost at {curve.half:.2g}"
    )
