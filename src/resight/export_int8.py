"""Write an exported embedder with 8-bit whole numbers for CPUs, kept only if it describes pictures as the float file.

ONNX Runtime's static quantisation: weights by channel and activations by tensor of convolutions and products, and of
what stands between them, at scales that half of the given pictures set. A clip is among them, so that the scale before
it covers what it leaves, not what comes in: mean cosine 0.983 to 0.997 for one-pass. Everything else stays float32, and
so do the first two convolutions: they cost little, and one scale for their few and very different channels lost much.
The other half, which set nothing, is described by both files, and the cosines of their `features` decide, and of their
`parts` where the file tells parts apart, each weighed by how much of it is seen: a mean below `LEAST_COSINE` is
refused. The metadata hold the float file's, and what was found under `int8 parity`.
Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018. Needs the extra `onnx`. Proof: tests/test_export_int8.py.
"""

from __future__ import annotations

import importlib
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, UInt8

from resight.data.files import write_beside
from resight.errors import BadRecipe, BadWeights, MissingExtra

LEAST_COSINE: Final = 0.97
"""Mean cosine between float and 8-bit features, or parts, below which nothing is written."""
LEAST_PICTURES: Final = 32
MOST_PICTURES: Final = 512
BATCH: Final = 16
QUANTISED: Final = ("Conv", "Gemm", "MatMul", "Add", "Resize", "Concat", "Clip", "Relu")
FLOAT_CONVOLUTIONS: Final = 2
"""The first ones of the graph, in its order."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How alike float and 8-bit features are, on pictures that set no scale."""

    mean_cosine: float
    lowest_cosine: float
    mean_cosine_of_parts: float | None
    """None where the file tells no parts apart."""
    pictures: int
    calibrated_on: int


class _Reader:
    """Hands the calibration its pictures, a batch at a time."""

    def __init__(self, pictures: UInt8[np.ndarray, "N H W 3"]) -> None:
        starts = range(0, len(pictures), BATCH)
        self._batches: Iterator[dict[str, Any]] = iter({"pictures": pictures[at : at + BATCH]} for at in starts)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)

    def __len__(self) -> int:  # the calibration asks before it reads
        return 0


def export_int8(
    floating: Path, out: Path, pictures: UInt8[np.ndarray, "N H W 3"], *, least: float | None = None
) -> Parity:
    """Quantise an embedder's file (`resight.export.export_embedder`), calibrated on every second picture.

    `least` is the mean cosine that is accepted instead of `LEAST_COSINE`.

    Raises MissingExtra without the packages, BadRecipe for too few pictures or a file that also takes part maps, and
    BadWeights, writing nothing, where the features differ too much.
    """
    onnx, runtime, quantisation = _packages()
    if len(pictures) < LEAST_PICTURES:
        raise BadRecipe(f"{len(pictures)} pictures set no useful scales; give {LEAST_PICTURES} to {MOST_PICTURES}.")
    before = onnx.load(floating)
    inputs, outputs = ([one.name for one in some] for some in (before.graph.input, before.graph.output))
    if inputs != ["pictures"] or "features" not in outputs:
        raise BadRecipe(f"{floating} takes {', '.join(inputs)}: 8 bits are for embedders that take pictures alone.")
    with tempfile.TemporaryDirectory() as folder:
        ready, made = Path(folder) / "ready.onnx", Path(folder) / "made.onnx"
        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # advice to prepare the file, which is done
        try:
            quantisation.shape_inference.quant_pre_process(floating, ready, skip_symbolic_shape=True)
            convolutions = [node.name for node in onnx.load(ready).graph.node if node.op_type == "Conv"]
            first = convolutions[:FLOAT_CONVOLUTIONS]
            quantisation.quantize_static(
                ready,
                made,
                _Reader(pictures[::2]),
                quant_format=quantisation.QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                nodes_to_exclude=first,
                per_channel=True,
                activation_type=quantisation.QuantType.QUInt8,
                weight_type=quantisation.QuantType.QInt8,
            )
        finally:
            logging.getLogger().setLevel(level)
        parity = _parity(floating, made, pictures[1::2], calibrated_on=len(pictures[::2]), runtime=runtime)
        accepted = LEAST_COSINE if least is None else least
        for what, cosine in (("features", parity.mean_cosine), ("parts", parity.mean_cosine_of_parts)):
            if cosine is not None and not cosine >= accepted:
                few = f"more than these {len(pictures)} pictures, {MOST_PICTURES} at best, all"
                raise BadWeights(
                    f"The 8-bit {what} have a mean cosine of {cosine:.4f} to the float ones (at least {accepted:g} is "
                    f"accepted), so {out} was not written. Calibrate on "
                    f"{few if len(pictures) < MOST_PICTURES else 'pictures'} of the kind that it will see, or keep the "
                    "float file."
                )
        model = onnx.load(made)
    del model.metadata_props[:]
    for entry in before.metadata_props:
        model.metadata_props.add(key=entry.key, value=entry.value)
    model.metadata_props.add(key="int8 parity", value=json.dumps(asdict(parity)))
    with write_beside(out) as partial:
        partial.write_bytes(model.SerializeToString())
    return parity


def _parity(
    floating: Path, made: Path, pictures: UInt8[np.ndarray, "N H W 3"], *, calibrated_on: int, runtime: Any
) -> Parity:
    wanted, given = (_described(path, pictures, runtime) for path in (floating, made))
    cosines = _cosines(wanted["features"], given["features"])
    parts = None
    if "parts" in wanted:
        weights = wanted["visible"]
        parts = float((_cosines(wanted["parts"], given["parts"]) * weights).sum() / weights.sum().clip(1e-12))
    return Parity(float(cosines.mean()), float(cosines.min()), parts, len(cosines), calibrated_on)


def _cosines(one: Float[np.ndarray, "*rows D"], other: Float[np.ndarray, "*rows D"]) -> Float[np.ndarray, "*rows"]:
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.asarray((one * other).sum(-1) / lengths.clip(1e-12))


def _described(
    path: Path, pictures: UInt8[np.ndarray, "N H W 3"], runtime: Any
) -> dict[str, Float[np.ndarray, "N ..."]]:
    """Features, and parts with their visibility where the file tells them, by the outputs' names."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs() if one.name in ("features", "parts", "visible")]
    starts = range(0, len(pictures), BATCH)
    rows = [session.run(names, {"pictures": pictures[at : at + BATCH]}) for at in starts]
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return {name: np.concatenate(column).astype(np.float64) for name, column in columns}


def _packages() -> tuple[Any, Any, Any]:
    try:
        onnx, runtime = importlib.import_module("onnx"), importlib.import_module("onnxruntime")
        quantisation = importlib.import_module("onnxruntime.quantization")
        importlib.import_module("onnxruntime.quantization.shape_inference")
    except ImportError as error:
        raise MissingExtra(f"8-bit files need the package {error.name}", extra="onnx") from error
    return onnx, runtime, quantisation
