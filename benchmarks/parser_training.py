"""What the parser benchmarks share: one small training under one budget, and scores that keep their pictures.

A row's sums (right, true and predicted pixels of each class, by picture) are kept beside its facts, so that two rows
are compared on the same pictures. Batches depend on seed and step alone: rows of one seed see the same pictures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import measuring
import numpy as np

Scorer = Callable[[Any], np.ndarray]
"""A trained parser -> sums, pictures × 3 × classes."""


def parsing_data(people: Path, recipe: Any) -> Any:
    """Canvases of the rendered training persons at the recipe's size; decoded once, then read from the cache."""
    from resight.data.label_sets import find_labels
    from resight.data.parsing_targets import table_for
    from resight.train.parsing_pictures import load_parsing_set
    from resight.train.parsing_sources import find_source

    source = find_source(people)
    return load_parsing_set([source], table_for([source.source], find_labels(recipe.labels)), recipe)


SAVE_EVERY = 50


def train(network: Any, recipe: Any, data: Any, *, state: Path) -> dict[str, float]:
    """Train a network by its paper's losses and AdamW; returns what it took.

    Long rows of large networks are trained in several sittings: `state` keeps where one stands, and goes at the end.
    """
    import torch

    from resight.train.loop import poly, training_steps
    from resight.train.parser import build_objective, pixels_named

    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    before: dict[str, Any] = {"step": 0, "wall": 0.0, "cpu": 0.0, "right": []}
    if state.exists():
        before = torch.load(state, weights_only=True)
        network.load_state_dict(before["network"])
        optimizer.load_state_dict(before["optimizer"])
        torch.set_rng_state(before["chance"])
        print(f"going on after step {before['step']}", flush=True)
    first = before["step"] + 1
    steps = training_steps(
        network.train(),
        optimizer,
        data.batches(recipe, range(first, recipe.steps + 1), process=0, processes=1, device=device),
        build_objective(recipe, data, device),
        rate=lambda step: recipe.learning_rate * poly(step, steps=recipe.steps, warmup=recipe.warmup, power=0.9),
        accuracy=partial(pixels_named, sets=data.set_rows(device)),
        first=first,
    )
    wall, cpu = time.monotonic() - before["wall"], time.process_time() - before["cpu"]
    right: list[float] = before["right"]
    for step in steps:
        right.append(step.accuracy)
        if not np.isfinite(list(step.losses.values())).all():
            raise SystemExit(f"Step {step.number}: a loss is not finite ({step.losses}).")
        if step.number in (5, 50) or step.number % 200 == 0:
            each = (time.process_time() - cpu) / step.number
            print(f"step {step.number}: right {np.mean(right[-50:]):.3f}, {each:.2f} CPU s a step", flush=True)
        if step.number % SAVE_EVERY == 0:
            now = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step.number}
            now |= {"chance": torch.get_rng_state(), "right": right[-50:]}
            now |= {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}
            torch.save(now, state.with_suffix(".new"))
            state.with_suffix(".new").replace(state)
    state.unlink(missing_ok=True)
    return {
        "training_seconds": round(time.monotonic() - wall, 1),
        "training_cpu_seconds": round(time.process_time() - cpu, 1),
        "training_pixels_right": round(float(np.mean(right[-50:])), 4),
        "peak_mib": round(measuring.status_mib("VmHWM")),
    }


def people_scorer(people: Path, most: int) -> Scorer:
    """Scores in parts7 on rendered persons held back: at most so many pictures, evenly spread."""
    from resight.data.images import read_picture
    from resight.data.label_sets import LIP20, PARTS7
    from resight.data.labels import read_map
    from resight.data.parsing_sets import find_parsing_set
    from resight.data.regrouping import LIP20_PARTS7, find_regrouping, regroup_map
    from resight.data.sampling import evenly

    every = list(find_parsing_set(people).pictures("val"))
    records = [every[place] for place in evenly(len(every), most)]

    def score(model: Any) -> np.ndarray:
        found = []
        for start in range(0, len(records), 16):
            chosen = records[start : start + 16]
            pixels = [read_picture(record.picture) for record in chosen]
            parsed = model.parse(pixels, regrouping=find_regrouping(model.labels, PARTS7))
            for record, one in zip(chosen, parsed, strict=True):
                assert record.labels is not None
                truth = regroup_map(read_map(record.labels, LIP20, ignored=True), LIP20_PARTS7)
                found.append(_sums(truth, one.labels, PARTS7))
        return np.array(found)

    return score


