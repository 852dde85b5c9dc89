"""Weights of the released CE2P, brought to our names.

Source of the names: the authors' repository liutinglt/CE2P (2019), read, not copied. Its file is a state dict saved
from several GPUs, so that every name begins with `module.`. Its in-place batch norm computes with |weight| + 1e-5,
whatever the sign, so that is what a plain batch norm gets.
Proof: tests/parsers/test_ce2p_import.py compares with an independent, slow forward pass under the released names.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from resight.errors import BadWeights
from resight.parsers.ce2p import CE2P

NORM_FLOOR: Final = 1e-5
"""What the in-place norm adds to |weight|."""
SCORES: Final = "layer7.3.weight"
NAMES: Final = (  # how a released name begins -> how ours does; the first that fits
    (r"layer5\.stages\.", "context.stages."),
    (r"layer5\.bottleneck\.", "context.bottleneck."),
    (r"layer6\.conv1\.", "decoder.coarse."),
    (r"layer6\.conv2\.", "decoder.fine."),
    (r"layer6\.conv3\.([01])\.", r"decoder.joined.\1."),
    (r"layer6\.conv3\.2\.", "decoder.joined.3."),
    (r"layer6\.conv3\.3\.", "decoder.joined.4."),
    (r"layer6\.conv4\.", "decoder.scores."),
    (r"edge_layer\.conv1\.", "edge.narrow.0."),
    (r"edge_layer\.conv2\.", "edge.narrow.1."),
    (r"edge_layer\.conv3\.", "edge.narrow.2."),
    (r"edge_layer\.conv4\.", "edge.shared."),
    (r"edge_layer\.conv5\.", "edge.joined."),
    (r"layer7\.([01])\.", r"fusion.\1."),
    (r"layer7\.3\.", "fusion.4."),
    (r"(conv|bn|layer)([1-4])\.", r"backbone.\1\2."),
)


def our_name(name: str) -> str | None:
    """Our name of a released one, with or without `module.`; None for one that CE2P does not have."""
    bare = name.removeprefix("module.")
    for pattern, ours in NAMES:
        found, count = re.subn(rf"^{pattern}", ours, bare)
        if count:
            return found
    return None


def read_released(path: Path) -> dict[str, Tensor]:
    """Tensors of a .pth, .pth.tar or .safetensors file by their names; raises BadWeights when it holds none."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadWeights(f"There is no file {path}. Pass the weights that CE2P's authors released.") from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, safetensors.SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadWeights(
            f"{path} is not a readable file of weights ({first}). Pass CE2P's released .pth file."
        ) from error
    if isinstance(held, Mapping) and isinstance(held.get("state_dict"), Mapping):
        held = held["state_dict"]
    if not isinstance(held, Mapping) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        raise BadWeights(
            f"{path} holds no table of weights but a {type(held).__name__}. Pass CE2P's released .pth file."
        )
    return dict(held)


def convert_ce2p(released: Mapping[str, Tensor], *, classes: int, name: str = "the file") -> dict[str, Tensor]:
    """Weights under our names, for `CE2P(classes=classes, published=True)`.

    Raises BadWeights where the number of classes differs or the weights are another network's, saying what was seen.
    """
    bare = {key.removeprefix("module."): value for key, value in released.items()}
    unknown = sorted(key for key in bare if our_name(key) is None)
    with torch.device("meta"):
        wanted = CE2P(classes=classes, published=True).state_dict()
    found = {ours: value for key, value in bare.items() if (ours := our_name(key)) is not None}
    missing = sorted(key for key in wanted if key not in found and not key.endswith("num_batches_tracked"))
    strange = unknown + sorted(key for key in found if key not in wanted)
    if missing or strange:
        raise BadWeights(
            f"{name} is not the released CE2P of 2019 (ResNet-101, deep stem): {len(missing)} weights are missing "
            f"({_some(missing)}), {len(strange)} belong to no part of it ({_some(strange)}). "
            "The version of 2018 (7 × 7 stem) and weights of other networks cannot be imported."
        )
    seen = len(bare[SCORES])
    if seen != classes:
        raise BadWeights(
            f"{name} tells {seen} classes apart, not {classes}. Pass `--labels` of a set with {seen} classes."
        )
    wrong = sorted(key for key, value in found.items() if value.shape != wanted[key].shape)
    if wrong:
        shapes = f"{tuple(found[wrong[0]].shape)}, expected {tuple(wanted[wrong[0]].shape)}"
        raise BadWeights(f"{name}: {len(wrong)} weights have another shape than CE2P's, first {wrong[0]} ({shapes}).")
    norms = {key.removesuffix(".running_mean") for key in wanted if key.endswith(".running_mean")}
    state = {}
    for key, like in wanted.items():
        if key not in found:
            state[key] = torch.zeros((), dtype=torch.long)
        elif key.removesuffix(".weight") in norms:
            state[key] = found[key].to(like.dtype).abs() + NORM_FLOOR
        else:
            state[key] = found[key].to(like.dtype)
    broken = sorted(key for key, value in state.items() if not torch.isfinite(value).all())
    if broken:
        raise BadWeights(f"{name}: {len(broken)} weights are not finite, first {broken[0]}; the file is damaged.")
    return state


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "none"


def released_ce2p(*, classes: int, backbone: str = "resnet101") -> CE2P:
    """The network of imported weights: CE2P that computes as the released code does."""
    return CE2P(classes=classes, backbone=backbone, published=True)
