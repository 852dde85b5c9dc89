"""Parse a folder of any size: reading and writing in threads beside the network, flat memory, resumable.

What is done stands in `parsed.csv`, a line after the map it tells about is whole; `parse.json` says by which model and
labels. At any time at most a few batches are in memory. Proof: tests/commands/test_parse.py.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resight.data.files import write_beside, write_json
from resight.data.images import is_picture, read_picture, real_file, resize
from resight.data.labels import SHEET, write_map
from resight.data.regrouping import Regrouping
from resight.errors import BadPicture, BadRecipe, DatasetNotFound
from resight.parsing import Parsed, ParserModel, weights_print
from resight.report.parts import cell, overlay, write_sheet

TABLE: Final = "parsed.csv"
FACTS: Final = "parse.json"
OVERLAYS: Final = "overlays"
SHOWN: Final = 96
"""Crops on the contact sheet, evenly spread over the folder."""
READERS: Final = 3
AHEAD: Final = 3
"""Batches that are read before they are needed."""


@dataclass(frozen=True, slots=True)
class _Read:
    """One picture, read and resized; or why it could not be."""

    file: Path
    pixels: NDArray[np.uint8] | None
    small: NDArray[np.uint8] | None
    problem: str = ""


class ParsingJob:
    """All crops of one folder to maps in another one."""

    def __init__(
        self,
        photos: Path,
        out: Path,
        model: ParserModel,
        regrouping: Regrouping,
        *,
        overlays: bool,
        flip: bool,
        batch: int,
    ) -> None:
        self.root, self.out, self.model = (photos if photos.is_dir() else photos.parent), out, model
        self.regrouping, self.labels = regrouping, regrouping.target
        self.overlays, self.flip, self.batch = overlays, flip, batch
        self.files = list_crops(photos, out)
        self.problems: list[str] = []
        self.seconds = {"waiting for pictures": 0.0, "network": 0.0, "waiting for the disk": 0.0}
        self.parsed = 0
        self._check_folder()
        self._rows = self._finished()

    @property
    def done(self) -> int:
        """Files that an earlier run finished."""
        return len(self._rows)

    def _check_folder(self) -> None:
        """Write what decides the maps; raises BadRecipe when the folder holds maps of something else."""
        facts = {
            "model": asdict(self.model.settings),
            "weights": weights_print(self.model),
            "labels": self.labels.name,
            "mirrored crops": self.flip,
        }
        path = self.out / FACTS
        if path.exists():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, OSError) as error:
                raise BadRecipe(
                    f"{path} cannot be read, so nobody knows which model made the maps beside it. "
                    "Choose a new folder for --out."
                ) from error
            before = before if isinstance(before, dict) else {}
            other = [name for name, value in facts.items() if before.get(name) != json.loads(json.dumps(value))]
            if other:
                what = " and ".join(other)
                raise BadRecipe(f"{self.out} holds maps by other {what} (see {path}). Choose a new folder for --out.")
            return
        write_json(path, facts)

    def _finished(self) -> dict[str, str]:
        """Rows of the table whose map is there and no older than its picture, by file; a torn last line is dropped."""
        path = self.out / TABLE
        if not path.exists():
            return {}
        known = {name.as_posix() for name in self.files}
        with path.open(encoding="utf-8", newline="") as table:
            rows = (row for row in csv.reader(table) if len(row) == len(self._columns()))
            return {row[0]: _line(row) for row in rows if row[0] in known and self._is_new(Path(row[0]))}

    def _is_new(self, file: Path) -> bool:
        """Whether a picture's map is there, and the picture has not changed since."""
        try:
            made = map_path(self.out, file).stat().st_mtime_ns
            return real_file(self.root / file).stat().st_mtime_ns <= made
        except OSError:
            return False

    def _columns(self) -> list[str]:
        return ["file", "sure", "second_share", "hidden", "company", "view_degrees", *self.labels.classes]

    def run(self, told: Callable[..., None]) -> Iterator[str]:
        """Parse what is not done yet; yields one sentence for each file that cannot be read."""
        todo = [file for file in self.files if file.as_posix() not in self._rows]
        self.out.mkdir(parents=True, exist_ok=True)
        self._write_table()  # without torn or vanished rows, before new ones are added
        with (
            (self.out / TABLE).open("a", encoding="utf-8", newline="") as table,
            ThreadPoolExecutor(READERS) as readers,
            ThreadPoolExecutor(2) as writers,
        ):
            writing: deque[Future[list[str]]] = deque()
            try:
                for group in self._groups(todo, readers):
                    sound = [one for one in group if one.pixels is not None]
                    for one in group:
                        if one.pixels is None:
                            self.problems.append(one.problem)
                            yield one.problem
                    self._parse(sound, writers, writing)
                    told(len(group), pictures=len(group))
                    self._record(writing, table, keep=AHEAD * self.batch)
                self._record(writing, table, keep=0)
            except BaseException:
                readers.shutdown(wait=False, cancel_futures=True)
                self._record(writing, table, keep=0)
                raise
        self._write_table()
        self._write_contact_sheet()

    def _groups(self, todo: list[Path], readers: ThreadPoolExecutor) -> Iterator[list[_Read]]:
        reading: deque[Future[_Read]] = deque()
        waiting = iter(todo)
        while True:
            while len(reading) < AHEAD * self.batch and (file := next(waiting, None)) is not None:
                reading.append(readers.submit(self._read, file))
            if not reading:
                return
            started = time.monotonic()
            group = [reading.popleft().result() for _ in range(min(self.batch, len(reading)))]
            self.seconds["waiting for pictures"] += time.monotonic() - started
            yield group

    def _read(self, file: Path) -> _Read:
        try:
            pixels = read_picture(self.root / file)
        except BadPicture as error:
            return _Read(file, None, None, str(error))
        return _Read(file, pixels, resize(pixels, *self.model.size))

    def _parse(self, group: list[_Read], writers: ThreadPoolExecutor, writing: deque[Future[list[str]]]) -> None:
        if not group:
            return
        started = time.monotonic()
        small = np.stack([one.small for one in group if one.small is not None])
        sizes = [one.pixels.shape[:2] for one in group if one.pixels is not None]
        parsed = self.model.parse_resized(small, sizes, regrouping=self.regrouping, flip=self.flip)
        self.seconds["network"] += time.monotonic() - started
        self.parsed += len(group)
        writing.extend(writers.submit(self._write, one, found) for one, found in zip(group, parsed, strict=True))

    def _write(self, one: _Read, found: Parsed) -> list[str]:
        write_map(map_path(self.out, one.file), found.labels, self.labels)
        if self.overlays and one.pixels is not None:
            with write_beside(overlay_path(self.out, one.file)) as partial:
                picture = Image.fromarray(overlay(one.pixels, found.labels, self.labels))
                picture.save(partial, "JPEG", quality=88)
        shares = np.bincount(found.labels.ravel(), minlength=len(self.labels.classes)) / found.labels.size
        numbers = [
            "" if np.isnan(number) else f"{number:.4f}"
            for number in (found.sure, found.second_share, found.hidden, found.company)
        ]
        numbers.append("" if np.isnan(found.view_degrees) else f"{found.view_degrees:.0f}")
        return [one.file.as_posix(), *numbers, *(f"{share:.4f}" for share in shares)]

    def _record(self, writing: deque[Future[list[str]]], table: Any, *, keep: int) -> None:
        """Add rows of written maps to the table until at most `keep` are under way."""
        started = time.monotonic()
        while writing and (len(writing) > keep or writing[0].done()):
            row = writing.popleft().result()
            self._rows[row[0]] = _line(row)
            table.write(self._rows[row[0]])
        table.flush()
        self.seconds["waiting for the disk"] += time.monotonic() - started

    def _write_table(self) -> None:
        """Write the whole table anew, in the order of the files."""
        with write_beside(self.out / TABLE) as partial, partial.open("w", encoding="utf-8", newline="") as table:
            table.write(_line(self._columns()))
            table.writelines(self._rows[name] for name in map(Path.as_posix, self.files) if name in self._rows)

    def _write_contact_sheet(self) -> None:
        done = [file for file in self.files if file.as_posix() in self._rows]
        if not done:
            return
        places = np.linspace(0, len(done) - 1, min(SHOWN, len(done))).round().astype(int)
        cells = []
        for place in places:
            pixels = read_picture(self.root / done[place])
            cells.append(cell(pixels, np.asarray(Image.open(map_path(self.out, done[place]))), self.labels))
        title = f"{len(cells)} of {len(done):,} crops, parts by {self.model.settings.parser} ({self.labels.name})"
        write_sheet(self.out / SHEET, cells, self.labels, title=title)

    def summary(self) -> str:
        """What was done and where the time went."""
        whole = sum(self.seconds.values())
        split = ", ".join(f"{name} {spent / whole:.0%}" for name, spent in self.seconds.items()) if whole else ""
        kept = f" {self.done - self.parsed:,} were done before." if self.done > self.parsed else ""
        rate = f" {self.parsed / whole:.0f} a second ({split})." if whole and self.parsed else ""
        left = f" {len(self.problems)} could not be read and were left out." if self.problems else ""
        return f"{self.parsed:,} crops parsed.{kept}{rate}{left}"


