"""The cause table of the page: every look at a cause side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from resight.diagnose.findings import Findings
from resight.diagnose.grades import Verdict, beyond_chance
from resight.diagnose.page_charts import dose_look
from resight.diagnose.twins import Twins
from resight.report.diagnosis_facts import NOTHING, CauseRow, DoseCurve, Look, Presence
from resight.report.words import say


def cause_rows(found: Findings, curves: Sequence[DoseCurve]) -> tuple[CauseRow, ...]:
    """One row a cause, what is proven first, then the random sham."""
    passed = _beyond_chance(found)
    rows = [_row(found, one, curves, passed.get(one.cause)) for one in found.verdicts]
    if found.shams:
        best = min((one.grade for one in found.shams if one.grade), default="")
        mine = [one.on_queries for one in found.shams]
        twins = mine[0]
        rows.append(
            CauseRow(
                cause="sham",
                loss=found.sham_loss,
                shown=_share(found, found.shams[0].in_queries),
                twins=_twins(twins),
                matches=_twins(found.shams[0].on_matches),
                detectable=NOTHING if twins is None else twins.detectable,
                dose=Look(),
                repair=Look(),
                grade=best,
                beyond_chance=None,
            )
        )
    return tuple(rows)


def presence(found: Findings) -> tuple[Presence, ...]:
    """For each measured condition: queries with it and without, and how many of each fail at rank 1."""
    if found.conditions is None:
        return ()
    answered = np.isfinite(found.scores.ap)
    wrong = answered & (found.scores.rank1 < 0.5)
    rows = []
    for name, scores in found.conditions.scores.items():
        mine = scores[: len(answered)]
        if np.isnan(mine).all():
            continue
        shown = found.conditions.present(name)[: len(answered)]
        some = [(answered & kind, wrong & kind) for kind in (shown, ~shown & ~np.isnan(mine))]
        rows.append(Presence(name, *(int(one.sum()) for pair in some for one in pair)))
    return tuple(rows)


def _row(found: Findings, one: Verdict, curves: Sequence[DoseCurve], passed: bool | None) -> CauseRow:
    of_pair = one.on_queries is None and one.on_matches is None
    oracle = one.oracle
    repair = Look()
    if oracle is not None and oracle.swapped:
        repair = Look(oracle.over_sham, oracle.low, oracle.high)
    elif of_pair:
        repair = Look(note=say("not_of_pairs"))
    twins = one.on_queries if one.on_queries is not None and one.on_queries.estimable else None
    return CauseRow(
        cause=one.cause,
        loss=one.loss,
        shown=Look(note=say("not_of_pairs")) if of_pair else _share(found, one.in_queries),
        twins=Look(note=say("not_of_pairs")) if of_pair else _twins(one.on_queries),
        matches=Look(note=say("not_of_pairs")) if of_pair else _twins(one.on_matches),
        detectable=NOTHING if twins is None else twins.detectable,
        dose=dose_look(one.cause, curves),
        repair=repair,
        grade=one.grade,
        beyond_chance=passed,
        regression=Look(note=say("not_of_pairs")) if of_pair else _slope(found, one.cause),
    )


def _slope(found: Findings, cause: str) -> Look:
    slope = None if found.regression is None else found.regression.slope(cause)
    return Look() if slope is None else Look(slope.effect, slope.low, slope.high)


def _share(found: Findings, count: int) -> Look:
    total = len(found.ledger.features.query.persons)
    return Look(count / max(total, 1), note=say("shown_of", count=count, all=total))


def _twins(twins: Twins | None) -> Look:
    if twins is None or not twins.estimable:
        return Look(note=say("not_estimable"))
    return Look(twins.difference, twins.low, twins.high)


def _beyond_chance(found: Findings) -> dict[str, bool]:
    """Causes one of whose twin comparisons passes the correction; those that could not be tested are left out."""
    tested = {
        one.cause: [twins for twins in (one.on_queries, one.on_matches) if twins is not None and twins.estimable]
        for one in found.verdicts
    }
    certain = beyond_chance([twins for pair in tested.values() for twins in pair])
    return {cause: any(id(twins) in certain for twins in pair) for cause, pair in tested.items() if pair}
