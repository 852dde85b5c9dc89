"""What the page draws: scatters, dose curves over the set's own pictures, loss by camera; and the trust box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from resight.data.sampling import evenly
from resight.diagnose.conditions import Conditions
from resight.diagnose.findings import Findings
from resight.diagnose.signal_words import axis_of, plainest
from resight.diagnose.tables import read_table
from resight.errors import BadRecipe
from resight.report.diagnosis_facts import CameraLoss, DoseCurve, Look, Scatter
from resight.report.words import Both, say

MOST_DOTS: Final = 600
MOST_CAMERAS: Final = 16
"""With more cameras than this the table of pairs is left out."""


def trust(found: Findings) -> tuple[tuple[Both, Both | str], ...]:
    """How much there is to go on."""
    ledger = found.ledger
    gallery = ledger.features.gallery
    matches = np.bincount(ledger.match_query)
    matches = matches[matches > 0]
    junk = int(gallery.junk.sum())
    strangers = ~np.isin(gallery.persons, ledger.features.query.persons)
    span = {"low": matches.min(), "high": matches.max(), "mid": f"{np.median(matches):g}"}
    total = f"{len(gallery.persons) - junk:,}"
    twins = [v.on_queries.detectable for v in found.verdicts if v.on_queries is not None and v.on_queries.estimable]
    mask = "" if found.conditions is None else found.conditions.mask
    facts: list[tuple[Both, Both | str]] = [
        (say("queries"), f"{ledger.answered:,}"),
        (say("unanswerable"), f"{found.scores.unanswerable:,}"),
        (say("true_matches"), say("spread", **span)),
        (say("gallery"), say("junk", count=total, junk=f"{junk:,}") if junk else total),
        (say("distractors"), f"{int(strangers.sum()) - junk:,}"),
        (say("cameras"), f"{len(ledger.cameras):,}"),
        (say("suspect_pairs"), f"{found.suspect_pairs:,}"),
        (say("mask"), {"": say("mask_none"), "prior": say("mask_prior")}.get(mask, mask)),
        (say("power"), f"{min(twins) * 100:.1f}" if twins else say("not_estimable")),
    ]
    if found.shams:
        facts.append((say("cause_sham"), f"{found.sham_loss * 100:.1f}"))
    return tuple(facts)


def scatters(found: Findings) -> tuple[Scatter, ...]:
    """The plainest signal of each condition beside the AP of the queries, at most MOST_DOTS evenly over the set."""
    conditions = found.conditions
    if conditions is None:
        return ()
    ap, files = found.scores.ap, found.ledger.features.query.files
    drawn = []
    for name in conditions.thresholds.ramps:
        ramp = plainest(conditions.thresholds.spoken(name, conditions.signals))
        values = conditions.signals[ramp.signal][: len(ap)]
        rows = np.flatnonzero(np.isfinite(ap) & ~np.isnan(values))
        if len(rows) < 2:
            continue
        rows = rows[evenly(len(rows), MOST_DOTS)]
        right = tuple((found.scores.rank1[rows] >= 0.5).tolist())
        axis, times = axis_of(ramp.signal)
        names = tuple(str(one) for one in files[rows])
        drawn.append(Scatter(name, axis, ramp.present * times, values[rows] * times, ap[rows], right, names))
    return tuple(drawn)


def camera_loss(found: Findings, losses: Mapping[str, Float[np.ndarray, " Q"]]) -> CameraLoss | None:
    """Loss between cameras, and of each cause by the query's camera; None for one camera or too many."""
    ledger = found.ledger
    if not 2 <= len(ledger.cameras) <= MOST_CAMERAS:
        return None
    place = np.searchsorted(ledger.cameras, ledger.features.query.cameras)
    rows = [np.bincount(place, mine, minlength=len(ledger.cameras)) for mine in losses.values()]
    by_cause = np.stack(rows, axis=1) if rows else np.zeros((len(ledger.cameras), 0))
    return CameraLoss(tuple(map(str, ledger.cameras)), ledger.by_match_camera, tuple(losses), by_cause)


