"""Tables of a diagnosis as CSV (and Parquet with the extra `tables`), and the record of how it was made.

queries, images, matches, triples, cameras, persons: the ledger; shares, effects: the model of causes; causes: verdicts;
steps: oracles in turn; regression: the second opinion; label_fixes: suspects with an empty column for a decision. What
is undefined is an empty cell.
Proof: tests/commands/test_diagnose.py.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from resight.data.files import check_place, write_beside, write_text
from resight.diagnose.causes import Share, Split
from resight.diagnose.conditions import Conditions
from resight.diagnose.grades import Verdict
from resight.diagnose.ledger import Ledger
from resight.diagnose.oracles import Step
from resight.diagnose.regression import Regression
from resight.diagnose.remedies import Gain
from resight.diagnose.splits import Suspects
from resight.diagnose.twins import Twins
from resight.errors import BadRecipe, MissingExtra

LOSS: Final = "loss_"
"""Before a cause's name: the column of each query's part of its loss."""
Table = Mapping[str, Sequence[Any] | np.ndarray]


def write_table(path: Path, table: Table, *, parquet: bool = False) -> None:
    """Write one table, column by column, as CSV and where asked as Parquet beside it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    columns = [one.tolist() if isinstance(one, np.ndarray) else list(one) for one in table.values()]
    writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
    write_text(path.with_suffix(".csv"), text.getvalue())
    if parquet:
        arrow, files = _arrow()
        with write_beside(path.with_suffix(".parquet")) as partial:
            files.write_table(arrow.table(dict(zip(table, columns, strict=True))), partial)


def check_table(path: Path, *, parquet: bool = False) -> None:
    """Raise CannotWrite or MissingExtra before long work where `write_table` would after it."""
    check_place(path.with_suffix(".csv"))
    if parquet:
        _arrow()


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("Parquet files need pyarrow", extra="tables") from error
    return pyarrow, parquet


