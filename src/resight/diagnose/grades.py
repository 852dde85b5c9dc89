"""Grade each cause: how many independent looks at it agree that it does harm.

Looks: the ledger's share (its model's interval excludes 0), the twins of queries, the twins of true matches, the
oracle that swaps pictures for clean twins, less its sham, and the dose curve at this set's own level. Grade A: a twin
comparison and two looks more, none against; B: a twin comparison and one look more; C: association only; no letter:
nothing found. Twin p-values of all causes are corrected together (Benjamini and Hochberg, 1995).
Proof: tests/diagnose/test_grades.py; benchmarks/diagnose_planted.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool

from resight.diagnose.causes import RATE, Split, false_discovery
from resight.diagnose.ledger import Ledger
from resight.diagnose.marks import Marks
from resight.diagnose.oracles import Oracle
from resight.diagnose.twins import Turns, Twins, match_twins, query_twins
from resight.evaluate.statistics import RESAMPLES

Grade = Literal["A", "B", "C", ""]
PROVEN: Final = ("A", "B")
GRADES: Final[dict[Grade, str]] = {
    "A": "three looks or more agree, one of them a twin comparison",
    "B": "a twin comparison and one look more agree",
    "C": "association only",
    "": "nothing found",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that is known about one cause; losses and differences in mAP or precision, 0..1."""

    cause: str
    in_queries: int
    in_gallery: int
    """Pictures that show it."""
    loss: float
    """The ledger's share, at all places together."""
    on_queries: Twins | None
    on_matches: Twins | None
    """None for causes of pairs and where the protocol forbids twins."""
    oracle: Oracle | None
    grade: Grade


def grade_causes(
    marks: Marks,
    split: Split,
    ledger: Ledger,
    turns: Turns | None,
    oracles: dict[str, Oracle],
    harmful_doses: frozenset[str] = frozenset(),
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[Verdict, ...]:
    """Look at every cause in each way that the search allows; what is proven (grade A or B) first, then by loss.

    `harmful_doses`: causes that, planted in clean pictures at this set's own level, harm for sure (`resight dose`).
    """
    losses = split.by_cause()
    twins: dict[str, tuple[Twins | None, Twins | None]] = {}
    for number, cause in enumerate(marks.causes):
        turned = None
        if turns is not None:
            turned = query_twins(turns, _shown(marks, turns, number), rng=rng, resamples=resamples)
        twins[cause] = turned, match_twins(ledger, marks.gallery[:, number], rng=rng, resamples=resamples)
    certain = _beyond_chance([one for pair in twins.values() for one in pair if one is not None])
    found = []
    for cause in dict.fromkeys((*marks.causes, *losses)):
        pair = twins.get(cause, (None, None))
        signs = [np.sign(one.difference) for one in pair if one is not None and id(one) in certain]
        oracle = oracles.get(cause)
        by_ledger = any(one.cause == cause and one.low > 0 for one in split.shares)
        looks = by_ledger + signs.count(-1) + (oracle is not None and oracle.low > 0) + (cause in harmful_doses)
        place = marks.causes.index(cause) if cause in marks.causes else None
        found.append(
            Verdict(
                cause=cause,
                in_queries=0 if place is None else int(marks.query[:, place].sum()),
                in_gallery=0 if place is None else int(marks.gallery[:, place].sum()),
                loss=losses.get(cause, 0.0),
                on_queries=pair[0],
                on_matches=pair[1],
                oracle=oracle,
                grade=_grade(looks, by_twins=-1 in signs, against=1 in signs),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.grade not in PROVEN, -one.loss)))


def _beyond_chance(twins: list[Twins]) -> set[int]:
    """Which comparisons (by identity) have intervals without 0 and pass the correction for how many there are."""
    passed = false_discovery(np.array([one.p_value for one in twins]), rate=RATE)
    return {id(one) for one, fine in zip(twins, passed, strict=True) if fine and one.sure}


def _grade(looks: int, *, by_twins: bool, against: bool) -> Grade:
    if looks == 0:
        return ""
    if not by_twins or against or looks < 2:
        return "C"
    return "A" if looks >= 3 else "B"


def _shown(marks: Marks, turns: Turns, place: int) -> Bool[np.ndarray, " N"]:
    gallery = turns.from_gallery
    shown = np.zeros(len(gallery), np.bool_)
    shown[gallery] = marks.gallery[turns.rows[gallery], place]
    shown[~gallery] = marks.query[turns.rows[~gallery], place]
    return shown