def ccp_scorer(ccp: Path) -> Scorer:
    """Scores in street5 on Clothing Co-Parsing 801-884, each photo cut to the person's loose box."""
    from resight.data.label_sets import STREET5
    from resight.data.parsing_sets import find_parsing_set
    from resight.data.regrouping import CCP59_STREET5, LIP20_STREET5, regroup_map
    from resight.train.parser_validation import ccp_crop

    records = list(find_parsing_set(ccp).pictures("val"))

    def score(model: Any) -> np.ndarray:
        found = []
        for record in records:
            pixels, truth = ccp_crop(record)
            [one] = model.parse([pixels], regrouping=LIP20_STREET5)
            found.append(_sums(regroup_map(truth, CCP59_STREET5), one.labels, STREET5))
        return np.array(found)

    return score


def _sums(truth: np.ndarray, predicted: np.ndarray, labels: Any) -> np.ndarray:
    from resight.evaluate.parsing import count_pair

    counts = count_pair(truth, predicted, labels)
    return np.stack([counts.diagonal(), counts.sum(1), counts.sum(0)])


def mean_iou(sums: np.ndarray) -> np.ndarray:
    """Mean IoU over all classes of sums … × 3 × classes."""
    right, true, predicted = np.moveaxis(sums, -2, 0)
    return np.asarray((right / np.maximum(1, true + predicted - right)).mean(-1))


def drawn_means(sums: np.ndarray, rng: np.random.Generator, *, resamples: int) -> np.ndarray:
    """Mean IoU of each resample of the pictures; the same `rng` draws the same pictures for another row."""
    count = len(sums)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return mean_iou((weights @ sums.reshape(count, -1)).reshape(resamples, *sums.shape[1:]))


def interval(values: np.ndarray) -> list[float]:
    """Ends that hold 95 % of the values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return [float(low), float(high)]


def kept_row(path: Path, make: Callable[[Path], tuple[dict[str, Any], dict[str, np.ndarray]]]) -> dict[str, Any]:
    """A row's facts and, under `sums`, its sums by set; made and kept when the file is not there yet.

    `make` gets the place where an unfinished training is kept.
    """
    if not path.exists():
        facts, sums = make(path.with_suffix(".state"))
        partial_file = path.with_name(f"{path.stem}.partial.npz")
        np.savez_compressed(partial_file, facts=np.array(json.dumps(facts)), **sums)
        partial_file.replace(path)
    with np.load(path, allow_pickle=False) as held:
        return json.loads(str(held["facts"])) | {"sums": {name: held[name] for name in held.files if name != "facts"}}


def slug(*words: Any) -> str:
    """A file's name from words."""
    return "-".join(str(word).replace(" ", "_").replace("+", "and").replace("/", "_") for word in words)


def paired(less: Sequence[np.ndarray], more: Sequence[np.ndarray], *, resamples: int = 2000) -> dict[str, Any]:
    """Gain in mean IoU of `more` over `less` (sums by seed), with intervals over seeds and over the same pictures."""
    from resight.evaluate.statistics import seed_spread

    gains = [float(mean_iou(b.sum(0)) - mean_iou(a.sum(0))) for a, b in zip(less, more, strict=True)]
    drawn = np.mean(
        [
            drawn_means(b, np.random.default_rng(0), resamples=resamples)
            - drawn_means(a, np.random.default_rng(0), resamples=resamples)
            for a, b in zip(less, more, strict=True)
        ],
        axis=0,
    )
    found: dict[str, Any] = {"gains": gains, "mean_gain": float(np.mean(gains)), "ci95_pictures": interval(drawn)}
    spread = seed_spread(gains) if len(gains) > 1 else None
    found["ci95_seeds"] = None if spread is None else [spread.low, spread.high]
    return found
