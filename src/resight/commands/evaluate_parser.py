"""`resight evaluate SET --model PARSER`: how well a parser does on a set's validation half, at one or several sizes.

Pictures are parsed and counted one batch after the other, at their own size, so memory does not grow with the set.
Proof: tests/commands/test_evaluate_parser.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resight.commands.evaluate_maps import as_json, print_scores
from resight.commands.progress import bar
from resight.data.files import write_json
from resight.data.images import read_picture
from resight.data.label_sets import LabelSet, find_labels
from resight.data.labels import read_map
from resight.data.parsing_sets import ParsingPicture, find_parsing_set
from resight.data.regrouping import Regrouping, find_regrouping, regroup_map
from resight.errors import BadRecipe, DatasetNotFound
from resight.evaluate.parsing import Confusion
from resight.parsing import ParserModel, load_parser

AT_ONCE = 8
"""Pictures through the network together."""


def evaluate_parser(
    root: Path,
    name: str,
    *,
    labels: str | None,
    sizes: Sequence[tuple[int, int] | None],
    flip: bool,
    scales: Sequence[float],
    out: Path | None,
    resamples: int,
    seed: int,
) -> int:
    """Print the scores at each of `sizes` (height, width; None: the model's), and write them as JSON.

    The set's labels and the model's are regrouped to `labels`, which are the model's own where it is None.
    """
    if not scales or not all(0.1 <= scale <= 4 for scale in scales):
        raise BadRecipe(f"--scales is {', '.join(map(str, scales))}; give numbers from 0.1 to 4.")
    from resight.nn.device import best_device

    found = find_parsing_set(root)
    records = [record for record in found.pictures("val") if record.labels is not None]
    if not records:
        raise DatasetNotFound(f"{root} has no labelled pictures to validate on; {found.layout.name} was recognised.")
    tables = {}
    for size in sizes:
        model = load_parser(name, device=best_device(), size=size)
        target = model.labels if labels is None else find_labels(labels)
        confusion = _count(model, records, target, flip=flip, scales=scales)
        scores = confusion.scores()
        intervals = confusion.intervals(rng=np.random.default_rng(seed), resamples=resamples)
        shown = f"{model.size[0]}x{model.size[1]}"
        notes = _notes(model, found.source, target, flip=flip, scales=scales)
        about = {"model": name, "set": str(root), "input_size": model.size, "resamples": resamples, "seed": seed}
        tables[shown] = as_json(scores, intervals, confusion, about | {"notes": notes})
        print_scores(scores, intervals, notes, title=f"{shown} (height x width): ")
    if out is not None:
        write_json(out, {"tables": tables})
    return 0


def _count(
    model: ParserModel, records: Sequence[ParsingPicture], target: LabelSet, *, flip: bool, scales: Sequence[float]
) -> Confusion:
    of_model = find_regrouping(model.labels, target)
    of_truth = find_regrouping(find_labels(records[0].source), target)
    confusion = Confusion(target)
    with bar(f"parsing at {model.size[0]}x{model.size[1]}", total=len(records)) as told:
        for start in range(0, len(records), AT_ONCE):
            chosen = records[start : start + AT_ONCE]
            pixels = [read_picture(record.picture) for record in chosen]
            truths = [_truth(*pair, of_truth) for pair in zip(chosen, pixels, strict=True)]
            parsed = model.parse(pixels, regrouping=of_model, flip=flip, scales=scales)
            for record, truth, one in zip(chosen, truths, parsed, strict=True):
                confusion.add(truth, one.labels, str(record.picture))
            told(len(chosen), pictures=len(chosen))
    return confusion


def _truth(record: ParsingPicture, pixels: np.ndarray, of_truth: Regrouping) -> np.ndarray:
    path = record.labels or record.picture
    values = read_map(path, of_truth.source, size=(pixels.shape[0], pixels.shape[1]), ignored=True)
    return np.asarray(regroup_map(values, of_truth, str(path)))


def _notes(model: ParserModel, source: str, target: LabelSet, *, flip: bool, scales: Sequence[float]) -> list[str]:
    notes = ["pictures stretched to the input size, scored at their own size, the whole validation half"]
    if model.labels != target:
        notes.append(f"merged before argmax: the model's {model.labels.name} summed to {target.name} as probabilities")
    of_truth = find_regrouping(find_labels(source), target)
    if of_truth.source != target:
        policies = ", ".join(f"{name}: {policy}" for name, policy in of_truth.about().items())
        notes.append(f"truth regrouped from {source} to {target.name} ({policies or 'every class has a group'})")
    if flip or tuple(scales) != (1.0,):
        flipped = " and the mirrored picture, sides changed back" if flip else ""
        notes.append(f"probabilities averaged over scales {', '.join(f'{scale:g}' for scale in scales)}{flipped}")
    return notes
