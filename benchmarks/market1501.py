"""Score a model once on Market-1501's official test split and keep a log of every such scoring.

    python benchmarks/market1501.py ~/market1501 --model baseline-lite
    python benchmarks/market1501.py --row baseline-lite     # the leaderboard's row of shipped weights, from that result

Writes benchmarks/results/market1501-NAME.json and adds a line to benchmarks/results/official_scorings.jsonl, which is
never shortened: who scores often chooses on the test set. Weights that were scored before are refused; `--again` gives
the reason in the log (a repeated measurement, say).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from official import COUNTS, SEED, log_scoring, official_set, refuse_twice, scored, write_result

from resight.allocator import keep_freed_memory
from resight.commands.embed import embed_set
from resight.data.files import sha256
from resight.evaluate.leaderboard import Entry, write_entry
from resight.model import load_model
from resight.nn.cost import cost_of
from resight.search.features import save_features
from resight.train.resources import each_sitting, peak_host_mib, surroundings
from resight.weight_files import find_weights

RESULTS = Path(__file__).parent / "results"
LEADERBOARD = RESULTS / "leaderboard"


def row_of(name: str) -> Entry:
    """Row of shipped weights from their result file and `run.json`; nothing is scored."""
    result = json.loads((RESULTS / f"market1501-{name}.json").read_text(encoding="utf-8"))
    weights = find_weights(name)
    if sha256(weights) != result["weights_sha256"]:
        raise SystemExit(f"The result is of other weights than the shipped {name}: score them first.")
    run = json.loads((weights.parent / "run.json").read_text(encoding="utf-8"))
    model = load_model(name)
    ends = {key: result["ci95"][key] for key in ("mean_ap", "mean_inp")}
    size = model.settings.height, model.settings.width
    return Entry(
        method={"baseline-lite": "baseline-unpasted"}.get(name, name),
        backbone=model.settings.backbone,
        recipe=run.get("recipe", f"{name}-more"),  # as the card says; early runs do not
        recipe_hash=run["recipe_hash"],
        seed=int(run["seed"]),
        protocol="market1501",
        scores={
            "clean": {
                **{key: result[key] for key in ("mean_ap", "mean_inp", "answered")},
                **{"rank1": result["cmc"][0], "ci95": ends},
            }
        },
        differs=f"the shipped {name}: how it was trained stands in its card",
        parameters=result["parameters"],
        multiply_adds=cost_of(model.network, torch.zeros(1, 3, *size)).multiply_adds,
        pictures_per_second=result["embedding_pictures_per_cpu_second"],
        training_seconds=float(run["seconds"]),
        hardware=result["machine"]["processor"],
        commit=each_sitting(run, lambda one: one["commit"]),
        more={"weights_sha256": result["weights_sha256"], "scored at commit": result["commit"]},
    )


def main() -> None:
    """Embed, score, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument(
        "--row", metavar="NAME", help="write the leaderboard's row of these shipped weights, nothing else"
    )
    parser.add_argument("--model", default="baseline-lite")
    parser.add_argument("--name", help="of the result file; the model's name when left out")
    parser.add_argument("--features", type=Path, help="also keep the features file here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--again", metavar="REASON")
    options = parser.parse_args()
    if options.row:
        print(write_entry(LEADERBOARD, row_of(options.row)))
        return
    if options.data is None:
        parser.error("Market-1501's folder is missing")
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    weights = find_weights(options.model)
    digest = sha256(weights)
    refuse_twice(digest, options.again)
    reid_set = official_set(options.data)
    model = load_model(options.model)
    started, cpu = time.monotonic(), time.process_time()
    features = embed_set(reid_set, model)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    if options.features:
        save_features(options.features, features)
    result = {
        **scored(features),
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
        **surroundings(),
    }
    write_result(f"market1501-{options.name or result['model']}", result)
    log_scoring(result, options.again)
    print(f"mAP {result['mean_ap']:.2%}, Rank-1 {result['cmc'][0]:.2%}, mINP {result['mean_inp']:.2%}")


if __name__ == "__main__":
    main()
