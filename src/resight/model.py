"""A trained embedder as people use it: pictures in, features out.

Proof: tests/test_model.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resight.data.augment import flip, normalise
from resight.data.files import write_beside
from resight.data.images import read_resized
from resight.embedders.baseline import Baseline
from resight.errors import BadWeights, UnknownName

EMBEDDERS: Final[dict[str, Callable[..., nn.Module]]] = {
    "baseline": Baseline,  # Luo et al., CVPR Workshops 2019, arXiv:1903.07071
}
DEFAULT_MODEL: Final = "baseline-lite"
CLASSIFIER: Final = "classifier."
WEIGHTS: Final = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """What has to be known to rebuild a network from its weights; stored in the weights file."""

    embedder: str
    backbone: str
    pooling: str
    last_stride: int
    height: int
    width: int
    source: str = ""
    """Where the weights come from: recipe, data, seed."""


def build_embedder(name: str, **keywords: object) -> nn.Module:
    """Make an embedder of the table; an unknown name is answered with the nearest known one."""
    if name not in EMBEDDERS:
        raise UnknownName("embedder", name, EMBEDDERS)
    return EMBEDDERS[name](**keywords)


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its settings, ready to embed; stays on the device it was given."""

    network: nn.Module
    settings: ModelSettings
    device: torch.device

    @torch.inference_mode()
    def embed_pictures(self, pictures: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed pictures of the model's size, N H W 3 grey levels -> N D: the mean of each picture and its mirror."""
        batch = torch.from_numpy(np.stack(tuple(pictures))).to(self.device)
        images = normalise(batch).contiguous(memory_format=torch.channels_last)
        both = [self.network(images).matching, self.network(flip(images)).matching]
        mean: Tensor = (both[0] + both[1]) / 2
        return mean.float().cpu().numpy()

    def embed(
        self, paths: Sequence[Path], *, batch: int = 64, told: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed picture files, N D float32, in the order given; `told(n)` is called as batches are done."""
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(paths), batch):
            chosen = paths[start : start + batch]
            pictures = [read_resized(path, self.settings.height, self.settings.width) for path in chosen]
            rows.append(self.embed_pictures(pictures))
            if told:
                told(len(chosen))
        if not rows:
            raise ValueError("no pictures to embed")
        return np.concatenate(rows)


def save_model(path: Path, state: dict[str, Tensor], settings: ModelSettings, *, half: bool = False) -> None:
    """Write weights (the classifier left out) and settings as one safetensors file; `half` halves its size."""
    kept = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in state.items()
        if not name.startswith(CLASSIFIER)
    }
    with write_beside(path) as partial:
        safetensors.torch.save_file(kept, partial, metadata={"resight": json.dumps(asdict(settings))})


def find_weights(name: str | Path) -> Path:
    """The weights file behind a shipped name, a run folder, or a file."""
    given = Path(name)
    if given.is_dir():
        if (given / "model.safetensors").is_file():
            return given / "model.safetensors"
        raise BadWeights(f"{given} holds no model.safetensors. Pass a finished run folder or a weights file.")
    if given.is_file():
        return given
    shipped = sorted(file.parent.name for file in WEIGHTS.glob("*/model.safetensors"))
    if str(name) in shipped:
        return WEIGHTS / str(name) / "model.safetensors"
    raise UnknownName("model, run folder or weights file", str(name), shipped)


def load_model(name: str | Path = DEFAULT_MODEL, *, device: str | torch.device = "cpu") -> Model:
    """Load a model by shipped name, run folder or weights file. Raises BadWeights when it is not one of ours."""
    path = find_weights(name)
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            facts = (opened.metadata() or {}).get("resight")
        state = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise BadWeights(f"{path} is not a readable weights file ({error}). Train or download it again.") from error
    if facts is None:
        raise BadWeights(f"{path} was not written by resight: it does not say which network it belongs to.")
    known = {field.name for field in fields(ModelSettings)}
    settings = ModelSettings(**{key: value for key, value in json.loads(facts).items() if key in known})
    try:
        return model_from_state(state, settings, device=device)
    except RuntimeError as error:
        raise BadWeights(f"{path} does not fit a {settings.embedder} on {settings.backbone}: {error}") from error


def model_from_state(state: dict[str, Tensor], settings: ModelSettings, *, device: str | torch.device = "cpu") -> Model:
    """Build a network and give it the weights of `state` (half precision is widened, a classifier is left out)."""
    network = build_embedder(
        settings.embedder,
        classes=0,
        backbone=settings.backbone,
        pooling=settings.pooling,
        last_stride=settings.last_stride,
    )
    network.load_state_dict(
        {
            name: value.float() if value.is_floating_point() else value
            for name, value in state.items()
            if not name.startswith(CLASSIFIER)
        }
    )
    network.eval().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(network, settings, torch.device(device))
