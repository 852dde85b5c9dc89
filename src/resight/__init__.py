"""Person re-identification whose numbers can be trusted.

    import resight

    scores = resight.score_features(resight.load_features("features.npz"))
    print(scores.mean_ap, scores.cmc[0])

Names are loaded when first used, so that `import resight` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from resight.commands.embed import embed_set
    from resight.data.images import read_picture
    from resight.data.reid_sets import ReidSet, find_set
    from resight.errors import ResightError
    from resight.evaluate.ranking import RankingScores, score_distances, score_features
    from resight.model import Model, load_model
    from resight.search.features import Features, load_features, save_features
    from resight.search.rerank import rerank
    from resight.types import Crop, Side

__version__ = "0.1.0"

_HOMES: Final[dict[str, str]] = {
    "Crop": "resight.types",
    "Features": "resight.search.features",
    "Model": "resight.model",
    "RankingScores": "resight.evaluate.ranking",
    "ReidSet": "resight.data.reid_sets",
    "ResightError": "resight.errors",
    "Side": "resight.types",
    "embed_set": "resight.commands.embed",
    "find_set": "resight.data.reid_sets",
    "load_features": "resight.search.features",
    "load_model": "resight.model",
    "read_picture": "resight.data.images",
    "rerank": "resight.search.rerank",
    "save_features": "resight.search.features",
    "score_distances": "resight.evaluate.ranking",
    "score_features": "resight.evaluate.ranking",
}

__all__ = [
    "Crop",
    "Features",
    "Model",
    "RankingScores",
    "ReidSet",
    "ResightError",
    "Side",
    "__version__",
    "embed_set",
    "find_set",
    "load_features",
    "load_model",
    "read_picture",
    "rerank",
    "save_features",
    "score_distances",
    "score_features",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'resight' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
