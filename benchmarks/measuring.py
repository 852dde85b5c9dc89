"""What the speed benchmarks share: the cost of a block, runs in processes of their own, the peer's wheel, the result.

A script keeps a table of kinds, each a function that prints numbers; `--kind NAME` runs one of them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

RESULTS = Path(__file__).parent / "results"
PEER = "torchreid==0.2.5"
PEER_FOLDER = "RESIGHT_BENCHMARK_PEERS"
SIZES = {  # queries, gallery pictures, persons, cameras, distractors
    "market": (3_368, 15_913, 750, 6, 2_798),
    "msmt17": (11_659, 82_161, 3_060, 15, 0),
    "tenth": (1_166, 8_216, 306, 15, 0),
    "small": (337, 1_591, 75, 6, 280),
}
WIDTH, SEED = 2_048, 0
Numbers = dict[str, float]


class Cost:
    """What a block takes: `with Cost() as cost: ...`, then cost.found. Memory is the peak above what stood before."""

    def __enter__(self) -> Cost:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        self.before_mib = status_mib("VmRSS")
        self.wall, self.cpu, self.system = time.monotonic(), time.process_time(), os.times().system
        return self

    def __exit__(self, *_: object) -> None:
        self.found = {
            "cpu_seconds": time.process_time() - self.cpu,
            "system_seconds": os.times().system - self.system,  # of the CPU seconds: mostly memory touched first
            "wall_seconds": time.monotonic() - self.wall,
            "peak_mib_above_input": status_mib("VmHWM") - self.before_mib,
        }


class Peak:
    """Largest memory of this process and those it started, MiB, while a block runs: `with Peak() as peak: ...`.

    It is looked at ten times a second, which costs time: speed is measured apart.
    """

    def __enter__(self) -> Peak:
        self.mib, self._ended = 0.0, threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def _watch(self) -> None:
        from resight.train.resources import shared_mib

        while True:
            self.mib = max(self.mib, shared_mib())
            if self._ended.wait(0.1):
                return

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join()


def tree_cpu_seconds() -> float:
    """CPU seconds so far of this process and of all that it started, whether they have ended or not."""
    found, parents = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            words = stat.read_text().rpartition(")")[2].split()
            process = int(stat.parent.name)
            parents[process] = int(words[1])
            found[process] = sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")  # own, and of those it waited for
    tree = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(found[process] for process in tree)


def status_mib(name: str) -> float:
    """A line of this process's status, such as VmRSS, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise SystemExit("This benchmark reads /proc/self/status, so it runs on Linux alone.")


def in_own_process(kind: str, more: Iterable[str], *, threads: int) -> Numbers:
    """Run one kind of the calling script in a fresh process and return what it printed, with the machine's load."""
    limits = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **limits}
    command = [sys.executable, sys.argv[0], "--kind", kind, *more]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found = json.loads(ran.stdout.splitlines()[-1])
    print(kind, {name: round(value, 4) for name, value in found.items()}, file=sys.stderr)
    return {**found, "load": os.getloadavg()[0]}


def in_turn(kinds: Iterable[str], rounds: int, run: Callable[[str], Numbers]) -> dict[str, list[Numbers]]:
    """Run the kinds one after the other, `rounds` times over, so that a busy minute hits all of them."""
    runs: dict[str, list[Numbers]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, found in runs.items():
            found.append(run(kind))
    return runs


def medians(runs: dict[str, list[Numbers]]) -> dict[str, Numbers]:
    """Median of every number of each kind."""
    return {
        kind: {key: statistics.median(one[key] for one in found) for key in found[0]} for kind, found in runs.items()
    }


def least_cpu_seconds(runs: dict[str, list[Numbers]]) -> Numbers:
    """Fewest CPU seconds of each kind: what it takes when nobody disturbs."""
    return {kind: min(one["cpu_seconds"] for one in found) for kind, found in runs.items()}


def ratio(runs: dict[str, list[Numbers]], above: str, below: str) -> float:
    """Median over rounds of one kind's CPU seconds to another's."""
    pairs = zip(runs[above], runs[below], strict=True)
    return statistics.median(a["cpu_seconds"] / b["cpu_seconds"] for a, b in pairs)


def install_peer(folder: Path) -> None:
    """Put the peer's wheel, without what it declares, into a folder of its own."""
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), PEER]
    subprocess.run(install, check=True)
    os.environ[PEER_FOLDER] = str(folder)


def peer_module(file: str) -> ModuleType:
    """One file of the installed peer as a module; the package itself imports more than it declares."""
    spec = importlib.util.spec_from_file_location("peer", next(Path(os.environ[PEER_FOLDER]).rglob(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its Cython part is missing
        spec.loader.exec_module(module)
    return module


def write_result(name: str, size: str, found: dict[str, Any]) -> None:
    """Write results/NAME.json (NAME_SIZE.json for other sizes than Market-1501's) and say where it is."""
    from resight.data.files import write_json
    from resight.train.resources import surroundings

    queries, gallery, persons, cameras, distractors = SIZES[size]
    result = {
        "size": {"queries": queries, "gallery": gallery, "width": WIDTH, "persons": persons, "cameras": cameras}
        | {"distractors": distractors},
        "seed": SEED,
        **found,
        **surroundings(),
    }
    path = RESULTS / (f"{name}.json" if size == "market" else f"{name}_{size}.json")
    write_json(path, result)
    print(path)


def write_any(name: str, found: dict[str, Any]) -> None:
    """Write results/NAME.json with the machine and versions, and say where it is."""
    from resight.data.files import write_json
    from resight.train.resources import surroundings

    path = RESULTS / f"{name}.json"
    write_json(path, {**found, **surroundings()})
    print(path)
