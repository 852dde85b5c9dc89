"""Why does the default model fail on Market-1501? Everything that docs/market1501.md says, from one command.

    python benchmarks/market1501_diagnosis.py ~/market1501 --out diagnosis             # the default model
    python benchmarks/market1501_diagnosis.py ~/market1501 --out diagnosis --model baseline-lite

The official test split is diagnosed for weights that were scored on it before (official_scorings.jsonl): it is a look
at that scoring, and nothing is chosen by it. `resight dose` on 500 queries, then `resight diagnose`; beside them the
dose of darkness for queries in dark and in light clothes (a third each of those that are not dark pictures), and mAP
when only true matches of the same or of another view are left in. Steps that are done are not repeated. Writes
results/market1501_diagnosis-MODEL.json; the page with its pictures stays in --out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import measuring
import numpy as np
from official import COUNTS, scored_before

from resight.commands.diagnose import Diagnose, diagnose
from resight.commands.dose import Dose, dose
from resight.data.files import sha256
from resight.data.images import read_picture, resize
from resight.data.reid_sets import find_set
from resight.diagnose.dose import COURSES, spoilt
from resight.diagnose.tables import read_table
from resight.evaluate.ranking import score_features
from resight.evaluate.statistics import bootstrap_of_sums, bootstrap_over_persons, person_sums
from resight.evaluate.views import score_views
from resight.model import DEFAULT_MODEL, Model, join_embedded, load_model
from resight.search.features import Features, load_features
from resight.weight_files import find_weights

STOPS = (1, 2, 3)
SEED = 0
BATCH = 64


def numbers(path: Path) -> list[dict[str, Any]]:
    """Rows of a table, cells that are numbers as numbers."""
    return [{key: _number(value) for key, value in row.items()} for row in read_table(path)]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def by_cause(out: Path) -> dict[str, dict[str, Any]]:
    """Each cause's loss with its interval, every look at it, its grade, and what each remedy won of it."""
    found: dict[str, dict[str, Any]] = {}
    rest = next(row for row in numbers(out / "shares.csv") if row["cause"] == "unexplained")
    found["unexplained"] = {"loss": rest["loss"], "ci95": [rest["low"], rest["high"]]}
    for row in numbers(out / "causes.csv"):
        ends = [row["loss_low"] or 0.0, row["loss_high"] or 0.0]  # empty: it takes no share
        mine = found.setdefault(row["cause"], {"loss": row["loss"], "ci95": ends})
        mine["grade"] = row["grade"] or "none"
        if row["in_queries"] or row["in_gallery"]:  # a cause of pairs is no single picture's
            mine["queries"] = row["in_queries"]
        looks = {"twins": "query_twin_difference", "match_twins": "match_twin_difference", "oracle": "oracle_over_sham"}
        for name, column in looks.items():
            if row[column] != "" and not (name == "oracle" and not row["oracle_swapped"]):
                before = column.rsplit("_", 1)[0] if name != "oracle" else "oracle"
                mine[name] = {"difference": row[column], "ci95": [row[f"{before}_low"], row[f"{before}_high"]]}
    for row in numbers(out / "remedies.csv"):
        mine = found.setdefault(row["cause"], {})
        mine.setdefault("gains", {})[row["remedy"]] = {"gain": row["gain"], "ci95": [row["low"], row["high"]]}
    return found


def black_clothes(features: Features, images: list[dict[str, Any]], root: Path, model: Model) -> dict[str, Any]:
    """AP that queries lose in the same darkness, in dark clothes and in light ones, and the difference."""
    count = len(features.query.persons)
    clothes = np.array([row["cloth_L"] if row["cloth_L"] != "" else np.nan for row in images[:count]], np.float64)
    dark = np.array([row["low_light"] if row["low_light"] != "" else np.nan for row in images[:count]], np.float64)
    fit = np.isfinite(score_features(features).ap) & np.isfinite(clothes) & (dark < 0.5)
    low, high = np.quantile(clothes[fit], [1 / 3, 2 / 3])
    kinds = {"dark clothes": fit & (clothes <= low), "light clothes": fit & (clothes >= high)}
    rows = np.flatnonzero(kinds["dark clothes"] | kinds["light clothes"])
    asked = replace(features, query=features.query.take(rows))
    before = score_features(asked)
    pictures = [read_picture(root / str(file)) for file in asked.query.files]
    size = model.settings.height, model.settings.width
    found: dict[str, Any] = {"lightness_up_to": float(low), "lightness_from": float(high)}
    groups = {name: kind[rows] for name, kind in kinds.items()}
    for name, mine in groups.items():
        found[name] = {"queries": int(mine.sum()), "ap_before": float(before.ap[mine].mean())}
    for stops in STOPS:
        changed = [resize(one, *size) for one in spoilt(pictures, COURSES["low_light"], stops, seed=SEED)]
        told = join_embedded([model.describe(changed[at : at + BATCH], None) for at in range(0, len(changed), BATCH)])
        sides = {name: getattr(told, name) for name in ("features", "parts", "visible")}
        lost = score_features(replace(asked, query=replace(asked.query, **sides))).ap - before.ap
        found[f"{stops} stops"] = losses(lost, groups, asked.query.persons)
    return found


