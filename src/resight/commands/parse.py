"""`resight parse`: crops of persons to label maps, overlays and one sheet."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from resight.commands.progress import bar
from resight.errors import BadRecipe, DatasetNotFound


@dataclass(frozen=True, kw_only=True, slots=True)
class Parse:
    """Find the parts of the person in each crop of a folder (subfolders included) and write them as label maps.

    A crop shows one wanted person, as a detector's box does; of two people the one that the box was made for is parsed.
    A photo of a street is no crop: cut the persons out first. Each map has its picture's size and name, ending in .png,
    with one class number a pixel; parsed.csv says for each file what it held (a checksum), how sure the parser is of
    its map (0 to 1), what share of the crop another person covers, whether something hides a part and whether
    anybody else shows (0 to 1), from where the person is seen (degrees: 0 from the front, 90 looking to the
    picture's right, 180 from behind), and the share of each class.

    Stopped or killed, the same command goes on where it was. Files that cannot be read are named, counted and left out
    (exit code 1); the others are parsed.
    """

    photos: Path
    """A folder of crops, or one picture."""
    out: Path
    """Folder for the maps; made when new."""
    labels: str = "lip20"
    """The parser's own set, or groups of it: of lip20 parts6, parts7, parts8 and street5, whose probabilities are
    summed before the largest is taken."""
    model: str | None = None
    """A shipped parser, a run folder or a weights file; left out, parser-lite."""
    overlays: bool = True
    """Also write each picture with its parts over it (overlays/NAME.jpg)."""
    flip: bool = False
    """Average with the mirrored crop: a little better, half as fast."""
    input_size: str | None = None
    """Height x width that crops are brought to, such as 256x128; left out, the model's."""
    batch: int = 64
    """Crops at once through the network."""
    threads: int | None = None
    """Threads of torch; left out, one per core."""


def parse(config: Parse) -> int:
    """Write the maps; says on stderr what was done and where the time went; exit code 1 when files were left out."""
    from resight.commands.parse_folder import ParsingJob
    from resight.data.label_sets import find_labels
    from resight.data.regrouping import find_regrouping
    from resight.nn.device import best_device
    from resight.parsing import DEFAULT_PARSER, load_parser
    from resight.train.resources import torch_threads

    if config.batch < 1:
        raise BadRecipe(f"--batch is {config.batch}; it must be at least 1.")
    model = load_parser(config.model or DEFAULT_PARSER, device=best_device(), size=parse_size(config.input_size))
    regrouping = find_regrouping(model.labels, find_labels(config.labels))
    job = ParsingJob(
        config.photos, config.out, model, regrouping, overlays=config.overlays, flip=config.flip, batch=config.batch
    )
    if not job.files:
        raise DatasetNotFound(f"There is no picture in {config.photos}. Pass a folder of crops, one person each.")
    with torch_threads(config.threads), bar("parsing", total=len(job.files)) as told:
        told(job.done, total=len(job.files))
        for problem in job.run(told):
            print(f"resight: {problem}", file=sys.stderr)
    print(job.summary(), file=sys.stderr)
    print(config.out)
    return 1 if job.problems else 0


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`384x128` as (height, width); None stays None. Raises BadRecipe for anything else."""
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.isdigit() and 16 <= int(part) <= 4096 for part in parts):
        raise BadRecipe(f"--input-size is `{text}`; it must be height x width, each 16 to 4096, such as 384x128.")
    return int(parts[0]), int(parts[1])
