"""`resight evaluate`: how good a search is, with intervals, from features or from pictures."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from resight.commands.datasets import SetOptions
from resight.commands.evaluate_print import print_scores
from resight.commands.tables import gallery_words
from resight.data.images import real_file
from resight.errors import BadRecipe, DatasetNotFound
from resight.evaluate.open_set import OpenSet, evaluate_open_set
from resight.evaluate.protocols import ProtocolName, pool_queries, rules_of
from resight.evaluate.ranking import RankingScores, score_features
from resight.evaluate.score_file import intervals_of, write_scores
from resight.evaluate.statistics import check_chance
from resight.search.choosing import DistanceName, choose_distance
from resight.search.features import Features, load_features, side
from resight.types import Side

if TYPE_CHECKING:
    from resight.data.reid_sets import ReidSet
    from resight.model import Model

EXPECTED: Final = (
    "`resight evaluate` expects a features file (.npz), a data set (a folder or the word `sample`), "
    "or with --truth a folder of label maps"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluate(SetOptions):
    """Score a search: mAP by both definitions, mINP and CMC, each with its 95 % interval over persons.

    Equal distances score their expected value, and queries without a right answer are in no mean but counted. With a
    parser as --model, a parsing set's validation half is parsed and scored; with --truth, label maps that are there.
    """

    x: str
    """A features file (.npz), a data set's folder, or the word `sample`."""
    model: str | None = None
    """For a data set: a shipped name, a run folder or a weights file; left out, the default model."""
    parts: Path | None = None
    """For a data set: folder of part maps (`resight parts`), for a model that looks at them."""
    protocol: ProtocolName = "market"
    """Which gallery pictures count. market and cuhk03-np: not the query's person in its own camera. cuhk03: one drawn
    picture of each person. occluded: all. multi-query: as market, query pictures pooled by person and camera."""
    distance: DistanceName | None = None
    """What is compared: global, parts (those that both crops show) or both; left out, both where the file has parts."""
    part_share: float | None = None
    """For both: the part distance's share, 0..1; left out, what the file says, else 0.5."""
    json: Path | None = None
    """Write the scores file here, with each query's own scores for `resight compare`."""
    open_set: bool = False
    """Also measure what happens with strangers: thresholds, TAR at FAR, DIR at FAR, a calibrated probability."""
    false_match_rate: float = 0.001
    """For --open-set: the share of pairs of two persons that may pass as one, 0..1."""
    views: Path | None = None
    """A file of keypoints (keypoints14.npz): also score with only same-view or other-view true matches."""
    truth: Path | None = None
    """A folder of true label maps, to score the label maps of a parser in folder X, paired by name."""
    labels: str | None = None
    """For label maps: the set that is scored, a name or a TOML file; left out, lip20 with --truth, or the parser's."""
    truth_labels: str | None = None
    """For --truth: the label set of the true maps, or a regrouping in TOML; left out, the one that is scored."""
    map_labels: str | None = None
    """For --truth: the label set of the maps in X, regrouped after argmax; left out, the one that is scored."""
    input_size: tuple[str, ...] = ()
    """For a parser: height x width that pictures are brought to, such as 384x128; several give a table each."""
    flip: bool = False
    """For a parser: average with the mirrored picture."""
    scales: tuple[float, ...] = (1.0,)
    """For a parser: average over these multiples of the input size."""
    resamples: int = 2000
    """Bootstrap resamples behind each interval."""
    seed: int = 0
    """Seed of resamples, of the draws of cuhk03 and of the calibration's halves."""


def evaluate(config: Evaluate) -> int:
    """Print the scores and write the scores file."""
    check_chance(seed=config.seed, resamples=config.resamples)
    if not 0 < config.false_match_rate < 1:
        raise BadRecipe(f"--false-match-rate is {config.false_match_rate:g}; give a share between 0 and 1.")
    if config.truth is not None:
        return _maps(config, config.truth)
    if config.model is not None and Path(config.x).suffix != ".npz":
        from resight.parsing import is_parser

        if is_parser(config.model):
            return _parser(config, config.model)
    if config.input_size or config.flip or config.scales != (1.0,):
        raise BadRecipe("--input-size, --flip and --scales belong to a parser: pass its run or weights as --model.")
    features, notes = _features(config)
    features = choose_distance(features, config.distance, config.part_share)
    scores = score_features(features, protocol=config.protocol, rng=np.random.default_rng(config.seed))
    if scores.answered == 0:
        from resight.commands.embed import no_answers

        raise no_answers(scores.unanswerable, config.protocol)
    intervals = intervals_of(scores, rng=np.random.default_rng(config.seed), resamples=config.resamples)
    opened = _open_set(features, config) if config.open_set else None
    views = None
    if config.views is not None:
        from resight.commands import evaluate_views

        views = evaluate_views.measure_views(
            features, config.views, config.protocol, seed=config.seed, resamples=config.resamples
        )
    notes += _notes(features, scores, config)
    try:
        if config.json is not None:
            about = _about(config, features, opened, notes)
            about |= {} if views is None else evaluate_views.facts_of(*views)
            write_scores(config.json, scores, intervals, gallery=len(features.gallery.persons), about=about)
    finally:  # a full disk does not hide the scores, and a closed pipe does not lose the file
        print_scores(scores, intervals, opened, gallery_words(features.gallery), notes, views)
    return 0


