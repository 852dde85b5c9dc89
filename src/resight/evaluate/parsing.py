"""How well label maps agree with the truth: one confusion matrix, counted picture by picture, and what follows from it.

Sources: pixel accuracy, mean accuracy and mean IoU as CE2P counts them (Ruan et al., AAAI 2019, arXiv:1809.05996): a
class that is nowhere counts as 0 in every mean; foreground accuracy and F1 as Co-CNN (Liang et al., ICCV 2015): the
background is one of the averaged classes.
Differs: values outside the table are refused with file and value (CE2P drops them in the truth and counts a wrong class
in the prediction); the mean over the classes that occur is reported under a name of its own; a table whose rows do not
have the printed mean is not printed.
Proof: tests/evaluate/test_parsing.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float, Int64, UInt8

from resight.data.label_sets import LabelSet
from resight.errors import BadLabels
from resight.evaluate.statistics import RESAMPLES, bootstrap_of_sums
from resight.types import IGNORE

WITH_INTERVALS: Final = (
    *("pixel_accuracy", "mean_accuracy", "mean_iou", "mean_iou_present", "mean_f1", "foreground_accuracy"),
    "side_confusion",
)
"""Scores that `Confusion.intervals` gives an interval."""
AGREE: Final = 1e-4
"""Largest difference between a printed mean and the mean of the printed rows."""


@dataclass(frozen=True, slots=True)
class ParsingScores:
    """Scores of label maps over all pixels, each in 0..1; NaN where nothing could be counted."""

    labels: LabelSet
    pictures: int
    pixels: int
    """Counted ones; where the truth is 255 nothing is counted."""
    pixel_accuracy: float
    mean_accuracy: float
    """Mean recall over all classes of the table, 0 for one that the truth does not show."""
    mean_iou: float
    """Mean over all classes of the table, 0 for one that is nowhere (CE2P's)."""
    mean_iou_present: float
    """Mean over the classes that occur in truth or prediction."""
    mean_precision: float
    mean_recall: float
    mean_f1: float
    """Means over all classes with the background (Co-CNN's)."""
    foreground_accuracy: float
    """Share of the truth's foreground that is predicted right."""
    side_confusion: float
    """Of pixels of limbs that are predicted as their class or its mirror image: the share with the wrong side."""
    iou: Float[np.ndarray, " K"]
    precision: Float[np.ndarray, " K"]
    recall: Float[np.ndarray, " K"]
    f1: Float[np.ndarray, " K"]
    absent: tuple[str, ...]
    """Classes that neither truth nor prediction shows."""

    def __post_init__(self) -> None:
        check_table(self.iou.tolist(), self.mean_iou, len(self.labels.classes))


@dataclass(slots=True)
class Confusion:
    """Counts of (true class, predicted class) over pictures that come one by one; memory does not grow with pixels."""

    labels: LabelSet
    counts: Int64[np.ndarray, "K K"] = field(init=False)
    """Rows are the truth."""
    _pictures: list[Int64[np.ndarray, " D"]] = field(init=False, default_factory=list)
    """Of each picture what an interval needs: right, true and predicted pixels by class, wrong and all sides."""

    def __post_init__(self) -> None:
        self.counts = np.zeros((len(self.labels.classes),) * 2, np.int64)

    def add(
        self, truth: UInt8[np.ndarray, "H W"], predicted: UInt8[np.ndarray, "h w"], name: str = "the picture"
    ) -> None:
        """Count one picture at its own size. Raises BadLabels, counting nothing, for sizes or values that cannot be."""
        if truth.shape != predicted.shape:
            raise BadLabels(
                f"{name}: the prediction is {predicted.shape[0]} × {predicted.shape[1]}, the truth {truth.shape[0]} × "
                f"{truth.shape[1]}; maps are scored at the picture's own size."
            )
        counts = count_pair(truth, predicted, self.labels, name)
        self.counts += counts
        sides = np.array(_sides(counts, self.labels), np.int64)
        self._pictures.append(np.concatenate([counts.diagonal(), counts.sum(1), counts.sum(0), sides]))

    def scores(self) -> ParsingScores:
        """All scores of what was counted; raises BadLabels when no pixel was."""
        if not self.counts.any():
            raise BadLabels("No pixel could be counted: the truth is empty or ignored (255) everywhere.")
        return scores_of(self.counts, self.labels, pictures=len(self._pictures))

    def intervals(self, *, rng: np.random.Generator, resamples: int = RESAMPLES) -> dict[str, tuple[float, float]]:
        """Ends of the 95 % intervals over pictures, by the names of the scores; NaN for a score that is undefined."""
        rows = np.array(self._pictures, np.float64).reshape(len(self._pictures), 3 * len(self.labels.classes) + 2)
        ends = bootstrap_of_sums(rows, _means, rng=rng, resamples=resamples)
        scores = scores_of(self.counts, self.labels, pictures=len(self._pictures))
        ends[[np.isnan(getattr(scores, name)) for name in WITH_INTERVALS]] = np.nan
        return {name: (float(low), float(high)) for name, (low, high) in zip(WITH_INTERVALS, ends, strict=True)}


def count_pair(
    truth: UInt8[np.ndarray, "H W"], predicted: UInt8[np.ndarray, "H W"], labels: LabelSet, name: str = "the picture"
) -> Int64[np.ndarray, "K K"]:
    """Count (true class, predicted class) over the pixels whose truth is not 255.

    Raises BadLabels for a value outside the table: none is dropped, and none lands in another class's row.
    """
    size = len(labels.classes)
    counted = truth != IGNORE
    for what, values in (("truth", truth[counted]), ("prediction", predicted)):
        if values.size and int(values.max()) >= size:
            raise BadLabels(
                f"{name}: the {what} holds the value {int(values.max())}; {labels.name} ends at {size - 1}."
            )
    pairs = truth[counted].astype(np.int32) * size + predicted[counted]
    return np.bincount(pairs, minlength=size * size).reshape(size, size).astype(np.int64)


def scores_of(counts: Int64[np.ndarray, "K K"], labels: LabelSet, *, pictures: int) -> ParsingScores:
    """All scores of a confusion matrix whose rows are the truth."""
    right, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    iou = right / np.maximum(1, true + predicted - right)
    precision, recall = right / np.maximum(1, predicted), right / np.maximum(1, true)
    f1 = 2 * right / np.maximum(1, true + predicted)
    there = true + predicted > 0
    return ParsingScores(
        labels=labels,
        pictures=pictures,
        pixels=int(counts.sum()),
        pixel_accuracy=_share(int(right.sum()), int(counts.sum())),
        mean_accuracy=float(recall.mean()),
        mean_iou=float(iou.mean()),
        mean_iou_present=float(iou[there].mean()) if there.any() else float("nan"),
        mean_precision=float(precision.mean()),
        mean_recall=float(recall.mean()),
        mean_f1=float(f1.mean()),
        foreground_accuracy=_share(int(right[1:].sum()), int(true[1:].sum())),
        side_confusion=side_confusion(counts, labels),
        iou=iou,
        precision=precision,
        recall=recall,
        f1=f1,
        absent=tuple(name for name, seen in zip(labels.classes, there, strict=True) if not seen),
    )


def side_confusion(counts: Int64[np.ndarray, "K K"], labels: LabelSet) -> float:
    """Share of wrong sides among pixels of sided classes that have the right class or its mirror image; NaN if none."""
    return _share(*_sides(counts, labels))


def _sides(counts: Int64[np.ndarray, "K K"], labels: LabelSet) -> tuple[int, int]:
    """Pixels of sided classes with the wrong side, and with either."""
    swap = labels.swap().astype(np.int64)
    sided = np.flatnonzero(swap != np.arange(len(swap)))
    wrong = int(counts[sided, swap[sided]].sum())
    return wrong, wrong + int(counts[sided, sided].sum())


def check_table(rows: Sequence[float], mean: float, classes: int) -> None:
    """Raise BadLabels for a table of IoU that cannot be right: a row too few or many, or another mean than printed.

    A table "384x128" that was printed for CE2P is such a one: six of its rows and its mean leave 0.6246 for the
    background, where it says 0.7844.
    """
    if len(rows) != classes:
        raise BadLabels(f"The table has {len(rows)} rows and the label set {classes} classes; it is not printed.")
    found = float(np.mean(rows))
    if not abs(found - mean) <= AGREE:
        raise BadLabels(
            f"The rows of the table have the mean {found:.6f} and the table says {mean:.6f}; it is not printed."
        )


def _means(sums: Float[np.ndarray, "R D"]) -> Float[np.ndarray, "R 7"]:
    """The scores WITH_INTERVALS of each drawn sum; 0 where a draw shows no foreground or no limb."""
    right, true, predicted = np.split(sums[:, :-2], 3, axis=1)
    union = true + predicted - right
    iou = right / np.maximum(1, union)
    return np.stack(
        [
            right.sum(1) / np.maximum(1, true.sum(1)),
            (right / np.maximum(1, true)).mean(1),
            iou.mean(1),
            iou.sum(1) / np.maximum(1, (union > 0).sum(1)),
            (2 * right / np.maximum(1, true + predicted)).mean(1),
            right[:, 1:].sum(1) / np.maximum(1, true[:, 1:].sum(1)),
            sums[:, -2] / np.maximum(1, sums[:, -1]),
        ],
        axis=1,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
