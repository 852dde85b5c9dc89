"""A trained parser as people use it: crops of one person in, label maps out.

A crop may have any size; it is stretched to the network's, as detectors' boxes are in training, and the map comes back
at the crop's own size. Groups of classes are summed as probabilities before the largest is taken.
Proof: tests/commands/test_parse.py.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from resight.data.augment import normalise
from resight.data.images import resize
from resight.data.labels import LabelSet, find_labels
from resight.data.mirror import flip_soft
from resight.data.regrouping import Regrouping, regroup_probabilities
from resight.errors import BadWeights, UnknownName
from resight.nn.answers import Answer, largest, mean_answer
from resight.nn.parsing import probabilities
from resight.parsers.lite import TELLS
from resight.weight_files import find_weights, kind_of, read_weights, widened, write_weights

PARSERS: Final[dict[str, str]] = {  # name -> module:class, imported when asked for
    "lite": "resight.parsers.lite:ParserLite",  # own design, at most 3 M parameters
    "ce2p": "resight.parsers.ce2p:CE2P",  # Ruan et al., AAAI 2019, arXiv:1809.05996
    "ce2p-released": "resight.parsers.ce2p_import:released_ce2p",  # as its authors' code computes, for their weights
    "attention-ssl": "resight.parsers.attention_ssl:AttentionSSL",  # Gong et al., CVPR 2017, arXiv:1703.05446
    "cocnn": "resight.parsers.cocnn:CoCNN",  # Liang et al., ICCV 2015
    "cocnn-superpixels": "resight.parsers.cocnn:with_superpixels",  # needs the extra `superpixels`
}
CORNER_ON_CORNER: Final = frozenset({"ce2p", "ce2p-released", "attention-ssl"})
"""Parsers whose answer is brought to the picture with aligned corners, because their objectives do so in training."""
DEFAULT_PARSER: Final = "parser-lite"


@dataclass(frozen=True, kw_only=True, slots=True)
class ParserSettings:
    """What has to be known to rebuild a parser from its weights; stored in the weights file."""

    parser: str
    labels: str
    height: int
    width: int
    backbone: str = ""
    source: str = ""
    """Where the weights come from: recipe, data, seed."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser says about one crop."""

    labels: UInt8[np.ndarray, "H W"]
    """Class of each pixel, at the crop's size."""
    probabilities: Float32[np.ndarray, "K h w"]
    """Of each class, at the network's answer's size."""
    sure: float
    """Expected quality of this map, 0..1; NaN where the parser does not say."""
    second_share: float
    """Share of the crop that another person covers, 0..1; NaN where the parser does not say."""
    view_degrees: float
    """0 seen from the front, 90 looking to the picture's right, -90 to its left, 180 from behind; NaN unknown."""
    hidden: float
    """How surely something in front hides a part of the person, 0..1; NaN where the parser does not say."""
    company: float
    """How surely a part of another person shows, 0..1; NaN where the parser does not say."""


def build_parser(name: str, *, classes: int, backbone: str = "") -> nn.Module:
    """Make a parser of the table; an unknown name is answered with the nearest known one."""
    if name not in PARSERS:
        raise UnknownName("parser", name, PARSERS)
    module, kind = PARSERS[name].split(":")
    keywords: dict[str, Any] = {"backbone": backbone} if backbone and name != "lite" else {}
    network: nn.Module = getattr(importlib.import_module(module), kind)(classes=classes, **keywords)
    return network


