"""Whether a diagnosis finds what was planted in pictures: from pixels, by the signals, with the default model.

    resight people --persons 300 --cameras 4 --pictures 3 --seed 11 --train-share 0 --cause-share 1 --twins \
        --plain sizes,light \
        --causes occlusion,multi_person,truncation,low_light,low_res,motion_blur,color_cast --out planted
    python benchmarks/diagnose_rendered.py planted                   # 98 runs with a cause, 98 without
    python benchmarks/diagnose_rendered.py planted --runs 14         # a quick look; nothing is written

Every picture of that set has a cause and a twin without it. A run draws 80 of the persons and one cause in turn: its
pictures (a seventh) show it, all others are their twins; in the run without, all are. Both are diagnosed as
`resight diagnose` does, by what the parser and the pixels say, not by what the renderer knows.
Planted: the condition should be first in the table, with grade A or B, and the twins' interval should hold what it
cost: the mean AP of its pictures as queries less that of their twins in their place.
Nothing planted: no condition that can be planted should have a grade better than C. Hence the plain sizes and light.

Without `--plain`, rendered cameras see people near and far, in the sun and in blue shade, as real ones do: what of that
passes a threshold and costs something is found, and rightly so (`unplanted`; the result is `diagnose_rendered_varied`).
There, `shuffled` is the search where nothing can be found: the same measurements, dealt out anew among a person's
pictures in each camera, so that they say nothing of the picture they stand with. Runs share the set's persons.
`diagnose_planted.py` asks the same of made-up features, where the marks are known.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from measuring import write_any

from resight.commands.conditions import open_parser
from resight.commands.embed import embed_sides, open_model
from resight.commands.progress import bar
from resight.data.condition_names import condition_name
from resight.diagnose.conditions import Conditions, Measurements, judge
from resight.diagnose.findings import Findings, attribute
from resight.diagnose.grades import PROVEN
from resight.diagnose.ledger import ledger_of
from resight.diagnose.stages import measured
from resight.diagnose.tables import read_table
from resight.diagnose.twins import every_turn, group_numbers, query_twins
from resight.evaluate.ranking import score_features
from resight.model import DEFAULT_MODEL
from resight.search.features import Features
from resight.types import Crop

CONDITIONS = ("occlusion", "multi_person", "truncation", "low_light", "low_res", "motion_blur", "color_cast")
"""What the renderer plants, and what the diagnosis calls it."""
PERSONS, RUNS, RESAMPLES = 80, 98, 500


@dataclass(frozen=True)
class Pool:
    """N planted pictures and their N twins: features and measurements of both, planted ones first."""

    cause: np.ndarray
    query: Bool[np.ndarray, " N"]
    features: Features
    """Planted pictures on the query side, twins on the gallery's."""
    measurements: Measurements

    def search(
        self, slots: Int[np.ndarray, " M"], cause: str | None, *, deal: np.random.Generator | None = None
    ) -> tuple[Features, Conditions]:
        """The search of some slots: planted pictures of one cause, twins of all others; queries first.

        `deal` deals measurements out anew among the pictures of one person in one camera.
        """
        slots = slots[np.argsort(~self.query[slots], kind="stable")]
        count = int(self.query[slots].sum())
        planted = self.cause[slots] == cause
        sides = self._sides(slots, planted)
        features = replace(self.features, query=sides.take(slice(count)), gallery=sides.take(slice(count, None)))
        rows = np.where(planted, slots, slots + len(self.cause))
        if deal is not None:
            groups = group_numbers(sides.persons, sides.cameras)
            places = np.argsort(groups, kind="stable")  # group by group
            rows[places] = rows[np.lexsort((deal.random(len(rows)), groups))]
        return features, judge(self.measurements.take(rows), files=sides.files.tolist(), mask="parser-lite")

    def cost(self, slots: Int[np.ndarray, " M"], cause: str) -> float:
        """What a cause costs its pictures as queries: their mean AP less that of their twins in their place."""
        gallery = self.search(slots, cause)[0].gallery
        shown = slots[self.cause[slots] == cause]
        sides = (self.features.query.take(shown), self.features.gallery.take(shown))
        spoilt, clean = (score_features(replace(self.features, query=one, gallery=gallery)).ap for one in sides)
        return float(np.nanmean(spoilt) - np.nanmean(clean))

    def _sides(self, slots: Int[np.ndarray, " M"], planted: Bool[np.ndarray, " M"]) -> Any:
        spoilt, clean = self.features.query.take(slots), self.features.gallery.take(slots)
        columns = {}
        for name in ("features", "persons", "cameras", "files", "parts", "visible"):
            one, other = getattr(spoilt, name), getattr(clean, name)
            where = None if one is None else planted.reshape(-1, *(1,) * (one.ndim - 1))
            columns[name] = None if one is None else np.where(where, one, other)
        return replace(spoilt, **columns)


