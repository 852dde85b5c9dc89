"""`resight import ce2p`: the released weights of CE2P to a run folder that `resight parse` reads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from resight.errors import CannotWrite


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportCE2P:
    """Turn the weights that CE2P's authors released (2019) into a run folder of resight.

    The network then computes as the released code does: its in-place batch norm becomes a plain one of the same
    answers, pictures are read blue first under ImageNet's statistics, and one resize keeps its unaligned corners.
    """

    file: Path
    """The released state dict, .pth or .safetensors."""
    out: Path
    """Run folder to make; it must not hold a model yet."""
    labels: str = "lip20"
    """Label set of the weights: its number of classes must be theirs."""
    height: int = 384
    """Height in pixels that pictures are brought to; the released weights were trained at 384."""
    width: int = 384
    """Width in pixels that pictures are brought to."""


def import_ce2p(config: ImportCE2P) -> int:
    """Write `out/model.safetensors` and print its path; raises BadWeights where the file is not CE2P's."""
    from resight.data.label_sets import find_labels
    from resight.parsers.ce2p_import import convert_ce2p, read_released
    from resight.parsing import ParserSettings, save_parser

    classes = len(find_labels(config.labels).classes)
    path = config.out / "model.safetensors"
    if path.exists():
        raise CannotWrite(f"{path} exists already. Choose a new folder for --out.")
    state = convert_ce2p(read_released(config.file), classes=classes, name=str(config.file))
    config.out.mkdir(parents=True, exist_ok=True)
    settings = ParserSettings(
        parser="ce2p-released",
        labels=config.labels,
        height=config.height,
        width=config.width,
        backbone="resnet101",
        source=f"released weights of CE2P, {config.file.name}",
    )
    save_parser(path, state, settings)
    print(f"{classes} classes, {sum(value.numel() for value in state.values()):,} numbers.", file=sys.stderr)
    print(path)
    return 0
