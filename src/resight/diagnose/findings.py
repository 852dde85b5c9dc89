"""Everything that one diagnosis finds: the split of the loss, verdicts, oracles in turn, remedies, suspects, a sham.

The sham: conditions drawn at random go through a model of their own beside the real ones; what they take, and how they
would be graded, says how far the machine can be believed.
Proof: tests/commands/test_diagnose.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from resight.diagnose.causes import Split, split_loss
from resight.diagnose.conditions import Conditions
from resight.diagnose.grades import Verdict, grade_causes
from resight.diagnose.ledger import Ledger
from resight.diagnose.marks import Cells, Marks, cells_of
from resight.diagnose.oracles import Step, clean_twins, remove_cause, remove_in_turn
from resight.diagnose.regression import Regression, regress_conditions
from resight.diagnose.remedies import Gain, Judged, gains_at_hand, gains_of_model
from resight.diagnose.splits import Suspects, nominate
from resight.diagnose.stages import marks_of
from resight.diagnose.twins import Turns, every_turn
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import RankingScores, score_features
from resight.search.features import Features

SHAMS: Final = 2
SHAM_SHARE: Final = 0.1
"""Part of the pictures that shows each sham."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that one diagnosis found."""

    ledger: Ledger
    scores: RankingScores
    cells: Cells
    split: Split
    verdicts: tuple[Verdict, ...]
    steps: tuple[Step, ...]
    suspects: tuple[Suspects, ...]
    conditions: Conditions | None
    shams: tuple[Verdict, ...]
    """Random conditions, graded as if they were causes."""
    regression: Regression | None = None
    """The second opinion; None without pictures, or where it cannot be had."""
    gains: tuple[Gain, ...] = ()
    """What each remedy at hand wins of each cause's loss."""

    @property
    def sham_loss(self) -> float:
        """What all shams together take, in mAP 0..1."""
        return sum(one.loss for one in self.shams)

    @property
    def suspect_pairs(self) -> int:
        """Pairs of persons who beat each other's true matches, also those that are not listed."""
        return int(np.count_nonzero(np.triu(np.minimum(self.ledger.ahead, self.ledger.ahead.T), 1)))


def attribute(
    features: Features,
    ledger: Ledger,
    conditions: Conditions | None,
    *,
    protocol: ProtocolName,
    rng: np.random.Generator,
    resamples: int,
    watch: Callable[[int], AbstractContextManager[Callable[[int], None]]],
    doses: Mapping[str, int] = MappingProxyType({}),
    others: Mapping[str, Features] | None = None,
) -> Findings:
    """Look at every cause in every way; `watch(how many)` opens what is told of each oracle.

    `doses`: what dose curves of the same model say of causes at this set's own level (see `grade_causes`).
    `others`: features of the same pictures by other models, which are remedies too.
    """
    marks = marks_of(features, conditions, rng=rng)
    scores = score_features(features, protocol=protocol)
    cells = cells_of(features, marks, protocol=protocol)
    split = split_loss(cells, rng=rng)
    twins = clean_twins(features, marks)
    oracles = {}
    with watch(len(marks.causes)) as told:
        for cause in marks.causes:
            oracles[cause] = remove_cause(features, marks, cause, scores, rng=rng, twins=twins, resamples=resamples)
            told(1)
    turns = every_turn(features, protocol=protocol)
    verdicts = grade_causes(marks, split, ledger, turns, oracles, doses, rng=rng, resamples=resamples)
    worst = [one.cause for one in verdicts if one.cause in marks.causes][:3]
    steps = remove_in_turn(features, marks, worst, protocol=protocol)
    steps += remove_in_turn(features, marks, worst[::-1], protocol=protocol)
    shams = _shams(features, ledger, marks, turns, protocol=protocol, resamples=resamples) if conditions else ()
    suspects = nominate(ledger, protocol=protocol, most=10)
    regression = None
    if conditions is not None:
        own = np.random.default_rng([0, *b"regression"])
        regression = regress_conditions(ledger, scores.ap, conditions, rng=own, resamples=resamples)
    judged = Judged(features, marks, cells, split, protocol)
    gains = gains_at_hand(judged, seed=0, resamples=resamples)
    for name, other in (others or {}).items():
        gains += gains_of_model(name, other, judged, seed=0, resamples=resamples)
    return Findings(ledger, scores, cells, split, verdicts, steps, suspects, conditions, shams, regression, gains)


def _shams(
    features: Features, ledger: Ledger, marks: Marks, turns: Turns | None, *, protocol: ProtocolName, resamples: int
) -> tuple[Verdict, ...]:
    """Grade random conditions; their own draws, so that the rest does not depend on them."""
    rng = np.random.default_rng([0, *b"sham"])
    more = marks.with_shams(count=SHAMS, share=SHAM_SHARE, rng=rng)
    split = split_loss(cells_of(features, more, protocol=protocol), rng=rng)
    count = len(marks.causes)
    alone = Marks(more.causes[count:], more.query[:, count:], more.gallery[:, count:], unread=more.unread)
    shares, causes = (tuple(one for one in some if one.cause in alone.causes) for some in (split.shares, split.causes))
    mine = replace(split, shares=shares, causes=causes)
    return grade_causes(alone, mine, ledger, turns, {}, rng=rng, resamples=resamples)
