"""Score a model on Market-1501's queries hidden by known shares, each share paired with the clean queries.

    resight occlude ~/market1501 --objects occluders --people pennfudan --split validation --out occluded
    python benchmarks/occluded_market.py occluded --model runs/parts --against runs/base
    python benchmarks/occluded_market.py occluded --model runs/parts --distance global --name parts-global

Writes benchmarks/results/occluded-NAME.json: mAP and Rank-1 at every share and of the control (same outline, one
background colour), the loss against the clean queries, and with --against the gain over that model, all with intervals
over persons from pairs of the same queries. The gallery is embedded once a model. Sets of the official test's queries
(`--split query`) are scored once for the same weights, and logged, as `market1501.py` does.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from official import HIDDEN, log_scoring, refuse_twice

from resight.commands.embed import embed_sides, open_model
from resight.data.files import sha256
from resight.data.reid_sets import find_set
from resight.evaluate.ranking import RankingScores, score_features
from resight.evaluate.score_file import intervals_of
from resight.evaluate.statistics import paired_difference
from resight.model import DEFAULT_MODEL
from resight.search.choosing import choose_distance
from resight.train.resources import surroundings
from resight.weight_files import find_weights

RESULTS = Path(__file__).parent / "results"
CLEAN = "occluded-0"
SEED = 0


def grades(folder: Path) -> list[str]:
    """Sets of one benchmark, clean first."""
    found = [path.name for path in folder.iterdir() if (path / "query").is_dir()]
    if CLEAN not in found:
        raise SystemExit(f"{folder} holds no {CLEAN}: make it with `resight occlude`.")
    return sorted(found, key=lambda name: (name != CLEAN, name))


def split_of(folder: Path) -> str:
    """Whose queries were hidden: "query", the official test's, or "validation"."""
    return str(json.loads((folder / "occlusions.json").read_text(encoding="utf-8"))["split"])


def scores_of(
    folder: Path, names: Sequence[str], model_name: str | None, distance: Any, parts: Path | None = None
) -> dict[str, RankingScores]:
    """Score every set with one model; `parts` holds a folder of part maps for each, by its name."""
    model = open_model(model_name)
    gallery = None
    found = {}
    for name in names:
        reid_set = find_set(folder / name)
        query = list(reid_set.crops("query"))
        maps: dict[str, Any] = {"parts": parts / name if parts else None, "names_from": reid_set.root}
        if gallery is None:
            gallery = embed_sides(query, list(reid_set.crops("gallery")), model, **maps)
            features = gallery
        else:
            asked = embed_sides(query, query[:1], model, **maps)
            features = replace(gallery, query=asked.query)
        found[name] = score_features(choose_distance(features, distance))
    return found


def compared(first: RankingScores, second: RankingScores) -> dict[str, Any]:
    """Second less first on the same queries, by mAP and Rank-1."""
    stems = [[Path(str(file)).stem for file in scores.files] for scores in (first, second)]
    if stems[0] != stems[1]:
        raise SystemExit("The queries differ, so they cannot be paired.")
    return {
        name: asdict(
            paired_difference(getattr(first, key), getattr(second, key), first.persons, rng=np.random.default_rng(SEED))
        )
        for name, key in (("mean_ap", "ap"), ("rank1", "rank1"))
    }


def described(scores: RankingScores) -> dict[str, Any]:
    ends = intervals_of(scores, rng=np.random.default_rng(SEED))
    return {
        "mean_ap": scores.mean_ap,
        "rank1": float(scores.cmc[0]),
        "ci95": {"mean_ap": list(ends.mean_ap), "rank1": list(ends.rank1)},
        "answered": scores.answered,
    }


def main() -> None:
    """Embed, score, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--against")
    parser.add_argument("--distance", choices=("global", "parts", "both"))
    parser.add_argument("--parts", type=Path, help="folder of part maps by the names of the sets (`resight parts`)")
    parser.add_argument("--name", help="of the result file; the model's name when left out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--again", metavar="REASON", help="why these weights are scored on the official test once more")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = grades(options.folder)
    official = split_of(options.folder) == "query"
    judged = [options.model or DEFAULT_MODEL, *([options.against] if options.against else [])]
    weights = [sha256(find_weights(model)) for model in judged]
    for one in weights if official else ():
        refuse_twice(one, options.again, HIDDEN)
    mine = scores_of(options.folder, names, options.model, options.distance, options.parts)
    other = scores_of(options.folder, names, options.against, None, options.parts) if options.against else {}
    around = surroundings()
    for model, one, found in zip(judged, weights, (mine, other), strict=False) if official else ():
        line = {"date": datetime.date.today().isoformat(), "model": f"occluded: {model}"}
        line |= {"weights_sha256": one, "commit": around["commit"]}
        log_scoring({**line, "mean_ap": found[CLEAN].mean_ap, "cmc": found[CLEAN].cmc.tolist()}, options.again, HIDDEN)
    result: dict[str, Any] = {
        "benchmark": json.loads((options.folder / "occlusions.json").read_text(encoding="utf-8")),
        "model": options.model or "default",
        "distance": options.distance or "as the features say",
        "grades": {
            name: {**described(mine[name]), **({} if name == CLEAN else {"lost": compared(mine[CLEAN], mine[name])})}
            for name in names
        },
        **around,
    }
    if other:
        gains = {name: compared(other[name], mine[name]) for name in names}
        result["against"] = {
            "model": options.against,
            "gains": gains,
            "grades": {n: described(other[n]) for n in names},
        }
    name = options.name or Path(options.model or "default").stem
    path = RESULTS / f"occluded-{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for grade, found in result["grades"].items():
        lost = found.get("lost", {}).get("mean_ap")
        by = "" if lost is None else f", {lost['difference']:+.1%} ({lost['low']:+.1%} to {lost['high']:+.1%})"
        print(f"{grade}: mAP {found['mean_ap']:.1%}, Rank-1 {found['rank1']:.1%}{by}")
    print(path)


if __name__ == "__main__":
    main()
