"""A trained embedder as people use it: pictures in, features out.

Proof: tests/test_model.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resight.data.augment import normalise
from resight.data.images import read_resized
from resight.data.label_sets import LIP20, PARTS6
from resight.data.mirror import Mirrored, mirror
from resight.embedders.baseline import Baseline
from resight.embedders.maskreid import MaskReID
from resight.embedders.mgcam import MGCAM
from resight.embedders.one_pass import OnePass
from resight.embedders.spatial_attention import SpatialAttention
from resight.embedders.spreid import SPReID
from resight.embedders.two_stream import TwoStream
from resight.embedders.visible_parts import VisibleParts
from resight.errors import BadFeatures, BadPicture, BadRecipe, BadWeights, UnknownName, nearest
from resight.nn.embeddings import Embeddings
from resight.parsers.lite import LiteHead
from resight.search.features import PART_SHARE
from resight.weight_files import find_weights, read_weights, widened, write_weights


def _one_pass(**keywords: Any) -> OnePass:
    """The decoder comes from the parsers, which embedders do not know."""
    return OnePass(parser=LiteHead(classes=len(LIP20.classes)), **keywords)


EMBEDDERS: Final[dict[str, Callable[..., nn.Module]]] = {
    "baseline": Baseline,  # Luo et al., CVPR Workshops 2019, arXiv:1903.07071
    "spreid": SPReID,  # Kalayeh et al., CVPR 2018
    "maskreid": MaskReID,  # Qi et al., arXiv:1804.03864
    "mgcam": MGCAM,  # Song et al., CVPR 2018
    "spatial-attention": SpatialAttention,  # Wang et al., arXiv:1811.12150
    "two-stream": TwoStream,  # unpublished
    "visible-parts": VisibleParts,  # own design
    "one-pass": _one_pass,  # own design: with the parser
}
DEFAULT_MODEL: Final = "one-pass"
CLASSIFIER: Final = "classifier."


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
    options: dict[str, Any] = field(default_factory=dict)
    """What only this embedder's constructor takes."""
    parser: str = ""
    """Stamp of the parser whose part maps it learned from; maps of another are refused where it needs maps."""
    map_height: int = 0
    """Of the part maps it learned from, in cells; those of another size are refused where it needs maps. 0: unknown."""
    map_width: int = 0
    part_share: float = PART_SHARE
    """Where it tells parts apart: the part distance's share when its features are compared, as its recipe says."""


SHARED_KEYWORDS: Final = ("classes", "backbone", "pooling", "last_stride")


def build_embedder(name: str, *, options: Mapping[str, Any] | None = None, **keywords: object) -> nn.Module:
    """Make an embedder of the table; an unknown name is answered with the nearest known one.

    `options` are what only this embedder takes. Raises BadRecipe for one that it does not know.
    """
    if name not in EMBEDDERS:
        raise UnknownName("embedder", name, EMBEDDERS)
    known = embedder_options(name)
    for key in options or {}:
        if key.replace("-", "_") not in known:
            hint = nearest(key, known)
            raise BadRecipe(f"The embedder `{name}` has no option `{key}`.{hint} Known: {', '.join(known) or 'none'}.")
    chosen = {key.replace("-", "_"): value for key, value in (options or {}).items()}
    return EMBEDDERS[name](**keywords, **chosen)