def _line(row: list[str]) -> str:
    """One line of the table; short texts, so that 20,000 of them take some MB."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()


def list_crops(photos: Path, out: Path) -> list[Path]:
    """Pictures in a folder and below it, relative to it and sorted, less what a job wrote into `out`.

    Raises DatasetNotFound for a path that is nothing, BadRecipe for two files that would get one map.
    """
    if photos.is_file():
        return [Path(photos.name)]
    if not photos.is_dir():
        raise DatasetNotFound(f"There is no folder or picture {photos}. Check the path.")
    inside = out.resolve()
    if inside == photos.resolve():
        raise BadRecipe(
            f"--out is the folder of the photos ({photos}): maps would replace pictures. Choose another one."
        )
    found = sorted(
        path.relative_to(photos)
        for path in photos.rglob("*")
        if is_picture(path) and path.is_file() and inside not in path.resolve().parents
    )
    seen: dict[Path, Path] = {Path(SHEET).with_suffix(""): Path(SHEET)}
    for file in found:
        stem = file.with_suffix("")
        if stem in seen:
            raise BadRecipe(f"{seen[stem]} and {file} would both be written to {stem}.png. Rename one of them.")
        seen[stem] = file
    return found


def map_path(out: Path, file: Path) -> Path:
    """Where the map of a file goes."""
    return out / file.with_suffix(".png")


def overlay_path(out: Path, file: Path) -> Path:
    """Where the overlay of a file goes."""
    return out / OVERLAYS / file.with_suffix(".jpg")
