"""Score a model once on Market-1501's official test split and keep a log of every such scoring.

    python benchmarks/market1501.py ~/market1501 --model baseline-lite

Writes benchmarks/results/market1501-NAME.json and adds a line to benchmarks/results/official_scorings.jsonl, which is
never shortened: who scores often chooses on the test set. Weights that were scored before are refused; `--again` gives
the reason in the log (a repeated measurement, say).
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from resight.commands.embed import embed_set
from resight.data.reid_sets import find_set
from resight.evaluate.ranking import score_features
from resight.evaluate.statistics import bootstrap_over_persons
from resight.model import find_weights, load_model
from resight.search.features import save_features
from resight.train.resources import peak_host_mib, surroundings

RESULTS = Path(__file__).parent / "results"
LOG = RESULTS / "official_scorings.jsonl"
COUNTS = {"query": 3368, "gallery": 19732}
SEED = 0


def refuse_twice(weights: str, reason: str | None) -> None:
    """Stop when these weights were scored before and nobody says why they are scored again."""
    lines = LOG.read_text().splitlines() if LOG.exists() else []
    if any(json.loads(line)["weights_sha256"] == weights for line in lines) and not reason:
        sys.exit(f"These weights were scored before (see {LOG}). Give a reason with --again to score them again.")


def main() -> None:
    """Embed, score, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="baseline-lite")
    parser.add_argument("--name", help="of the result file; the model's name when left out")
    parser.add_argument("--features", type=Path, help="also keep the features file here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--again", metavar="REASON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    weights = find_weights(options.model)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    refuse_twice(digest, options.again)
    reid_set = find_set(options.data)
    found = {split: sum(1 for _ in reid_set.crops(split)) for split in ("query", "gallery")}
    if found != COUNTS:
        sys.exit(f"{options.data} holds {found}, the official test split {COUNTS}: not scored.")
    model = load_model(options.model)
    started, cpu = time.monotonic(), time.process_time()
    features = embed_set(reid_set, model)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    if options.features:
        save_features(options.features, features)
    scores = score_features(features)
    values = np.stack([scores.ap, scores.ap_trapezoid, scores.inp, scores.rank1], axis=1)
    bounds = bootstrap_over_persons(values, scores.persons, rng=np.random.default_rng(SEED))
    names = ("mean_ap", "mean_ap_trapezoid", "mean_inp", "rank1")
    result = {
        "mean_ap": scores.mean_ap,
        "mean_ap_trapezoid": scores.mean_ap_trapezoid,
        "mean_inp": scores.mean_inp,
        "cmc": [float(value) for value in scores.cmc],
        "answered": scores.answered,
        "unanswerable": scores.unanswerable,
        "ci95": {name: [float(low), float(high)] for name, (low, high) in zip(names, bounds, strict=True)},
        "interval": "2,000 bootstrap resamples over persons",
        "protocol": "Market-1501, single query, no re-ranking",
        "model": str(options.model) if not Path(options.model).exists() else weights.parent.name,
        "source": model.settings.source,
        "weights_sha256": digest,
        "weights_mib": weights.stat().st_size / 2**20,
        "parameters": sum(value.numel() for value in model.network.parameters()),
        "embedding_pictures_per_second": sum(COUNTS.values()) / seconds,
        "embedding_pictures_per_cpu_second": sum(COUNTS.values()) / cpu_seconds,
        "peak_host_mib": peak_host_mib(),
        "seed": SEED,
        "date": datetime.date.today().isoformat(),
        **surroundings(),
    }
    name = options.name or result["model"]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"market1501-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    line = {key: result[key] for key in ("date", "model", "weights_sha256", "mean_ap", "commit")}
    with LOG.open("a") as log:
        log.write(json.dumps({**line, "rank1": result["cmc"][0], "again": options.again}) + "\n")
    print(f"mAP {scores.mean_ap:.2%}, Rank-1 {scores.cmc[0]:.2%}, mINP {scores.mean_inp:.2%}")


if __name__ == "__main__":
    main()
