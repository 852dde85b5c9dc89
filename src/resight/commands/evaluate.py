"""`resight evaluate`: how good a search is, with intervals, from features or from pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from resight.commands.datasets import SET_OPTIONS, SetOptions
from resight.commands.embed import no_answers
from resight.commands.evaluate_print import print_scores
from resight.commands.evaluate_source import EXPECTED, features_of
from resight.commands.options import refuse
from resight.commands.tables import gallery_words
from resight.data.files import check_place
from resight.data.keypoints import read_keypoints
from resight.errors import BadRecipe
from resight.evaluate.open_set import OpenSet, evaluate_open_set
from resight.evaluate.protocols import ProtocolName, rules_of
from resight.evaluate.ranking import RankingScores, score_distances, score_features
from resight.evaluate.score_file import intervals_of, write_scores
from resight.evaluate.statistics import check_chance
from resight.search.choosing import DistanceName, check_share, choose_distance
from resight.search.features import Features
from resight.search.rerank import K1, K2, LAMBDA

OF_MAPS: Final = ("truth", "truth_labels", "map_labels")
OF_PARSERS: Final = ("input_size", "flip", "scales")
OF_SEARCHES: Final = (
    *("parts", "protocol", "distance", "part_share", "rerank", "open_set", "false_match_rate", "views"),
    *SET_OPTIONS,
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
    picture of each person. occluded: all, as where no camera is known. multi-query: as market, query pictures pooled
    by person and camera."""
    distance: DistanceName | None = None
    """What is compared: global, parts (those that both crops show) or both; left out, both where the file has parts."""
    part_share: float | None = None
    """For both: the part distance's share, 0..1; left out, what the file says, else 0.5."""
    rerank: bool = False
    """Score after re-ranking by k-reciprocal neighbours, with the numbers that `resight rerank` takes when left out."""
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
    if config.json is not None:
        check_place(config.json)
    if config.truth is not None:
        return _maps(config, config.truth)
    if config.model is not None and Path(config.x).suffix != ".npz":
        from resight.parsing import is_parser

        if is_parser(config.model):
            return _parser(config, config.model)
    _check_search(config)
    features, notes = features_of(config)
    features = choose_distance(features, config.distance, config.part_share)
    scores = _ranked(features, config)
    if scores.answered == 0:
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


def _check_search(config: Evaluate) -> None:
    """Raise, before the long work, for options that do not go together and for a keypoints file that is none."""
    why = "Here a search is scored, and neither a parser (its run or weights as --model) nor label maps (--truth)"
    refuse(config, (*OF_PARSERS, *OF_MAPS, "labels"), why)
    check_share(config.distance, config.part_share)
    rules = rules_of(config.protocol)
    if config.rerank:
        refuse(config, ("open_set", "views"), "--rerank changes the scores alone")
        if rules.single_shot or rules.pooled:
            raise BadRecipe(
                f"--rerank looks at all pictures as they are, and `{config.protocol}` draws or pools them: choose "
                "another --protocol."
            )
    if config.views is not None:
        read_keypoints(config.views)


def _ranked(features: Features, config: Evaluate) -> RankingScores:
    if not config.rerank:
        return score_features(features, protocol=config.protocol, rng=np.random.default_rng(config.seed))
    from resight.commands.rerank import reranked

    return score_distances(reranked(features), features.query, features.gallery, protocol=config.protocol)


def _maps(config: Evaluate, truth: Path) -> int:
    """Score label maps instead of a search."""
    from resight.commands.evaluate_maps import evaluate_maps

    refuse(config, ("model", *OF_PARSERS, *OF_SEARCHES), "--truth scores label maps")
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

    refuse(config, (*OF_MAPS, *OF_SEARCHES), f"{model} is a parser")
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
    if config.rerank:
        about["rerank"] = {"k1": K1, "k2": K2, "lambda": LAMBDA}
    if opened is not None:
        about["open_set"] = dataclasses.asdict(opened)
    return about


def _notes(features: Features, scores: RankingScores, config: Evaluate) -> list[str]:
    notes = [f"protocol {config.protocol}: {rules_of(config.protocol).summary}"]
    if features.has_parts:
        notes.append(f"parts that both crops show are {features.part_share:.0%} of the distance")
    if config.rerank:
        how = f"k1 {K1}, k2 {K2}, lambda {LAMBDA:g}"
        notes.append(f"re-ranked ({how}) over all queries at once: compare with re-ranked numbers alone")
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
