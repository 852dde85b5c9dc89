"""Pictures a second of parser-lite in PyTorch and ONNX Runtime, beside CE2P in the same run.

    python benchmarks/parser_speed.py [--threads 2] [--rounds 2] [--seconds 3]

CE2P is measured at the sizes that it is trained at (384 × 128, 473 × 473) and at parser-lite's own. Every kind runs in
a process of its own, in turn, so that a busy minute hits all of them; CPU seconds are counted, so that a neighbour
costs little; freed memory is kept, as resight's commands keep it. Random weights are as fast as trained ones. Writes
results/parser_speed.json with how many times as fast parser-lite is, by CPU seconds, and whether that is the 40 times
of CE2P at 384 × 128 that the project set itself. Without the extra `onnx` its rows say "not measured". About three CPU
minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import measuring

SIZES = {"128x64": (128, 64), "256x128": (256, 128)}
CE2P_SIZES = ("384x128", "473x473")
KINDS = (
    *(f"lite {kind} {size}" for kind in ("pytorch", "onnx") for size in SIZES),
    *(f"ce2p pytorch {size}" for size in (*SIZES, *CE2P_SIZES)),
)
WANTED_TIMES = 40


def _rate(run: Any, pictures: int, *, least_s: float) -> dict[str, float]:
    """Pictures a second by the wall clock and by CPU seconds, after a round that doesn't count."""
    run()
    done, wall, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - wall < least_s:
        run()
        done += pictures
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    return {"per_second": done / wall, "per_cpu_second": done / cpu}


def measure(kind: str, *, threads: int, seconds: float) -> dict[str, float]:
    """One kind's rates; the network alone, from normalised pictures (ONNX: from grey levels) to its answer."""
    import numpy as np
    import torch

    from resight.allocator import keep_freed_memory
    from resight.parsing import ParserModel, ParserSettings, build_parser

    keep_freed_memory()
    torch.set_num_threads(threads)
    parser, engine, size = kind.split()
    high, wide = (int(side) for side in size.split("x"))
    batch = 32 if parser == "lite" else 4 if high * wide <= 256 * 128 else 1
    torch.manual_seed(0)
    network = build_parser(parser, classes=20, backbone="resnet101" if parser == "ce2p" else "").eval()
    if engine == "onnx":
        import onnxruntime

        from resight.export import export_parser

        settings = ParserSettings(parser=parser, labels="lip20", height=high, width=wide)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{size}.onnx"
            export_parser(ParserModel(network, settings, torch.device("cpu")), path)
            session = onnxruntime.InferenceSession(path, options)
        pictures = np.zeros((batch, high, wide, 3), np.uint8)
        return _rate(lambda: session.run(None, {"pictures": pictures}), batch, least_s=seconds)
    network = network.to(memory_format=torch.channels_last)
    images = torch.zeros(batch, 3, high, wide).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        return _rate(lambda: network(images), batch, least_s=seconds)


def times_ce2p(found: dict[str, Any]) -> dict[str, Any]:
    """How many times as many pictures per CPU second as CE2P, for each kind of parser-lite that was measured."""
    rates = {kind: row["per_cpu_second"] for kind, row in found.items() if isinstance(row, dict)}
    lite = {kind: rate for kind, rate in rates.items() if kind.startswith("lite")}
    own = {kind: rate / rates[f"ce2p pytorch {kind.split()[-1]}"] for kind, rate in lite.items()}
    times = {size: {kind: rate / rates[f"ce2p pytorch {size}"] for kind, rate in lite.items()} for size in CE2P_SIZES}
    reached = min(times["384x128"]["lite pytorch 128x64"], times["473x473"]["lite pytorch 128x64"]) >= WANTED_TIMES
    return {
        "times_ce2p_same_size": own,
        **{f"times_ce2p_{size}": row for size, row in times.items()},
        "wanted_times": WANTED_TIMES,
        "wanted_times_reached": reached,
    }


def main() -> None:
    """Run all kinds in turn and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(measure(options.kind, threads=options.threads, seconds=options.seconds)))
        return
    has_onnx = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    kinds = [kind for kind in KINDS if has_onnx or " onnx " not in kind]
    more = ["--threads", str(options.threads), "--seconds", str(options.seconds)]
    runs = measuring.in_turn(
        kinds, options.rounds, lambda kind: measuring.in_own_process(kind, more, threads=options.threads)
    )
    found: dict[str, Any] = measuring.medians(runs)
    for kind in KINDS:
        found.setdefault(kind, "not measured: the extra `onnx` is not installed")
    measuring.write_any("parser_speed", {"threads": options.threads, "runs": found, **times_ce2p(found)})


if __name__ == "__main__":
    main()
