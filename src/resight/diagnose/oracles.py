"""Oracles: take a cause away as far as the data allows, search again, and see what is won or lost.

Each picture that shows a condition gets the feature of its clean twin: the picture of the same person and camera that
shows no condition and lies nearest to the mean of those. A sham does the same to as many pictures without the cause
that show the same other conditions: what swapping, and what their going with it, changes.
Source: the idea of TIDE (Bolya et al., ECCV 2020), which re-scores without one kind of error at a time.
Differs: negative gains are kept, the gain over a sham is what counts, and removing causes one after the other ends at
the same score in every order, since a clean twin shows none of them.
Proof: tests/diagnose/test_oracles.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from resight.diagnose.marks import Marks
from resight.diagnose.twins import group_numbers
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import RankingScores, score_features
from resight.evaluate.statistics import RESAMPLES, bootstrap_over_persons
from resight.search.features import Features
from resight.search.rows import normalised


@dataclass(frozen=True, slots=True)
class Oracle:
    """What swapping a cause's pictures for clean twins wins, signed, in mAP 0..1."""

    gain: float
    over_sham: float
    """How much more swapping some of them wins than swapping as many others that are alike in everything else."""
    low: float
    high: float
    """95 % interval of `over_sham` over persons."""
    mean_inp: float
    rank1: float
    swapped: int
    """Pictures that got a clean twin."""
    without: int
    """Pictures that show the cause but have no clean twin."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of removing causes one after the other."""

    cause: str
    gain: float
    """mAP won by this step, signed."""
    mean_ap: float
    """After it."""


@dataclass(frozen=True, slots=True)
class CleanTwins:
    """For every picture the gallery row of its clean twin, -1 where there is none."""

    of_query: Int[np.ndarray, " Q"]
    of_gallery: Int[np.ndarray, " G"]


def clean_twins(features: Features, marks: Marks) -> CleanTwins:
    """Find the gallery picture of the same person and camera that shows no condition and is nearest to their mean."""
    query, gallery = features.query, features.gallery
    count = len(query.persons)
    persons = np.concatenate([query.persons, gallery.persons])
    group = group_numbers(persons, np.concatenate([query.cameras, gallery.cameras]))
    unread = np.zeros(len(gallery.persons), np.bool_) if marks.unread is None else marks.unread[1]
    clean = np.flatnonzero(~marks.gallery.any(1) & ~gallery.junk & ~unread)
    values = normalised(gallery)
    twin = np.full(int(group.max()) + 1, -1)
    order = clean[np.argsort(group[count:][clean], kind="stable")]
    numbers, starts = np.unique(group[count:][order], return_index=True)
    groups = np.split(order, starts[1:]) if len(order) else []
    for number, rows in zip(numbers, groups, strict=True):
        mean = values[rows].mean(0)
        twin[number] = rows[int((values[rows] @ mean).argmax())]
    of_gallery = twin[group[count:]]
    of_gallery[gallery.junk] = -1
    return CleanTwins(twin[group[:count]], of_gallery)


def swap_for_twins(
    features: Features, twins: CleanTwins, queries: Bool[np.ndarray, " Q"], pictures: Bool[np.ndarray, " G"]
) -> Features:
    """Give the chosen pictures the features of their clean twins, where they have one."""
    sides = []
    chosen = ((features.query, twins.of_query, queries), (features.gallery, twins.of_gallery, pictures))
    for side, twin, some in chosen:
        rows = np.flatnonzero(some & (twin >= 0))
        said = {}
        for name in ("features", "parts", "visible"):
            values, there = getattr(side, name), getattr(features.gallery, name)
            if values is not None and there is not None:
                said[name] = values.copy()
                said[name][rows] = there[twin[rows]]
        sides.append(replace(side, **said))
    return replace(features, query=sides[0], gallery=sides[1])


def remove_cause(
    features: Features,
    marks: Marks,
    cause: str,
    before: RankingScores,
    *,
    rng: np.random.Generator,
    twins: CleanTwins | None = None,
    resamples: int = RESAMPLES,
) -> Oracle:
    """Swap the pictures that show one cause, then compare with a sham on pictures that do not."""
    twins = twins or clean_twins(features, marks)
    place = marks.causes.index(cause)
    shown = marks.query[:, place], marks.gallery[:, place]
    own = twins.of_query, np.where(twins.of_gallery == np.arange(len(twins.of_gallery)), -1, twins.of_gallery)
    drawn = [_alike(side, place, twin >= 0, rng) for side, twin in zip((marks.query, marks.gallery), own, strict=True)]
    after = score_features(swap_for_twins(features, twins, *shown), protocol=before.protocol)
    some, sham = (
        score_features(swap_for_twins(features, twins, drawn[0][kind], drawn[1][kind]), protocol=before.protocol)
        for kind in (0, 1)
    )
    low, high = bootstrap_over_persons((some.ap - sham.ap)[:, None], before.persons, rng=rng, resamples=resamples)[0]
    pairs = zip(shown, own, strict=True)
    swapped, without = (sum(numbers) for numbers in zip(*(_counts(*pair) for pair in pairs), strict=True))
    return Oracle(
        gain=after.mean_ap - before.mean_ap,
        over_sham=some.mean_ap - sham.mean_ap,
        low=float(low),
        high=float(high),
        mean_inp=after.mean_inp - before.mean_inp,
        rank1=float(after.cmc[0] - before.cmc[0]),
        swapped=swapped,
        without=without,
    )


def remove_in_turn(
    features: Features, marks: Marks, order: Sequence[str], *, protocol: ProtocolName = "market"
) -> tuple[Step, ...]:
    """Remove causes one after the other, each on top of those before it."""
    twins = clean_twins(features, marks)
    score = score_features(features, protocol=protocol).mean_ap
    steps = []
    for number, cause in enumerate(order, start=1):
        places = [marks.causes.index(one) for one in order[:number]]
        queries, pictures = (np.asarray(shown[:, places].any(1)) for shown in (marks.query, marks.gallery))
        after = score_features(swap_for_twins(features, twins, queries, pictures), protocol=protocol).mean_ap
        steps.append(Step(cause, after - score, after))
        score = after
    return tuple(steps)


def _alike(
    shown: Bool[np.ndarray, "N K"], place: int, may: Bool[np.ndarray, " N"], rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """As many pictures with the condition as without, drawn among those that show the same other conditions."""
    others = np.delete(shown, place, axis=1)
    code = np.unique(others, axis=0, return_inverse=True)[1].reshape(-1) if others.shape[1] else np.zeros(len(shown))
    chosen = np.zeros((2, len(shown)), np.bool_)
    for number in np.unique(code):
        kinds = [rng.permutation(np.flatnonzero((code == number) & may & (shown[:, place] == kind))) for kind in (1, 0)]
        count = min(map(len, kinds))
        for kind in (0, 1):
            chosen[kind, kinds[kind][:count]] = True
    return chosen[0], chosen[1]


def _counts(shown: Bool[np.ndarray, " N"], twin: Int[np.ndarray, " N"]) -> tuple[int, int]:
    return int((shown & (twin >= 0)).sum()), int((shown & (twin < 0)).sum())
