"""Scores of a parser in training, on what the training never sees.

Rendered people and LIP: their validation half in parts7. Clothing Co-Parsing: photos 801-884, cut to the person's loose
box, in five groups that its labels and LIP's both know. Market-1501: where the joints of the 100 highest-numbered
training persons lie. Proof: tests/train/test_parser_validation.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from resight.data.images import is_picture, read_picture
from resight.data.label_meanings import HEAD, KEYPOINTS14
from resight.data.label_sets import CCP59, LIP20, PARTS7, LabelSet
from resight.data.labels import read_map
from resight.data.regrouping import LIP20_PARTS7, Regrouping, find_regrouping, regroup_map
from resight.evaluate.parsing import Confusion
from resight.parsing import ParserModel
from resight.train.parsing_sources import CCP_LAST, MARKET_HELD_OUT, find_source, loose_box

MOST: Final = 400
"""Pictures of one set that are scored during training, evenly spread."""
CLOTHES5: Final = LabelSet("clothes5", ("background", "hair and hat", "skin", "clothes", "shoes"))
_SKIN: Final = ("face", "left arm", "right arm", "left leg", "right leg")
_SHOES: Final = (*("boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "shoes", "sneakers", "wedges"),)
_UNSURE: Final = (
    *("accessories", "bag", "belt", "bracelet", "earrings", "glasses", "necklace", "purse", "ring", "stockings"),
    *("sunglasses", "tights", "wallet", "watch"),
)
LIP20_CLOTHES5: Final = Regrouping(
    LIP20,
    CLOTHES5,
    {
        "background": ("background",),
        "hair and hat": ("hair", "hat"),
        "skin": (*_SKIN, "sunglasses"),
        "shoes": ("left shoe", "right shoe"),
        "clothes": tuple(LIP20.classes[number] for number in (3, 5, 6, 7, 8, 9, 10, 11, 12)),
    },
)
CCP59_CLOTHES5: Final = Regrouping(
    CCP59,
    CLOTHES5,
    {
        "background": ("null",),
        "hair and hat": ("hair", "hat"),
        "skin": ("skin",),
        "shoes": _SHOES,
        "clothes": tuple(
            name for name in CCP59.classes if name not in {"null", "hair", "hat", "skin", *_SHOES, *_UNSURE}
        ),
    },
    dict.fromkeys(_UNSURE, "ignore"),
)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One set to score on; `score(model)` gives named numbers, NaN where nothing could be counted."""

    name: str
    pictures: int
    score: Callable[[ParserModel], dict[str, Any]]


def held_out(roots: Sequence[Path]) -> list[HeldOut]:
    """What can be scored in these folders; a set without a held-out part is left out."""
    makers = {"rendered": _lip_half, "full": _lip_half, "ccp": _ccp, "market": _market}
    found = []
    for root in roots:
        share = find_source(root).share
        if share in makers and (one := makers[share](root)) is not None:
            found.append(one)
    return found


def validate(model: ParserModel, sets: Sequence[HeldOut]) -> dict[str, dict[str, Any]]:
    """Score every set."""
    return {one.name: one.score(model) for one in sets}


def _spread(items: list[Path]) -> list[Path]:
    if len(items) <= MOST:
        return items
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, MOST)]


def _lip_half(root: Path) -> HeldOut | None:
    lip = root / "lip" if (root / "lip").is_dir() else root
    pictures = _spread([path for path in sorted((lip / "val_images").glob("*")) if is_picture(path)])
    if not pictures:
        return None

    def score(model: ParserModel) -> dict[str, Any]:
        confusion = Confusion(PARTS7)
        regrouping = find_regrouping(model.labels, PARTS7)
        sure, quality = [], []
        for path, pixels, parsed in _parsed(model, pictures, regrouping):
            truth = read_map(lip / "val_segmentations" / f"{path.stem}.png", LIP20, size=pixels.shape[:2], ignored=True)
            grouped = regroup_map(truth, LIP20_PARTS7)
            confusion.add(grouped, parsed.labels, path.name)
            sure.append(parsed.sure)
            known = (grouped != 255) & ((grouped > 0) | (parsed.labels > 0))
            quality.append(float((grouped == parsed.labels)[known].mean()) if known.any() else 1.0)
        scores = confusion.scores()
        return _told(confusion) | {
            "side_confusion": scores.side_confusion,
            "sure_correlation": float(np.corrcoef(sure, quality)[0, 1]) if np.std(sure) > 0 else float("nan"),
        }

    return HeldOut("rendered" if lip != root else "lip", len(pictures), score)


