"""Compare pictures of one person in one camera, with a condition and without: what the condition costs, all else alike.

The observational estimate: identity, clothes, camera and the number of true matches are the same on both sides of each
comparison, so a data set or camera that is hard for other reasons cannot pass for a cause. Every gallery picture takes
its turn as query, since the queries of most sets are alone in their group; and each true match is compared with the
other true matches of the same query in its camera.
Intervals are bootstrapped over persons; p-values flip signs of persons (Smucker et al., CIKM 2007).
Proof: tests/diagnose/test_twins.py; benchmarks/diagnose_planted.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from resight.diagnose.ledger import Ledger
from resight.evaluate.protocols import ProtocolName, rules_of, same_camera
from resight.evaluate.ranking import score_features
from resight.evaluate.statistics import RESAMPLES, bootstrap_over_persons, sign_flip
from resight.search.features import Features

FEWEST_GROUPS: Final = 20
POWER: Final = 2.8
"""Standard errors that an effect needs to be found in 80 % of sets at 5 %: 1.96 + 0.84."""


@dataclass(frozen=True, slots=True)
class Twins:
    """With minus without a condition, mean over groups; NaN where there are too few groups to say."""

    difference: float
    low: float
    high: float
    p_value: float
    groups: int
    """Groups that hold pictures of both kinds."""
    persons: int
    detectable: float
    """Smallest difference that such a comparison would find four times in five; NaN where not estimable."""

    @property
    def estimable(self) -> bool:
        """Whether there are enough groups."""
        return self.groups >= FEWEST_GROUPS

    @property
    def sure(self) -> bool:
        """Whether the interval excludes 0."""
        return self.estimable and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Turns:
    """Every picture of a person whom the gallery shows, as query: N of them."""

    ap: Float[np.ndarray, " N"]
    persons: Shaped[np.ndarray, " N"]
    cameras: Shaped[np.ndarray, " N"]
    from_gallery: Bool[np.ndarray, " N"]
    rows: Int[np.ndarray, " N"]
    """Row in the query side or in the gallery."""


def every_turn(features: Features, *, protocol: ProtocolName = "market") -> Turns | None:
    """AP of each query and of each gallery picture as query; None under a protocol without a camera rule.

    Without that rule a gallery picture would find itself.
    """
    if rules_of(protocol).ignored is not same_camera:
        return None
    gallery = features.gallery
    asked = np.flatnonzero(~gallery.junk)
    asked = asked[np.isin(gallery.persons[asked], features.query.persons)]
    turn = gallery.take(asked)
    aps, parts = [], [(features.query, np.arange(len(features.query.persons)), False), (turn, asked, True)]
    for side, _, _ in parts:
        no_one = len(side.persons) == 0
        aps.append(np.zeros(0) if no_one else score_features(replace(features, query=side)).ap)
    ap = np.concatenate(aps)
    known = ~np.isnan(ap)
    return Turns(
        ap=ap[known],
        persons=np.concatenate([side.persons for side, _, _ in parts])[known],
        cameras=np.concatenate([side.cameras for side, _, _ in parts])[known],
        from_gallery=np.concatenate([np.full(len(rows), kind) for _, rows, kind in parts])[known],
        rows=np.concatenate([rows for _, rows, _ in parts])[known],
    )


def query_twins(
    turns: Turns,
    shown: Bool[np.ndarray, " N"],
    *,
    rng: np.random.Generator,
    known: Bool[np.ndarray, " N"] | None = None,
    resamples: int = RESAMPLES,
) -> Twins:
    """AP with the condition minus AP without, in groups of one person and camera; `known` leaves pictures out."""
    some = slice(None) if known is None else known
    groups = group_numbers(turns.persons[some], turns.cameras[some])
    return compare_twins(turns.ap[some], groups, shown[some], turns.persons[some], rng=rng, resamples=resamples)


def match_twins(
    ledger: Ledger,
    shown: Bool[np.ndarray, " G"],
    *,
    rng: np.random.Generator,
    known: Bool[np.ndarray, " G"] | None = None,
    resamples: int = RESAMPLES,
) -> Twins:
    """Precision at true matches with the condition minus without, for one query and camera; `known` as above."""
    query, gallery = ledger.features.query, ledger.features.gallery
    some = slice(None) if known is None else known[ledger.match_row]
    row, asked = ledger.match_row[some], ledger.match_query[some]
    groups, persons = group_numbers(asked, gallery.cameras[row]), query.persons[asked]
    return compare_twins(1 - ledger.match_loss[some], groups, shown[row], persons, rng=rng, resamples=resamples)


def group_numbers(*columns: Shaped[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Number the groups of rows that agree in every column."""
    codes: Sequence[Int[np.ndarray, " N"]] = [np.unique(one, return_inverse=True)[1] for one in columns]
    number = np.zeros(len(columns[0]), np.int64)
    for code in codes:
        number = number * (int(code.max(initial=0)) + 1) + code
    return np.unique(number, return_inverse=True)[1]


def compare_twins(
    values: Float[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"],
    shown: Bool[np.ndarray, " N"],
    persons: Shaped[np.ndarray, " N"],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Twins:
    """Mean over groups of (mean of the values with the condition) - (mean without); a group has one person."""
    size = int(groups.max(initial=-1)) + 1
    counts = np.stack([np.bincount(groups[kind], minlength=size) for kind in (~shown, shown)])
    both = np.flatnonzero((counts > 0).all(0))
    sums = np.stack([np.bincount(groups[kind], values[kind], minlength=size) for kind in (~shown, shown)])
    means = sums[:, both] / counts[:, both]
    gains = means[1] - means[0]
    _, first = np.unique(groups, return_index=True)
    who = persons[first[both]]
    people = len(np.unique(who))
    if len(both) < FEWEST_GROUPS or people < 2:
        return Twins(np.nan, np.nan, np.nan, np.nan, len(both), people, np.nan)
    low, high = (float(end) for end in bootstrap_over_persons(gains[:, None], who, rng=rng, resamples=resamples)[0])
    _, person = np.unique(who, return_inverse=True)
    p_value = sign_flip(np.bincount(person, gains), rng=rng)
    return Twins(float(gains.mean()), low, high, p_value, len(both), people, POWER * (high - low) / 3.92)
