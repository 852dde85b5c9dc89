"""Conditions of pictures: signals, scores in 0..1 by one file of thresholds, and likenesses of pairs.

Pictures are read once, measured in batches of equal size, at their own size. A parser is handed in as a function; it
must not be the judged model. Without one the mask is a prior and what needs a map is NaN: not measured.
Hidden: how sure the parser is that something hides a part. Beside it, and alone for a parser that does not say: what
the person's silhouette lacks, band by band from head to foot and on either side of its own middle, beside the usual
silhouette of the same set (the median over its pictures). A crop that cuts the person is filled by what is left of it,
so that what is cut off hardly counts as hidden. A colour cast, too, is how much warmer or cooler a picture is than the
set's median: no single picture says whether its light or its things are yellow.
Proof: tests/diagnose/test_conditions.py; benchmarks/diagnose_conditions.py on rendered people with planted causes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray

from resight.data.images import read_picture
from resight.data.labels import LIP20, LabelSet
from resight.diagnose.colours import coarse, coarse_lab
from resight.diagnose.looks import POSE, garment_masks, poses
from resight.diagnose.signals import SIGNALS, prepare
from resight.diagnose.thresholds import OF_A_PARSER, Ramp, Thresholds, read_thresholds
from resight.errors import BadPicture

PRIOR: Final = "prior"
"""Name of the mask where no parser says which pixels are the person's."""
BATCH: Final = 64
BANDS: Final = 16
BINS: Final = 6
"""Bins of each of L*, a*, b* in a colour histogram."""
USUAL: Final = (0.19, 0.24, 0.3, 0.44, 0.5, 0.52, 0.52, 0.5, 0.46, 0.44, 0.4, 0.36, 0.34, 0.31, 0.3, 0.28)
"""Share of the crop's width that a whole person covers, from head to foot, where a set is too small to say."""
FEWEST: Final = 50


class Seen(Protocol):
    """What a parser says of one crop."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Class of each pixel, at the crop's size."""
        ...

    @property
    def second_share(self) -> float:
        """Share of the crop that another person covers, 0..1; NaN where the parser does not say."""
        ...

    @property
    def hidden(self) -> float:
        """How surely something in front hides a part of the person, 0..1; NaN where the parser does not say."""
        ...

    @property
    def company(self) -> float:
        """How surely a part of another person shows, 0..1; NaN where the parser does not say."""
        ...


Parse = Callable[[Sequence[NDArray[np.uint8]]], Sequence[Seen]]


@dataclass(frozen=True, slots=True)
class Measurements:
    """What each of N pictures shows by itself, whatever set it stands in; NaN where a signal is not measured."""

    signals: dict[str, Float[np.ndarray, " N"]]
    readable: Bool[np.ndarray, " N"]
    widths: Float[np.ndarray, "N 32"]
    """The person's silhouette (`band_widths`)."""
    clothes: Float[np.ndarray, "N C"]
    """Square roots of the colour histograms of upper and lower garment: products of two are their likeness, 0..1."""
    background: Float[np.ndarray, "N E"]
    pose: Float[np.ndarray, "N P"]
    """The same of pose and view; zeros without a parser."""

    def take(self, rows: NDArray[Any]) -> Measurements:
        """Only these rows, of everything."""
        signals = {name: values[rows] for name, values in self.signals.items()}
        rest = (self.readable, self.widths, self.clothes, self.background, self.pose)
        return Measurements(signals, *(one[rows] for one in rest))


@dataclass(frozen=True, slots=True)
class Conditions:
    """What N pictures of one set show; NaN where a signal is not measured."""

    files: tuple[str, ...]
    signals: dict[str, Float[np.ndarray, " N"]]
    scores: dict[str, Float[np.ndarray, " N"]]
    """0..1 by condition, higher is more; 0.5 is the threshold."""
    measurements: Measurements
    mask: str
    """Where masks come from: `prior`, or what the parser is called."""
    thresholds: Thresholds

    @property
    def readable(self) -> Bool[np.ndarray, " N"]:
        """Pictures that could be read."""
        return self.measurements.readable

    def present(self, name: str) -> Bool[np.ndarray, " N"]:
        """Pictures that show a condition; what is not measured does not."""
        return np.asarray(np.nan_to_num(self.scores[name], nan=0.0) >= 0.5)


def measure(
    paths: Sequence[Path],
    *,
    parse: Parse | None = None,
    label_set: LabelSet = LIP20,
    told: Callable[[int], None] | None = None,
) -> Measurements:
    """Measure pictures; unreadable ones are NaN throughout and marked. `told(n)` is called as pictures are done."""
    count = len(paths)
    signals = {name: np.full(count, np.nan) for name in (*(one.name for one in SIGNALS), *OF_A_PARSER)}
    readable, widths = np.zeros(count, np.bool_), np.full((count, 2 * BANDS), np.nan)
    clothes, background = np.zeros((count, 2 * BINS**3), np.float32), np.zeros((count, BINS**3), np.float32)
    pose = np.zeros((count, POSE), np.float32)
    for rows, pixels in _batches(paths, told):
        seen = None if parse is None else parse(list(pixels))
        labels = None if seen is None else np.stack([one.labels for one in seen])
        second = None if seen is None else np.array([one.second_share for one in seen], np.float64)
        crops = prepare(np.stack(pixels), labels, label_set, second)
        readable[rows] = True
        for one in SIGNALS:
            signals[one.name][rows] = one.measure(crops)
        garments = (crops.mask, crops.mask)
        if seen is not None and labels is not None:
            for name in OF_A_PARSER:
                signals[name][rows] = [getattr(one, name) for one in seen]
            widths[rows] = band_widths(labels)
            pose[rows] = poses(labels, label_set)
            garments = garment_masks(labels, label_set, crops.mask)
        clothes[rows] = np.hstack([root_histograms(crops.pixels, where) for where in garments]) / 2**0.5
        background[rows] = root_histograms(crops.pixels, ~crops.mask)
    return Measurements(signals, readable, widths, clothes, background, pose)


