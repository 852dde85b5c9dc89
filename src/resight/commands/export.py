"""`resight export`: a parser or an embedder as an ONNX file."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from resight.commands.parse import parse_size
from resight.errors import BadRecipe

if TYPE_CHECKING:
    from resight.model import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """Write a parser or an embedder as an ONNX file for any batch size, checked against PyTorch at batches 1, 2 and 17.

    Needs the extra: pip install ".[onnx]" in your clone. The file takes grey levels (`pictures`, batch x height x width
    x 3, uint8). A parser gives `probabilities`, and parser-lite `sure`, `second`, `seen_from`, `hidden` and `company`;
    an embedder gives `features`, and where it knows them `parts` and `visible`; one-pass the first four of a parser
    too. A file whose answers differ from those of PyTorch is not written; what the check found stands in its metadata.
    With --int8, 8-bit whole numbers for CPUs: features and parts are compared by cosine with the float ones, on
    calibration pictures that set no scale.
    """

    model: str = "parser-lite"
    """A shipped parser or embedder, a run folder or a weights file."""
    out: Path = Path("model.onnx")
    """The ONNX file."""
    input_size: str | None = None
    """Height x width of the pictures it takes; left out, the model's."""
    int8: bool = False
    """Of an embedder that takes pictures alone: weights and products in 8 bits."""
    calibration: Path | None = None
    """For --int8: a folder of crops like those it will see (32 or more; at most 512 are looked at)."""


def export(config: Export) -> int:
    """Write the file and say how far its answers are from PyTorch's."""
    from resight.export import export_embedder, export_parser
    from resight.model import load_model
    from resight.parsing import is_parser, load_parser
    from resight.weight_files import find_weights

    path, size = find_weights(config.model), parse_size(config.input_size)
    if config.int8 != (config.calibration is not None):
        raise BadRecipe("--int8 and --calibration FOLDER go together: scales are set on pictures.")
    if config.int8 and is_parser(path):
        raise BadRecipe(f"{config.model} is a parser; --int8 is for embedders.")
    if is_parser(path):
        found = export_parser(load_parser(path, size=size), config.out)
    else:
        model = load_model(path)
        if size is not None:
            model = replace(model, settings=replace(model.settings, height=size[0], width=size[1]))
        if config.int8:
            return _int8(model, config)
        found = export_embedder(model, config.out)
    said = ", ".join(f"{difference:.1e} at batch {count}" for count, difference in found.items())
    large = config.out.stat().st_size / 1e6
    print(f"{config.out}: {large:.1f} MB; largest difference to PyTorch {said}.", file=sys.stderr)
    print(config.out)
    return 0


def _int8(model: Model, config: Export) -> int:
    """Write the 8-bit file by way of a float one, and say how alike their features are."""
    import numpy as np

    from resight.data.images import is_picture, read_resized
    from resight.data.sampling import evenly
    from resight.export import export_embedder
    from resight.export_int8 import MOST_PICTURES, export_int8

    files = sorted(file for file in Path(str(config.calibration)).rglob("*") if is_picture(file))
    some = [files[place] for place in evenly(len(files), MOST_PICTURES)]
    high, wide = model.settings.height, model.settings.width
    crops = [read_resized(file, high, wide) for file in some]
    pictures = np.stack(crops) if crops else np.zeros((0, high, wide, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        floating = Path(folder) / "float.onnx"
        export_embedder(model, floating)
        parity = export_int8(floating, config.out, pictures)
        times = floating.stat().st_size / config.out.stat().st_size
    parts = parity.mean_cosine_of_parts
    print(
        f"{config.out}: {config.out.stat().st_size / 1e6:.1f} MB, {times:.1f} times smaller; cosine to the float "
        f"features {parity.mean_cosine:.4f} in the mean of {parity.pictures} pictures, {parity.lowest_cosine:.4f} at "
        f"the lowest{'' if parts is None else f'; of parts {parts:.4f} in the mean'}.",
        file=sys.stderr,
    )
    print(config.out)
    return 0
