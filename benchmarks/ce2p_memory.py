"""GPU memory and speed of one training step of CE2P, with 20 pictures of 384 × 128 in bf16.

    python benchmarks/ce2p_memory.py

Drawn pictures and labels, since neither memory nor speed asks what they show. The peak is that of torch's allocator
(`torch.cuda.max_memory_reserved`: what it took from the card, with its unused rest), forward, backward and step of SGD
with momentum; the 8.93 GB that were reported for the original are what a card's driver showed in fp32, so a CUDA
context of some 0.5 GB comes on top of ours. Without a GPU it prints "not measured" and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

ORIGINAL_GB = 8.93
SETTINGS = ("bf16", "fp32")


def measure(*, batch: int, height: int, width: int, classes: int, precision: str, steps: int) -> dict[str, float]:
    """Peak memory in GB (10⁹ bytes) and pictures per second over `steps`, after three that warm up."""
    import torch

    from resight.losses import pixel_cross_entropy
    from resight.parsers.ce2p import CE2P, ce2p_objective

    torch.manual_seed(0)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    network = CE2P(classes=classes).cuda().train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.007, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(batch, 3, height, width, device="cuda").contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (batch, height, width), device="cuda", dtype=torch.uint8)
    started = 0.0
    for step in range(steps + 3):
        if step == 3:
            torch.cuda.synchronize()
            started = time.monotonic()
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            losses = ce2p_objective(network(images), labels, pixel_loss=pixel_cross_entropy)
        optimizer.zero_grad()
        torch.stack(tuple(losses.values())).sum().backward()
        optimizer.step()
    torch.cuda.synchronize()
    return {
        "peak_allocated_gb": torch.cuda.max_memory_allocated() / 1e9,
        "peak_reserved_gb": torch.cuda.max_memory_reserved() / 1e9,
        "pictures_per_second": batch * steps / (time.monotonic() - started),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--height", type=int, default=384)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--classes", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    asked = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print(f"CE2P, {asked.batch} pictures of {asked.height} × {asked.width}: not measured (no GPU here).")
        return
    size = {"batch": asked.batch, "height": asked.height, "width": asked.width, "classes": asked.classes}
    found = {name: measure(**size, precision=name, steps=asked.steps) for name in SETTINGS}
    for name, numbers in found.items():
        print(f"{name}: {', '.join(f'{key} {value:.2f}' for key, value in numbers.items())}")
    less = "yes" if found["bf16"]["peak_reserved_gb"] < ORIGINAL_GB else "no"
    print(f"bf16 below the {ORIGINAL_GB} GB reported for the original: {less}")

    from resight.train.resources import surroundings

    path = Path(__file__).parent / "results" / "ce2p_memory.json"
    facts = {
        "device": torch.cuda.get_device_name(),
        "original_gb": ORIGINAL_GB,
        **size,
        "steps": asked.steps,
        "seed": 0,
    }
    path.write_text(json.dumps({**facts, **found, **surroundings()}, indent=2) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
