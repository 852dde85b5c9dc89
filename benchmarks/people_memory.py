"""Memory of drawing people over many pictures: whether it is flat or grows.

    python benchmarks/people_memory.py --pictures 10000

One process draws person after person as `resight people` does and throws the files away; resident memory is read every
so many pictures. Writes results/people_memory.json with the samples, the largest, and the growth of the second half by
a straight line (MiB per 1,000 pictures).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from measuring import RESULTS, status_mib

from resight.people.causes import UNITS
from resight.people.plan import Plan, shots
from resight.people.write import write_person
from resight.train.resources import peak_host_mib, surroundings

SEED: Final = 1
PICTURES_A_PERSON: Final = 24


def growth(pictures: list[int], mib: list[float]) -> float:
    """Slope of the second half of the samples, MiB per 1,000 pictures."""
    half = len(pictures) // 2
    if len(pictures) - half < 2:
        raise SystemExit("Too few samples for a slope: draw more pictures or sample more often.")
    return float(np.polyfit(np.array(pictures[half:]) / 1000, mib[half:], 1)[0])


def main() -> None:
    """Draw, sample, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--pictures", type=int, default=10_000)
    words.add_argument("--every", type=int, default=240, help="pictures between two samples")
    wanted = words.parse_args()
    persons = -(-wanted.pictures // PICTURES_A_PERSON)
    plan = Plan(persons=persons, cameras=6, pictures=4, seed=SEED, causes=tuple(UNITS), twins=True)
    done, pictures, mib = 0, list[int](), list[float]()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        for person in range(1, persons + 1):
            folder = Path(place) / f"{person}"
            (folder / ".unfinished").mkdir(parents=True)
            write_person(folder, plan, person)
            shutil.rmtree(folder)
            done += sum(1 for _ in shots(plan, person))
            if done // wanted.every > len(pictures) or person == persons:
                pictures.append(done)
                mib.append(status_mib("VmRSS"))
                print(f"{done} pictures: {mib[-1]:.0f} MiB", file=sys.stderr)
    seconds = time.monotonic() - started
    result = {
        "pictures": done,
        "samples": {"pictures": pictures, "rss_mib": [round(value, 1) for value in mib]},
        "largest_mib": round(peak_host_mib(), 1),
        "growth_mib_per_1000_pictures": round(growth(pictures, mib), 3),
        "pictures_per_second": round(done / seconds, 2),
        "seconds": round(seconds, 1),
        "seed": SEED,
        **surroundings(),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "people_memory.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {result['growth_mib_per_1000_pictures']} MiB per 1,000 pictures in the second half")


if __name__ == "__main__":
    main()