def dose_curves(path: Path, conditions: Conditions | None) -> tuple[DoseCurve, ...]:
    """Read what `resight dose` wrote, if it did; a curve a condition and setting."""
    if not path.is_file():
        return ()
    rows: dict[tuple[str, str], list[dict[str, str]]] = {}
    table = read_table(path)
    needed = ("condition", "setting", "unit", "level", "difference", "low", "high", "d50")
    missing = [name for name in needed if table and name not in table[0]]
    if missing:
        raise BadRecipe(f"{path} lacks the columns {', '.join(missing)}; write it anew with `resight dose`.")
    for row in table:
        rows.setdefault((row["condition"], row["setting"]), []).append(row)
    curves = []
    for (name, setting), some in rows.items():
        numbers = {key: tuple(float(row[key]) for row in some) for key in ("level", "difference", "low", "high")}
        levels = numbers.pop("level")
        cause = "occlusion" if name.startswith("occlusion") else name
        real = real_levels(cause, conditions)
        shares: tuple[float, ...] = ()
        if np.isfinite(real).any():
            nearest = np.abs(real[np.isfinite(real), None] - np.array(levels)).argmin(1)
            shares = tuple((np.bincount(nearest, minlength=len(levels)) / len(nearest)).tolist())
        half = float(some[0]["d50"] or "nan")
        label = name if setting == "query" else f"{name}, {setting}"
        model = some[0].get("model", "")
        own = _own_level(cause, real, conditions)
        curve = DoseCurve(
            label, cause, some[0]["unit"], levels, **numbers, half=half, real=shares, own=own, model=model
        )
        curves.append(curve)
    return tuple(curves)


def dose_look(cause: str, curves: Sequence[DoseCurve]) -> Look:
    """The curve at the level nearest to what the set's pictures that show the cause have; not known, its middle."""
    mine = [curve for curve in curves if curve.cause == cause]
    if not mine:
        return Look()
    curve = mine[0]
    at = len(curve.levels) // 2
    if np.isfinite(curve.own):
        at = max(1, int(np.abs(np.array(curve.levels) - curve.own).argmin()))
    note = say("dose_at", level=f"{curve.levels[at]:g}", unit=curve.unit)
    return Look(curve.difference[at], curve.low[at], curve.high[at], note)


def dose_signs(curves: Sequence[DoseCurve]) -> dict[str, int]:
    """What each cause does at this set's own level: 1 it harms for sure, -1 it helps for sure, 0 neither."""
    known = [curve for curve in curves if np.isfinite(curve.own)]
    looks = {curve.cause: dose_look(curve.cause, known) for curve in known}
    return {cause: int(look.high < 0) - int(look.low > 0) for cause, look in looks.items()}


def _own_level(cause: str, real: Float[np.ndarray, " N"], conditions: Conditions | None) -> float:
    """Median level of the pictures that show the cause; NaN where none does, or it is measured in another unit."""
    if conditions is None or len(real) == 0 or cause not in conditions.scores:
        return float("nan")
    mine = real[conditions.present(cause) & np.isfinite(real)]
    return float(np.median(mine)) if len(mine) else float("nan")


def real_levels(cause: str, conditions: Conditions | None) -> Float[np.ndarray, " N"]:
    """Where each of the set's pictures lies on a dose's axis (NaN: not measured); none in another unit.

    Light: stops below the set's median, from mean lightness; detail: native over effective height.
    """
    values = np.zeros(0)
    if conditions is None:
        return values
    signals = conditions.signals
    if cause == "low_light":
        light = ((signals["lum_mean"] + 16) / 116) ** 3
        values = np.log2(np.nanmedian(light) / light)
    elif cause == "low_res":
        values = signals["native_h"] / signals["eff_h"]
    elif cause == "occlusion":
        values = signals["hidden_frac"]
    return np.asarray(values)