def read_pool(folder: Path, model: str) -> Pool:
    """Embed and measure all pictures and their twins; measurements are kept between calls."""
    rows = [row for row in read_table(folder / "people.csv") if row["cause"]]
    facts = [(int(row["person"]), int(row["camera"])) for row in rows]
    files = [folder / row["file"] for row in rows]
    sides = [
        [Crop(path, *one) for path, one in zip(paths, facts, strict=True)]
        for paths in (files, [folder / "twins" / path.name for path in files])
    ]
    features = embed_sides(*sides, open_model(model), root=folder)
    parse, labels, name = open_parser(None)
    paths = [crop.path for side in sides for crop in side]
    with bar("measuring", total=len(paths)) as told:
        found = measured(paths, parse=parse, label_set=labels, parser=name, told=told)
    query = np.array([row["file"].startswith("query") for row in rows])
    return Pool(np.array([condition_name(row["cause"]) for row in rows]), query, features, found)


@contextmanager
def silent(total: int) -> Iterator[Any]:
    """Tell nothing of the oracles."""
    yield lambda done: None


def diagnose(
    pool: Pool, slots: Int[np.ndarray, " M"], cause: str | None, *, seed: int, shuffled: bool = False
) -> Findings:
    """Diagnose one search as `resight diagnose` does."""
    deal = np.random.default_rng([seed, *b"deal"]) if shuffled else None
    features, conditions = pool.search(slots, cause, deal=deal)
    rng = np.random.default_rng(seed)
    ledger = ledger_of(features)
    return attribute(features, ledger, conditions, protocol="market", rng=rng, resamples=RESAMPLES, watch=silent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--runs", type=int, default=RUNS)
    chosen = parser.parse_args()
    plan = json.loads((chosen.people / "plan.json").read_text(encoding="utf-8"))
    varied = not {"sizes", "light"} <= set(plan["plain"])
    pool = read_pool(chosen.people, chosen.model)
    person = pool.features.query.persons
    runs: dict[str, list[dict[str, Any]]] = {cause: [] for cause in CONDITIONS}
    without: dict[str, list[list[str]]] = {"nothing_planted": [], **({"shuffled": []} if varied else {})}
    for seed in range(chosen.runs):
        rng = np.random.default_rng([seed, *b"persons"])
        slots = np.flatnonzero(np.isin(person, rng.permutation(np.unique(person))[:PERSONS]))
        cause = CONDITIONS[seed % len(CONDITIONS)]
        runs[cause].append(looked_at(diagnose(pool, slots, cause, seed=seed), cause, pool.cost(slots, cause)))
        for kind, found in without.items():
            verdicts = diagnose(pool, slots, None, seed=seed, shuffled=kind == "shuffled").verdicts
            found.append([one.cause for one in verdicts if one.cause in CONDITIONS and one.grade in PROVEN])
        print(seed, cause, runs[cause][-1], {kind: found[-1] for kind, found in without.items()}, file=sys.stderr)
    some_of = {"all": [one for some in runs.values() for one in some]}
    some_of |= {cause: some for cause, some in runs.items() if some}
    result = {
        "model": chosen.model,
        "persons": plan["persons"],
        "plain": plan["plain"],
        "runs": chosen.runs,
        "persons_a_run": PERSONS,
        "planted": {
            cause: {name: round(float(np.mean([one[name] for one in some])), 4) for name in some[0]}
            for cause, some in some_of.items()
        },
    }
    if varied:
        result["unplanted"] = unplanted(pool)
    for kind, found in without.items():
        graded = Counter(one for some in found for one in some)
        result[kind] = {"no_grade_above_c": float(np.mean([not some for some in found])), "proven": dict(graded)}
    print(json.dumps(result, indent=1))
    if chosen.runs >= RUNS:
        write_any("diagnose_rendered_varied" if varied else "diagnose_rendered", result)


def unplanted(pool: Pool) -> dict[str, dict[str, Any]]:
    """What the pictures of all persons that are marked for each cause lose with nothing planted, by twins."""
    features, conditions = pool.search(np.arange(len(pool.cause)), None)
    turns = every_turn(features)
    assert turns is not None
    rows = turns.rows + len(features.query.persons) * turns.from_gallery
    result = {}
    for cause in CONDITIONS:
        shown = conditions.present(cause)[rows]
        found = query_twins(turns, shown, rng=np.random.default_rng(0))
        result[cause] = {"marked": round(float(shown.mean()), 4), "groups": found.groups}
        if found.estimable:
            result[cause] |= {"difference": found.difference, "ci95": [found.low, found.high]}
    return result


def looked_at(found: Findings, cause: str, cost: float) -> dict[str, float]:
    """What a diagnosis says of the planted cause, which cost its pictures `cost` of AP."""
    mine = next(one for one in found.verdicts if one.cause == cause)
    twins = mine.on_queries
    assert twins is not None
    return {
        "first": found.verdicts[0].cause == cause,
        "proven": mine.grade in PROVEN,
        "covered": twins.low <= cost <= twins.high,
        "cost": cost,
        "twins": twins.difference,
        "loss": mine.loss,
    }


if __name__ == "__main__":
    main()
