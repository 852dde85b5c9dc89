"""Host memory while readers walk over a long list of pictures: the list that CE2P's first code makes, and ours.

    python benchmarks/parser_list_memory.py [--entries 300000] [--workers 4]

The original repeats LIP's 30,462 pictures for every pass of the run, with five strings for each entry, and forks its
readers, which copy the shared pages as they count references. Here `--entries` of them (230,000 steps of 20
need 4,630,224; memory grows linearly, which the last number extrapolates), beside resight's list of 30,462 asked
modulo its length by as many forked readers. Memory is proportional (PSS) over all processes, above that of the program
before it made its list and its readers; both have the same modules loaded. Nothing is decoded, since pictures weigh
the same in both.
Writes results/parser_list_memory.json and docs/parsing_memory.png.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import measuring
import numpy as np

LIP, PLAN = 30_462, 4_630_224
POINTS = 12


def original_list(entries: int) -> list[dict[str, str]]:
    """What the code of 2018 keeps: for each entry of the repeated list five strings of its own."""
    found = []
    for number in range(entries):
        name = f"{100_000 + number % LIP}_{number % LIP}"
        found.append(
            {
                "img": f"/data/LIP/train_images/{name}.jpg",
                "label": f"/data/LIP/train_labels/{name}.png",
                "label_rev": f"/data/LIP/train_labels_rev/{name}.png",
                "edge": f"/data/LIP/train_edges/{name}.png",
                "name": f"{name}",
            }
        )
    return found


def our_list() -> Any:
    """The list that resight keeps of a set as long as LIP."""
    from resight.data.parsing_sets import ParsingPicture, picture_list

    root = Path("/data/LIP")
    records = (
        ParsingPicture(
            root / "train_images" / f"{100_000 + number}_{number}.jpg",
            root / "train_labels" / f"{100_000 + number}_{number}.png",
            None,
            "lip20",
            "train",
        )
        for number in range(LIP)
    )
    return picture_list(records, half="train")


def pss_mib(process: int | str) -> float:
    """Proportional memory of a process, MiB."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _walk(listed: Sequence[Any], places: np.ndarray, steps: Any, done: Any) -> None:
    each = max(1, len(places) // POINTS)
    for point in range(POINTS):
        for place in places[point * each : (point + 1) * each].tolist():
            record = listed[place % len(listed)]
            _ = record["img"] if isinstance(record, dict) else record.picture
        done.wait()  # all have come to this point
        steps.wait()  # and the memory was looked at


def curve(make: Callable[[], Sequence[Any]], entries: int, workers: int) -> list[tuple[int, float]]:
    """Entries read so far, and MiB of all processes together, at `POINTS` places of one pass over `entries`."""
    before = pss_mib("self")
    listed = make()
    places = np.random.default_rng(0).permutation(entries)
    context = multiprocessing.get_context("fork")
    steps, done = context.Barrier(workers + 1), context.Barrier(workers + 1)
    readers = [
        context.Process(target=_walk, args=(listed, places[number::workers], steps, done)) for number in range(workers)
    ]
    for reader in readers:
        reader.start()
    points = []
    for point in range(1, POINTS + 1):
        done.wait()
        whole = pss_mib("self") + sum(pss_mib(reader.pid or "self") for reader in readers) - before
        points.append((entries * point // POINTS, round(whole, 1)))
        steps.wait()
    for reader in readers:
        reader.join()
    return points


def draw(path: Path, curves: dict[str, list[tuple[int, float]]]) -> None:
    """Both curves in one picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot([entries for entries, _ in points], [mib for _, mib in points], marker=".", label=name)
    axes.set(xlabel="pictures read", ylabel="MiB, all processes (PSS)", ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure each list, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    import resight.data.parsing_sets  # noqa: F401  (loaded for both)

    curves: dict[str, list[tuple[int, float]]] = {}
    for name, make in (
        ("CE2P's repeated list", lambda: original_list(options.entries)),
        ("resight's list", our_list),
    ):
        curves[name] = curve(make, options.entries, options.workers)
        print(name, curves[name][0], curves[name][-1])
    theirs = curves["CE2P's repeated list"]
    found = {
        "entries": options.entries,
        "workers": options.workers,
        "curves_entries_mib": curves,
        "growth_mib": {name: round(points[-1][1] - points[0][1], 1) for name, points in curves.items()},
        "extrapolated_to_the_whole_run_gib": round(theirs[-1][1] * PLAN / options.entries / 1024, 1),
    }
    measuring.write_any("parser_list_memory", found)
    draw(measuring.RESULTS.parents[1] / "docs" / "parsing_memory.png", curves)


if __name__ == "__main__":
    main()
