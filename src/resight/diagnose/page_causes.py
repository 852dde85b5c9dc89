"""The cause table of the page: every look at a cause side by side, and what this toolkit has against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from resight.diagnose.causes import RATE, false_discovery
from resight.diagnose.findings import Findings
from resight.diagnose.grades import Verdict
from resight.diagnose.twins import Twins
from resight.report.diagnosis_facts import NOTHING, CauseRow, DoseCurve, Look, Presence
from resight.report.words import say

_TRAIN: Final = "resight train embedder --recipe {} --data {{}} --out runs/{}"
REMEDIES: Final[dict[str, tuple[str, str]]] = {  # cause -> (word, command)
    "similar_clothing": ("remedy_rerank", "resight rerank features.npz"),
    "changed_look": ("remedy_rerank", "resight rerank features.npz"),
    "background_bias": ("remedy_mask", _TRAIN.format("maskreid", "maskreid")),
    "occlusion": ("remedy_parts", _TRAIN.format("visible-parts", "visible-parts")),
    "truncation": ("remedy_parts", _TRAIN.format("visible-parts", "visible-parts")),
    "multi_person": ("remedy_parts", _TRAIN.format("visible-parts", "visible-parts")),
    "low_light": ("remedy_augment", _TRAIN.format("rendered-lite", "augmented")),
    "low_res": ("remedy_augment", _TRAIN.format("rendered-lite", "augmented")),
    "motion_blur": ("remedy_augment", _TRAIN.format("rendered-lite", "augmented")),
    "color_cast": ("remedy_augment", _TRAIN.format("rendered-lite", "augmented")),
    "gallery_distractor": ("remedy_check", "resight data check {}"),
}
"""No gain is claimed here: what was not measured on this search is said to be so."""


def cause_rows(found: Findings, curves: Sequence[DoseCurve], *, dataset: str) -> tuple[CauseRow, ...]:
    """One row a cause, largest loss first, then the random sham."""
    passed = _beyond_chance(found)
    rows = [_row(found, one, curves, passed.get(one.cause), dataset) for one in found.verdicts]
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
                detectable=NOTHING if twins is None else twins.detectable,
                dose=Look(),
                repair=Look(),
                grade=best,
                beyond_chance=None,
                remedy=say("remedy_none"),
                command="",
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


def _row(found: Findings, one: Verdict, curves: Sequence[DoseCurve], passed: bool | None, dataset: str) -> CauseRow:
    of_pair = one.on_queries is None and one.on_matches is None
    oracle = one.oracle
    repair = Look()
    if oracle is not None and oracle.swapped:
        repair = Look(oracle.over_sham, oracle.low, oracle.high)
    elif of_pair:
        repair = Look(note=say("not_of_pairs"))
    word, command = REMEDIES.get(one.cause, ("remedy_none", ""))
    twins = one.on_queries if one.on_queries is not None and one.on_queries.estimable else None
    return CauseRow(
        cause=one.cause,
        loss=one.loss,
        shown=Look(note=say("not_of_pairs")) if of_pair else _share(found, one.in_queries),
        twins=Look(note=say("not_of_pairs")) if of_pair else _twins(one.on_queries),
        detectable=NOTHING if twins is None else twins.detectable,
        dose=_dose(one.cause, curves),
        repair=repair,
        grade=one.grade,
        beyond_chance=passed,
        remedy=say(word),
        command=command.format(dataset),
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


def _dose(cause: str, curves: Sequence[DoseCurve]) -> Look:
    """The curve at the level that most spoilt pictures of the set are nearest to; without such, its middle level."""
    mine = [curve for curve in curves if curve.cause == cause]
    if not mine:
        return Look()
    curve = mine[0]
    real = curve.real[1:]
    at = 1 + int(np.argmax(real)) if sum(real) > 0 else len(curve.levels) // 2
    note = say("dose_at", level=f"{curve.levels[at]:g}", unit=curve.unit)
    return Look(curve.difference[at], curve.low[at], curve.high[at], note)


def _beyond_chance(found: Findings) -> dict[str, bool]:
    """Causes one of whose twin comparisons passes the correction; those that could not be tested are left out."""
    tested = [
        (one.cause, twins)
        for one in found.verdicts
        for twins in (one.on_queries, one.on_matches)
        if twins is not None and twins.estimable
    ]
    passed = false_discovery(np.array([twins.p_value for _, twins in tested]), rate=RATE)
    found_by: dict[str, bool] = {}
    for (cause, twins), fine in zip(tested, passed.tolist(), strict=True):
        found_by[cause] = found_by.get(cause, False) or (fine and twins.sure)
    return found_by