@dataclass(frozen=True, slots=True)
class ParserModel:
    """A parser with its settings, ready to parse; stays on the device it was given."""

    network: nn.Module
    settings: ParserSettings
    device: torch.device

    @property
    def labels(self) -> LabelSet:
        return find_labels(self.settings.labels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that crops are brought to."""
        return self.settings.height, self.settings.width

    @property
    def aligned(self) -> bool:
        """Whether the corners of the network's answer lie on the corners of its picture."""
        return self.settings.parser in CORNER_ON_CORNER

    def parse(
        self,
        pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        *,
        regrouping: Regrouping | None = None,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
    ) -> list[Parsed]:
        """Parse crops of any sizes as one batch.

        `flip` averages with the mirrored crop, sides changed back; `scales` averages the answers to the network's size
        times each of them, on the grid of the first.
        """
        sizes = [(picture.shape[0], picture.shape[1]) for picture in pictures]
        if not sizes:
            return []
        answers = []
        for scale in scales:
            high, wide = (max(1, round(side * scale)) for side in self.size)
            answers.append(self._answer(np.stack([resize(one, high, wide) for one in pictures]), flip=flip))
        return self._told(mean_answer(answers, aligned=self.aligned), sizes, regrouping)

    def parse_resized(
        self,
        pictures: UInt8[np.ndarray, "B h w 3"],
        sizes: Sequence[tuple[int, int]],
        *,
        regrouping: Regrouping | None = None,
        flip: bool = False,
    ) -> list[Parsed]:
        """Parse crops that have the network's size already; maps come back at `sizes` (height, width)."""
        return self._told(self._answer(pictures, flip=flip), sizes, regrouping) if len(pictures) else []

    @torch.inference_mode()
    def _told(self, answer: Answer, sizes: Sequence[tuple[int, int]], regrouping: Regrouping | None) -> list[Parsed]:
        classes = answer.probabilities
        if regrouping is not None:
            classes = regroup_probabilities(classes, regrouping)
        maps: list[UInt8[np.ndarray, "H W"]] = [np.zeros((0, 0), np.uint8)] * len(sizes)
        through = self.size if self.aligned else None
        for size in sorted(set(sizes)):
            rows = [row for row, own in enumerate(sizes) if own == size]
            for row, found in zip(rows, largest(classes[rows], size, through=through), strict=True):
                maps[row] = found
        each = classes.float().cpu().numpy()
        degrees = torch.rad2deg(torch.atan2(answer.view[:, 1], answer.view[:, 0]))
        numbers = torch.stack([answer.sure, answer.second_share, degrees, answer.hidden, answer.company], 1).tolist()
        return [Parsed(labels, found, *told) for labels, found, told in zip(maps, each, numbers, strict=True)]

    @torch.inference_mode()
    def _answer(self, pictures: NDArray[np.uint8], *, flip: bool) -> Answer:
        images = normalise(torch.from_numpy(pictures).to(self.device)).contiguous(memory_format=torch.channels_last)
        found = self.network(images)
        classes = probabilities(found.logits)
        sure, second, view = found.sure, found.second, found.view
        hidden, company = found.hidden, found.company
        if flip:
            mirrored = self.network(images.flip(3))
            classes = (classes + flip_soft(probabilities(mirrored.logits), self.labels)) / 2
            sure = None if sure is None else (sure + mirrored.sure) / 2
            second = None if second is None else (second + mirrored.second.flip(3)) / 2
            view = None if view is None else (view + mirrored.view * mirrored.view.new_tensor([1, -1])) / 2
            hidden = None if hidden is None else (hidden + mirrored.hidden) / 2
            company = None if company is None else (company + mirrored.company) / 2
        unknown = torch.full((len(pictures),), torch.nan)
        return Answer(
            classes,
            unknown if sure is None else sure.float().cpu(),
            unknown if second is None else second.float().sigmoid().mean((1, 2, 3)).cpu(),
            torch.stack([unknown, unknown], 1) if view is None else view.float().cpu(),
            unknown if hidden is None else hidden.float().sigmoid().cpu(),
            unknown if company is None else company.float().sigmoid().cpu(),
        )


def weights_print(model: ParserModel) -> str:
    """Twelve hex digits that change with any weight of a model."""
    digest = hashlib.sha256()
    for name, value in sorted(model.network.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def save_parser(path: Path, state: dict[str, Tensor], settings: ParserSettings, *, half: bool = False) -> None:
    """Write weights and settings as one safetensors file; `half` halves its size."""
    write_weights(path, "parser", state, settings, half=half)


def find_parser(name: str | Path) -> Path:
    """The weights file behind a shipped parser's name, a run folder, or a file."""
    return find_weights(name, what="parser", pattern="parser-*")


def is_parser(name: str | Path) -> bool:
    """Whether a name, a run folder or a weights file is a parser's."""
    try:
        return kind_of(find_parser(name)) == "parser"
    except (BadWeights, UnknownName):
        return False


def load_parser(
    name: str | Path = DEFAULT_PARSER, *, device: str | torch.device = "cpu", size: tuple[int, int] | None = None
) -> ParserModel:
    """Load a parser by shipped name, run folder or weights file; `size` (height, width) instead of its own.

    Raises BadWeights when it is not one of ours, or is an embedder.
    """
    path = find_parser(name)
    state, facts = read_weights(path, "parser", ParserSettings)
    if size is not None:
        facts.update(height=size[0], width=size[1])
    settings = ParserSettings(**facts)
    try:
        return parser_from_state(state, settings, device=device)
    except RuntimeError as error:
        told = [line.strip().rstrip(".") for line in str(error).splitlines()[1:] if line.strip()] or [str(error)]
        classes = len(find_labels(settings.labels).classes)
        raise BadWeights(
            f"{path} does not fit a {settings.parser} of {settings.labels} ({classes} classes): {told[0][:200]}"
            f"{f' (and {len(told) - 1} more)' if len(told) > 1 else ''}. Its settings are another network's."
        ) from error


def parser_from_state(
    state: dict[str, Tensor], settings: ParserSettings, *, device: str | torch.device = "cpu"
) -> ParserModel:
    """Build a network and give it the weights of `state`; half precision is widened."""
    classes = len(find_labels(settings.labels).classes)
    network = build_parser(settings.parser, classes=classes, backbone=settings.backbone)
    for told in TELLS if settings.parser == "lite" else ():  # networks of before could not tell
        if not any(name.startswith(f"head.{told}.") for name in state):
            setattr(network.get_submodule("head"), told, None)
    network.load_state_dict(widened(state))
    network.eval().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ParserModel(network, settings, torch.device(device))
