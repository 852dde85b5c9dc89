"""Files are written beside and then renamed, so that a kill or a full disk never damages what was there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resight.errors import CannotWrite


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends well.

    Raises CannotWrite, naming the file and the reason, when the disk is full or the place cannot be written; the old
    file stays as it was and the partial one is removed.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotWrite(f"Could not write {path}: {reason}. Free some space or choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)
