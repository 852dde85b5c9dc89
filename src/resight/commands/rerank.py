"""`resight rerank`: a features file to re-ranked distances."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resight.commands.progress import bar
from resight.data.arrays import write_mapped
from resight.data.files import check_place
from resight.errors import BadRecipe
from resight.search.choosing import DistanceName, choose_distance
from resight.search.features import Features, load_features
from resight.search.rerank import K1, K2, LAMBDA, check_numbers, rerank_features

LONG: Final = 8_000
"""Pictures on both sides together from which on a progress bar is worth its line."""


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
    k1: int = K1
    """Size of a neighbourhood: about as many pictures as there are of one person."""
    k2: int = K2
    """Neighbours whose encodings are averaged; 1 averages none."""
    lambda_: float = LAMBDA
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
    check_place(config.out)
    features = choose_distance(load_features(config.features), config.distance, config.part_share)
    shape = len(features.query.features), len(features.gallery.features)

    def fill(distances: NDArray[np.float32]) -> None:
        reranked(features, k1=config.k1, k2=config.k2, lambda_=config.lambda_, out=distances)

    write_mapped({config.out: shape}, fill, dtype=np.float32)
    how = f"k1 {config.k1}, k2 {config.k2}, lambda {config.lambda_:g}"
    how += f", parts {features.part_share:.0%} of the distance" if features.part_share else ""
    print(f"{config.out}: {shape[0]} queries by {shape[1]} gallery pictures, re-ranked with {how}.", file=sys.stderr)
    return 0


def reranked(
    features: Features,
    *,
    k1: int = K1,
    k2: int = K2,
    lambda_: float = LAMBDA,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """The final distances, Q G in 0..1, under a bar where it takes long."""
    pictures = len(features.query.features) + len(features.gallery.features)
    with bar("re-ranking", total=None) if pictures >= LONG else nullcontext() as told:
        before = 0

        def tell(done: int, total: int) -> None:
            nonlocal before
            if told is not None:
                told(done - before, **({} if before else {"total": total}))
            before = done

        return rerank_features(features, k1=k1, k2=k2, lambda_=lambda_, out=out, told=tell)
