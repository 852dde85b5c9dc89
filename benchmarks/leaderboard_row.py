"""Score a finished run and write its row of the leaderboard.

    python benchmarks/leaderboard_row.py runs/spreid-1 ~/market1501 --method spreid --recipe spreid
    resight occlude ~/market1501 --objects occluders --people pennfudan --split validation --out occluded-validation
    ... --keypoints ~/market1501/keypoints14.npz --occluded occluded-validation
    resight compare runs/baseline-1/scores/validation-clean.json runs/spreid-1/scores/validation-clean.json

On held-out training persons (the default; the run must not have learned from them) or, with --protocol market1501, once
on the official test split, which is logged as in market1501.py. Clean queries, same and other view, and every share of
the occlusion benchmark are scored by intervals over persons; what is not given is not measured. A model that looks at
part maps needs `--parts`, and `--occluded-parts DIR` with DIR/occluded-40 … by `resight parts` of each occluded set.
Each condition's scores are kept in RUN/scores/, for `resight compare` query by query.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from held_out import held_out_features, refuse_learned
from occluded_market import CLEAN, grades, scores_of, split_of
from official import HIDDEN, PLAIN, log_scoring, official_set, refuse_twice

from resight.commands.embed import embed_set
from resight.config import load_toml, to_toml
from resight.data.files import sha256
from resight.evaluate.leaderboard import LIGHT, OCCLUSIONS, Entry, condition_scores, write_entry
from resight.evaluate.ranking import RankingScores, score_features
from resight.evaluate.score_file import intervals_of, write_scores
from resight.evaluate.views import score_views
from resight.model import load_model
from resight.nn.cost import cost_of
from resight.search.choosing import choose_distance
from resight.search.features import Features
from resight.train.recipe import EmbedderRecipe
from resight.train.resources import each_sitting, surroundings
from resight.weight_files import find_weights

RESULTS = Path(__file__).parent / "results" / "leaderboard"
OF_OTHER_RUNS = ("backbone-weights", "parser-weights", "start")
"""Keys of a recipe that may name a folder of this machine."""
SPLIT = {"validation": "validation", "market1501": "query"}
"""Whose queries `resight occlude` must have hidden, by protocol."""
SEED = 0


def features_of(model: Any, data: Path, protocol: str, parts: Path | None) -> tuple[Features, float]:
    """Embed the protocol's queries and gallery; also pictures a second, on a processor of its own time.

    Neighbours cost no processor time.
    """
    clock = time.process_time if model.device.type == "cpu" else time.monotonic
    started = clock()
    if protocol == "market1501":
        features = embed_set(official_set(data), model, parts=parts)
    else:
        features = held_out_features(data, model, parts)
    count = len(features.query.features) + len(features.gallery.features)
    return features, count / (clock() - started)


def changes(recipe: str, run: Path, model: Any) -> str:
    """What the training command said beyond recipe, seed and held-out persons."""
    shipped, used = _values(load_toml(EmbedderRecipe, recipe)), _values(load_toml(EmbedderRecipe, run / "config.toml"))
    said = {**used, "seed": shipped["seed"], "validation-persons": shipped["validation-persons"]}
    told = {key: '"RUN"' if "/" in value and key in OF_OTHER_RUNS else value for key, value in said.items()}
    words = [f"--set {shlex.quote(f'{key}={value}')}" for key, value in told.items() if shipped.get(key) != value]
    words += ["--parts PARTS"] if model.settings.parser else []
    words += ["--occluders OBJECTS"] if float(used["covering.paste"]) else []
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    words += ["--people PENNFUDAN"] if facts.get("pasted", {}).get("people") else []
    return " ".join(words)


def hardware(machine: dict[str, str]) -> str:
    """The device that a run computed on."""
    return machine["processor"] if machine["device"] == "cpu" else machine["device"]


def occlusions_print(folder: Path) -> str:
    """Eight hex digits that change with the objects, people, seed or queries of an occlusion benchmark."""
    return sha256(folder / "occlusions.json")[:8]


def pasted_blindly(model: Any, settings: dict[str, Any]) -> str:
    """What to say of a run whose pasting knew no parts: it may hide more of a person than that of one that does."""
    pastes = settings.get("covering", {}).get("paste", 0)
    return "pasted without part maps" if pastes and not model.settings.parser else ""


def _values(recipe: EmbedderRecipe) -> dict[str, str]:
    """Each value of a recipe as TOML writes it, by its dotted key."""
    table, found = "", {}
    for line in to_toml(recipe).splitlines():
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif line:
            key, _, value = line.partition(" = ")
            found[table + key] = value
    return found


def keep_scores(path: Path, scores: RankingScores, *, gallery: int, source: str) -> None:
    """Write one condition's scores for `resight compare`."""
    ends = intervals_of(scores, rng=np.random.default_rng(SEED))
    write_scores(path, scores, ends, gallery=gallery, about={"source": source})


