"""Score a model once on Market-1501's official test split and keep a log of every such scoring.

    python benchmarks/market1501.py ~/market1501 --model baseline-lite

Writes benchmarks/results/market1501-NAME.json and adds a line to benchmarks/results/official_scorings.jsonl, which is
never shortened: who scores often chooses on the test set. Weights that were scored before are refused; `--again` gives
the reason in the log (a repeated measurement, say).
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import torch
from official import COUNTS, SEED, log_scoring, official_set, refuse_twice, scored, write_result

from resight.allocator import keep_freed_memory
from resight.commands.embed import embed_set
from resight.model import find_weights, load_model
from resight.search.features import save_features
from resight.train.resources import peak_host_mib, surroundings


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
    keep_freed_memory()
    weights = find_weights(options.model)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
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
