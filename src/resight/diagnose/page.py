"""From findings to the facts of the page: sentence and bar, trust, causes, strips with their controls, suspects.

Proof: tests/commands/test_diagnose.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from resight.data.sampling import evenly
from resight.diagnose.causes import exposure_by_query, loss_by_query
from resight.diagnose.conditions import PRIOR, Conditions
from resight.diagnose.findings import Findings
from resight.diagnose.page_causes import cause_rows, presence
from resight.diagnose.page_charts import camera_loss, scatters, trust
from resight.diagnose.signal_words import part_of, plainest, signal_name, signal_value
from resight.diagnose.slices import query_properties, unexplained_slices
from resight.diagnose.thresholds import Ramp
from resight.report.diagnosis_facts import (
    Advice,
    DiagnosisInput,
    DoseCurve,
    Gallery,
    Segment,
    Shown,
    SliceRow,
    Suspected,
)
from resight.report.facts import Strip, Tile
from resight.report.strips import strips_of
from resight.report.words import Both, cause_name, joined, say

WORST: Final = 3
BESIDE: Final = 4
"""Strips of a cause on each side."""
FINE: Final = 0.9
"""AP from which a query counts as answered well."""
_SMALL: Final = 50
_HARDEST: Final = 300


def page_of(
    found: Findings,
    *,
    title: str,
    facts: Sequence[tuple[Both, Both | str]],
    notes: Sequence[Both],
    dose: str,
    curves: Sequence[DoseCurve],
    advice: Sequence[Advice],
    has_pictures: bool,
) -> DiagnosisInput:
    """Gather everything that the page says; strips only where there are pictures."""
    ledger, split = found.ledger, found.split
    features = ledger.features
    count = len(features.query.persons)
    losses = loss_by_query(found.cells, split)
    shares = [one for one in split.causes if one.loss > 0]
    named = [one.cause for one in shares]
    segments = [Segment(one.cause, one.loss, one.low, one.high) for one in (*shares, split.unexplained)]
    top = named[0] if named else ""
    matches = np.bincount(ledger.match_query, minlength=count)
    signals = {} if found.conditions is None else {n: v[:count] for n, v in found.conditions.signals.items()}
    answered = np.flatnonzero(np.isfinite(found.scores.ap))
    slices = unexplained_slices(
        losses["unexplained"][answered] * ledger.answered,
        features.query.persons[answered],
        {
            key: has[answered]
            for key, has in query_properties(features.query.cameras, matches.tolist(), signals).items()
        },
    )
    return DiagnosisInput(
        title=title,
        mean_ap=1 - ledger.loss,
        segments=tuple(segments),
        facts=(*trust(found), *facts),
        notes=(*_notes(found, has_pictures=has_pictures), *notes),
        causes=cause_rows(found, curves),
        advice=tuple(advice),
        presence=presence(found),
        top_cause=top,
        worst=_worst(found, losses, top) if has_pictures else (),
        galleries=_galleries(found, losses) if has_pictures else (),
        curves=tuple(curves),
        scatters=scatters(found),
        cameras=camera_loss(found, {cause: losses[cause] for cause in named}),
        suspects=_suspects(found, pictures=has_pictures),
        slices=tuple(_slice(one.kind, one.name, one.queries, one.mean, one.rest) for one in slices),
        method=_method(found),
        dose_command=dose,
        has_pictures=has_pictures,
    )


def _notes(found: Findings, *, has_pictures: bool) -> list[Both]:
    notes = []
    if not has_pictures:
        notes.append(say("no_pictures"))
    elif found.conditions is not None and found.conditions.mask == PRIOR:
        notes.append(say("no_parser"))
    if len(found.ledger.cameras) < 2:
        notes.append(say("one_camera"))
    if all(one.on_queries is None for one in found.verdicts) and found.conditions is not None:
        notes.append(say("no_twins"))
    if found.ledger.answered < _SMALL:
        notes.append(say("small", count=found.ledger.answered))
    if found.conditions is not None and not found.conditions.readable.all():
        notes.append(say("unreadable", count=int((~found.conditions.readable).sum())))
    return notes


def _worst(found: Findings, losses: dict[str, Float[np.ndarray, " Q"]], top: str) -> tuple[Shown, ...]:
    """Queries that lose most by the top cause; without one, the hardest."""
    if top:
        order = np.argsort(-losses[top], kind="stable")[:WORST]
        return _shown(found, order, losses[top])
    ap = found.scores.ap
    answered = np.flatnonzero(np.isfinite(ap))
    hard = answered[np.argsort(ap[answered], kind="stable")[:_HARDEST]]
    if len(hard) and ap[hard[0]] == 1:
        room = [_room(one) for one in strips_of(found.ledger.features, found.scores, hard)]
        hard = hard[np.argsort(room, kind="stable")]
    return _shown(found, hard[:WORST], np.zeros(len(ap)))


def _room(strip: Strip) -> float:
    """How much farther the nearest wrong picture is than the farthest true match, in distance."""
    wrong = [tile.distance for tile in strip.top if tile.right is False]
    return wrong[0] - strip.matches[0].distance if wrong else np.inf


def _galleries(found: Findings, losses: dict[str, Float[np.ndarray, " Q"]]) -> tuple[Gallery, ...]:
    count = len(found.ledger.features.query.persons)
    exposure = exposure_by_query(found.cells)
    ap = np.nan_to_num(found.scores.ap, nan=-1.0)
    galleries = []
    for verdict in found.verdicts:
        shown = exposure.get(verdict.cause, np.zeros(count))
        lost = losses.get(verdict.cause, np.zeros(count))
        losing = np.flatnonzero((lost > 0) if verdict.loss > 0 else (shown >= 1) & (ap >= 0) & (ap < 1))
        losing = losing[np.lexsort((ap[losing], -lost[losing]))][:BESIDE]
        fine = np.flatnonzero((shown > 0) & (ap >= FINE))
        fine = fine[np.lexsort((-ap[fine], -shown[fine]))][:BESIDE]
        if len(losing):
            galleries.append(Gallery(verdict.cause, _shown(found, losing, lost), _shown(found, fine, lost)))
    return tuple(galleries)


def _shown(found: Findings, queries: Int[np.ndarray, " N"], lost: Float[np.ndarray, " Q"]) -> tuple[Shown, ...]:
    strips = strips_of(found.ledger.features, found.scores, queries)
    rows = queries.tolist()
    return tuple(
        Shown(strip, float(lost[row]), _chips(found.conditions, row)) for strip, row in zip(strips, rows, strict=True)
    )


def _chips(conditions: Conditions | None, row: int) -> tuple[Both, ...]:
    """Conditions that a picture shows, with the measured value and how much of the set is beyond it."""
    if conditions is None:
        return ()
    chips = []
    for name in conditions.thresholds.ramps:
        if not conditions.scores[name][row] >= 0.5:
            continue
        ramp = plainest(conditions.thresholds.spoken(name, conditions.signals))
        values, more = conditions.signals[ramp.signal], ramp.spread > 0
        known = values[~np.isnan(values)]
        beyond = float(np.mean(known > values[row] if more else known < values[row]))
        said = {"signal": signal_name(ramp.signal), "value": signal_value(ramp.signal, float(values[row]))}
        kind = ("more" if more else "less") if beyond else ("most" if more else "least")
        chips.append(say(f"chip_{kind}", cause=cause_name(name), part=part_of(beyond), **said))
    return tuple(chips)


def _suspects(found: Findings, *, pictures: bool) -> tuple[Suspected, ...]:
    rows = []
    for one in found.suspects:
        first, second = (_of_person(found, person) if pictures else () for person in (one.first, one.second))
        names = str(one.first), str(one.second)
        rows.append(Suspected(*names, first, second, one.loss, one.mean_ap_if_merged))
    return tuple(rows)


def _of_person(found: Findings, person: object) -> tuple[Tile, ...]:
    gallery = found.ledger.features.gallery
    rows = np.flatnonzero(gallery.persons == person)
    some = rows[evenly(len(rows), 3)].tolist()
    return tuple(Tile(str(gallery.files[row]), str(person), str(gallery.cameras[row])) for row in some)


def _slice(kind: str, name: str, queries: int, mean: float, rest: float) -> SliceRow:
    words = signal_name(name) if kind in ("low", "high") else name
    return SliceRow(say(f"slice_{kind}", name=words), queries, mean, rest)


def _method(found: Findings) -> tuple[Both, ...]:
    said = [say("method_ledger"), say("method_share"), say("method_sham")]
    conditions, second = found.conditions, found.regression
    if second is not None:
        parts = sorted(second.shares.items(), key=lambda one: -one[1])
        shares = joined([say("method_part", cause=cause_name(name), part=f"{part:.0%}") for name, part in parts])
        told = {"queries": f"{second.queries:,}", "explained": f"{second.explained:.1%}", "shares": shares}
        said.append(say("method_regression", **told))
    if conditions is None:
        return tuple(said)
    for name in conditions.thresholds.ramps:
        ramps = [_threshold(one, conditions) for one in conditions.thresholds.spoken(name, conditions.signals)]
        said.append(say("method_threshold", cause=cause_name(name), signals=joined(ramps)))
    return tuple(said)


def _threshold(ramp: Ramp, conditions: Conditions) -> Both:
    """From which value on a signal speaks for its condition, and how much of the set lies there."""
    values, more = conditions.signals[ramp.signal], ramp.spread > 0
    known = values[~np.isnan(values)]
    said = {"signal": signal_name(ramp.signal), "value": signal_value(ramp.signal, ramp.present)}
    if len(known) == 0:
        return say(f"threshold_{'more' if more else 'less'}", part=say("not_measured"), **said)
    part = float(np.mean(known >= ramp.present if more else known <= ramp.present))
    return say(f"threshold_{'more' if more else 'less'}", part=say("of_set", part=part_of(part)), **said)