def main() -> None:
    """Embed, score, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--method", required=True)
    parser.add_argument("--recipe", required=True, help="the recipe that trains it")
    parser.add_argument("--backbone", default=LIGHT)
    parser.add_argument("--protocol", choices=("validation", "market1501"), default="validation")
    parser.add_argument("--distance", choices=("global", "parts", "both"))
    parser.add_argument("--parts", type=Path, help="part maps of the data, for a model that looks at them")
    parser.add_argument("--occluded-parts", type=Path, help="folder of part maps by the names of the occluded sets")
    parser.add_argument("--keypoints", type=Path)
    parser.add_argument("--occluded", type=Path, help="made by `resight occlude` for the same protocol")
    parser.add_argument("--differs", default="", help="in what the recipe differs, where its hash does")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--again", metavar="REASON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    facts = json.loads((options.run / "run.json").read_text(encoding="utf-8"))
    settings = tomllib.loads((options.run / "config.toml").read_text(encoding="utf-8"))
    settings = {name.replace("-", "_"): value for name, value in settings.items()}
    digest = sha256(find_weights(options.run))
    if options.protocol == "validation":
        refuse_learned(options.run)
    if options.occluded and split_of(options.occluded) != SPLIT[options.protocol]:
        sys.exit(f"{options.occluded} hides {split_of(options.occluded)} pictures: not those of {options.protocol}.")
    queries = (PLAIN, HIDDEN) if options.occluded else (PLAIN,)
    for asked in queries if options.protocol == "market1501" else ():
        refuse_twice(digest, options.again, asked)
    model = load_model(options.run)
    features, speed = features_of(model, options.data, options.protocol, options.parts)
    features = choose_distance(features, options.distance)
    clean = score_features(features)
    found = {"clean": clean}
    if options.keypoints:
        views = score_views(features, options.keypoints)
        found |= {"same-view": views.same, "other-view": views.other}
    if options.occluded:
        names = [name for name in grades(options.occluded) if name.startswith("occluded") and name != CLEAN]
        found |= scores_of(options.occluded, names, str(options.run), options.distance, options.occluded_parts)
    found = {name: scores for name, scores in found.items() if scores.answered}
    size = model.settings.height, model.settings.width
    looked_at = [torch.zeros(1, 3, *size, device=model.device)]
    looked_at += [torch.full((1, 20, 32, 16), 1 / 20, device=model.device)] if model.needs_maps else []
    cost = cost_of(model.network, *looked_at)
    around = surroundings()
    entry = Entry(
        method=options.method,
        backbone=options.backbone,
        recipe=options.recipe,
        recipe_hash=facts["recipe_hash"],
        seed=int(facts["seed"]),
        protocol=options.protocol,
        scores={name: condition_scores(one, rng=np.random.default_rng(SEED)) for name, one in found.items()},
        changes=changes(options.recipe, options.run, model),
        differs=options.differs,
        note=pasted_blindly(model, settings),
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        pictures_per_second=speed,
        training_seconds=float(facts["seconds"]),
        hardware=each_sitting(facts, lambda one: hardware(one["machine"])),
        commit=each_sitting(facts, lambda one: one["commit"]),
        more={
            **{"weights_sha256": digest, "measured on": around["machine"], "scored at commit": around["commit"]},
            **({OCCLUSIONS: occlusions_print(options.occluded)} if options.occluded else {}),
        },
    )
    if options.protocol == "market1501":
        line = {"date": time.strftime("%Y-%m-%d"), "model": options.method, "weights_sha256": digest}
        line |= {"mean_ap": clean.mean_ap, "cmc": clean.cmc.tolist(), "commit": around["commit"]}
        for asked in queries:
            log_scoring(line, options.again, asked)
    entry = replace(entry, scores=json.loads(json.dumps(entry.scores)))
    print(write_entry(options.results, entry))
    for name, one in found.items():
        path = options.run / "scores" / f"{options.protocol}-{name}.json"
        keep_scores(path, one, gallery=len(features.gallery.files), source=str(options.data))
    for name, one in found.items():
        print(f"{name}: mAP {one.mean_ap:.1%}, Rank-1 {one.cmc[0]:.1%}, {one.answered:,} queries")


if __name__ == "__main__":
    main()
