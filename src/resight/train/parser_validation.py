"""Scores of a parser in training, on what the training never sees.

Rendered people and LIP: their validation half in parts7. Clothing Co-Parsing: photos 801-884, cut to the person's loose
box, in five groups that its labels and LIP's both know. Market-1501: where the joints of the 100 highest-numbered
training persons lie. Proof: tests/train/test_parser.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, UInt8

from resight.data.images import read_picture
from resight.data.label_meanings import HEAD, KEYPOINTS14
from resight.data.label_sets import CCP59, LIP20, PARTS7, STREET5
from resight.data.labels import read_map
from resight.data.parsing_sets import ParsingPicture, find_parsing_set
from resight.data.regrouping import CCP59_STREET5, LIP20_PARTS7, LIP20_STREET5, Regrouping, find_regrouping, regroup_map
from resight.data.sampling import evenly
from resight.errors import BadLabels
from resight.evaluate.parsing import Confusion
from resight.evaluate.statistics import bootstrap_of_sums
from resight.parsing import ParserModel
from resight.train.parsing_sources import loose_box
from resight.types import IGNORE

MOST: Final = 400
"""Pictures of one set that are scored during training, evenly spread."""
JOINTS: Final = ("head", "ankles", "ankle sides", "body")
"""What is counted of Market-1501's joints; see `count_joints`."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One set to score on; `score(model)` gives named numbers, NaN where nothing could be counted."""

    name: str
    pictures: int
    score: Callable[[ParserModel, np.random.Generator | None], dict[str, Any]]
    """With a generator, intervals (95 %, over pictures, or Market-1501's persons) stand beside the numbers."""


def held_out(roots: Sequence[Path], *, most: int = MOST) -> list[HeldOut]:
    """What can be scored in these folders, on at most so many pictures of each, evenly spread.

    A set without a validation half, or of another kind, is left out. Names are those of layouts; the second set of one
    layout is `people 2`.
    """
    makers = {"people": exact, "lip": exact, "lip-folders": exact, "ccp": _ccp, "market-keypoints": _market}
    found: list[HeldOut] = []
    seen: Counter[str] = Counter()
    for root in roots:
        one = find_parsing_set(root)
        layout = one.layout.name
        records = list(one.pictures("val")) if layout in makers else []
        if records:
            seen[layout] += 1
            name = layout if seen[layout] == 1 else f"{layout} {seen[layout]}"
            some = [records[place] for place in evenly(len(records), most)]
            found.append(makers[layout](name, some))
    return found


def validate(
    model: ParserModel, sets: Sequence[HeldOut], *, rng: np.random.Generator | None = None
) -> dict[str, dict[str, Any]]:
    """Score every set; with intervals where a generator is given."""
    return {one.name: one.score(model, rng) for one in sets}


def exact(name: str, records: list[ParsingPicture]) -> HeldOut:
    """Pictures whose maps are exact and tell sides, in parts7."""

    def score(model: ParserModel, rng: np.random.Generator | None) -> dict[str, Any]:
        confusion = Confusion(PARTS7)
        sure, quality, views = [], [], []
        for record, pixels, parsed in _parsed(model, records, find_regrouping(model.labels, PARTS7)):
            truth = regroup_map(read_map(_map_of(record), LIP20, size=pixels.shape[:2], ignored=True), LIP20_PARTS7)
            confusion.add(truth, parsed.labels, record.picture.name)
            known = (truth != IGNORE) & ((truth > 0) | (parsed.labels > 0))
            quality.append(float((truth == parsed.labels)[known].mean()) if known.any() else 1.0)
            sure.append(parsed.sure)
            views.append(_turned(parsed.view_degrees, record.view))
        varied = np.std(sure) > 0 and np.std(quality) > 0
        return _told(confusion, rng) | {
            "side_confusion": confusion.scores().side_confusion,
            "view_within_45": float(np.mean(np.array(views) <= 45)) if np.isfinite(views).all() else float("nan"),
            "sure_correlation": float(np.corrcoef(sure, quality)[0, 1]) if varied else float("nan"),
        }

    return HeldOut(name, len(records), score)


def _turned(degrees: float, view: tuple[float, float]) -> float:
    """Degrees between a told and a true view, 0..180."""
    return abs((degrees - math.degrees(math.atan2(view[1], view[0])) + 180) % 360 - 180)


def ccp_crop(record: ParsingPicture) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
    """A photo of Clothing Co-Parsing and its map, cut to the person's loose box."""
    pixels = read_picture(record.picture)
    truth = read_map(_map_of(record), CCP59, size=pixels.shape[:2])
    left, top, right, bottom = loose_box(truth > 0) or (0, 0, pixels.shape[1], pixels.shape[0])
    rows = slice(max(0, round(top)), min(pixels.shape[0], round(bottom)))
    columns = slice(max(0, round(left)), min(pixels.shape[1], round(right)))
    return pixels[rows, columns], truth[rows, columns]


