"""Grade each cause: how many independent looks at it agree that it does harm.

Looks: the ledger's share (its model's interval excludes 0), the twins of queries, the twins of true matches, the
oracle that swaps pictures for clean twins, less its sham, and the dose curve at this set's own level. Grade A: every
look that could be taken agrees, three at least and a twin comparison among them; B: a twin comparison and one look more
agree and none says the opposite; C: association only; no letter: nothing found. Twin p-values of all causes are
corrected together (Benjamini and Hochberg, 1995).
Proof: tests/diagnose/test_grades.py; benchmarks/diagnose_planted.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
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
    "A": "every look agrees, three at least, one of them a twin comparison",
    "B": "a twin comparison and one look more agree, none says the opposite",
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
    doses: Mapping[str, int] = MappingProxyType({}),
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[Verdict, ...]:
    """Look at every cause in each way that the search allows; what is proven (grade A or B) first, then by loss.

    `doses`: what causes do, planted in clean pictures at this set's own level (`resight dose`): 1 they harm for sure,
    -1 they help for sure, 0 neither.
    """
    losses = split.by_cause()
    known_turns = known_pictures = None
    if marks.unread is not None:
        known_turns = None if turns is None else ~_by_turn(turns, *marks.unread)
        known_pictures = ~marks.unread[1]
    twins: dict[str, tuple[Twins | None, Twins | None]] = {}
    for number, cause in enumerate(marks.causes):
        turned = None
        if turns is not None:
            shown = _by_turn(turns, marks.query[:, number], marks.gallery[:, number])
            turned = query_twins(turns, shown, rng=rng, known=known_turns, resamples=resamples)
        matched = match_twins(ledger, marks.gallery[:, number], rng=rng, known=known_pictures, resamples=resamples)
        twins[cause] = turned, matched
    certain = beyond_chance([one for pair in twins.values() for one in pair if one is not None])
    found = []
    for cause in dict.fromkeys((*marks.causes, *losses)):
        pair = twins.get(cause, (None, None))
        by_twins = [
            -int(np.sign(one.difference)) if id(one) in certain else 0
            for one in pair
            if one is not None and one.estimable
        ]
        oracle = oracles.get(cause)
        looks = [int(any(one.cause == cause and one.low > 0 for one in split.shares)), *by_twins]
        if oracle is not None and oracle.swapped:
            looks.append(int(oracle.low > 0) - int(oracle.high < 0))
        looks += [doses[cause]] if cause in doses else []
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
                grade=_grade(looks, by_twins=1 in by_twins),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.grade not in PROVEN, -one.loss)))


def beyond_chance(twins: list[Twins]) -> set[int]:
    """Which comparisons (by identity) have intervals without 0 and pass the correction for how many there are."""
    passed = false_discovery(np.array([one.p_value for one in twins]), rate=RATE)
    return {id(one) for one, fine in zip(twins, passed, strict=True) if fine and one.sure}


def _grade(looks: Sequence[int], *, by_twins: bool) -> Grade:
    """1 is a look that finds harm for sure, -1 one that finds the opposite, 0 one that finds neither."""
    harm = looks.count(1)
    if harm == 0:
        return ""
    if not by_twins or -1 in looks or harm < 2:
        return "C"
    return "A" if harm >= 3 and harm == len(looks) else "B"


def _by_turn(
    turns: Turns, of_query: Bool[np.ndarray, " Q"], of_gallery: Bool[np.ndarray, " G"]
) -> Bool[np.ndarray, " N"]:
    """What is said of pictures, in the order of their turns as query."""
    gallery = turns.from_gallery
    found = np.zeros(len(gallery), np.bool_)
    found[gallery] = of_gallery[turns.rows[gallery]]
    found[~gallery] = of_query[turns.rows[~gallery]]
    return found
