"""A set of rendered people on disk: Market-1501's and LIP's layouts side by side, maps, twins and the table of truth.

    bounding_box_train/ query/ bounding_box_test/   pictures, as Market-1501 names them
    twins/                                          the same draws without the cause, same names
    lip/                                            {train,val}_images (hard links), {train,val}_segmentations, *_id.txt
    maps/body10/ maps/persons/ maps/cause/          parts under the clothes; 1 the person, 2 others; 1 cause, 2 shadow
    people.csv identities.json plan.json            truth of every picture, attributes of every person, the settings

Each person is written whole before the note that says so, so a set that was killed goes on where it was; the tables
come last. Pictures and maps do not wait for the disk, which took as long as drawing: a kill loses nothing, a power cut
may lose the last seconds, which `resight data check` finds. Proof: tests/people/test_write.py.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from resight.data.files import link, write_beside, write_json, write_text
from resight.data.label_sets import BODY10, CAUSE, LIP20, PERSONS
from resight.data.labels import write_map
from resight.errors import BadRecipe, CannotWrite
from resight.people.plan import Plan, Shot, double_of, shots
from resight.people.shoot import Picture, identity_of, shoot

NOTES: Final = ".unfinished"
Shooter = Callable[[Plan, Shot], Picture]


def write_people(
    folder: Path,
    plan: Plan,
    *,
    workers: int = 1,
    told: Callable[..., None] | None = None,
    shooter: Shooter = shoot,
) -> None:
    """Write a set, or go on with one that was begun by the same plan; `told(n, pictures=n)` as pictures are done.

    Raises BadRecipe for a folder that holds something else, CannotWrite where the disk is full.
    """
    plan.check()
    told = told or (lambda *_, **__: None)
    try:
        todo = _begin(folder, plan)
        told((plan.persons - len(todo)) * plan.cameras * plan.pictures, total=plan.total)
        for _ in _each_person(folder, plan, todo, workers, shooter):
            told(plan.cameras * plan.pictures, pictures=plan.cameras * plan.pictures)
        if (folder / NOTES).exists():
            _finish(folder, plan)
    except OSError as error:
        reason = f"{error.filename or folder}: {error.strerror or error}"
        raise CannotWrite(f"Could not write {reason}. Mend that, and the same command goes on.") from error


def check_folder(folder: Path, plan: Plan) -> bool:
    """Whether the folder is begun already; raises BadRecipe when it holds something else."""
    facts = folder / "plan.json"
    if facts.exists():
        try:
            known = json.loads(facts.read_text(encoding="utf-8"))
        except ValueError:  # not written by this command
            known = None
        if known != plan.facts():
            raise BadRecipe(f"{folder} holds people of another plan (see {facts}). Choose a new folder for --out.")
        return True
    if folder.exists() and (not folder.is_dir() or any(not _ours(path) for path in folder.iterdir())):
        raise BadRecipe(
            f"{folder} exists and holds something else; nothing was written. Choose a new folder for --out."
        )
    return False


def _ours(path: Path) -> bool:
    """What a run leaves that was killed before its plan was written."""
    return path.name == NOTES or path.name.endswith(".partial")


def _begin(folder: Path, plan: Plan) -> list[int]:
    """Make the folder; the persons that are still to be drawn."""
    if not check_folder(folder, plan):
        (folder / NOTES).mkdir(parents=True, exist_ok=True)
        write_json(folder / "plan.json", plan.facts())
    if (folder / "people.csv").exists() and not (folder / NOTES).exists():
        return []
    (folder / NOTES).mkdir(exist_ok=True)
    for half in list(folder.rglob(".*.partial")):  # of a run that was killed
        half.unlink(missing_ok=True)
    return [person for person in range(1, plan.persons + 1) if not _note(folder, person).exists()]


def _note(folder: Path, person: int) -> Path:
    return folder / NOTES / f"{person:04d}.json"


def _each_person(folder: Path, plan: Plan, todo: list[int], workers: int, shooter: Shooter) -> Iterator[int]:
    if workers <= 1 or len(todo) <= 1:
        for person in todo:
            yield write_person(folder, plan, person, shooter)
        return
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            waiting = [pool.submit(write_person, folder, plan, person, shooter) for person in todo]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def write_person(folder: Path, plan: Plan, person: int, shooter: Shooter = shoot) -> int:
    """Draw and write all pictures of one person, then the note that they are whole."""
    rows = []
    for shot in shots(plan, person):
        picture = shooter(plan, shot)
        write_picture(folder, shot, picture)
        rows.append(picture.truth)
    write_text(_note(folder, person), json.dumps(rows) + "\n")
    return person


def write_picture(folder: Path, shot: Shot, picture: Picture) -> None:
    """Write one picture with its twin and its maps where a set has them."""
    name = f"{shot.name}.jpg"
    _write_jpeg(folder / shot.split / name, picture.pixels, picture.quality)
    half = "train" if shot.split == "bounding_box_train" else "val"
    link(folder / shot.split / name, folder / "lip" / f"{half}_images" / name)
    maps = [(folder / "lip" / f"{half}_segmentations", picture.label, LIP20)]
    maps += [
        (folder / "maps" / "body10", picture.parts, BODY10),
        (folder / "maps" / "persons", picture.persons, PERSONS),
    ]
    if picture.twin is not None and picture.reach is not None:
        _write_jpeg(folder / "twins" / name, picture.twin, picture.quality)
        maps.append((folder / "maps" / "cause", picture.reach, CAUSE))
    for place, values, labels in maps:
        write_map(place / f"{shot.name}.png", values, labels, synced=False)


def _write_jpeg(path: Path, pixels: np.ndarray, quality: int) -> None:
    with write_beside(path, synced=False) as partial:
        Image.fromarray(pixels).save(partial, "JPEG", quality=quality)


def _finish(folder: Path, plan: Plan) -> None:
    """Write the tables from the notes, then put the notes away."""
    rows: list[dict[str, Any]] = []
    for person in range(1, plan.persons + 1):
        rows += json.loads(_note(folder, person).read_text(encoding="utf-8"))
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for half in ("train", "val"):
        names = [
            Path(row["file"]).stem for row in rows if row["file"].startswith("bounding_box_train") == (half == "train")
        ]
        if names:
            write_text(folder / "lip" / f"{half}_id.txt", "".join(f"{name}\n" for name in names))
    people = {
        f"{person:04d}": asdict(identity_of(plan, person)) | {"looks_like": double_of(plan, person)}
        for person in range(1, plan.persons + 1)
    }
    write_json(folder / "identities.json", people)
    for split in ("bounding_box_train", "query", "bounding_box_test"):
        (folder / split).mkdir(exist_ok=True)
    write_text(folder / "people.csv", table.getvalue())
    shutil.rmtree(folder / NOTES)
