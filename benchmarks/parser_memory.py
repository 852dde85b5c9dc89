"""Host memory of this process while a parser's training pictures are drawn: it must stay flat.

    python benchmarks/parser_memory.py --data CCP MARKET ... [--samples 20000]

Draws batches as `resight train parser --recipe parser-lite` does and as the papers' recipes do (windows of photos, four
reading threads), without a network, and records private memory (RssAnon: what the canvases' files take in the page
cache is not the process's own) and proportional memory (PSS). Writes results/parser_memory.json with both curves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import measuring


def memory_mib() -> tuple[float, float]:
    """Private and proportional memory of this process, MiB."""
    rolled = Path("/proc/self/smaps_rollup").read_text().splitlines()
    pss = next(int(line.split()[1]) for line in rolled if line.startswith("Pss:"))
    status = Path("/proc/self/status").read_text().splitlines()
    private = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    return private / 1024, pss / 1024


def curve(batches: Iterator[object], batch: int, samples: int) -> dict[str, object]:
    """Memory after every twentieth of the samples, the growth after the first tenth, and samples a second."""
    points, started = [], time.monotonic()
    every = max(1, samples // batch // 20)
    for number, _ in enumerate(batches, start=1):
        if number % every == 0:
            points.append([number * batch, *(round(value, 1) for value in memory_mib())])
        if number * batch >= samples:
            break
    warm = points[max(1, len(points) // 10)]
    return {
        "samples_private_pss_mib": points,
        "growth_private_mib": round(points[-1][1] - warm[1], 1),
        "samples_per_second": round(samples / (time.monotonic() - started), 1),
    }


def main() -> None:
    """Draw both ways and write both curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--samples", type=int, default=20_000)
    options = parser.parse_args()
    import torch

    from resight.config import load_toml
    from resight.data.label_sets import find_labels
    from resight.data.parsing_targets import table_for
    from resight.train.parser_recipe import ParserRecipe
    from resight.train.parsing_pictures import load_parsing_set
    from resight.train.parsing_sources import find_source
    from resight.train.photo_batches import photo_set

    torch.set_num_threads(1)
    recipe = load_toml(ParserRecipe, "parser-lite")
    sources = [find_source(root) for root in options.data]
    table = table_for([source.source for source in sources], find_labels(recipe.labels))
    steps, keep = range(1, 10**9), {"process": 0, "processes": 1, "device": torch.device("cpu")}
    canvases = load_parsing_set(sources, table, recipe)
    lite = curve(canvases.batches(recipe, steps, **keep), recipe.batch, options.samples)
    windows = replace(recipe, crop="random", scale=(0.5, 1.6), workers=4, batch=20)
    photos = curve(photo_set(sources, table, windows).batches(windows, steps, **keep), 20, options.samples)
    listed = {source.name: round(source.pictures.nbytes / 2**20, 2) for source in sources}
    measuring.write_any(
        "parser_memory",
        {"canvases": lite, "windows_of_photos": photos, "lists_mib": listed, "pictures": canvases.counts},
    )


if __name__ == "__main__":
    main()
