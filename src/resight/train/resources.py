"""What a run used and on what: written into `run.json` so that a number can be traced.

Proof: tests/train/test_embedder.py.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from resight.errors import BadRecipe

MIB = 2**20


@contextmanager
def torch_threads(number: int | None) -> Iterator[None]:
    """Let torch use `number` threads inside the block and what it used before afterwards; None changes nothing.

    Raises BadRecipe for less than one.
    """
    if number is not None and number < 1:
        raise BadRecipe(f"{number} threads can do nothing: say 1 at least, or leave the number out.")
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_host_mib() -> float:
    """Largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MIB if sys.platform == "darwin" else 1024)


def shared_mib() -> float:
    """Memory of this process and its children now, MiB, what they share counted once (PSS).

    Pages of mapped files are left out: the system takes them back when it needs room. Where the system does not tell
    (not Linux), the peak of this process.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        return peak_host_mib()
    found = [_anonymous_mib(Path("/proc/self"))]
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += [_anonymous_mib(Path("/proc") / child) for child in task.read_text().split()]
    return sum(found)


def _anonymous_mib(process: Path) -> float:
    lines = (process / "smaps_rollup").read_text().splitlines()
    told = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines) if "kB" in value}
    return (told.get("Pss_Anon", told.get("Pss", 0)) + told.get("Pss_Shmem", 0)) / 1024


def peak_device_mib() -> float | None:
    """Largest memory that torch took on the GPU so far, MiB; None without one."""
    return torch.cuda.max_memory_allocated() / MIB if torch.cuda.is_available() else None


def processor() -> str:
    """The processor's name as the system tells it."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def commit() -> str:
    """The commit of the source tree this package runs from, with `+changes` when it is not clean.

    What benchmarks wrote (benchmarks/results) changes nothing that runs, so it does not count. A package that is
    installed, be it into a folder of another repository, has a version instead.
    """
    try:
        _git("ls-files", "--error-unmatch", "--", Path(__file__).name)
        head = _git("describe", "--always", "--abbrev=12", "--exclude=*")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)benchmarks/results")
    except (OSError, subprocess.SubprocessError):
        return f"version {_version('resight')}"
    return f"{head}+changes" if changed else head


def _git(*words: str) -> str:
    """What git says of the folder that this file lies in."""
    where = Path(__file__).parent
    found = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True, timeout=10, check=True)
    return found.stdout.strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def each_sitting(facts: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], object]) -> str:
    """What there is to tell of each sitting of a `run.json`, in their order, each once; older files know the last."""
    return ", then ".join(dict.fromkeys(str(tell(one)) for one in facts.get("sittings") or [facts]))


def surroundings() -> dict[str, object]:
    """Versions and machine, for `run.json` and benchmark files."""
    packages = ("resight", "torch", "numpy", "accelerate")
    versions: dict[str, str] = {"python": platform.python_version()}
    versions |= {name: _version(name) for name in packages}
    return {
        "commit": commit(),
        "versions": versions,
        "machine": {
            "system": platform.system(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        },
    }
