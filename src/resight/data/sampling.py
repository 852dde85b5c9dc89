"""Which pictures are taken: some of many, evenly spread, and batches of P persons with K pictures each.

Source of the batches: Hermans et al., 2017, arXiv:1703.07737. An epoch shows every picture about once. The order
depends on seed and epoch only, so a resumed run sees the batches that the unbroken run would have seen.
Proof: tests/data/test_sampling.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from resight.errors import TrainingStopped


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Places of at most `most` of `count` things in a row, evenly spread from the first to the last, each once."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)


def person_batches(
    classes: Sequence[int] | NDArray[np.int64],
    *,
    persons: int,
    pictures: int,
    batches: int,
    rng: np.random.Generator,
) -> Iterator[NDArray[np.int64]]:
    """Yield `batches` index arrays of `persons` × `pictures` rows, each person once per batch.

    Each person's pictures are cut into groups at random (some are repeated where they don't divide) and used up before
    any is shown again; persons with more groups left are drawn more often. When too few persons have groups left for a
    full batch, everybody's pictures are cut anew.
    """
    labels = np.asarray(classes)
    members = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    check_persons(len(members), persons)
    groups: dict[int, list[NDArray[np.int64]]] = {}
    for _ in range(batches):
        if len(groups) < persons:
            groups = {label: _cut(rows, pictures, rng) for label, rows in members.items()}
        left = np.array([len(waiting) for waiting in groups.values()], dtype=np.float64)
        chosen = rng.choice(np.array(list(groups)), persons, replace=False, p=left / left.sum())
        yield np.concatenate([groups[int(label)].pop() for label in chosen])
        groups = {label: waiting for label, waiting in groups.items() if waiting}


def check_persons(count: int, persons: int) -> None:
    """Raise TrainingStopped where `count` persons make no batch of `persons`."""
    if count < max(persons, 2):
        raise TrainingStopped(
            f"A batch needs {max(persons, 2)} persons and the training set has {count}. "
            "Lower `persons` in the recipe or add persons."
        )


def _cut(rows: NDArray[np.int64], pictures: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    order = rng.permutation(rows)
    if len(order) % pictures:
        order = np.concatenate([order, rng.choice(rows, pictures - len(order) % pictures)])
    return list(order.reshape(-1, pictures))