def judge(
    found: Measurements, *, files: Sequence[str], mask: str = PRIOR, thresholds: Thresholds | None = None
) -> Conditions:
    """Say what pictures show, each beside its set; `mask` says where masks come from."""
    thresholds = thresholds or read_thresholds()
    hidden = hidden_share(found.widths)
    signals = found.signals | {
        "hidden_frac": hidden,
        "visible_frac": 1 - hidden,
        "cast": unusual(found.signals["warmth"]),
    }
    return Conditions(tuple(files), signals, score_conditions(signals, thresholds), found, mask, thresholds)


def score_conditions(
    signals: dict[str, Float[np.ndarray, " N"]], thresholds: Thresholds
) -> dict[str, Float[np.ndarray, " N"]]:
    """Turn signals into scores in 0..1; a condition one of whose signals is not measured is NaN."""
    found = {}
    for name, ramps in thresholds.ramps.items():
        z = _heights(signals, ramps)
        if name in thresholds.without_map:
            z = np.where(np.isnan(z), _heights(signals, thresholds.without_map[name]), z)
        found[name] = 1 / (1 + np.exp(-np.clip(z, -30, 30)))
    told = dict(found)
    for name, other in thresholds.unless.items():
        found[name] = np.minimum(told[name], 1 - np.nan_to_num(told[other]))
    return found


def _heights(signals: dict[str, Float[np.ndarray, " N"]], ramps: tuple[Ramp, ...]) -> Float[np.ndarray, " N"]:
    return np.asarray(np.mean([(signals[one.signal] - one.present) / one.spread for one in ramps], axis=0))


def band_widths(labels: UInt8[np.ndarray, "N H W"]) -> Float[np.ndarray, "N 32"]:
    """Share of the crop's width that the person covers left and right of its middle, in 16 bands from the top."""
    person = labels > 0
    columns = np.arange(labels.shape[2])
    middle = (person.sum(1) @ columns) / np.maximum(person.sum((1, 2)), 1)
    left = columns < middle[:, None, None]
    edges = np.linspace(0, labels.shape[1], BANDS + 1).round().astype(np.int64)
    ends = np.maximum(edges[1:], edges[:-1] + 1)
    halves = [(person & side).mean(2) for side in (left, ~left)]
    return np.stack([one[:, a:b].mean(1) for a, b in zip(edges[:-1], ends, strict=True) for one in halves], axis=1)


def hidden_share(widths: Float[np.ndarray, "N 32"]) -> Float[np.ndarray, " N"]:
    """Share of the usual silhouette that is not seen, 0..1; NaN without maps."""
    known = ~np.isnan(widths).any(1)
    usual = np.median(widths[known], axis=0) if known.sum() >= FEWEST else np.repeat(USUAL, 2) / 2
    usual = np.maximum(usual, 1e-3)
    missing = np.clip(1 - widths / usual, 0, 1) * usual
    return np.where(known, missing.sum(1) / usual.sum(), np.nan)


def unusual(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """How far values lie from their median; from 0 in a set too small to have one."""
    known = values[~np.isnan(values)]
    return np.abs(values - (np.median(known) if len(known) >= FEWEST else 0.0))


def root_histograms(pixels: UInt8[np.ndarray, "N H W 3"], where: Bool[np.ndarray, "N H W"]) -> Float[np.ndarray, "N E"]:
    """Square roots of colour histograms in CIE Lab, 6 × 6 × 6 bins, inside a mask; zeros where it is empty."""
    bins = _bins()[coarse(pixels)]
    each = np.broadcast_to(np.arange(len(pixels))[:, None, None], where.shape)
    size = BINS**3
    counts = np.bincount((each * size + bins)[where], minlength=len(pixels) * size).reshape(len(pixels), size)
    total = counts.sum(1, keepdims=True)
    return np.asarray(np.sqrt(counts / np.maximum(total, 1)), np.float32)


@functools.cache
def _bins() -> NDArray[np.int64]:
    """Bin of each colour of 5 bits a channel."""
    lab = coarse_lab()
    places = np.stack([lab[:, 0] / 100, (lab[:, 1] + 60) / 120, (lab[:, 2] + 60) / 120], axis=1)
    place = np.clip((places * BINS).astype(np.int64), 0, BINS - 1)
    return np.asarray((place[:, 0] * BINS + place[:, 1]) * BINS + place[:, 2])


def _batches(
    paths: Sequence[Path], told: Callable[[int], None] | None
) -> Iterator[tuple[list[int], list[NDArray[np.uint8]]]]:
    """Read pictures in order and yield those of equal size together."""
    waiting: dict[tuple[int, ...], tuple[list[int], list[NDArray[np.uint8]]]] = {}
    for row, path in enumerate(paths):
        try:
            pixels = read_picture(path)
        except BadPicture:
            pixels = None
        if told:
            told(1)
        if pixels is None:
            continue
        rows, some = waiting.setdefault(pixels.shape, ([], []))
        rows.append(row)
        some.append(pixels)
        if len(rows) == BATCH:
            yield waiting.pop(pixels.shape)
    yield from waiting.values()
