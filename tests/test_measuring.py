"""What benchmarks measure is the cost of a process with all that it started."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's accounts")

WORKER = """
import sys, time
held = b"1" * 64 * 2**20
while time.process_time() < 0.5:
    pass
print("warm", flush=True)
sys.stdin.readline()
while time.process_time() < 0.8:
    pass
print("done", flush=True)
sys.stdin.readline()
"""


def test_a_workers_work_counts_when_it_is_done_and_once_and_so_does_its_memory() -> None:
    from measuring import Peak, tree_cpu_seconds

    before = tree_cpu_seconds()
    with subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdout.readline()
        warm = tree_cpu_seconds()
        worker.stdin.write(b"go on\n")
        worker.stdin.flush()
        worker.stdout.readline()
        done = tree_cpu_seconds()
        with Peak() as both:
            time.sleep(0.05)
        last = tree_cpu_seconds()
        worker.stdin.write(b"end\n")
        worker.stdin.flush()
        worker.wait()
    assert 0.45 < warm - before < 0.7
    assert 0.25 < done - warm < 0.5
    assert tree_cpu_seconds() - last < 0.2
    with Peak() as alone:
        pass
    assert both.mib - alone.mib > 60
