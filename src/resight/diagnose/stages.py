"""From a search and its pictures to marks: measurements kept on disk, so that a diagnosis that was stopped goes on.

Proof: tests/commands/test_diagnose.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from resight.data.arrays import write_npz
from resight.data.cache import cache_folder, fingerprint
from resight.data.labels import LIP20, LabelSet
from resight.diagnose.conditions import PRIOR, Conditions, Measurements, Parse, measure
from resight.diagnose.marks import Likeness, Marks
from resight.search.features import Features

KEPT: Final = 1_000
"""Pictures whose measurements are one file."""
SIGNAL: Final = "signal "
BESIDE: Final = ("readable", "widths", "clothes", "background", "pose")
"""What is kept of pictures beside their signals."""
CLOTHES_LEVELS: Final = (0.5, 0.9, 0.99)
BACKGROUND_LEVELS: Final = (0.9, 0.99)
POSE_LEVELS: Final = (0.9,)
UNLIKE: Final = 0.1
"""Likenesses are cut at these quantiles over random pairs of a query and a gallery picture."""
PAIRS: Final = 20_000
DISTRACTOR: Final = "gallery_distractor"


def measured(
    paths: Sequence[Path],
    *,
    parse: Parse | None = None,
    label_set: LabelSet = LIP20,
    parser: str = PRIOR,
    told: Callable[[int], None] | None = None,
) -> Measurements:
    """Measure pictures, or read what was measured before of the same files; `parser` names the function.

    Kept by the thousand, so that work that was stopped goes on. Missing files are NaN like unreadable ones.
    """
    rows = []
    for start in range(0, len(paths), KEPT):
        some = paths[start : start + KEPT]
        there = [path for path in some if path.is_file()]
        name = fingerprint(there, "signals 7", parser, tuple(str(path.absolute()) for path in some))
        kept = cache_folder() / f"signals-{name}.npz"
        if kept.exists():
            rows.append(_load(kept))
            if told:
                told(len(some))
        else:
            rows.append(measure(some, parse=parse, label_set=label_set, told=told))
            write_npz(kept, _arrays(rows[-1]))
    if not rows:
        return measure(paths, parse=parse, label_set=label_set)
    every = [_arrays(one) for one in rows]
    return _measurements({name: np.concatenate([one[name] for one in every]) for name in every[0]})


def _arrays(found: Measurements) -> dict[str, NDArray[Any]]:
    signals = {f"{SIGNAL}{name}": values for name, values in found.signals.items()}
    return signals | {name: getattr(found, name) for name in BESIDE}


def _measurements(arrays: Mapping[str, NDArray[Any]]) -> Measurements:
    signals = {name.removeprefix(SIGNAL): arrays[name] for name in arrays if name.startswith(SIGNAL)}
    return Measurements(signals, **{name: arrays[name] for name in BESIDE})


def _load(kept: Path) -> Measurements:
    with np.load(kept) as stored:
        return _measurements(dict(stored))


def marks_of(features: Features, conditions: Conditions | None, *, rng: np.random.Generator) -> Marks:
    """What may be to blame in a search; `conditions` are those of the queries, then of the gallery.

    Without pictures there are only distractors: persons whom no query shows.
    """
    count = len(features.query.persons)
    names = [] if conditions is None else [n for n, s in conditions.scores.items() if not np.isnan(s).all()]
    query, gallery = np.zeros((count, 0), np.bool_), np.zeros((len(features.gallery.persons), 0), np.bool_)
    likenesses: tuple[Likeness, ...] = ()
    if conditions is not None:
        shown = [conditions.present(name) for name in names]
        looks = conditions.measurements
        query = np.stack([one[:count] for one in shown], axis=1)
        gallery = np.stack([one[count:] for one in shown], axis=1)
        likenesses = (
            _likeness("similar_clothing", looks.clothes, count, CLOTHES_LEVELS, rng, unlike="changed_look"),
            _likeness("background_bias", looks.background, count, BACKGROUND_LEVELS, rng),
        )
        if looks.pose.any():
            own = np.random.default_rng([0, *b"pose"])
            pose = _likeness("similar_pose", looks.pose, count, POSE_LEVELS, own, unlike="pose_viewpoint")
            likenesses = (*likenesses, pose)
    strange = _strangers(features)
    if strange.any():
        names.append(DISTRACTOR)
        query = np.hstack([query, np.zeros((count, 1), np.bool_)])
        gallery = np.hstack([gallery, strange[:, None]])
    unread = None if conditions is None else (~conditions.readable[:count], ~conditions.readable[count:])
    return Marks(tuple(names), query, gallery, likenesses, unread)


def _strangers(features: Features) -> Bool[np.ndarray, " G"]:
    gallery = features.gallery
    return np.asarray(~np.isin(gallery.persons, features.query.persons) & ~gallery.junk)


def _likeness(
    cause: str,
    descriptors: NDArray[np.float32],
    count: int,
    levels: tuple[float, ...],
    rng: np.random.Generator,
    unlike: str | None = None,
) -> Likeness:
    query, gallery = descriptors[:count], descriptors[count:]
    rows, columns = rng.integers(0, len(query), PAIRS), rng.integers(0, len(gallery), PAIRS)
    alike = np.einsum("nd,nd->n", query[rows], gallery[columns])
    least, *cuts = np.quantile(alike, (UNLIKE, *levels)).tolist()
    return Likeness(cause, query, gallery, tuple(cuts), unlike=unlike, least=least)
