"""Which losses each embedder learns by: the recipe's numbers and the gathered batch, handed to the method's objective.

Proof: tests/train/test_objectives.py trains each row of the table a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor

from resight.embedders.baseline import baseline_objective
from resight.embedders.maskreid import maskreid_objective
from resight.embedders.mgcam import mgcam_objective
from resight.embedders.one_pass import one_pass_objective
from resight.embedders.spatial_attention import spatial_attention_objective
from resight.embedders.two_stream import two_stream_objective
from resight.embedders.visible_parts import visible_parts_objective
from resight.losses import Joint
from resight.nn.embeddings import Embeddings
from resight.train.loop import gather
from resight.train.pictures import Truth
from resight.train.recipe import EmbedderRecipe

Losses = dict[str, Tensor]


def losses_of(recipe: EmbedderRecipe, found: Embeddings, truth: Truth) -> Losses:
    """Named, weighted losses of this process's batch; metric losses look at the batch of all processes."""
    return OBJECTIVES[recipe.embedder](recipe, found, truth)


def joint(found: Embeddings, classes: Tensor) -> Joint:
    """What all processes found, this one's with its gradient."""
    return Joint(
        gather(found.before_neck),
        gather(classes),
        own=len(classes),
        parts=None if found.parts is None else gather(found.parts),
        visible=None if found.visible is None else gather(found.visible),
    )


def _baseline(recipe: EmbedderRecipe, found: Embeddings, truth: Truth) -> Losses:
    return baseline_objective(
        *(found, truth.classes, joint(found, truth.classes)),
        smoothing=recipe.label_smoothing,
        margin=recipe.margin,
        triplet_weight=recipe.triplet_weight,
    )


def _maskreid(recipe: EmbedderRecipe, found: Embeddings, truth: Truth) -> Losses:
    own = recipe.losses
    return maskreid_objective(
        *(found, truth.classes, joint(found, truth.classes)),
        smoothing=recipe.label_smoothing,
        identity_weight=own.identity_weight,
        ranking_weight=own.ranking_weight,
        slack=own.ranking_slack,
        attraction=own.ranking_attraction,
        nearest=own.ranking_nearest,
        only_active=own.ranking_only_active,
    )


def _mgcam(recipe: EmbedderRecipe, found: Embeddings, truth: Truth) -> Losses:
    own = recipe.losses
    return mgcam_objective(
        *(found, truth.classes, joint(found, truth.classes), truth.maps),
        smoothing=recipe.label_smoothing,
        siamese_weight=own.siamese_weight,
        region_weight=own.region_weight,
        attention_weight=own.attention_weight,
        push_margin=own.push_margin,
    )


def _spatial_attention(recipe: EmbedderRecipe, found: Embeddings, truth: Truth) -> Losses:
    return spatial_attention_objective(
        *(found, truth.classes, joint(found, truth.classes)),
        stripes=int(recipe.options.get("stripes", 6)),
        smoothing=recipe.label_smoothing,
        side_weight=recipe.losses.side_weight,
        margin=recipe.margin,
        triplet_weight=recipe.triplet_weight,
    )


def _two_stream(recipe: EmbedderRecipe, found: Embeddings, truth: Truth) -> Losses:
    return two_stream_objective(
        *(found, truth.classes, joint(found, truth.classes)),
        smoothing=recipe.label_smoothing,
        margin=recipe.margin,
        identity_weight=recipe.losses.identity_weight,
        triplet_weight=recipe.triplet_weight,
    )


def _visible_parts(recipe: EmbedderRecipe, found: Embeddings, truth: Truth) -> Losses:
    own = recipe.losses
    return visible_parts_objective(
        *(found, truth.classes, joint(found, truth.classes), *_maps(truth)),
        smoothing=recipe.label_smoothing,
        margin=recipe.margin,
        triplet_weight=recipe.triplet_weight,
        part_triplet_weight=own.part_triplet_weight,
        map_weight=own.map_weight,
        visible_weight=own.visible_weight,
    )


def _one_pass(recipe: EmbedderRecipe, found: Embeddings, truth: Truth) -> Losses:
    if truth.others is None:
        raise ValueError("one-pass learns from part maps, and there are none")
    own = recipe.losses
    return one_pass_objective(
        *(found, truth.classes, joint(found, truth.classes), *_maps(truth)),
        truth.others,
        smoothing=recipe.label_smoothing,
        margin=recipe.margin,
        triplet_weight=recipe.triplet_weight,
        part_triplet_weight=own.part_triplet_weight,
        map_weight=own.map_weight,
        visible_weight=own.visible_weight,
        second_weight=own.second_weight,
    )


def _maps(truth: Truth) -> tuple[Tensor, Tensor]:
    if truth.maps is None or truth.unhidden is None:
        raise ValueError("this embedder learns from part maps, and there are none")
    return truth.maps, truth.unhidden


OBJECTIVES: Final[dict[str, Callable[[EmbedderRecipe, Embeddings, Truth], Losses]]] = {
    "baseline": _baseline,
    "spreid": _baseline,  # the paper's own is its identity loss: triplet-weight = 0
    "maskreid": _maskreid,
    "mgcam": _mgcam,
    "spatial-attention": _spatial_attention,
    "two-stream": _two_stream,
    "visible-parts": _visible_parts,
    "one-pass": _one_pass,
}
