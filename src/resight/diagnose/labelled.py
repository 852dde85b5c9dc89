"""Labels by eye, and how well measured signals agree with them.

Queries are drawn so that rare conditions occur: each belongs to the condition that it scores most unusually high on, or
to none, and every such group gives as many. The weight of a picture (group's size over how many were drawn) undoes this
in every number, so that AUC is that of the whole set. Whoever labels sees no outcome; `unsure` counts as neither.
AUC: Mann and Whitney, 1947, weighted; intervals draw persons; chance is the 95th percentile of the best of as many
signals when the same labels are dealt out at random.
Proof: tests/diagnose/test_labelled.py.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from resight.data.condition_names import CONDITIONS
from resight.data.files import write_text
from resight.errors import BadRecipe

LABELLED: Final = CONDITIONS
"""Conditions that are labelled; their keys are 1, 2 and so on."""
UNUSUAL: Final = 0.95
"""Quantile of a score from which a picture may belong to the condition's group."""
DRAWS: Final = 1000
FEWEST: Final = 5
"""Labelled pictures of each kind that an AUC needs."""
TAILS: Final = (0.025, 0.975)
COLUMNS: Final = ("file", "weight", "seen")

Answer = Literal["yes", "unsure", "no"]


@dataclass(frozen=True, slots=True)
class Labels:
    """N pictures; what was not looked at yet is not `seen`."""

    files: tuple[str, ...]
    weights: Float[np.ndarray, " N"]
    seen: Bool[np.ndarray, " N"]
    answers: dict[str, tuple[Answer, ...]]
    """By condition."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well one signal tells labelled pictures from the others; NaN where there are too few of either."""

    condition: str
    signal: str
    yes: int
    no: int
    auc: float
    low: float
    high: float
    """Ends of the 95 % interval over persons."""
    chance: float
    """AUC that this one signal reaches by chance one time in twenty."""
    best: str
    """The signal, of all tried, that tells best; chosen after the labels were seen."""
    best_auc: float
    best_chance: float
    """What the best of all signals reaches by chance one time in twenty."""