def embedder_options(name: str) -> tuple[str, ...]:
    """Keywords of an embedder beyond those that all take."""
    kind = OnePass if name == "one-pass" else EMBEDDERS[name]
    return tuple(key for key in inspect.signature(kind).parameters if key not in (*SHARED_KEYWORDS, "parser"))


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a model says of N crops: features N D; parts N P F and visible N P (0..1) where it tells parts apart."""

    features: NDArray[np.float32]
    parts: NDArray[np.float32] | None = None
    visible: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its settings, ready to embed; stays on the device it was given."""

    network: nn.Module
    settings: ModelSettings
    device: torch.device

    @property
    def needs_maps(self) -> bool:
        """Whether part maps must come with the pictures."""
        return bool(getattr(self.network, "needs_maps", False))

    @property
    def wants_maps(self) -> str:
        """What to say where maps are needed and there are none."""
        return (
            f"A {self.settings.embedder} needs part maps beside the pictures. Make them with `resight parts DATASET "
            "--out FOLDER` and pass `--parts FOLDER`."
        )

    def embed_pictures(
        self,
        pictures: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
        maps: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Embed pictures of the model's size, N H W 3 grey levels -> N D: the mean of each picture and its mirror."""
        return self.describe(pictures, maps).features

    @torch.inference_mode()
    def describe(
        self,
        pictures: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
        maps: NDArray[np.float32] | None = None,
    ) -> Embedded:
        """Features, parts and visibility of pictures, each the mean of the picture and its mirror.

        `maps` are soft part maps N 20 h w of `lip20`, 0..1, for a model that needs them; raises BadFeatures without.
        A part's vector counts by how visible it is in each of the two.
        """
        if self.needs_maps and maps is None:
            raise BadFeatures(self.wants_maps)
        batch = torch.from_numpy(np.stack(tuple(pictures))).to(self.device)
        images = normalise(batch).contiguous(memory_format=torch.channels_last)
        soft = torch.from_numpy(maps).to(self.device) if maps is not None and self.needs_maps else None
        plain = Mirrored(images=images, maps=soft)
        turned = mirror(plain, maps=LIP20)
        found, other = (self._forward(images, soft), self._forward(turned.images, turned.maps))
        features = ((found.matching + other.matching) / 2).float().cpu().numpy()
        if found.parts is None or found.visible is None:
            return Embedded(features)
        back = mirror(Mirrored(parts=other.parts, visible=other.visible), parts=PARTS6)
        if back.parts is None or back.visible is None:  # never: they were given
            raise TypeError("a mirror lost the parts")
        weights = torch.stack([found.visible, back.visible])[..., None]
        both = torch.stack([found.parts, back.parts])
        parts = (both * weights).sum(0) / weights.sum(0).clamp_min(1e-6)
        visible = (found.visible + back.visible) / 2
        return Embedded(features, parts.float().cpu().numpy(), visible.float().cpu().numpy())

    def _forward(self, images: Tensor | None, maps: Tensor | None) -> Embeddings:
        found: Embeddings = self.network(images) if maps is None else self.network(images, maps)
        return found

    def embed(
        self, paths: Sequence[Path], *, batch: int = 64, told: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed picture files, N D float32, in the order given; `told(n)` is called as batches are done."""
        return self.embed_files(paths, batch=batch, told=told).features

    def embed_files(
        self,
        paths: Sequence[Path],
        *,
        batch: int = 64,
        told: Callable[[int], None] | None = None,
        maps: Callable[[Sequence[Path]], NDArray[np.float32]] | None = None,
        left_out: dict[Path, str] | None = None,
    ) -> Embedded:
        """Describe picture files in the order given; `maps(paths)` gives their part maps, N 20 h w.

        Files that cannot be read go into `left_out` with what is wrong and get no row. Raises BadPicture where it is
        not given and where no file can be read.
        """
        rows: list[Embedded] = []
        for start in range(0, len(paths), batch):
            chosen, pictures = [], []
            for path in paths[start : start + batch]:
                try:
                    pictures.append(read_resized(path, self.settings.height, self.settings.width))
                    chosen.append(path)
                except BadPicture as error:
                    if left_out is None:
                        raise
                    left_out[path] = str(error)
            if chosen:
                rows.append(self.describe(pictures, maps(chosen) if maps and self.needs_maps else None))
            if told:
                told(len(paths[start : start + batch]))
        if left_out and not rows:
            raise BadPicture(f"No picture can be read; the first: {next(iter(left_out.values()))}")
        return join_embedded(rows)


def join_embedded(rows: Sequence[Embedded]) -> Embedded:
    """Batches in a row as one."""
    if not rows:
        raise ValueError("no pictures to embed")
    joined = [
        None if any(one is None for one in column) else np.concatenate([one for one in column if one is not None])
        for column in zip(*((row.features, row.parts, row.visible) for row in rows), strict=True)
    ]
    if joined[0] is None:  # never: every row has features
        raise TypeError("features are missing")
    return Embedded(joined[0], joined[1], joined[2])


def save_model(path: Path, state: dict[str, Tensor], settings: ModelSettings, *, half: bool = False) -> None:
    """Write weights (the classifier left out) and settings as one safetensors file; `half` halves its size."""
    write_weights(path, "embedder", without_classifier(state), settings, half=half)


def load_model(name: str | Path = DEFAULT_MODEL, *, device: str | torch.device = "cpu") -> Model:
    """Load a model by shipped name, run folder or weights file. Raises BadWeights when it is not one of ours."""
    path = find_weights(name)
    state, facts = read_weights(path, "embedder", ModelSettings)
    settings = ModelSettings(**facts)
    try:
        return model_from_state(state, settings, device=device)
    except RuntimeError as error:
        raise BadWeights(f"{path} does not fit a {settings.embedder} on {settings.backbone}: {error}") from error


def without_classifier(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that are needed after training: persons' classes are training's alone."""
    return {name: value for name, value in state.items() if not name.startswith(CLASSIFIER)}


def model_from_state(state: dict[str, Tensor], settings: ModelSettings, *, device: str | torch.device = "cpu") -> Model:
    """Build a network and give it the weights of `state` (half precision is widened, a classifier is left out)."""
    network = build_embedder(
        settings.embedder,
        classes=0,
        backbone=settings.backbone,
        pooling=settings.pooling,
        last_stride=settings.last_stride,
        options=settings.options,
    )
    network.load_state_dict(widened(without_classifier(state)))
    network.eval().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(network, settings, torch.device(device))
