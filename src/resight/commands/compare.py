"""`resight compare`: whether the second run is really better than the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from resight.commands.tables import plain_table
from resight.diagnose.tables import read_table
from resight.diagnose.thresholds import read_thresholds
from resight.errors import BadFeatures, BadRecipe
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import score_features
from resight.evaluate.score_file import QueryScores, query_scores, read_query_scores
from resight.evaluate.statistics import PairedDifference, check_chance, paired_difference
from resight.search.features import load_features

FINDINGS: Final = 1
COMPARED: Final = (("mAP", "ap"), ("Rank-1", "rank1"), ("mINP", "inp"))
CERTAIN: Final = 0.05
FEWEST_PERSONS: Final = 10
"""With fewer, the queries that show a condition say nothing of others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compare:
    """Compare two runs query by query: difference, 95 % interval and p-value of mAP, Rank-1 and mINP.

    Interval: paired bootstrap over persons. p-value: two-sided sign-flip test over persons. Neither knows what another
    training seed would change. Exit code 1 when the second run's mAP gain is below --at-least.
    """

    a: Path
    """First run: a features file, a scores file of `resight evaluate --json`, or a folder with one of the two."""
    b: Path
    """Second run, on the same queries and gallery."""
    protocol: ProtocolName = "market"
    """Which gallery pictures count, for features files."""
    at_least: float | None = None
    """The least gain in mAP of B over A that is fine, as a share: 0.01 is one point; 0 is `not worse`."""
    conditions: Path | None = None
    """Table of `resight conditions`, or a diagnosis's images.csv: also the difference by what queries show."""
    resamples: int = 2000
    """Bootstrap resamples behind each interval."""
    seed: int = 0
    """Seed of resamples and sign flips."""


def compare(config: Compare) -> int:
    """Print the table; 1 when the gain is below the bar."""
    check_chance(seed=config.seed, resamples=config.resamples)
    if config.at_least is not None and not -1 <= config.at_least <= 1:
        raise BadRecipe(f"--at-least is {config.at_least:g}; give a share between -1 and 1: 0.01 is one point of mAP.")
    first, second = (_scores_of(path, config) for path in (config.a, config.b))
    order = _same_queries(first, second, config)
    found: dict[str, PairedDifference] = {}
    for name, field in COMPARED:
        rng = np.random.default_rng(config.seed)
        values = getattr(first, field), getattr(second, field)[order]
        found[name] = paired_difference(*values, first.persons, rng=rng, resamples=config.resamples)
    both = ~(np.isnan(first.ap) | np.isnan(second.ap[order]))
    _print(config, found, {name: _means(first, second, field, order, both) for name, field in COMPARED})
    if first.reranked != second.reranked:
        print(f"{'A' if first.reranked else 'B'} alone is re-ranked: the difference is not the model's alone.")
    if config.conditions is not None:
        _print_by_condition(config, config.conditions, first, second.ap[order])
    if config.at_least is None:
        return 0
    gain = found["mAP"].difference
    fine = gain >= config.at_least
    side = "at least" if fine else "below"
    print(f"mAP gain {gain * 100:+.2f} is {side} the bar of {config.at_least * 100:+.2f} points.")
    return 0 if fine else FINDINGS


def _scores_of(path: Path, config: Compare) -> QueryScores:
    """Read or compute each query's scores."""
    expected = "pass a features file (.npz), a scores file (.json), or a folder with features.npz or scores.json"
    if path.is_dir():
        inside = [path / name for name in ("features.npz", "scores.json") if (path / name).is_file()]
        if not inside:
            raise BadFeatures(
                f"The folder {path} holds neither features.npz nor scores.json; write one with "
                f"`resight embed DATASET --model {path} --out {path / 'features.npz'}`."
            )
        path = inside[0]
    if not path.exists():
        raise BadFeatures(f"{path} does not exist; {expected}.")
    if path.suffix == ".json":
        scores = read_query_scores(path)
        if scores.protocol != config.protocol:
            raise BadRecipe(
                f"{path} was scored by the protocol `{scores.protocol}`, this comparison is by `{config.protocol}`; "
                f"pass `--protocol {scores.protocol}` or score it again."
            )
        return scores
    if path.suffix != ".npz":
        raise BadFeatures(f"{path} is a file of another kind; {expected}.")
    features = load_features(path)
    rng = np.random.default_rng(config.seed)
    ranked = score_features(features, protocol=config.protocol, rng=rng)
    return query_scores(ranked, gallery=len(features.gallery.persons))


def _same_queries(first: QueryScores, second: QueryScores, config: Compare) -> Int[np.ndarray, " Q"]:
    """Find for each query of the first run its place in the second; refuse what is no fair comparison."""
    names = [np.array([Path(file).name for file in run.files]) for run in (first, second)]
    if any(len(np.unique(one)) < len(one) for one in names):
        names = [run.files for run in (first, second)]
    if any(len(np.unique(one)) < len(one) for one in names):
        raise BadFeatures("Two queries have one file name, so the runs cannot be paired; give each query its own name.")
    only = [np.setdiff1d(names[0], names[1]), np.setdiff1d(names[1], names[0])]
    for mine, path in zip(only, (config.a, config.b), strict=True):
        if len(mine):
            raise BadFeatures(
                f"{len(mine)} of the queries are in {path} alone (the first is {mine[0]}): "
                "compare two runs on the same queries, with the same file names."
            )
    order = np.argsort(names[1])[np.searchsorted(np.sort(names[1]), names[0])]
    if [str(person) for person in first.persons] != [str(person) for person in second.persons[order]]:
        raise BadFeatures(f"{config.a} and {config.b} name other persons on the same queries; use one data set.")
    if first.gallery != second.gallery:
        raise BadFeatures(
            f"{config.a} searched {first.gallery:,} gallery pictures and {config.b} {second.gallery:,}, junk included: "
            "a larger gallery is harder, so this is no fair comparison."
        )
    return order


