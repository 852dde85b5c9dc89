"""`resight export`: a parser or an embedder as an ONNX file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from resight.commands.parse import parse_size


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """Write a parser or an embedder as an ONNX file for any batch size, checked against PyTorch at batches 1, 2 and 17.

    Needs the extra: pip install 'resight[onnx]'. The file takes grey levels (`pictures`, batch x height x width x 3,
    uint8). A parser gives `probabilities`, and parser-lite `sure` and `second`; an embedder gives `features`, and where
    it knows them `parts` and `visible`; one-pass gives all of these. A file whose answers differ from those of PyTorch
    is not written; what the check found stands in its metadata.
    """

    model: str = "parser-lite"
    """A shipped parser or embedder, a run folder or a weights file."""
    out: Path = Path("model.onnx")
    """The ONNX file."""
    input_size: str | None = None
    """Height x width of the pictures it takes; left out, the model's."""


def export(config: Export) -> int:
    """Write the file and say how far its answers are from PyTorch's."""
    from resight.export import export_embedder, export_parser
    from resight.model import find_weights, load_model
    from resight.parsing import is_parser, load_parser

    path, size = find_weights(config.model), parse_size(config.input_size)
    if is_parser(path):
        found = export_parser(load_parser(path, size=size), config.out)
    else:
        model = load_model(path)
        if size is not None:
            model = replace(model, settings=replace(model.settings, height=size[0], width=size[1]))
        found = export_embedder(model, config.out)
    said = ", ".join(f"{difference:.1e} at batch {count}" for count, difference in found.items())
    large = config.out.stat().st_size / 1e6
    print(f"{config.out}: {large:.1f} MB; largest difference to PyTorch {said}.", file=sys.stderr)
    print(config.out)
    return 0
