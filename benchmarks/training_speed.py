"""Training speed and memory of the baseline beside a plain PyTorch DataLoader loop of the same network.

    python benchmarks/training_speed.py FOLDER_OF_JPEGS

Both train the same network with the same losses and batch for the same number of steps, each in a process of its own,
one after the other, `--rounds` times in turn. The plain loop decodes with Pillow and augments picture by picture in
two DataLoader workers, as re-id code usually does; resight reads its cache and augments the batch on the device.
Both are measured in full swing: what starts up is over, workers are as far ahead at the end as at the beginning, and
CPU seconds and memory are those of the process with its workers. Quote the ratio: machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from measuring import Peak, in_own_process, in_turn, medians, tree_cpu_seconds, write_any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
SIZE = (128, 64)
PERSONS, PICTURES = 16, 4
BEFORE, WATCHED, AFTER = 2, 4, 6
"""Steps that are not counted: the first, those whose memory is watched, and what workers may be ahead."""


def plain_batches(paths: list[Path], classes: list[int], steps: int) -> Iterator[tuple]:
    """Batches as a DataLoader with two workers makes them."""
    import numpy as np
    import torch
    from PIL import Image, ImageEnhance

    class Pictures(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
            picture = Image.open(paths[row]).convert("RGB").resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR)
            if random.random() < 0.5:
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            picture = ImageEnhance.Brightness(picture).enhance(random.uniform(0.8, 1.2))
            picture = ImageEnhance.Contrast(picture).enhance(random.uniform(0.8, 1.2))
            top, left = random.randint(0, 20), random.randint(0, 20)
            padded = np.pad(np.asarray(picture), ((10, 10), (10, 10), (0, 0)))[top:, left:][: SIZE[0], : SIZE[1]]
            image = torch.from_numpy(padded.copy()).permute(2, 0, 1).float().sub(127).div(128)
            if random.random() < 0.5:
                high, wide = random.randint(10, SIZE[0] // 2), random.randint(5, SIZE[1] // 2)
                y, x = random.randint(0, SIZE[0] - high), random.randint(0, SIZE[1] - wide)
                image[:, y : y + high, x : x + wide] = 0
            return image, classes[row]

    members: dict[int, list[int]] = {}
    for row, name in enumerate(classes):
        members.setdefault(name, []).append(row)
    batches = [
        [row for name in random.sample(sorted(members), PERSONS) for row in random.choices(members[name], k=PICTURES)]
        for _ in range(steps)
    ]
    yield from torch.utils.data.DataLoader(Pictures(), batch_sampler=batches, num_workers=2)


def resight_batches(paths: list[Path], classes: list[int], steps: int) -> Iterator[tuple]:
    """Batches as resight makes them: decoded once, augmented together."""
    import numpy as np
    import torch

    from resight.data.augment import Augmentation, augment
    from resight.data.cache import decoded_pictures
    from resight.data.sampling import person_batches

    pictures = decoded_pictures(paths, height=SIZE[0], width=SIZE[1])
    rng, chance = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for rows in person_batches(classes, persons=PERSONS, pictures=PICTURES, batches=steps, rng=rng):
        images = augment(torch.from_numpy(pictures[rows]), Augmentation(), size=SIZE, rng=chance)
        yield images, torch.tensor([classes[row] for row in rows])


def run(kind: str, folder: Path, steps: int) -> None:
    """Train a few steps and print what they cost, then a few more and print their memory."""
    import torch

    from resight.embedders.baseline import Baseline, baseline_objective
    from resight.losses import Joint
    from resight.train.loop import training_steps

    torch.set_num_threads(1)
    torch.manual_seed(0)
    paths = sorted(folder.glob("*.jpg"))
    names = sorted({path.name[:4] for path in paths})
    classes = [names.index(path.name[:4]) for path in paths]
    network = Baseline(classes=len(names)).train()
    batches = (resight_batches if kind == "resight" else plain_batches)(
        paths, classes, BEFORE + steps + WATCHED + AFTER
    )
    if kind == "resight":
        network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    trained = training_steps(
        network,
        optimizer,
        iter(batches),
        lambda found, persons: baseline_objective(
            found,
            persons,
            Joint(found.before_neck, persons, own=len(persons)),
            smoothing=0.1,
            margin=0.3,
            triplet_weight=1.0,
        ),
        rate=lambda step: 1e-4,
    )
    list(islice(trained, BEFORE))
    wall, cpu = time.monotonic(), tree_cpu_seconds()
    pictures = sum(step.pictures for step in islice(trained, steps))
    wall, cpu = time.monotonic() - wall, tree_cpu_seconds() - cpu
    with Peak() as peak:
        list(islice(trained, WATCHED))
    print(json.dumps({"per_s": pictures / wall, "per_cpu_s": pictures / cpu, "peak_mib": peak.mib}))


def main() -> None:
    """Run both kinds in turn and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=("resight", "plain"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        run(options.kind, options.folder, options.steps)
        return
    more = ("--steps", str(options.steps), str(options.folder))
    runs = in_turn(("resight", "plain"), options.rounds, lambda kind: in_own_process(kind, more, threads=1))
    ratios = [a["per_s"] / b["per_s"] for a, b in zip(runs["resight"], runs["plain"], strict=True)]
    result = {
        "network": "baseline on EfficientNet-Lite0, 128×64, batch 16 × 4, fp32, one torch thread",
        "steps": options.steps,
        "medians": medians(runs),
        "speed_ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
        "runs": runs,
        "seed": 0,
    }
    write_any("training_speed", result)
    print(json.dumps({"medians": result["medians"], "speed_ratio": result["speed_ratio"]}, indent=1))


if __name__ == "__main__":
    main()