def _means(
    first: QueryScores, second: QueryScores, field: str, order: Int[np.ndarray, " Q"], both: Bool[np.ndarray, " Q"]
) -> tuple[float, float]:
    return float(getattr(first, field)[both].mean()), float(getattr(second, field)[order][both].mean())


def _print(config: Compare, found: dict[str, PairedDifference], means: dict[str, tuple[float, float]]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    table = plain_table("", "A", "B", "B - A", "95 % interval", "p", "", left=(0, 6))
    for name, result in found.items():
        table.add_row(
            name,
            *(f"{mean:.1%}" for mean in means[name]),
            f"{result.difference * 100:+.2f}",
            "not measured" if np.isnan(result.low) else f"{result.low * 100:+.2f} … {result.high * 100:+.2f}",
            f"{result.p_value:.4f}",
            _verdict(result),
        )
    one = found["mAP"]
    console.print(f"A {config.a}\nB {config.b}", markup=False)
    console.print(table)
    console.print(
        f"B - A in points. {one.queries:,} queries of {one.persons:,} persons; interval by paired bootstrap, p by sign "
        "flips, both over persons. What another training seed would change is in neither."
    )


def shown_conditions(path: Path, files: Sequence[str]) -> dict[str, Float[np.ndarray, " Q"]]:
    """Whether each query shows each condition of a table: 1, 0, or NaN where it is not measured.

    Raises BadRecipe for a table without conditions, BadFeatures where it lacks a query's row or it is not clear which.
    """
    mine = _rows_of(path, files)
    found = {}
    for name in read_thresholds().ramps:
        cells = [row.get(name) or "nan" for row in mine]
        try:
            scores = np.array(cells, np.float64)
        except ValueError as error:
            raise BadRecipe(f"{path} holds other words than numbers under `{name}` ({error}).") from error
        if np.isfinite(scores).any():
            found[name] = np.where(np.isnan(scores), np.nan, scores >= 0.5)
    if not found:
        raise BadRecipe(f"{path} has no column of a condition; pass what `resight conditions` or `diagnose` wrote.")
    return found


def _rows_of(path: Path, files: Sequence[str]) -> list[dict[str, str]]:
    """Each query's row: by its whole name, else by the name without folders where that is one row's and one query's."""
    table = read_table(path)
    whole = {row.get("file") or "": row for row in table}
    rows = Counter(Path(name).name for name in whole)
    queries = Counter(Path(file).name for file in files)
    by_name = {Path(name).name: row for name, row in whole.items()}
    missing = [file for file in files if file not in whole and Path(file).name not in by_name]
    if missing:
        raise BadFeatures(f"{path} says nothing of {len(missing)} of the queries (the first is {missing[0]}).")
    for file in files:
        name = Path(file).name
        if file not in whole and (rows[name] > 1 or queries[name] > 1):
            raise BadFeatures(
                f"{path} does not name {file}, and it has {rows[name]} rows for the {queries[name]} queries called "
                f"{name}: measure the folder that the queries' names start from, so that whole names agree."
            )
    return [whole[file] if file in whole else by_name[Path(file).name] for file in files]


def _print_by_condition(config: Compare, conditions: Path, first: QueryScores, second: Float[np.ndarray, " Q"]) -> None:
    """The difference in mAP among the queries that show a condition and among those that do not."""
    from rich.console import Console

    table = plain_table("queries that show", "with", "B - A", "95 %", "without", "B - A", "95 %", tight=True)
    answered = ~(np.isnan(first.ap) | np.isnan(second))
    for name, shown in shown_conditions(conditions, [str(file) for file in first.files]).items():
        cells: list[str] = []
        for kind in (1, 0):
            some = answered & (shown == kind)
            cells += [f"{some.sum():,}", *_difference(first, second, some, config)]
        table.add_row(name, *cells)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(
        "In points of mAP. Queries that show a condition may differ in more than that: what it costs is said by "
        "`resight diagnose`."
    )


def _difference(
    first: QueryScores, second: Float[np.ndarray, " Q"], some: Bool[np.ndarray, " Q"], config: Compare
) -> tuple[str, str]:
    if len(np.unique(first.persons[some])) < FEWEST_PERSONS:
        return "", "too few persons"
    rng = np.random.default_rng(config.seed)
    one = paired_difference(first.ap[some], second[some], first.persons[some], rng=rng, resamples=config.resamples)
    return f"{one.difference * 100:+.1f}", f"{one.low * 100:+.1f} … {one.high * 100:+.1f}"


def _verdict(result: PairedDifference) -> str:
    if result.p_value >= CERTAIN:
        return "undecided"
    return "B is better" if result.difference > 0 else "A is better"