def read_table(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV table of a diagnosis; raises BadRecipe where there is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise BadRecipe(
            f"{path} cannot be read ({error.strerror}); pass a folder that `resight diagnose --out` wrote."
        ) from error


def read_losses(path: Path) -> tuple[list[dict[str, str]], dict[str, np.ndarray]]:
    """Rows of a diagnosis's queries, and by cause each one's part of the loss, which sum to 1 - mAP."""
    rows = read_table(path)
    names = [name for name in (rows[0] if rows else {}) if name.startswith(LOSS)]
    if not names:
        raise BadRecipe(f"{path} does not say what each cause costs each query; diagnose again.")
    return rows, {name.removeprefix(LOSS): np.array([float(row[name]) for row in rows]) for name in names}


def ledger_tables(ledger: Ledger, ap: np.ndarray, by_cause: Mapping[str, np.ndarray]) -> dict[str, Table]:
    """Loss by query (and cause), picture, match, triple, camera pair and person; each sums to 1 - mAP."""
    query, gallery = ledger.features.query, ledger.features.gallery
    per_match = np.bincount(ledger.match_query, minlength=len(query.persons))
    as_match = np.bincount(ledger.match_row, ledger.by_match, minlength=len(gallery.persons))
    first, second = np.indices(ledger.by_wrong_camera.shape)
    heavy = ledger.heaviest
    return {
        "queries": {
            "file": query.files,
            "person": query.persons,
            "camera": query.cameras,
            "ap": ap,
            "true_matches": per_match,
            "loss": ledger.by_query,
            **{f"{LOSS}{cause}": losses for cause, losses in by_cause.items()},
        },
        "gallery": {
            "file": gallery.files,
            "person": gallery.persons,
            "camera": gallery.cameras,
            "loss_as_wrong": ledger.by_wrong,
            "loss_as_match": as_match,
        },
        "matches": {
            "query": query.files[ledger.match_query],
            "match": gallery.files[ledger.match_row],
            "loss": ledger.by_match,
        },
        "triples": {
            "query": [query.files[one.query] for one in heavy],
            "match": [gallery.files[one.match] for one in heavy],
            "wrong": [gallery.files[one.wrong] for one in heavy],
            "weight": [one.weight for one in heavy],
        },
        "cameras": {
            "query_camera": ledger.cameras[first.ravel()],
            "other_camera": ledger.cameras[second.ravel()],
            "loss_by_wrong": ledger.by_wrong_camera.ravel(),
            "loss_by_match": ledger.by_match_camera.ravel(),
        },
        "persons": {
            "person": ledger.persons,
            "loss_as_query": ledger.by_persons.sum(1),
            "loss_as_wrong": ledger.by_persons.sum(0),
        },
    }


def cause_tables(
    split: Split, verdicts: Iterable[Verdict], steps: Iterable[Step], regression: Regression | None = None
) -> dict[str, Table]:
    """Shares (which sum to 1 - mAP), effects of the model, verdicts, oracles in turn, and the second opinion."""
    shares = [*split.shares, split.unexplained]
    whole = {one.cause: one for one in split.causes}
    shown = [_verdict(one, whole.get(one.cause)) | _second_opinion(one.cause, regression) for one in verdicts]
    turns = list(steps)
    return {
        "shares": {
            "cause": [one.cause for one in shares],
            "where": [one.where or "" for one in shares],
            "loss": [one.loss for one in shares],
            "low": [one.low for one in shares],
            "high": [one.high for one in shares],
        },
        "effects": {
            "cause": [one.factor.cause for one in split.effects],
            "where": [one.factor.where for one in split.effects],
            "level": [math.nan if one.factor.level is None else one.factor.level for one in split.effects],
            "log_ratio": [one.log_ratio for one in split.effects],
            "error": [one.error for one in split.effects],
            "p_value": [one.p_value for one in split.effects],
            "blamed": [one.blamed for one in split.effects],
        },
        "causes": {name: [row[name] for row in shown] for name in (shown[0] if shown else ["cause"])},
        "steps": {
            "cause": [one.cause for one in turns],
            "gain": [one.gain for one in turns],
            "mean_ap": [one.mean_ap for one in turns],
        },
        "regression": _slopes(regression),
    }


def condition_table(conditions: Conditions) -> Table:
    """One row a picture: scores first, then every signal, then where the mask came from."""
    return {
        "file": conditions.files,
        **conditions.scores,
        **{(name if name not in conditions.scores else f"{name}_signal"): v for name, v in conditions.signals.items()},
        "mask": [conditions.mask if fine else "unreadable" for fine in conditions.readable.tolist()],
    }


def gains_table(gains: Sequence[Gain]) -> Table:
    """What each remedy wins of each cause's loss; `all` is its gain in mAP."""
    return {name: [getattr(one, name) for one in gains] for name in ("remedy", "cause", "gain", "low", "high")}


def suspects_table(suspects: Sequence[Suspects]) -> Table:
    """Candidates for one person under two numbers; `same` is for a person to fill in with yes or no."""
    names = ("first", "second", "first_ahead", "second_ahead", "nearness", "loss", "mean_ap_if_merged")
    return {**{name: [getattr(one, name) for one in suspects] for name in names}, "same": ["" for _ in suspects]}


def _slopes(regression: Regression | None) -> Table:
    """One row a cause and place; the share is the cause's, at both places together."""
    slopes = () if regression is None else regression.slopes
    shares = {} if regression is None else regression.shares
    names = ("cause", "where", "effect", "low", "high")
    return {name: [getattr(one, name) for one in slopes] for name in names} | {
        "share": [shares[one.cause] for one in slopes]
    }


def _second_opinion(cause: str, regression: Regression | None) -> dict[str, object]:
    slope = None if regression is None else regression.slope(cause)
    row: dict[str, object] = {
        f"regression_{name}": math.nan if slope is None else getattr(slope, name) for name in ("effect", "low", "high")
    }
    return row | {
        "regression_share": math.nan if regression is None else regression.shares.get(cause, math.nan),
    }


def _verdict(one: Verdict, share: Share | None) -> dict[str, object]:
    row: dict[str, object] = {"cause": one.cause, "in_queries": one.in_queries, "in_gallery": one.in_gallery}
    row["loss"] = one.loss
    row |= {f"loss_{end}": math.nan if share is None else getattr(share, end) for end in ("low", "high")}
    for name, twins in (("query", one.on_queries), ("match", one.on_matches)):
        row |= _twins(name, twins)
    oracle = one.oracle
    for field in ("gain", "over_sham", "low", "high", "swapped", "without"):
        row[f"oracle_{field}"] = math.nan if oracle is None else getattr(oracle, field)
    row["grade"] = one.grade
    return row


def _twins(name: str, twins: Twins | None) -> dict[str, object]:
    fields = ("difference", "low", "high", "p_value", "groups", "detectable")
    return {f"{name}_twin_{field}": math.nan if twins is None else getattr(twins, field) for field in fields}


def _cell(value: object) -> object:
    return "" if isinstance(value, float) and math.isnan(value) else value
