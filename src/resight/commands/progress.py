"""One progress line on stderr: rate, time left, a note. Plain lines every half minute where there is no terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def bar(title: str, *, total: int | None) -> Iterator[Callable[..., None]]:
    """Yield `told(n, total=, pictures=, note=, keep=)`: n more are done; `keep` gives the note a line of its own."""
    if int(os.environ.get("RANK", "0")):
        yield lambda *_, **__: None
    elif sys.stderr.isatty():
        with _live(title, total) as told:
            yield told
    else:
        yield _Lines(title, total)


@contextmanager
def _live(title: str, total: int | None) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    started, seen = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, note="")

        def told(n: int, *, total: int | None = None, pictures: int = 0, note: str = "", keep: bool = False) -> None:
            nonlocal seen
            seen += pictures
            rate = f"{seen / max(time.monotonic() - started, 1e-9):.0f} pictures/s " if pictures else ""
            changes: dict[str, Any] = {"total": total} if total is not None else {}
            progress.update(task, advance=n, note=rate + note, **changes)
            if keep:
                progress.console.print(note, markup=False)

        yield told


class _Lines:
    """The same for logs and pipes: a line every 30 seconds and one at the end."""

    def __init__(self, title: str, total: int | None, *, every_s: float = 30.0) -> None:
        self.title, self.total, self.every_s = title, total, every_s
        self.done, self.first, self.seen = 0, 0, 0
        self.started = self.printed = time.monotonic()

    def __call__(
        self, n: int, *, total: int | None = None, pictures: int = 0, note: str = "", keep: bool = False
    ) -> None:
        if total is not None:
            self.total, self.first = total, n
        self.done += n
        self.seen += pictures
        now = time.monotonic()
        finished = self.total is not None and self.done >= self.total and n > 0
        if not (keep or finished or now - self.printed > self.every_s):
            return
        self.printed = now
        spent = max(now - self.started, 1e-9)
        rate = (self.done - self.first) / spent
        left = f", {(self.total - self.done) / rate / 60:.1f} min left" if self.total and rate else ""
        speed = f", {self.seen / spent:.0f} pictures/s" if self.seen else ""
        print(
            f"{self.title}: {self.done} of {self.total or '?'}{left}{speed} {note}".rstrip(),
            file=sys.stderr,
            flush=True,
        )
