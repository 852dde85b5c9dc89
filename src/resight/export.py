"""Write a parser as an ONNX file for any batch size, kept only if ONNX Runtime answers as PyTorch does.

The file takes grey levels as they are (`pictures`, B H W 3 uint8 at the model's size), so that nothing about
normalisation has to be known, and gives `probabilities` B K h w, and where the parser says them `sure` B and `second`
B 1 h w (probability of a pixel being another person's). Its metadata hold the settings and what the check found.
Needs the extra `onnx`. Proof: tests/test_export.py.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from resight.data.augment import normalise
from resight.data.files import write_beside
from resight.errors import BadWeights, MissingExtra
from resight.parsing import FACTS, ParserModel, weights_print

BATCHES: Final = (1, 2, 17)
"""Batch sizes that are compared; the export itself sees another one."""
TOLERANCE: Final = 1e-4
"""Largest difference of a probability that is accepted."""
OPSET: Final = 18


class _FromGreyLevels(nn.Module):
    def __init__(self, network: nn.Module, *, lite: bool) -> None:
        super().__init__()
        self.network, self.lite = network, lite

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        found = self.network(normalise(pictures))
        probabilities = found.logits.softmax(1)
        return (probabilities, found.sure, found.second.sigmoid()) if self.lite else (probabilities,)


def export_parser(model: ParserModel, path: Path) -> dict[str, float]:
    """Write the file; returns the largest difference found at each batch size.

    Raises MissingExtra without the packages, BadWeights, writing nothing, when the answers differ.
    """
    onnx, runtime = _packages()
    lite = model.settings.parser == "lite"
    wrapped = _FromGreyLevels(model.network.cpu().float(), lite=lite).eval()
    shown = _pictures(3, model)
    names = ["probabilities", "sure", "second"] if lite else ["probabilities"]
    with _quiet():
        program = torch.onnx.export(
            wrapped,
            (shown,),
            input_names=["pictures"],
            output_names=names,
            dynamic_shapes={"pictures": {0: torch.export.Dim("batch", min=1, max=4096)}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    made: Any = program.model_proto  # type: ignore[union-attr]
    found = _differences(made.SerializeToString(), wrapped, model, runtime)
    worst = max(found.values())
    if not worst <= TOLERANCE:
        raise BadWeights(
            f"ONNX Runtime answers up to {worst:.2g} away from PyTorch (at most {TOLERANCE:g} is accepted), "
            f"so {path} was not written. Export with another version of onnx or onnxruntime."
        )
    facts = {
        FACTS: json.dumps(asdict(model.settings)),
        "weights": weights_print(model),
        "parity": json.dumps(found),
        "classes": json.dumps(list(model.labels.classes)),
    }
    for key, value in facts.items():
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


def _pictures(count: int, model: ParserModel) -> Tensor:
    rng = np.random.default_rng(count)
    return torch.from_numpy(rng.integers(0, 256, (count, *model.size, 3), dtype=np.uint8))


def _differences(file: bytes, wrapped: nn.Module, model: ParserModel, runtime: Any) -> dict[str, float]:
    """Largest difference of any output at each batch size, by the batch size."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    found = {}
    for count in BATCHES:
        pictures = _pictures(count, model)
        with torch.inference_mode():
            wanted = [output.numpy() for output in wrapped(pictures)]
        answers = session.run(None, {"pictures": pictures.numpy()})
        same = all(one.shape == other.shape for one, other in zip(answers, wanted, strict=True))
        pairs = zip(answers, wanted, strict=True)
        found[str(count)] = max(float(np.abs(one - other).max()) for one, other in pairs) if same else float("inf")
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
