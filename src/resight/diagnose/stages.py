"""From a search and its pictures to marks: measurements kept on disk, so that a diagnosis that was stopped goes on.

Proof: tests/commands/test_diagnose.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from resight.data.cache import cache_folder, fingerprint
from resight.data.files import write_beside
from resight.data.labels import LIP20, LabelSet
from resight.diagnose.conditions import Conditions, Parse, Thresholds, measure, score_conditions
from resight.diagnose.marks import Likeness, Marks
from resight.search.features import Features
from resight.types import JUNK

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
    files: Sequence[str],
    thresholds: Thresholds,
    parse: Parse | None = None,
    label_set: LabelSet = LIP20,
    parser: str = "prior",
    told: Callable[[int], None] | None = None,
) -> Conditions:
    """Measure pictures, or read what was measured before of the same files; `parser` names the function.

    Missing files are NaN like unreadable ones.
    """
    there = [path for path in paths if path.is_file()]
    absent = len(paths) - len(there)
    kept = cache_folder() / f"signals-{fingerprint(there, 'signals 5', parser, absent, tuple(map(str, paths)))}.npz"
    if not kept.exists():
        found = measure(
            paths, files=files, parse=parse, label_set=label_set, parser=parser, thresholds=thresholds, told=told
        )
        arrays: dict[str, Any] = {f"signal {name}": values for name, values in found.signals.items()}
        arrays |= {
            "readable": found.readable,
            "clothes": found.clothes,
            "background": found.background,
            "pose": found.pose,
        }
        with write_beside(kept) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
        return found
    with np.load(kept) as stored:
        signals = {name.removeprefix("signal "): stored[name] for name in stored.files if name.startswith("signal ")}
        return Conditions(
            files=tuple(files),
            signals=signals,
            scores=score_conditions(signals, thresholds),
            readable=stored["readable"],
            mask=parser,
            thresholds=thresholds,
            clothes=stored["clothes"],
            background=stored["background"],
            pose=stored["pose"],
        )


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
        query = np.stack([one[:count] for one in shown], axis=1)
        gallery = np.stack([one[count:] for one in shown], axis=1)
        likenesses = (
            _likeness("similar_clothing", conditions.clothes, count, CLOTHES_LEVELS, rng, unlike="changed_look"),
            _likeness("background_bias", conditions.background, count, BACKGROUND_LEVELS, rng),
        )
        if conditions.pose.any():
            own = np.random.default_rng([0, *b"pose"])
            pose = _likeness("similar_pose", conditions.pose, count, POSE_LEVELS, own, unlike="pose_viewpoint")
            likenesses = (*likenesses, pose)
    strange = _strangers(features)
    if strange.any():
        names.append(DISTRACTOR)
        query = np.hstack([query, np.zeros((count, 1), np.bool_)])
        gallery = np.hstack([gallery, strange[:, None]])
    return Marks(tuple(names), query, gallery, likenesses)


def _strangers(features: Features) -> Bool[np.ndarray, " G"]:
    persons = features.gallery.persons
    junk = persons.astype(str) == str(JUNK)
    return np.asarray(~np.isin(persons, features.query.persons) & ~junk)


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