def _ccp(root: Path) -> HeldOut | None:
    pictures = [path for path in sorted((root / "images").iterdir()) if is_picture(path) and path.stem.isdigit()]
    pictures = [path for path in pictures if int(path.stem) > CCP_LAST]
    if not pictures:
        return None

    def crop(path: Path) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
        pixels = read_picture(path)
        truth = read_map(root / "labels" / f"{path.stem}.png", CCP59, size=pixels.shape[:2])
        left, top, right, bottom = loose_box(truth > 0) or (0, 0, pixels.shape[1], pixels.shape[0])
        rows = slice(max(0, round(top)), min(pixels.shape[0], round(bottom)))
        columns = slice(max(0, round(left)), min(pixels.shape[1], round(right)))
        return pixels[rows, columns], truth[rows, columns]

    def score(model: ParserModel) -> dict[str, Any]:
        if model.labels != LIP20:
            return {"not measured": f"the model answers in {model.labels.name}"}
        confusion = Confusion(CLOTHES5)
        for start in range(0, len(pictures), 16):
            crops = [crop(path) for path in pictures[start : start + 16]]
            parsed = model.parse([pixels for pixels, _ in crops], regrouping=LIP20_CLOTHES5)
            for (_, truth), one in zip(crops, parsed, strict=True):
                confusion.add(regroup_map(truth, CCP59_CLOTHES5), one.labels)
        return _told(confusion)

    return HeldOut("ccp", len(pictures), score)


def _market(root: Path) -> HeldOut | None:
    joints = np.load(root / "keypoints14.npz")
    names, places = joints["train_name"], joints["train_xy"]
    persons = [int(str(name).split("_")[0]) for name in names]
    kept = set(sorted(set(persons))[-MARKET_HELD_OUT:])
    rows = [row for row, person in enumerate(persons) if person in kept]
    rows = [rows[int(place)] for place in np.linspace(0, len(rows) - 1, min(MOST, len(rows)))]
    pictures = [root / "bounding_box_train" / str(names[row]) for row in rows]

    def score(model: ParserModel) -> dict[str, Any]:
        if model.labels != LIP20:
            return {"not measured": f"the model answers in {model.labels.name}"}
        found = {"head": [0, 0], "ankles": [0, 0], "ankle sides": [0, 0], "body": [0, 0]}
        shown = _parsed(model, pictures, None)
        for row, (_, _, parsed) in zip(rows, shown, strict=True):
            _count_joints(parsed.labels, places[row] - 1, found)
        return {name: right / seen if seen else float("nan") for name, (right, seen) in found.items()}

    return HeldOut("market", len(pictures), score)


def _count_joints(labels: UInt8[np.ndarray, "H W"], places: np.ndarray, found: dict[str, list[int]]) -> None:
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
    model: ParserModel, pictures: Sequence[Path], regrouping: Regrouping | None
) -> Iterator[tuple[Path, np.ndarray, Any]]:
    for start in range(0, len(pictures), 32):
        paths = pictures[start : start + 32]
        pixels = [read_picture(path) for path in paths]
        yield from zip(paths, pixels, model.parse(pixels, regrouping=regrouping), strict=True)


def _told(confusion: Confusion) -> dict[str, Any]:
    scores = confusion.scores()
    return {
        "mean_iou": scores.mean_iou,
        "pixel_accuracy": scores.pixel_accuracy,
        "iou": {name: float(value) for name, value in zip(confusion.labels.classes, scores.iou, strict=True)},
    }
