"""Write a parser or an embedder as an ONNX file for any batch size, kept only if ONNX Runtime answers as PyTorch does.

The file takes grey levels as they are (`pictures`, B H W 3 uint8 at the model's size), so that nothing about
normalisation has to be known. A parser gives `probabilities` B K h w, and where it says them `sure` B, `second`
B 1 h w (probability of a pixel being another person's), `seen_from` B 2 (`Parsing.view`), `hidden` B (probability that
something hides a part) and `company` B (that a part of another person shows); an embedder `features` B D, and where it
says them `parts` B P F, `visible` B P and what a parser gives. The metadata hold the settings and what the check found.
Needs the extra `onnx`. Proof: tests/test_export.py.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from resight.data.augment import normalise
from resight.data.files import write_beside
from resight.data.label_sets import LIP20
from resight.errors import BadWeights, MissingExtra
from resight.model import Model
from resight.nn.embeddings import Embeddings
from resight.nn.parsing import Parsing, probabilities
from resight.parsing import ParserModel, weights_print
from resight.weight_files import SETTINGS_KEYS

BATCHES: Final = (1, 2, 17)
"""Batch sizes that are compared; the export itself sees another one."""
TOLERANCE: Final = 1e-4
"""Largest difference that is accepted."""
OPSET: Final = 18
MAPS: Final = (32, 16)
"""Height and width of part maps where a model does not say which it learned from."""
Shown = Callable[[int], tuple[Tensor, ...]]
"""A count of pictures -> what the network takes for so many."""


class _Parses(nn.Module):
    def __init__(self, network: nn.Module, *, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(parsed(self.network(normalise(pictures))).values())


class _Embeds(nn.Module):
    """One look at each picture: the mean with its mirror, which `Model.embed` takes, is the caller's."""

    def __init__(self, network: nn.Module, *, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, pictures: Tensor, maps: Tensor | None = None) -> tuple[Tensor, ...]:
        images = normalise(pictures)
        return tuple(said(self.network(images) if maps is None else self.network(images, maps)).values())


def parsed(found: Parsing) -> dict[str, Tensor]:
    """What a parser says of a batch, by the names of an ONNX file's outputs."""
    outputs = {
        "probabilities": probabilities(found.logits),
        "sure": found.sure,
        "second": None if found.second is None else found.second.sigmoid(),
        "seen_from": found.view,
        "hidden": None if found.hidden is None else found.hidden.sigmoid(),
        "company": None if found.company is None else found.company.sigmoid(),
    }
    return {name: value for name, value in outputs.items() if value is not None}


def said(found: Embeddings) -> dict[str, Tensor]:
    """What an embedder says of a batch, by the names of an ONNX file's outputs."""
    outputs = {"features": found.matching, "parts": found.parts, "visible": found.visible}
    if found.parsing is not None:
        second = found.parsing.second
        outputs |= {"probabilities": probabilities(found.parsing.logits), "sure": found.parsing.sure}
        outputs["seen_from"] = found.parsing.view
        outputs["second"] = None if second is None else second.sigmoid()
    return {name: value for name, value in outputs.items() if value is not None}


def export_parser(model: ParserModel, path: Path) -> dict[str, float]:
    """Write the file; returns the largest difference found at each batch size.

    Raises MissingExtra without the packages, BadWeights, writing nothing, when it cannot be exported or answers differ.
    """
    network = model.network.cpu().float().eval()
    with torch.no_grad():
        names = tuple(parsed(network(normalise(_pictures(2, model.size)))))
    facts = {
        SETTINGS_KEYS["parser"]: json.dumps(asdict(model.settings)),
        "weights": weights_print(model),
        "classes": json.dumps(list(model.labels.classes)),
    }
    wrapped = _Parses(network, names=names).eval()
    return _export(wrapped, path, lambda count: (_pictures(count, model.size),), ("pictures",), facts)