def _ccp(name: str, records: list[ParsingPicture]) -> HeldOut:
    def score(model: ParserModel, rng: np.random.Generator | None) -> dict[str, Any]:
        if model.labels != LIP20:
            return {"not measured": f"the model answers in {model.labels.name}"}
        confusion = Confusion(STREET5)
        for start in range(0, len(records), 16):
            crops = [ccp_crop(record) for record in records[start : start + 16]]
            parsed = model.parse([pixels for pixels, _ in crops], regrouping=LIP20_STREET5)
            for (_, truth), one in zip(crops, parsed, strict=True):
                confusion.add(regroup_map(truth, CCP59_STREET5), one.labels)
        return _told(confusion, rng)

    return HeldOut(name, len(records), score)


def _market(name: str, records: list[ParsingPicture]) -> HeldOut:
    def score(model: ParserModel, rng: np.random.Generator | None) -> dict[str, Any]:
        if model.labels != LIP20:
            return {"not measured": f"the model answers in {model.labels.name}"}
        persons: dict[str, dict[str, list[int]]] = {}
        for record, _, parsed in _parsed(model, records, None):
            if record.points is not None:
                own = persons.setdefault(record.picture.name.split("_")[0], {joint: [0, 0] for joint in JOINTS})
                count_joints(parsed.labels, record.points, own)
        rows = np.array([[one[joint] for joint in JOINTS] for one in persons.values()], float).reshape(
            -1, len(JOINTS), 2
        )
        told: dict[str, Any] = dict(zip(JOINTS, _shares(rows.sum(0)[None])[0].tolist(), strict=True))
        if rng is not None:
            ends = bootstrap_of_sums(
                rows.reshape(len(rows), -1), lambda sums: _shares(sums.reshape(-1, len(JOINTS), 2)), rng=rng
            )
            told["ci95"] = dict(zip(JOINTS, ends.tolist(), strict=True))
        return told

    return HeldOut(name, len(records), score)


def _map_of(record: ParsingPicture) -> Path:
    if record.labels is None:
        raise BadLabels(f"{record.picture} has no label map.")
    return record.labels


def count_joints(labels: UInt8[np.ndarray, "H W"], places: np.ndarray, found: dict[str, list[int]]) -> None:
    """Where the joints (x, y from 0) of one crop lie: right and counted ones; a side counts where a side is named."""
    head = {LIP20.number(name) for name in HEAD}
    for joint, (x, y) in zip(KEYPOINTS14, places, strict=True):
        if not (0 <= x < labels.shape[1] and 0 <= y < labels.shape[0]):
            continue
        value = int(labels[min(round(float(y)), labels.shape[0] - 1), min(round(float(x)), labels.shape[1] - 1)])
        if joint == "head":
            found["head"][0] += value in head
            found["head"][1] += 1
        elif joint.endswith("ankle"):
            side = joint.split()[0]
            name = LIP20.classes[value]
            low = name.endswith(("leg", "shoe"))
            found["ankles"][0] += low
            found["ankles"][1] += 1
            found["ankle sides"][0] += low and name.startswith(side)
            found["ankle sides"][1] += low
        else:
            found["body"][0] += value > 0
            found["body"][1] += 1


def _parsed(
    model: ParserModel, records: Sequence[ParsingPicture], regrouping: Regrouping | None
) -> Iterator[tuple[ParsingPicture, np.ndarray, Any]]:
    for start in range(0, len(records), 32):
        chosen = records[start : start + 32]
        pixels = [read_picture(record.picture) for record in chosen]
        yield from zip(chosen, pixels, model.parse(pixels, regrouping=regrouping), strict=True)


def _shares(counts: Float[np.ndarray, "R J 2"]) -> Float[np.ndarray, "R J"]:
    """Right of counted joints; NaN where none was counted."""
    return np.where(counts[..., 1] > 0, counts[..., 0] / np.maximum(counts[..., 1], 1), np.nan)


def _told(confusion: Confusion, rng: np.random.Generator | None) -> dict[str, Any]:
    scores = confusion.scores()
    drawn = {} if rng is None else {"ci95": {key: list(ends) for key, ends in confusion.intervals(rng=rng).items()}}
    return drawn | {
        "mean_iou": scores.mean_iou,
        "pixel_accuracy": scores.pixel_accuracy,
        "iou": {name: float(value) for name, value in zip(confusion.labels.classes, scores.iou, strict=True)},
    }
