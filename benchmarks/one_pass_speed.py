"""Pictures a second of one-pass and of the baseline beside OSNet x1.0 at 256 × 128, in PyTorch and ONNX Runtime.

    python benchmarks/one_pass_speed.py [--threads 2] [--rounds 3] [--batch 32]

Every kind runs in a process of its own, in turn, so that a busy minute hits all of them; CPU seconds are counted, so
that a neighbour costs little. One look at each picture (no mirror), from normalised pictures to what the network says
(ONNX: resight's networks from grey levels; int8: the same with 8-bit whole numbers, beside OSNet's float ONNX file).
Random weights are as fast as trained ones; OSNet is `osnet.py`, its ONNX file is made by the same exporter. Writes
results/one_pass_speed.json; without the extra `onnx` its rows say "not measured".
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

import measuring
from parser_speed import _rate

HIGH, WIDE = 256, 128
KINDS = (
    *(f"{engine} {network}" for engine in ("pytorch", "onnx") for network in ("osnet", "one-pass", "baseline")),
    *("int8 one-pass", "int8 baseline"),
)
BESIDE = {"pytorch": "pytorch osnet", "onnx": "onnx osnet", "int8": "onnx osnet"}
AIM = 3.0


def build(network: str) -> Any:
    """OSNet, or an embedder on EfficientNet-Lite0, untrained, as it is used after training."""
    import torch
    from osnet import OSNet

    from resight.model import build_embedder

    torch.manual_seed(0)
    if network == "osnet":
        return OSNet().eval()
    return build_embedder(network, classes=0, backbone="efficientnet-lite0", pooling="gem", last_stride=1).eval()


def measure(kind: str, *, threads: int, seconds: float, batch: int) -> dict[str, float]:
    """One kind's rates, parameters and multiply-adds."""
    import torch

    from resight.nn.cost import cost_of

    torch.set_num_threads(threads)
    engine, name = kind.split()
    network = build(name)
    cost = cost_of(network, torch.zeros(1, 3, HIGH, WIDE))
    facts = {"parameters": float(cost.parameters), "multiply_adds": float(cost.multiply_adds)}
    if engine == "pytorch":
        network = network.to(memory_format=torch.channels_last)
        images = torch.zeros(batch, 3, HIGH, WIDE).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return {**_rate(lambda: network(images), batch, least_s=seconds), **facts}
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        given = _export(name, network, path, batch)
        if engine == "int8":
            _quantise(path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return {**_rate(lambda: session.run(None, given), batch, least_s=seconds), **facts}


def _export(name: str, network: Any, path: Path, batch: int) -> dict[str, Any]:
    """Write the network's file and return a batch that it takes."""
    import numpy as np
    import torch

    from resight.export import export_embedder
    from resight.model import Model, ModelSettings

    if name != "osnet":
        settings = ModelSettings(
            embedder=name, backbone="efficientnet-lite0", pooling="gem", last_stride=1, height=HIGH, width=WIDE
        )
        export_embedder(Model(network, settings, torch.device("cpu")), path)
        return {"pictures": np.zeros((batch, HIGH, WIDE, 3), np.uint8)}
    program = torch.onnx.export(
        network,
        (torch.zeros(2, 3, HIGH, WIDE),),
        input_names=["images"],
        dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=4096)}},
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    program.save(path)  # type: ignore[union-attr]
    return {"images": np.zeros((batch, 3, HIGH, WIDE), np.float32)}


def _quantise(path: Path) -> None:
    """Put the 8-bit file in the float one's place; untrained features need not agree, speed alone is asked."""
    import numpy as np

    from resight.export_int8 import export_int8

    pictures = np.random.default_rng(0).integers(0, 256, (32, HIGH, WIDE, 3), dtype=np.uint8)
    export_int8(path, path, pictures, least=-1.0)


def main() -> None:
    """Run all kinds in turn and write the medians and how many times OSNet's rate each reaches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(measure(options.kind, threads=options.threads, seconds=options.seconds, batch=options.batch)))
        return
    has_onnx = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    kinds = [kind for kind in KINDS if has_onnx or kind.startswith("pytorch")]
    more = ["--threads", str(options.threads), "--seconds", str(options.seconds), "--batch", str(options.batch)]
    runs = measuring.in_turn(
        kinds, options.rounds, lambda kind: measuring.in_own_process(kind, more, threads=options.threads)
    )
    found: dict[str, Any] = measuring.medians(runs)
    times = {kind: found[kind]["per_cpu_second"] / found[BESIDE[kind.split()[0]]]["per_cpu_second"] for kind in kinds}
    for kind in KINDS:
        found.setdefault(kind, "not measured: the extra `onnx` is not installed")
    facts = {"size": [HIGH, WIDE], "threads": options.threads, "batch": options.batch, "runs": found}
    measuring.write_any("one_pass_speed", {**facts, "times_osnet": times, "aim": AIM})


if __name__ == "__main__":
    main()