def export_embedder(model: Model, path: Path) -> dict[str, float]:
    """As `export_parser`, for an embedder; one that needs part maps takes them as `maps`, B 20 h w float32."""
    size = model.settings.height, model.settings.width
    grid = (model.settings.map_height or MAPS[0], model.settings.map_width or MAPS[1])
    network = model.network.cpu().float().eval()

    def shown(count: int) -> tuple[Tensor, ...]:
        pictures = _pictures(count, size)
        return (pictures, _maps(count, grid)) if model.needs_maps else (pictures,)

    pictures, *maps = shown(2)
    with torch.no_grad():
        names = tuple(said(network(normalise(pictures), *maps)))
    compared = "cosine of `features`"
    if "parts" in names:
        share = f"{model.settings.part_share:g}"
        compared += f", and for a share of {share} of the distance that of `parts`, weighed by `visible` of both crops"
    facts = {
        SETTINGS_KEYS["embedder"]: json.dumps(asdict(model.settings)),
        "compared by": f"{compared}; mean with the mirrored picture's for the accuracy of `resight embed`",
    }
    inputs = ("pictures", "maps") if model.needs_maps else ("pictures",)
    return _export(_Embeds(network, names=names).eval(), path, shown, inputs, facts)


def _export(
    wrapped: _Parses | _Embeds, path: Path, shown: Shown, inputs: tuple[str, ...], facts: dict[str, str]
) -> dict[str, float]:
    """Export, compare at each of `BATCHES`, write with `facts` and what was found as metadata."""
    onnx, runtime = _packages()
    batch = torch.export.Dim("batch", min=1, max=4096)
    with _quiet():
        try:
            program = torch.onnx.export(
                wrapped,
                shown(3),
                input_names=list(inputs),
                output_names=list(wrapped.names),
                dynamic_shapes={name: {0: batch} for name in inputs},
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            high, wide = shown(1)[0].shape[1:3]
            why = str(error.__cause__ or error).splitlines()[0]
            raise BadWeights(
                f"torch.onnx cannot write this network for pictures of {high} × {wide} pixels ({why}), so {path} was "
                "not written. MGCAM's pooling needs its training size of 160 × 64."
            ) from error
    made: Any = program.model_proto  # type: ignore[union-attr]
    found = _differences(made.SerializeToString(), wrapped, shown, inputs, runtime)
    worst = float(np.max([*found.values()]))  # NaN stays NaN
    if not worst <= TOLERANCE:
        raise BadWeights(
            f"ONNX Runtime answers up to {worst:.2g} away from PyTorch (at most {TOLERANCE:g} is accepted), "
            f"so {path} was not written. Export with another version of onnx or onnxruntime."
        )
    for key, value in {**facts, "parity": json.dumps(found)}.items():
        made.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(made)
    with write_beside(path) as partial:
        partial.write_bytes(made.SerializeToString())
    return found


def _packages() -> tuple[Any, Any]:
    try:
        importlib.import_module("onnxscript")
        return importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtra(f"Exporting needs the package {error.name}", extra="onnx") from error


def _pictures(count: int, size: tuple[int, int]) -> Tensor:
    rng = np.random.default_rng(count)
    return torch.from_numpy(rng.integers(0, 256, (count, *size, 3), dtype=np.uint8))


def _maps(count: int, grid: tuple[int, int]) -> Tensor:
    """Part maps of nobody in particular, of so many cells."""
    rng = np.random.default_rng(count)
    maps = rng.dirichlet(np.full(len(LIP20.classes), 0.3), (count, *grid))
    return torch.from_numpy(np.ascontiguousarray(maps.transpose(0, 3, 1, 2), dtype=np.float32))


def _differences(
    file: bytes, wrapped: nn.Module, shown: Shown, inputs: tuple[str, ...], runtime: Any
) -> dict[str, float]:
    """Largest difference of any output at each batch size, by the batch size.

    In shares of the output's largest value where that is above 1: features have no scale of their own.
    """
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    found = {}
    for count in BATCHES:
        given = shown(count)
        with torch.inference_mode():
            wanted = [output.numpy() for output in wrapped(*given)]
        answers = session.run(None, {name: value.numpy() for name, value in zip(inputs, given, strict=True)})
        same = all(one.shape == other.shape for one, other in zip(answers, wanted, strict=True))
        pairs = zip(answers, wanted, strict=True)
        apart = (
            [float(np.abs(one - other).max() / max(1.0, np.abs(other).max())) for one, other in pairs] if same else []
        )
        found[str(count)] = float(np.max(apart)) if apart else float("inf")
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its progress on stdout and warns about its own parts; neither helps a user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
