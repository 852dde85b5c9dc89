"""`resight people`: a set of rendered pedestrians with exact parts, identities, cameras and planted causes."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resight.commands.progress import bar
from resight.data.condition_names import condition_name
from resight.data.files import write_beside
from resight.errors import BadRecipe

if TYPE_CHECKING:
    from resight.people.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Render pedestrians: a data set in the layouts of Market-1501 and LIP, with the truth about every picture.

    Needs the extra: pip install ".[people]" in your clone. The same seed gives the same bytes on the same machine, and
    person 7 is the same whether 10 or 1,000 are asked for. Killed or stopped by Ctrl-C, the same command goes on.

    The folder holds pictures (bounding_box_train, query, bounding_box_test), label maps (lip: the 20 classes of LIP;
    maps/body10: the body under the clothes, whole; maps/persons), people.csv (keypoints, visible shares, view, light,
    causes with their dose), identities.json, and with --twins the same draws without the cause (twins, maps/cause).

    Causes: occlusion (share of the body hidden), multi_person (share of the crop), truncation (share of the box that
    slipped off), low_light (stops), low_res (native pixels), color_cast (stops), motion_blur (pixels at a height of
    128).
    """

    persons: int = 100
    """How many persons."""
    cameras: int = 6
    """How many cameras see each of them; a search needs two."""
    pictures: int = 4
    """Pictures of each person in each camera. The first is a query; of a single one in each camera, that of one camera
    is, and the others are the gallery."""
    seed: int = 1
    """Of everything."""
    out: Path | None = None
    """New folder for the set; with --preview the PNG file."""
    size: str = "128x64"
    """Height x width of the pictures, in pixels."""
    causes: str = ""
    """Causes to plant, with commas between them."""
    cause_share: float = 0.5
    """Share of the pictures that get one of the causes."""
    twins: bool = False
    """Also draw every picture with a cause without it."""
    train_share: float = 0.5
    """Share of the persons for training; the others are queries and gallery."""
    look_alikes: float = 0.0
    """Give every second person a double: each attribute but the body is the same with this chance, 0..1."""
    plain: str = ""
    """Kinds of variety to switch off, with commas between them: cameras (all like the first), cloth (one colour), sizes
    (nobody is far away), light (overcast, no casts). Without sizes and light, only what is planted spoils a picture."""
    workers: int | None = None
    """Processes; left out, one per core."""
    preview: int | None = None
    """Draw this many different people on one sheet instead of writing a set."""


def people(config: People) -> int:
    """Write the set or the sheet; says beforehand what it will take."""
    from resight.people.plan import Plan

    height, width = _size(config.size)
    if config.preview is not None and config.preview < 1:
        raise BadRecipe(f"--preview is {config.preview}; it must be at least 1.")
    plan = Plan(
        persons=config.persons if config.preview is None else config.preview,
        cameras=config.cameras,
        pictures=config.pictures,
        seed=config.seed,
        height=height,
        width=width,
        causes=tuple(map(condition_name, _names(config.causes))),
        cause_share=config.cause_share,
        twins=config.twins,
        train_share=config.train_share,
        look_alikes=config.look_alikes,
        plain=_names(config.plain),
    )
    plan.check()
    if config.out is None:
        raise BadRecipe("Say where to write: --out FOLDER, or with --preview --out SHEET.png.")
    workers = config.workers if config.workers is not None else (os.cpu_count() or 1)
    if workers < 1:
        raise BadRecipe(f"--workers is {workers}; it must be at least 1.")
    if config.preview is not None:
        _read_bodies()
        _sheet(plan, config.out)
        return 0
    from resight.people.write import check_folder, write_people

    begun = check_folder(config.out, plan)
    _read_bodies()
    pictures = f"{plan.total:,} pictures of {plan.persons:,} persons in {plan.cameras} cameras"
    takes = f"about {plan.megabytes:,.0f} MB and {plan.minutes / workers:,.0f} min with {workers} processes"
    print(f"{'Going on with' if begun else 'Drawing'} {pictures}: {takes}.", file=sys.stderr)
    if plan.cameras == 1 and plan.train_share < 1:
        print("One camera: no query can be answered, for a search leaves out the own camera.", file=sys.stderr)
    with bar("drawing", total=None) as told:
        write_people(config.out, plan, workers=workers, told=told)
    print(config.out)
    return 0


def _read_bodies() -> None:
    """Have the body model ready before the processes start that need it; says when that takes long."""
    from resight.people.anatomy import is_cached, load_anatomy

    if not is_cached():
        print("Reading the body model once takes some minutes; later starts take a second.", file=sys.stderr)
    load_anatomy()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if not found:
        raise BadRecipe(f"--size is `{text}`; it must be height x width in pixels, such as 128x64.")
    return int(found[1]), int(found[2])


def _sheet(plan: Plan, path: Path) -> None:
    """One picture of each person, in cameras in turn, side by side in rows of twelve."""
    import numpy as np
    from PIL import Image

    from resight.data.degrade import compress
    from resight.people.plan import Shot, shots
    from resight.people.shoot import shoot

    columns = min(12, plan.persons)
    rows = -(-plan.persons // columns)
    sheet = np.full((rows * plan.height, columns * plan.width, 3), 255, np.uint8)
    with bar("drawing", total=plan.persons) as told:
        for place in range(plan.persons):
            chosen: Shot = list(shots(plan, place + 1))[place % plan.cameras * plan.pictures]
            picture = shoot(plan, chosen)
            row, column = divmod(place, columns)
            top, left = row * plan.height, column * plan.width
            sheet[top : top + plan.height, left : left + plan.width] = compress(picture.pixels, quality=picture.quality)
            told(1)
    if path.exists():
        print(f"{path} is drawn anew.", file=sys.stderr)
    with write_beside(path) as partial:
        Image.fromarray(sheet).save(partial, "PNG")
    print(path)
