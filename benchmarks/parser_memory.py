"""Host memory while training pictures are drawn and while a folder is parsed: it must stay flat.

    python benchmarks/parser_memory.py --data PEOPLE [--samples 20000] [--crops 3000]

Draws batches as `resight train parser --recipe parser-lite` does and as the papers' recipes do (windows of photos, four
reading threads), without a network; then parses `--crops` copies of the set's pictures as `resight parse` does, with an
untrained parser-lite, and tells where the time went: reading, network, writing. Recorded are private memory (RssAnon:
what the canvases' files take in the page cache is not the process's own) and proportional memory (PSS); growth counts
after the first tenth. Writes results/parser_memory.json with all three curves. With rendered people about three CPU
minutes; Clothing Co-Parsing's photos take longer.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import measuring

WANTED_GROWTH_MIB = 20
"""At most so much over 20,000 samples."""


def memory_mib() -> tuple[float, float]:
    """Private and proportional memory of this process, MiB."""
    rolled = Path("/proc/self/smaps_rollup").read_text().splitlines()
    pss = next(int(line.split()[1]) for line in rolled if line.startswith("Pss:"))
    status = Path("/proc/self/status").read_text().splitlines()
    private = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    return private / 1024, pss / 1024


def curve(batches: Iterator[object], batch: int, samples: int) -> dict[str, Any]:
    """Memory after every twentieth of the samples, the growth after the first tenth, and samples a second."""
    points: list[list[float]] = []
    started, cpu = time.monotonic(), time.process_time()
    every = max(1, samples // batch // 20)
    for number, _ in enumerate(batches, start=1):
        if number % every == 0:
            points.append([number * batch, *(round(value, 1) for value in memory_mib())])
        if number * batch >= samples:
            break
    return {
        "samples_private_pss_mib": points,
        "growth_private_mib": growth(points),
        "samples_per_second": round(samples / (time.monotonic() - started), 1),
        "samples_per_cpu_second": round(samples / (time.process_time() - cpu), 1),
    }


def growth(points: list[list[float]]) -> float:
    """Private MiB at the end above those after the first tenth; points are (samples, private, proportional)."""
    return round(points[-1][1] - points[len(points) // 10][1], 1)


def parsed_folder(root: Path, crops: int) -> dict[str, Any]:
    """Memory while a folder of so many crops is parsed, and the shares of reading, network and writing."""
    import torch

    from resight.commands.parse_folder import ParsingJob
    from resight.data.label_sets import LIP20
    from resight.data.parsing_sets import find_parsing_set
    from resight.data.regrouping import find_regrouping
    from resight.parsing import ParserModel, ParserSettings, build_parser

    pictures = [record.picture for record in find_parsing_set(root).pictures("train")]
    settings = ParserSettings(parser="lite", labels="lip20", height=128, width=64)
    model = ParserModel(build_parser("lite", classes=20).eval(), settings, torch.device("cpu"))
    points: list[list[float]] = []
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for number in range(crops):
            picture = pictures[number % len(pictures)]
            shutil.copyfile(picture, photos / f"{number:06d}{picture.suffix}")
        job = ParsingJob(
            *(photos, Path(folder) / "out", model, find_regrouping(LIP20, LIP20)), overlays=False, flip=False, batch=64
        )

        def told(count: int, **_: int) -> None:
            nonlocal done
            done += count
            points.append([done, *(round(value, 1) for value in memory_mib())])

        cpu = time.process_time()
        problems = list(job.run(told))
        cpu = time.process_time() - cpu
    if problems:
        raise SystemExit(problems[0])
    whole = sum(job.seconds.values())
    return {
        "crops": crops,
        "samples_private_pss_mib": points,
        "growth_private_mib": growth(points),
        "shares_of_time": {name: round(spent / whole, 3) for name, spent in job.seconds.items()},
        "crops_per_second": round(crops / whole, 1),
        "crops_per_cpu_second": round(crops / cpu, 1),
    }


def main() -> None:
    """Draw both ways, parse a folder, and write the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--crops", type=int, default=3_000)
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
        {
            **{"canvases": lite, "windows_of_photos": photos, "parse": parsed_folder(options.data[0], options.crops)},
            **{"samples": options.samples, "reading_threads": 4, "wanted_growth_mib": WANTED_GROWTH_MIB},
            **{"lists_mib": listed, "pictures": canvases.counts},
        },
    )


if __name__ == "__main__":
    main()
