"""What a remedy wins, cause by cause: the same search ranked in another way, and what each cause costs there.

The same causes are asked in both rankings, each with its own effects: a remedy that takes away a cause's harm wins what
the cause cost. Over all causes and the unexplained rest the gains sum to the gain in mAP, exactly.
Remedies that need nothing but the features: re-ranking by neighbours, and comparing the parts that both crops show
where a model tells parts. Any other model is one too, by its own features of the same pictures.
Proof: tests/diagnose/test_remedies.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from resight.diagnose.causes import Split, loss_by_query, split_loss
from resight.diagnose.marks import Cells, Marks, cells_of
from resight.errors import BadFeatures
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.statistics import RESAMPLES, bootstrap_over_persons
from resight.search.choosing import choose_distance
from resight.search.features import Features
from resight.search.rerank import K1, K2, LAMBDA, rerank_features

RERANK: Final = "rerank"
PARTS: Final = "parts"
ALL: Final = "all"
"""The row that sums a remedy's gains: its gain in mAP."""
MOST_PAIRS: Final = 1 << 28
"""Larger searches are not re-ranked here: their distances alone would take a GiB."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What a remedy wins of one cause's loss, in mAP 0..1, signed."""

    remedy: str
    """`rerank`, `parts`, or the name of another model's features."""
    cause: str
    """A cause, `unexplained`, or `all` of them together."""
    gain: float
    low: float
    high: float
    """95 % interval over persons; the causes' effects are held fixed."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The search that was diagnosed, as the remedies need it."""

    features: Features
    marks: Marks
    cells: Cells
    split: Split
    protocol: ProtocolName


def gains_at_hand(judged: Judged, *, seed: int, resamples: int = RESAMPLES) -> tuple[Gain, ...]:
    """Gains of what the features alone allow: parts where there are any, re-ranking unless the search is too large.

    Where the judged search compares parts already, their gain is over whole bodies alone.
    """
    features = judged.features
    found: tuple[Gain, ...] = ()
    if features.has_parts:
        already = features.part_share > 0
        other = _cells(judged, choose_distance(features, "global" if already else "both"))
        pair = (other, judged.cells) if already else (judged.cells, other)
        found += _gains(PARTS, judged, *pair, seed=seed, resamples=resamples)
    pairs = len(features.query.persons) * len(features.gallery.persons)
    if pairs <= MOST_PAIRS:
        distances = rerank_features(features, k1=K1, k2=K2, lambda_=LAMBDA)  # as `resight rerank` does
        after = _cells(judged, features, distances)
        found += _gains(RERANK, judged, judged.cells, after, seed=seed, resamples=resamples)
    return found


def gains_of_model(
    name: str, other: Features, judged: Judged, *, seed: int, resamples: int = RESAMPLES
) -> tuple[Gain, ...]:
    """Gains of another model's features; raises BadFeatures unless they are of the same pictures in the same order."""
    for side in ("query", "gallery"):
        mine, theirs = getattr(judged.features, side).files, getattr(other, side).files
        if mine.shape != theirs.shape or (mine.astype(str) != theirs.astype(str)).any():
            raise BadFeatures(
                f"{name}: its {side} pictures are not those of the judged search, or stand in another order; "
                "embed the same data set with both models."
            )
    return _gains(name, judged, judged.cells, _cells(judged, other), seed=seed, resamples=resamples)


def _cells(judged: Judged, features: Features, distances: NDArray[np.float32] | None = None) -> Cells:
    return cells_of(features, judged.marks, protocol=judged.protocol, distances=distances)


def _gains(remedy: str, judged: Judged, before: Cells, after: Cells, *, seed: int, resamples: int) -> tuple[Gain, ...]:
    persons = judged.features.query.persons
    blamed = np.array([one.blamed for one in judged.split.effects], np.bool_)
    losses = []
    for cells in (before, after):
        split = judged.split
        if cells is not judged.cells:
            split = split_loss(cells, rng=np.random.default_rng(seed), blamed=blamed)
        losses.append(loss_by_query(cells, split))
    causes = (*judged.split.by_cause(), *(one.cause for one in before.factors))  # who takes no loss has none to win
    names = [*dict.fromkeys(causes), "unexplained"]
    none = np.zeros(len(persons))
    won: Float[np.ndarray, "Q K"] = np.column_stack(
        [losses[0].get(name, none) - losses[1].get(name, none) for name in names]
    )
    won = np.column_stack([won, won.sum(1)]) * before.answered
    won[~before.asked] = np.nan
    ends = bootstrap_over_persons(won, persons, rng=np.random.default_rng(seed), resamples=resamples)
    means = np.nanmean(won, 0)
    rows = zip([*names, ALL], means.tolist(), ends.tolist(), strict=True)
    return tuple(Gain(remedy, name, mean, *pair) for name, mean, pair in rows)
