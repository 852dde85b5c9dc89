"""`resight strips`: rank strips painted by other tools, as tables and crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from resight.commands.conditions import NO_PARSER, conditions_of, open_parser
from resight.data.files import check_place, write_beside
from resight.data.images import is_picture
from resight.diagnose.strips import Strip, read_strip
from resight.diagnose.tables import Table, condition_table, write_table
from resight.diagnose.thresholds import read_thresholds
from resight.errors import BadPicture, DatasetNotFound


@dataclass(frozen=True, kw_only=True, slots=True)
class Strips:
    """Read strips of a query and its ten nearest pictures in green and red frames, and measure the queries.

    Writes strips.csv (rank of the first true match, right and wrong by rank), images.csv (conditions of the queries)
    and the crops without frames. A strip does not know how many true matches there are, so no AP is given.
    """

    folder: Path
    """A folder of strips: 784 × 128 pixels, the query at x = 0, ten pictures at x = 72 and every 72 pixels on."""
    out: Path = Path("strips")
    """A folder for the tables and crops."""
    true: Literal["green", "red"] = "green"
    """Colour of the frames of true matches."""
    thresholds: Path | None = None
    """A TOML file that says when a condition counts as present; left out, the shipped one."""


def strips(config: Strips) -> int:
    """Write tables and crops; 1 when a picture was no strip."""
    thresholds = read_thresholds(config.thresholds)
    check_place(config.out / "strips.csv")
    paths = sorted(path for path in config.folder.glob("*") if is_picture(path)) if config.folder.is_dir() else []
    if not paths:
        raise DatasetNotFound(f"{config.folder} holds no pictures; pass a folder of rank strips.")
    found: list[Strip] = []
    refused: list[str] = []
    for path in paths:
        try:
            found.append(read_strip(path, true=config.true))
        except BadPicture as error:
            refused.append(str(error))
    if not found:
        raise BadPicture(f"None of {len(paths)} pictures is a strip. The first: {refused[0]}")
    queries = [_write_crops(config.out / "crops", strip) for strip in found]
    names = [path.name for path in queries]
    conditions = conditions_of(queries, names, open_parser(NO_PARSER), thresholds)
    right = np.array([strip.right for strip in found])
    first = [strip.first_hit for strip in found]
    table: Table = {
        "strip": [strip.path.name for strip in found],
        "query": names,
        "first_hit": ["" if rank is None else rank for rank in first],
        **{
            f"rank_{rank + 1}": ["right" if one else "wrong" for one in right[:, rank]] for rank in range(len(right[0]))
        },
    }
    write_table(config.out / "strips", table)
    write_table(config.out / "images", condition_table(conditions))
    print(f"{len(found)} strips, {right.size:,} gallery crops: {config.out}")
    print(f"wrong at rank 1: {int((~right[:, 0]).sum())}; no true match among ten: {first.count(None)}")
    for reason in refused[:5]:
        print(f"· left out: {reason}")
    if len(refused) > 5:
        print(f"· and {len(refused) - 5} more")
    return 1 if refused else 0


def _write_crops(folder: Path, strip: Strip) -> Path:
    """Write the query and the crops of one strip; the query's path."""
    paths = []
    for name, pixels in (("query", strip.query), *((f"{n:02}", crop) for n, crop in enumerate(strip.crops, start=1))):
        paths.append(folder / f"{strip.path.stem}_{name}.png")
        with write_beside(paths[-1]) as partial:
            Image.fromarray(pixels).save(partial, "PNG")
    return paths[0]
