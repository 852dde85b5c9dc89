"""The cause table of the page: every look at a cause side by side, and what this toolkit has against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from resight.diagnose.findings import Findings
from resight.diagnose.grades import Verdict, beyond_chance
from resight.diagnose.page_charts import dose_look
from resight.diagnose.remedies import PARTS, RERANK
from resight.diagnose.twins import Twins
from resight.report.diagnosis_facts import NOTHING, CauseRow, DoseCurve, Look, Presence
from resight.report.words import say

_TRAIN: Final = "resight train embedder --recipe {} --data {{}} --out runs/{}"
_RERANK: Final = ("remedy_rerank", "resight rerank features.npz")
_PARTS: Final = ("remedy_parts", _TRAIN.format("visible-parts", "visible-parts"))
_AUGMENT: Final = (
    "remedy_augment",
    _TRAIN.format("baseline-lite", "augmented") + " --set augmentation.light=0.4 augmentation.colour=0.2",
)
_COARSE: Final = ("remedy_coarse", _TRAIN.format("baseline-lite", "coarse") + " --set augmentation.coarse=0.3")
REMEDIES: Final[dict[str, tuple[str, str]]] = {  # cause -> (word, command)
    "similar_clothing": _RERANK,
    "changed_look": _RERANK,
    "similar_pose": _RERANK,
    "background_bias": ("remedy_mask", _TRAIN.format("maskreid", "maskreid")),
    "occlusion": _PARTS,
    "truncation": _PARTS,
    "multi_person": _PARTS,
    "pose_viewpoint": _PARTS,
    "low_light": _AUGMENT,
    "low_res": _COARSE,
    "motion_blur": _COARSE,
    "color_cast": _AUGMENT,
    "gallery_distractor": ("remedy_check", "resight data check {}"),
}
"""No gain is claimed here: it is what was measured on this search, or it is said not to have been."""
_MEASURED: Final = {"remedy_rerank": RERANK, "remedy_parts": PARTS}


def cause_rows(found: Findings, curves: Sequence[DoseCurve], *, dataset: str) -> tuple[CauseRow, ...]:
    """One row a cause, what is proven first, then the random sham; `dataset` stands in the commands of remedies."""
    dataset = "DATASET" if dataset.endswith(".npz") else dataset  # nothing can be trained on features
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
                matches=_twins(found.shams[0].on_matches),
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
        matches=Look(note=say("not_of_pairs")) if of_pair else _twins(one.on_matches),
        detectable=NOTHING if twins is None else twins.detectable,
        dose=dose_look(one.cause, curves),
        repair=repair,
        grade=one.grade,
        beyond_chance=passed,
        remedy=say(word),
        command=command.format(dataset),
        gain=_gain(found, one.cause, word),
        regression=Look(note=say("not_of_pairs")) if of_pair else _slope(found, one.cause),
    )


def _gain(found: Findings, cause: str, word: str) -> Look:
    """What the remedy won of this cause; a remedy that needs training by the best of the models given beside."""
    mine = {one.remedy: one for one in found.gains if one.cause == cause}
    own = mine.get(_MEASURED.get(word, ""))
    models = [one for name, one in mine.items() if name not in _MEASURED.values()]
    best = own or max(models, key=lambda one: one.gain, default=None)
    if best is None:
        return Look(note=say("gain_none"))
    return Look(best.gain, best.low, best.high, None if best is own else say("gain_of", name=best.remedy))


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
