"""Which parser? Every parser of resight under one budget, and what each costs at its paper's own size.

    python benchmarks/parser_survey.py cost                                   # multiply-adds, memory, pictures a second
    python benchmarks/parser_survey.py train --people PEOPLE --work WORK [--ccp CCP] [--rows parser-lite ce2p-resnet18]

`train` gives each row the same rendered training persons, steps, batch, size, optimiser and labels (lip20), all
from scratch, and its paper's own losses. Scored are the same held-back pictures: rendered persons in parts7, Clothing
Co-Parsing 801-884 in street5 (never trained on). A row that WORK holds is not trained again; what is there is written
after every row, and rows of another budget are not mixed in. A CPU affords few steps and small pictures: both stand in
the result, and what was not run is "not measured". Writes results/parser_survey.json (scores) and
results/parser_survey_cost.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import parser_training

WANTED_STEPS = 2000
"""What a fair survey should spend at least; the result says whether it was."""
PICTURES = 400


@dataclass(frozen=True, slots=True)
class Row:
    """A parser, and the size (height, width) that its paper or own recipe trains at."""

    parser: str
    backbone: str
    size: tuple[int, int]


ROWS = {
    "parser-lite": Row("lite", "", (128, 64)),
    "ce2p-resnet18": Row("ce2p", "resnet18", (384, 128)),
    "ce2p": Row("ce2p", "resnet101", (473, 473)),
    "ce2p-384x128": Row("ce2p", "resnet101", (384, 128)),
    "attention-ssl": Row("attention-ssl", "vgg16", (321, 321)),
    "cocnn": Row("cocnn", "cocnn", (150, 100)),
}
TRAINED = [name for name in ROWS if name != "ce2p-384x128"]
"""Rows of the training; the left-out one is `ce2p` at another size."""


def build(row: Row, size: tuple[int, int]) -> Any:
    """An untrained network of 20 classes; Co-CNN's size is a part of it."""
    from resight.parsers.cocnn import CoCNN
    from resight.parsing import build_parser

    if row.parser == "cocnn":
        return CoCNN(classes=20, height=size[0], width=size[1])
    return build_parser(row.parser, classes=20, backbone=row.backbone)


def cost(name: str, *, seconds: float) -> dict[str, float]:
    """What one picture of the paper's size costs: sums, parameters, memory above the network, pictures a second."""
    import time

    import torch

    from resight.nn.cost import cost_of

    torch.set_num_threads(1)
    row = ROWS[name]
    network = build(row, row.size).eval().to(memory_format=torch.channels_last)
    picture = torch.zeros(1, 3, *row.size).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        with measuring.Cost() as spent:  # the first pass: nothing lies ready from an earlier one
            network(picture)
        found = cost_of(network, picture)
        wall, cpu, done = time.monotonic(), time.process_time(), 0
        while time.monotonic() - wall < seconds:
            network(picture)
            done += 1
    return {
        "parameters": found.parameters,
        "multiply_adds": found.multiply_adds,
        "peak_mib_above_network": spent.found["peak_mib_above_input"],
        "weights_mib": found.parameters * 4 / 2**20,
        "per_cpu_second": done / (time.process_time() - cpu),
    }


def train_row(name: str, state: Path, options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train one row from scratch and score it; facts, and sums by picture and set."""
    import torch

    from resight.parsing import ParserModel, ParserSettings
    from resight.train.parser_recipe import ParserRecipe

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    row, (high, wide) = ROWS[name], options.size
    recipe = ParserRecipe(
        **{"parser": row.parser, "backbone": row.backbone, "labels": "lip20", "height": high, "width": wide},
        **{"batch": options.batch, "steps": options.steps, "learning_rate": options.rate, "seed": options.seed},
        warmup=20,
    )
    network = build(row, options.size)
    facts: dict[str, Any] = parser_training.train(
        network, recipe, parser_training.parsing_data(options.people, recipe), state=state
    )
    settings = ParserSettings(parser=row.parser, labels="lip20", height=high, width=wide, backbone=row.backbone)
    model = ParserModel(network.eval(), settings, torch.device("cpu"))
    sums = {"people": parser_training.people_scorer(options.people, PICTURES)(model)}
    if options.ccp is not None:
        sums["ccp"] = parser_training.ccp_scorer(options.ccp)(model)
    return facts, sums


def scores(sums: np.ndarray) -> dict[str, Any]:
    """Mean IoU of a row on one set, with its interval over pictures."""
    drawn = parser_training.drawn_means(sums, np.random.default_rng(0), resamples=2000)
    whole = float(parser_training.mean_iou(sums.sum(0)))
    return {"pictures": len(sums), "mean_iou": whole, "ci95": parser_training.interval(drawn)}


def summary(held: dict[str, dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Scores of each row, and its gain over parser-lite on the same pictures."""
    rows: dict[str, Any] = {}
    for name, row in held.items():
        rows[name] = {key: value for key, value in row.items() if key != "sums"}
        rows[name] |= {"size": list(options.size), "steps_batch": [options.steps, options.batch]}
        for place, sums in row["sums"].items():
            rows[name][place] = scores(sums)
            first = held.get("parser-lite", {}).get("sums", {}).get(place)
            if first is not None and name != "parser-lite":
                found = parser_training.paired([first], [sums])
                rows[name][place]["gain_over_parser_lite"] = found["mean_gain"]
                rows[name][place]["gain_ci95"] = found["ci95_pictures"]
    return {
        "budget": {
            **{"steps": options.steps, "batch": options.batch, "size": list(options.size), "rate": options.rate},
            **{"seed": options.seed, "labels": "lip20", "data": "rendered people", "start": "from scratch"},
            **{"wanted_steps": WANTED_STEPS, "wanted_steps_reached": options.steps >= WANTED_STEPS},
        },
        "rows": rows,
        "not_measured": [name for name in TRAINED if name not in held],
    }


def _size(text: str) -> tuple[int, int]:
    from resight.commands.parse import parse_size

    found = parse_size(text)
    assert found is not None
    return found


def main() -> None:
    """Measure the costs, or train what is missing of the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "train"), nargs="?", default="cost")
    parser.add_argument("--rows", nargs="+", choices=TRAINED, default=TRAINED)
    parser.add_argument("--people", type=Path)
    parser.add_argument("--ccp", type=Path)
    parser.add_argument("--work", type=Path, help="folder of finished rows")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=_size, default=(96, 48), help="height x width, such as 96x48")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each row of the costs")
    parser.add_argument("--kind", choices=ROWS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(cost(options.kind, seconds=options.seconds)))
        return
    if options.what == "cost":
        more = ["--seconds", str(options.seconds)]
        found = {
            name: {**measuring.in_own_process(name, more, threads=1), "size": list(ROWS[name].size)} for name in ROWS
        }
        measuring.write_any("parser_survey_cost", {"threads": 1, "batch": 1, "rows": found})
        return
    if options.people is None or options.work is None:
        parser.error("train needs --people and --work")
    options.work.mkdir(parents=True, exist_ok=True)
    budget = (*options.size, options.steps, options.batch, f"{options.rate:g}", options.seed)
    held: dict[str, dict[str, Any]] = {}
    for name in TRAINED:
        path = options.work / f"{parser_training.slug('survey', name, *budget)}.npz"
        if name in options.rows or path.exists():
            print(name, flush=True)
            held[name] = parser_training.kept_row(path, lambda state, name=name: train_row(name, state, options))
            measuring.write_any("parser_survey", summary(held, options))


if __name__ == "__main__":
    main()
