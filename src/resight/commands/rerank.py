"""`resight rerank`: a features file to re-ranked distances."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from resight.commands.progress import bar
from resight.data.files import write_beside
from resight.errors import BadRecipe
from resight.search.choosing import DistanceName, choose_distance
from resight.search.features import load_features
from resight.search.rerank import check_numbers, rerank_features

LONG: Final = 8_000
"""Pictures on both sides together from which on a progress bar is worth its line."""
ZEROS: Final = bytes(1 << 20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerank:
    """Re-rank the gallery of a features file by k-reciprocal neighbours (Zhong et al., CVPR 2017).

    Writes the final distances, query by gallery, float32, 0..1: smaller is more alike. Features are brought to length 1
    first; distances are squared Euclidean over the largest of the query's row.
    """

    features: Path
    """A features file with queries and gallery, as `resight embed DATASET` writes it; distances alone do not do."""
    out: Path = Path("distances.npy")
    """The file of final distances."""
    k1: int = 20
    """Size of a neighbourhood: about as many pictures as there are of one person."""
    k2: int = 6
    """Neighbours whose encodings are averaged; 1 averages none."""
    lambda_: float = 0.3
    """Share of the original distance, 0..1: 1 gives the original distance back, 0 the neighbourhoods alone."""
    distance: DistanceName | None = None
    """What is compared: global (whole bodies), parts (those that both crops show) or both; left out, as the file says:
    both where it has parts."""
    part_share: float | None = None
    """For both: the part distance's share, 0..1; left out, what the file says, else 0.5."""


def rerank(config: Rerank) -> int:
    """Write the re-ranked distances; says on stderr what they are."""
    check_numbers(k1=config.k1, k2=config.k2, lambda_=config.lambda_)
    if config.out.exists() and config.features.exists() and config.out.samefile(config.features):
        raise BadRecipe(f"--out {config.out} is the features file itself; give the distances another name.")
    features = choose_distance(load_features(config.features), config.distance, config.part_share)
    shape = len(features.query.features), len(features.gallery.features)
    with (
        write_beside(config.out) as partial,
        bar("re-ranking", total=None) if sum(shape) >= LONG else nullcontext() as told,
    ):
        distances = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        _reserve(partial)
        before = 0

        def tell(done: int, total: int) -> None:
            nonlocal before
            if told is not None:
                told(done - before, **({} if before else {"total": total}))
            before = done

        rerank_features(features, k1=config.k1, k2=config.k2, lambda_=config.lambda_, out=distances, told=tell)
        distances.flush()
        del distances
    how = f"k1 {config.k1}, k2 {config.k2}, lambda {config.lambda_:g}"
    how += f", parts {features.part_share:.0%} of the distance" if features.part_share else ""
    print(f"{config.out}: {shape[0]} queries by {shape[1]} gallery pictures, re-ranked with {how}.", file=sys.stderr)
    return 0


def _reserve(path: Path) -> None:
    """Take the file's room on the disk now, where a full disk is an error and not a signal."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        written = file.seek(len(file.read(128)))
        while written < size:
            written += file.write(ZEROS[: size - written])
