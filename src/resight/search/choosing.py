"""What is compared: whole bodies, the parts that both crops show, or a blend of both.

Proof: tests/search/test_part_distances.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from resight.errors import BadFeatures, BadRecipe
from resight.search.features import PART_SHARE, Features

DistanceName = Literal["global", "parts", "both"]


def check_share(name: DistanceName | None, part_share: float | None) -> None:
    """Raise BadRecipe for a share that makes no sense, whatever the features are."""
    if part_share is not None and not 0 <= part_share <= 1:
        raise BadRecipe(f"The part share is {part_share:g}; give the part distance's share of the whole, 0 to 1.")
    if part_share is not None and name in ("global", "parts"):
        raise BadRecipe(f"A part share goes with the distance `both`; `{name}` has none.")


def choose_distance(features: Features, name: DistanceName | None, part_share: float | None = None) -> Features:
    """The same features, compared as the user asks; None leaves what the file says.

    `part_share` is the share of the part distance in `both`, 0..1. Raises BadFeatures where the file has no parts,
    BadRecipe for a share that makes no sense.
    """
    check_share(name, part_share)
    if not features.has_parts:
        if name in ("parts", "both") or part_share is not None:
            raise BadFeatures(
                "These features tell no parts apart (no `query_parts` and `gallery_parts`), so there is no part "
                "distance; embed with a model that knows parts, or compare by `global`."
            )
        return features
    between = features.part_share if 0 < features.part_share < 1 else PART_SHARE
    shares = {"global": 0.0, "parts": 1.0, "both": between, None: features.part_share}
    return replace(features, part_share=shares[name] if part_share is None else part_share)
