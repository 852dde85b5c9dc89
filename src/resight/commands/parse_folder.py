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

from resight.commands.parse_files import list_crops, map_path, overlay_path
from resight.data.cache import Contents
from resight.data.files import write_beside, write_json
from resight.data.images import read_picture, resize
from resight.data.labels import SHEET, read_map, write_map
from resight.data.regrouping import Regrouping
from resight.data.sampling import evenly
from resight.errors import BadPicture, BadRecipe
from resight.parsing import Parsed, ParserModel, weights_print
from resight.report.parts import cell, overlay, write_sheet

TABLE: Final = "parsed.csv"
FACTS: Final = "parse.json"
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
        self._contents = Contents()
        self.problems: list[str] = []
        self.seconds = {"waiting for pictures": 0.0, "network": 0.0, "waiting for the disk": 0.0}
        self.parsed = self.shown = 0
        self._check_folder()
        self._rows = self._finished()
        self._bare = [file for file in self.files if file.as_posix() in self._rows and not self._is_shown(file)]

    @property
    def done(self) -> int:
        """Files of this folder that have a map, and an overlay where these are wanted."""
        return sum(file.as_posix() in self._rows for file in self.files) - len(self._bare)

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
        """Rows of the table whose map is there, by file, less those of other pictures; no torn last line.

        A picture is the one that was parsed where its file holds the same. Maps of files that are not here keep theirs.
        Raises BadRecipe where a new map would replace one of them.
        """
        path = self.out / TABLE
        if not path.exists():
            return {}
        known, found = {map_path(self.out, file): file for file in self.files}, {}
        with path.open(encoding="utf-8", newline="") as table:
            rows = [row for row in csv.reader(table) if len(row) == len(self._columns())][1:]
        for row in rows:
            file, made = Path(row[0]), map_path(self.out, Path(row[0]))
            if known.get(made, file) != file and made.exists():
                raise BadRecipe(f"{made} is the map of {file}; {known[made]} needs another folder for --out.")
            if made.exists() and (made not in known or self._is_same(row)):
                found[row[0]] = _line(row)
        return found

    def _is_same(self, row: list[str]) -> bool:
        """Whether the picture of a row is here."""
        return row[1] == self._content(Path(row[0]))

    def _content(self, file: Path) -> str:
        return f"{self._contents[self.root / file]:x}"

    def _is_shown(self, file: Path) -> bool:
        """Whether a picture needs no overlay, or has that of its map."""
        made, shown = map_path(self.out, file), overlay_path(self.out, file)
        return not self.overlays or (shown.exists() and made.stat().st_mtime_ns <= shown.stat().st_mtime_ns)

    def _columns(self) -> list[str]:
        return ["file", "content", "sure", "second_share", "hidden", "company", "view_degrees", *self.labels.classes]

    def run(self, told: Callable[..., None]) -> Iterator[str]:
        """Do what is not done yet; yields one sentence for each file that cannot be read."""
        todo = [file for file in self.files if file.as_posix() not in self._rows]
        self.out.mkdir(parents=True, exist_ok=True)
        self._write_table()  # without torn or vanished rows, before new ones are added
        self._add_overlays(told)
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

    def _add_overlays(self, told: Callable[..., None]) -> None:
        """Draw what an earlier run left out, from its maps."""
        while self._bare:
            file = self._bare[-1]
            values = read_map(map_path(self.out, file), self.labels)
            self._write_overlay(file, read_picture(self.root / file), values)
            self._bare.pop()
            self.shown += 1
            told(1, pictures=1)

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
            self._write_overlay(one.file, one.pixels, found.labels)
        shares = np.bincount(found.labels.ravel(), minlength=len(self.labels.classes)) / found.labels.size
        numbers = [
            "" if np.isnan(number) else f"{number:.4f}"
            for number in (found.sure, found.second_share, found.hidden, found.company)
        ]
        numbers.append("" if np.isnan(found.view_degrees) else f"{found.view_degrees:.0f}")
        return [one.file.as_posix(), self._content(one.file), *numbers, *(f"{share:.4f}" for share in shares)]

    def _write_overlay(self, file: Path, pixels: NDArray[np.uint8], values: NDArray[np.uint8]) -> None:
        with write_beside(overlay_path(self.out, file)) as partial:
            Image.fromarray(overlay(pixels, values, self.labels)).save(partial, "JPEG", quality=88)

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
        """Write the whole table anew, in the order of the files' names."""
        with write_beside(self.out / TABLE) as partial, partial.open("w", encoding="utf-8", newline="") as table:
            table.write(_line(self._columns()))
            table.writelines(self._rows[name] for name in sorted(self._rows, key=Path))

    def _write_contact_sheet(self) -> None:
        here = [row for row in csv.reader(self._rows.values()) if (self.root / row[0]).is_file()]
        done = sorted(here, key=lambda row: Path(row[0]))
        cells = []
        for row in (done[place] for place in evenly(len(done), SHOWN)):
            if self._is_same(row):  # of a folder that holds more than this job only what is shown is read
                pixels = read_picture(self.root / row[0])
                cells.append(cell(pixels, np.asarray(Image.open(map_path(self.out, Path(row[0])))), self.labels))
        if not cells:
            return
        title = f"{len(cells)} of {len(done):,} crops, parts by {self.model.settings.parser} ({self.labels.name})"
        write_sheet(self.out / SHEET, cells, self.labels, title=title)

    def summary(self) -> str:
        """What was done and where the time went."""
        whole = sum(self.seconds.values())
        split = ", ".join(f"{name} {spent / whole:.0%}" for name, spent in self.seconds.items()) if whole else ""
        kept = f" {self.done - self.parsed:,} were done before." if self.done > self.parsed else ""
        rate = f" {self.parsed / whole:.0f} a second ({split})." if whole and self.parsed else ""
        shown = f" {self.shown:,} overlays were added." if self.shown else ""
        left = f" {len(self.problems)} could not be read and were left out." if self.problems else ""
        return f"{self.parsed:,} crops parsed.{kept}{rate}{shown}{left}"


def _line(row: list[str]) -> str:
    """One line of the table; short texts, so that 20,000 of them take some MB."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()
