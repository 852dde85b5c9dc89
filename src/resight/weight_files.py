"""Weights files of embedders and parsers: weights and the settings of their network in one safetensors file.

Proof: tests/test_model.py, tests/test_parsing.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, Literal

import safetensors
import safetensors.torch
from torch import Tensor

from resight.data.files import write_beside
from resight.errors import BadWeights, UnknownName

WEIGHTS: Final = Path(__file__).parent / "weights"
FILE: Final = "model.safetensors"
Kind = Literal["embedder", "parser"]
PICKLE: Final = "a pickle of PyTorch, which resight does not open"
FOREIGN: Final = {
    ".onnx": "an ONNX export, which other programs run",
    ".npz": "a file of arrays",
    ".npy": "a file of arrays",
    ".toml": "a recipe, from which `resight train` makes weights",
    **dict.fromkeys((".pth", ".pt", ".ckpt", ".bin"), PICKLE),
}
"""What else is given where weights are wanted, by its ending."""
SETTINGS_KEYS: Final[dict[Kind, str]] = {"embedder": "resight", "parser": "resight-parser"}
"""Where a file's metadata holds the settings."""


def shipped_names(pattern: str = "*") -> list[str]:
    """Names of the weights in the package, embedders and parsers; a run's folder is none of them."""
    return sorted(file.parent.name for file in WEIGHTS.glob(f"{pattern}/{FILE}"))


def find_weights(name: str | Path, *, what: str = "model", pattern: str = "*") -> Path:
    """The weights file behind a shipped name, a run folder, or a file.

    Raises BadWeights for a folder without one, UnknownName (a `what`, one of those shipped that fit `pattern`) else.
    """
    given = Path(name)
    if given.is_dir():
        if (given / FILE).is_file():
            return given / FILE
        raise BadWeights(f"{given} holds no {FILE}. Pass a finished run folder or a weights file.")
    if given.is_file():
        return given
    shipped = shipped_names(pattern)
    if str(name) in shipped:
        return WEIGHTS / str(name) / FILE
    raise UnknownName(f"{what}, run folder or weights file", str(name), shipped)


def kind_of(path: Path) -> Kind | None:
    """Whose weights a file holds; None where resight did not write it. Raises BadWeights for one that is damaged."""
    return _kind_in(_metadata(path))


def read_weights(path: Path, kind: Kind, settings: type[Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, half precision widened, and the settings that the dataclass knows.

    Raises BadWeights for a damaged file, one that resight did not write, or one of the other kind.
    """
    told = _metadata(path)
    found = _kind_in(told)
    if found != kind:
        what = "was not written by resight" if found is None else f"holds {_a(found)}'s weights"
        raise BadWeights(
            f"{path} {what}, and {_a(kind)} is needed: pass a run of `resight train {kind}` or a shipped name."
        )
    facts = json.loads(told[SETTINGS_KEYS[kind]])
    known = {field.name for field in fields(settings)}
    state = safetensors.torch.load_file(path)
    return widened(state), {key: value for key, value in facts.items() if key in known}


def write_weights(path: Path, kind: Kind, state: Mapping[str, Tensor], settings: Any, *, half: bool) -> None:
    """Write weights and settings (a dataclass); `half` halves the file's size."""
    kept = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in state.items()
    }
    with write_beside(path) as partial:
        safetensors.torch.save_file(kept, partial, metadata={SETTINGS_KEYS[kind]: json.dumps(asdict(settings))})


def widened(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float32; what counts stays whole numbers."""
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            return opened.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise BadWeights(_no_weights(path, str(error))) from error


def _no_weights(path: Path, reason: str) -> str:
    """Say what a file is instead, by its ending, and what to pass."""
    what = FOREIGN.get(path.suffix.lower(), f"damaged or of another kind ({reason})")
    return f"{path} is {what}, not a readable weights file: pass a run folder, its {FILE}, or a shipped name."


def _kind_in(metadata: Mapping[str, str]) -> Kind | None:
    return next((kind for kind, key in SETTINGS_KEYS.items() if key in metadata), None)


def _a(kind: Kind) -> str:
    return f"{'an' if kind == 'embedder' else 'a'} {kind}"
