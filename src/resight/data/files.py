"""Files are written beside and then renamed, so that a kill or a full disk never damages what was there."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resight.errors import CannotWrite


@contextmanager
def write_beside(path: Path, *, synced: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends well.

    Raises CannotWrite, naming the file and the reason, when the disk is full or the place cannot be written; the old
    file stays as it was and the partial one is removed. What is no regular file (a pipe, /dev/stdout) is written to as
    it is. `synced` waits until the disk has it, so that a power cut does no harm either; a kill never does.
    """
    special = path.exists() and not path.is_file()
    partial = path if special else _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if synced and not special:
            with partial.open("rb") as written:
                os.fsync(written.fileno())
        if not special:
            partial.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if not special:
            with suppress(OSError):  # the error that is on its way says more
                partial.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raise CannotWrite, before long work, where a file could not be written after it; nothing is left behind."""
    if path.is_dir():
        raise _cannot_write(path, IsADirectoryError(errno.EISDIR, "it is a folder"))
    if path.exists() and not path.is_file():
        return
    missing = [folder for folder in path.parents if not folder.exists()]
    above = path.parents[len(missing)]
    if not above.is_dir():
        raise _cannot_write(path, NotADirectoryError(errno.ENOTDIR, f"{above} is a file"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _beside(path).touch()
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            _beside(path).unlink(missing_ok=True)
            for folder in missing:
                folder.rmdir()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _cannot_write(path: Path, error: OSError) -> CannotWrite:
    advice = "Free some space or choose" if error.errno == errno.ENOSPC else "Choose"
    return CannotWrite(f"Could not write {path}: {error.strerror or error}. {advice} another place.")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whatever the place's own encoding, as `write_beside` writes."""
    with write_beside(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write a JSON file, one space deep, as `write_beside` writes; what is not finite becomes null."""
    write_text(path, json.dumps(as_json_kinds(content), indent=1, allow_nan=False) + "\n")


def add_json_line(path: Path, content: object) -> None:
    """Add a line to a file of JSON lines; what is not finite becomes null."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(as_json_kinds(content), allow_nan=False) + "\n")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The records of such a file; a line that was cut off by a kill is left out, a file that is not there is empty."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def as_json_kinds(value: Any) -> Any:
    """Turn records and arrays into JSON's own kinds; what is not finite becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return as_json_kinds(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): as_json_kinds(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return as_json_kinds(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json_kinds(one) for one in value]
    if isinstance(value, np.generic):
        return as_json_kinds(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def link(source: Path, path: Path) -> None:
    """The same file under a second name, or a copy where the disk knows no links; what was there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(source)
    except OSError:
        with write_beside(path, synced=False) as partial:
            shutil.copyfile(source, partial)


def checksum(path: Path) -> int:
    """A number that changes with what a file holds: its size, and CRC-32 of its bytes."""
    found, size = 0, 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found, size = zlib.crc32(block, found), size + len(block)
    return min(size, 2**31 - 1) << 32 | found


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