def draw_queries(
    scores: Mapping[str, Float[np.ndarray, " N"]], *, most: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Rows to label in random order, at most `most`, and their weights; each group gives as many as the others can."""
    if most < 1:
        raise BadRecipe(f"{most} pictures cannot be labelled; give a number from 1.")
    quantiles = [_quantiles(values) for values in scores.values()]
    count = len(next(iter(scores.values())))
    table = np.array(quantiles).reshape(-1, count)
    group = np.where(table.max(0, initial=0) >= UNUSUAL, table.argmax(0) + 1, 0) if len(table) else np.zeros(count)
    members = [rng.permutation(np.flatnonzero(group == number)) for number in np.unique(group)]
    taken = _fair([len(one) for one in members], most)
    rows = np.concatenate([one[:some] for one, some in zip(members, taken, strict=True)])
    weights = np.concatenate([np.full(some, len(one) / max(some, 1)) for one, some in zip(members, taken, strict=True)])
    order = rng.permutation(len(rows))
    return rows[order], weights[order]


def read_labels(path: Path) -> Labels:
    """Read a CSV of labels; raises BadRecipe, saying which line is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRecipe(f"{path} cannot be read ({error}); pass what `resight label` or its page saved.") from error
    conditions = [name for name in (rows[0] if rows else {}) if name in LABELLED]
    if not rows or not conditions or any(name not in rows[0] for name in COLUMNS):
        raise BadRecipe(f"{path} is no table of labels: it needs rows, {', '.join(COLUMNS)} and a condition's column.")
    weights = []
    for number, row in enumerate(rows, start=2):
        weight = _number(row["weight"])
        wrong = [name for name in conditions if row[name] not in ("yes", "unsure", "no", "")]
        if not weight > 0 or wrong:
            seen = f"{wrong[0]} is {row[wrong[0]]!r}, not yes, unsure, no or empty" if wrong else "weight is no number"
            raise BadRecipe(f"{path}, line {number}: {seen}. Mend the cell, or label the picture again.")
        weights.append(weight)
    return Labels(
        tuple(row["file"] for row in rows),
        np.array(weights),
        np.array([row["seen"] == "yes" for row in rows]),
        {name: tuple(cast("Answer", row[name] or "no") for row in rows) for name in conditions},
    )


def label_rows(labels: Labels) -> list[list[str]]:
    """Cells of the CSV below its header, which is COLUMNS and the conditions; empty where nobody has looked."""
    rows = zip(labels.files, labels.weights.tolist(), labels.seen.tolist(), strict=True)
    return [
        [file, repr(weight), "yes" if seen else "", *(said[row] if seen else "" for said in labels.answers.values())]
        for row, (file, weight, seen) in enumerate(rows)
    ]


def write_labels(path: Path, labels: Labels) -> None:
    """Write a CSV of labels."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[*COLUMNS, *labels.answers], *label_rows(labels)])
    write_text(path, text.getvalue())


def agreement(
    labels: Labels,
    scores: Mapping[str, Float[np.ndarray, " N"]],
    signals: Mapping[str, Float[np.ndarray, " N"]],
    persons: Shaped[np.ndarray, " N"],
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> tuple[Agreement, ...]:
    """Compare each condition's score, and all signals, with the labels of the same pictures."""
    found = []
    for condition, answers in labels.answers.items():
        words = np.array(answers)
        some = labels.seen & (words != "unsure")
        yes = words[some] == "yes"
        mine = {
            name: values[some]
            for name, values in ({condition: scores.get(condition)} | dict(signals)).items()
            if values is not None and not np.isnan(values[some]).any()
        }
        if min(yes.sum(), (~yes).sum()) < FEWEST or not mine:
            nothing = (np.nan,) * 4
            found.append(
                Agreement(condition, condition, int(yes.sum()), int((~yes).sum()), *nothing, "", np.nan, np.nan)
            )
            continue
        found.append(_agree(condition, yes, labels.weights[some], mine, persons[some], rng=rng, draws=draws))
    return tuple(found)


def weighted_auc(
    order: Float[np.ndarray, "N N"], yes: Float[np.ndarray, "R N"], no: Float[np.ndarray, "R N"]
) -> Float[np.ndarray, " R"]:
    """AUC for R weightings of both kinds of pictures; `order` is 1 where row beats column, 0.5 where equal."""
    total = yes.sum(1) * no.sum(1)
    return np.asarray(((yes @ order) * no).sum(1) / np.where(total > 0, total, np.nan))


def order_of(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N N"]:
    """Who beats whom."""
    return np.asarray((values[:, None] > values) + 0.5 * (values[:, None] == values))


def _agree(
    condition: str,
    yes: Bool[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"],
    signals: Mapping[str, Float[np.ndarray, " N"]],
    persons: Shaped[np.ndarray, " N"],
    *,
    rng: np.random.Generator,
    draws: int,
) -> Agreement:
    """One condition: the score's own AUC (one direction) and the best of all signals (either direction)."""
    dealt = np.stack([rng.permutation(yes) for _ in range(draws)])
    _, who = np.unique(persons, return_inverse=True)
    count = int(who.max()) + 1
    drawn = rng.integers(0, count, (draws, count)) + count * np.arange(draws)[:, None]
    times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)[:, who] * weights
    best, best_auc, best_by_chance = "", -1.0, np.zeros(draws)
    own = low = high = chance = np.nan
    for name, values in signals.items():
        order = order_of(values)
        value = float(weighted_auc(order, (weights * yes)[None], (weights * ~yes)[None])[0])
        random = weighted_auc(order, weights * dealt, weights * ~dealt)
        best_by_chance = np.maximum(best_by_chance, np.maximum(random, 1 - random))
        if max(value, 1 - value) > best_auc:
            best, best_auc = name, max(value, 1 - value)
        if name == condition:
            own, chance = value, float(np.quantile(random, 0.95))
            low, high = np.nanquantile(weighted_auc(order, times * yes, times * ~yes), TAILS).tolist()
    bar = float(np.quantile(best_by_chance, 0.95))
    return Agreement(
        condition, condition, int(yes.sum()), int((~yes).sum()), own, low, high, chance, best, best_auc, bar
    )


def _quantiles(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Share of the known values below each one, 0..1; 0 where it is not known."""
    known = np.flatnonzero(~np.isnan(values))
    found = np.zeros(len(values))
    found[known] = np.searchsorted(np.sort(values[known]), values[known], "left") / max(len(known), 1)
    return found


def _fair(sizes: Sequence[int], most: int) -> list[int]:
    """As many of each as the others, but no more than there are; small groups first."""
    taken = [0] * len(sizes)
    left = most
    for done, place in enumerate(sorted(range(len(sizes)), key=lambda one: sizes[one])):
        taken[place] = min(sizes[place], left // (len(sizes) - done))
        left -= taken[place]
    return taken


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
