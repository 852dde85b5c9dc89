"""The scores file: what `resight evaluate --json` writes and `resight compare` reads again.

Keys: mean_ap (precision at hits), mean_ap_trapezoid, mean_inp, cmc (50 numbers, rank 1 first), answered, unanswerable,
and the 95 % intervals of all of them under ci95. Beside these: how it was scored, and each query's own scores, so that
two files can be compared pair by pair without their features. What is undefined is null.
Proof: tests/evaluate/test_score_file.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Shaped

from resight.data.files import write_json
from resight.errors import BadFeatures
from resight.evaluate.ranking import RankingScores
from resight.evaluate.statistics import RESAMPLES, bootstrap_over_persons

DEFINITIONS: Final = {
    "mean_ap": "precision at hits",
    "mean_ap_trapezoid": "trapezoid under precision and recall",
    "mean_inp": "right answers over the rank of the last one",
    "ties": "expected value over all orders of equal distances",
    "ci95": "percentile bootstrap over persons",
}
QUERY_SCORES: Final = ("ap", "ap_trapezoid", "inp", "rank1")


@dataclass(frozen=True, slots=True)
class Intervals:
    """Ends of the 95 % intervals, bootstrapped over persons."""

    mean_ap: tuple[float, float]
    mean_ap_trapezoid: tuple[float, float]
    mean_inp: tuple[float, float]
    rank1: tuple[float, float]
    cmc: Float[np.ndarray, "R 2"]


@dataclass(frozen=True, slots=True)
class QueryScores:
    """Each query's own scores; NaN where it has no right answer."""

    ap: Float[np.ndarray, " Q"]
    ap_trapezoid: Float[np.ndarray, " Q"]
    inp: Float[np.ndarray, " Q"]
    rank1: Float[np.ndarray, " Q"]
    persons: Shaped[np.ndarray, " Q"]
    files: Shaped[np.ndarray, " Q"]
    protocol: str
    gallery: int
    """Pictures that were searched, junk included; 0 when not known."""
    reranked: bool = False
    """Whether distances were re-ranked, which looks at all queries at once."""


def intervals_of(scores: RankingScores, *, rng: np.random.Generator, resamples: int = RESAMPLES) -> Intervals:
    """Bootstrap every score of one run over its persons."""
    values = np.column_stack([scores.ap, scores.ap_trapezoid, scores.inp, scores.first_hit])
    ends = bootstrap_over_persons(values, scores.persons, rng=rng, resamples=resamples)
    ap, trapezoid, inp, rank1 = ((float(low), float(high)) for low, high in ends[:4])
    return Intervals(ap, trapezoid, inp, rank1, ends[3:])


def query_scores(scores: RankingScores, *, gallery: int) -> QueryScores:
    """Keep what a comparison needs."""
    return QueryScores(
        scores.ap,
        scores.ap_trapezoid,
        scores.inp,
        scores.rank1,
        scores.persons,
        scores.files,
        scores.protocol,
        gallery,
    )


def write_scores(
    path: Path, scores: RankingScores, intervals: Intervals, *, gallery: int, about: Mapping[str, object]
) -> None:
    """Write the scores file; `about` adds keys such as the metric, the seed and notes."""
    one = query_scores(scores, gallery=gallery)
    content = {
        **{name: getattr(scores, name) for name in ("mean_ap", "mean_ap_trapezoid", "mean_inp", "cmc")},
        "answered": scores.answered,
        "unanswerable": scores.unanswerable,
        "ci95": asdict(intervals),
        "protocol": scores.protocol,
        "gallery": gallery,
        "definitions": DEFINITIONS,
        **about,
        "queries": {name: getattr(one, name) for name in ("files", "persons", *QUERY_SCORES)},
    }
    write_json(path, content)


def read_query_scores(path: Path) -> QueryScores:
    """Read the per-query scores of a scores file; raises BadFeatures for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        queries = content["queries"]
        ap, trapezoid, inp, rank1 = (np.array([_number(one) for one in queries[name]]) for name in QUERY_SCORES)
        persons, files = np.array(queries["persons"]), np.array(queries["files"], dtype=np.str_)
        if not len(persons) == len(files) == len(ap) == len(trapezoid) == len(inp) == len(rank1) > 0:
            raise ValueError("unequal lengths")
        protocol, gallery = str(content["protocol"]), int(content["gallery"])
        return QueryScores(ap, trapezoid, inp, rank1, persons, files, protocol, gallery, "rerank" in content)
    except OSError as error:
        raise BadFeatures(f"{path} cannot be read: {error.strerror}; check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = "has no " + str(error) if isinstance(error, KeyError) else "does not hold scores of single queries"
        raise BadFeatures(f"{path} {reason}; write it with `resight evaluate X --json {path.name}`.") from error


def _number(value: float | int | None) -> float:
    return math.nan if value is None else float(value)
