"""`resight export`: a parser as an ONNX file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from resight.commands.parse import parse_size


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """Write a parser as an ONNX file for any batch size, checked against PyTorch at batches of 1, 2 and 17.

    Needs the extra: pip install 'resight[onnx]'. The file takes grey levels (`pictures`, batch x height x width x 3,
    uint8) and gives `probabilities`, and for parser-lite `sure` and `second`. A file whose answers differ from those of
    PyTorch is not written; what the check found stands in its metadata.
    """

    model: str = "parser-lite"
    """A shipped parser, a run folder or a weights file."""
    out: Path = Path("parser.onnx")
    """The ONNX file."""
    input_size: str | None = None
    """Height x width of the pictures it takes; left out, the model's."""


def export(config: Export) -> int:
    """Write the file and say how far its answers are from PyTorch's."""
    from resight.export import export_parser
    from resight.parsing import load_parser

    model = load_parser(config.model, size=parse_size(config.input_size))
    found = export_parser(model, config.out)
    said = ", ".join(f"{difference:.1e} at batch {count}" for count, difference in found.items())
    size = config.out.stat().st_size / 1e6
    print(f"{config.out}: {size:.1f} MB; largest difference to PyTorch {said}.", file=sys.stderr)
    print(config.out)
    return 0