def losses(lost: np.ndarray, groups: dict[str, np.ndarray], persons: np.ndarray) -> dict[str, Any]:
    """Mean loss of two groups of queries and the first's less the second's, with intervals over persons."""
    columns = [column for mine in groups.values() for column in (np.where(mine, lost, 0.0), mine.astype(np.float64))]
    sums = person_sums(np.stack(columns, 1), persons).sums

    def means(rows: np.ndarray) -> np.ndarray:
        first, second = (rows[:, at] / np.maximum(rows[:, at + 1], 1) for at in (0, 2))
        return np.stack([first, second, first - second], 1)

    ends = bootstrap_of_sums(sums, means, rng=np.random.default_rng(SEED))
    values = means(sums.sum(0, keepdims=True))[0]
    names = (*groups, " minus ".join(groups))
    return {
        name: {"difference": float(value), "ci95": pair.tolist()}
        for name, value, pair in zip(names, values, ends, strict=True)
    }


def views(features: Features, keypoints: Path) -> dict[str, Any]:
    """Scores with the true matches of the same view alone, and with those of another view alone."""
    found = score_views(features, keypoints)
    told: dict[str, Any] = {"views_known": found.known}
    for name, scores in (("same view", found.same), ("other view", found.other)):
        ends = bootstrap_over_persons(scores.ap[:, None], scores.persons, rng=np.random.default_rng(SEED))[0]
        told[name] = {"mean_ap": scores.mean_ap, "ci95": ends.tolist(), "queries": scores.answered}
    apart = found.other.ap - found.same.ap  # of the queries that have true matches of both kinds
    both = np.isfinite(apart)
    rng = np.random.default_rng(SEED)
    ends = bootstrap_over_persons(apart[both][:, None], found.same.persons[both], rng=rng)[0]
    told["other less same"] = {
        "difference": float(apart[both].mean()),
        "ci95": ends.tolist(),
        "queries": int(both.sum()),
    }
    return told


def main() -> None:
    """Diagnose what is not diagnosed yet, and write the numbers of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--queries", type=int, default=500, help="queries of the dose curves")
    options = parser.parse_args()
    weights = sha256(find_weights(options.model))
    reid_set = find_set(options.data)
    sizes = {split: sum(1 for _ in reid_set.crops(split)) for split in ("query", "gallery")}
    if sizes == COUNTS and not scored_before(weights):
        raise SystemExit(f"{options.model} was never scored on the official test split: run market1501.py first.")
    curves = options.out / "dose.csv"
    if not curves.exists():
        dose(Dose(dataset=str(options.data), out=curves, model=options.model, queries=options.queries))
    with measuring.Cost() as cost:
        diagnose(Diagnose(x=str(options.data), out=options.out, model=options.model))
    features = load_features(options.out / "features.npz")
    scores = score_features(features)
    causes = by_cause(options.out)
    images = numbers(options.out / "images.csv")
    model = load_model(options.model)
    found = {
        "model": options.model,
        "weights_sha256": weights,
        "pictures": sizes,
        "mean_ap": scores.mean_ap,
        "rank1": float(scores.cmc[0]),
        "loss": 1 - scores.mean_ap,
        "unexplained_share": causes["unexplained"]["loss"] / (1 - scores.mean_ap),
        "by_cause": causes,
        "dose": numbers(curves),
        "label_fixes": len(numbers(options.out / "label_fixes.csv")),
        "black_clothes": black_clothes(features, images, reid_set.root, model),
        "cost_of_diagnose": cost.found,
    }
    keypoints = options.data / "keypoints14.npz"
    if keypoints.exists():
        found["views"] = views(features, keypoints)
    measuring.write_any(f"market1501_diagnosis-{options.model.replace('/', '_')}", found)


if __name__ == "__main__":
    main()