def _maps(config: Evaluate, truth: Path) -> int:
    """Score label maps instead of a search."""
    from resight.commands.evaluate_maps import evaluate_maps

    folder = Path(config.x)
    for place in (folder, truth):
        if not place.is_dir():
            raise BadRecipe(f"{place} is no folder: {EXPECTED}.")
    return evaluate_maps(
        folder,
        truth,
        labels=config.labels or "lip20",
        truth_labels=config.truth_labels,
        map_labels=config.map_labels,
        out=config.json,
        resamples=config.resamples,
        seed=config.seed,
    )


def _parser(config: Evaluate, model: str) -> int:
    """Score a parser on the validation half of a parsing set instead of a search."""
    from resight.commands.evaluate_parser import evaluate_parser
    from resight.commands.parse import parse_size

    return evaluate_parser(
        Path(config.x),
        model,
        labels=config.labels,
        sizes=[parse_size(text) for text in config.input_size] or [None],
        flip=config.flip,
        scales=config.scales,
        out=config.json,
        resamples=config.resamples,
        seed=config.seed,
    )


def _features(config: Evaluate) -> tuple[Features, list[str]]:
    """Find out which of the three X is; a data set is embedded first."""
    path = Path(config.x)
    if path.suffix == ".npz":
        if config.model is not None or config.layout is not None or config.parts is not None:
            raise BadRecipe(
                f"{path} holds features already: leave --model, --parts and --layout out, or pass the data set."
            )
        return load_features(path), []
    if config.x != "sample" and not path.is_dir() and path.suffix.lower() != ".csv" and real_file(path) == path:
        seen = "is a file of another kind" if path.exists() else "does not exist"
        raise DatasetNotFound(f"{config.x} {seen}: {EXPECTED}.")
    return _embedded(config)


def _embedded(config: Evaluate) -> tuple[Features, list[str]]:
    from resight.commands.embed import embed_sides, open_model, sides_to_search

    try:
        reid_set = config.reid_set(config.x)
        query, gallery = sides_to_search(reid_set, config.protocol)
    except DatasetNotFound as error:
        raise DatasetNotFound(f"{error} ({EXPECTED}.)") from error
    model = open_model(config.model)
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


def _about(config: Evaluate, features: Features, opened: OpenSet | None, notes: list[str]) -> dict[str, object]:
    about: dict[str, object] = {
        "metric": features.metric,
        "part_share": features.part_share,
        "junk": int(features.gallery.junk.sum()),
        "source": config.x,
        "model": config.model,
        "resamples": config.resamples,
        "seed": config.seed,
        "notes": notes,
    }
    if opened is not None:
        about["open_set"] = dataclasses.asdict(opened)
    return about


def _notes(features: Features, scores: RankingScores, config: Evaluate) -> list[str]:
    notes = [f"protocol {config.protocol}: {rules_of(config.protocol).summary}"]
    if features.has_parts:
        notes.append(f"parts that both crops show are {features.part_share:.0%} of the distance")
    if rules_of(config.protocol).single_shot:
        notes.append("papers give no mAP for cuhk03: here it is the mean over the same draws")
    if rules_of(config.protocol).pooled:
        before, after = len(features.query.persons), len(scores.persons)
        if before > after:  # else there was one of each, or pictures of gt_bbox were pooled with them
            notes.append(f"{before} queries were pooled into {after}: one for each person and camera")
    if scores.unanswerable:
        notes.append(f"{scores.unanswerable} queries have no right answer: they are in no mean")
    return notes


def _open_set(features: Features, config: Evaluate) -> OpenSet:
    return evaluate_open_set(
        features,
        protocol=config.protocol,
        false_match_rate=config.false_match_rate,
        rng=np.random.default_rng(config.seed),
    )
