"""Soft part maps of a whole set on disk: small, by file name, and stamped by the parser that made them.

A folder holds `parts.json` (the stamp) and `maps-*.npz`, some hundred crops each: maps n K h w, probabilities of the
label set's classes in 0..255, with each crop's name, quality (0..1), share that another person covers (0..1, NaN where
the parser does not say) and the checksum of the picture's file. A chunk is there whole or not at all, so a killed run
goes on. For training the maps are decoded once into one memory-mapped array in the cache.
Refused: maps by another parser, label set or size than asked for, and maps of pictures that have changed since.
Proof: tests/data/test_part_maps.py.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, UInt8
from numpy.typing import NDArray

from resight.data.arrays import mapped, write_npz
from resight.data.cache import Contents, cache_folder
from resight.data.files import write_json
from resight.errors import BadLabels

STAMP: Final = "parts.json"
CHUNK: Final = 256
"""Crops in one file."""
NAMED: Final = 3
"""Missing pictures that an error names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartStamp:
    """What decides the maps: others of the same stamp are the same maps."""

    parser: str
    """Name of the network, with the size that it sees."""
    weights: str
    """Digits that change with any weight."""
    labels: str
    classes: int
    height: int
    """Of a map, in cells."""
    width: int
    version: int = 2


@dataclass(frozen=True, slots=True)
class LoadedParts:
    """Maps of some pictures, in their order."""

    maps: UInt8[np.ndarray, "N K h w"]
    """Probabilities, 0..255; read-only and on disk, so only what is looked at takes memory."""
    quality: Float32[np.ndarray, " N"]
    second: Float32[np.ndarray, " N"]
    stamp: PartStamp


class PartMapsWriter:
    """Adds maps to a folder; what an earlier run finished stays. Raises BadLabels when others are there already."""

    def __init__(self, folder: Path, stamp: PartStamp) -> None:
        self.folder, self.stamp = folder, stamp
        if (folder / STAMP).exists():
            before = read_stamp(folder)
            other = [name for name, value in asdict(stamp).items() if getattr(before, name) != value]
            if other:
                seen = ", ".join(f"{name} {getattr(before, name)} and not {getattr(stamp, name)}" for name in other)
                raise BadLabels(f"{folder} holds part maps of other making: {seen}. Choose a new folder for --out.")
        else:
            write_json(folder / STAMP, asdict(stamp))
        for left in folder.glob(".*.partial"):  # of a killed run
            left.unlink()
        self._next = 1 + max((int(path.stem.split("-")[1]) for path in _chunk_files(folder)), default=-1)
        self._contents: dict[str, int] = {}
        for chunk in map(lambda path: _read_chunk(path, "names", "contents"), _chunk_files(folder)):
            self._contents.update(zip(chunk["names"].tolist(), chunk["contents"].tolist(), strict=True))

    def has(self, name: str, content: int) -> bool:
        """Whether there is a map of a picture whose file has this checksum; a changed picture needs a new one."""
        return self._contents.get(name) == content

    def __len__(self) -> int:
        return len(self._contents)

    def add(
        self,
        names: Sequence[str],
        maps: UInt8[np.ndarray, "n K h w"],
        quality: Float32[np.ndarray, " n"],
        second: Float32[np.ndarray, " n"],
        contents: Sequence[int],
    ) -> None:
        """Write one chunk; `contents` are the picture files' checksums (`data.files.checksum`)."""
        shape = self.stamp.classes, self.stamp.height, self.stamp.width
        if maps.shape[1:] != shape:
            raise BadLabels(f"The maps are {maps.shape[1:]}, the folder's are {shape} (classes, height, width).")
        path = self.folder / f"maps-{self._next:05d}.npz"
        arrays = {"names": np.array(names), "maps": maps, "quality": quality, "second": second}
        write_npz(path, {**arrays, "contents": np.array(contents, dtype=np.int64)}, compressed=True)
        self._next += 1
        self._contents.update(zip(names, contents, strict=True))


def read_stamp(folder: Path) -> PartStamp:
    """Who made a folder's maps. Raises BadLabels where there are none."""
    try:
        return PartStamp(**json.loads((folder / STAMP).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise BadLabels(
            f"{folder} holds no part maps (no {STAMP}); `resight parts DATASET --out {folder}` writes them."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise BadLabels(f"{folder / STAMP} cannot be read as a stamp of part maps; write them anew.") from error


def check_stamp(
    stamp: PartStamp,
    folder: Path,
    *,
    labels: str | None = None,
    size: tuple[int, int] | None = None,
    weights: str | None = None,
) -> None:
    """Raise BadLabels unless the maps are of this label set, size (height, width) and parser; None asks nothing."""
    for what, wanted, seen in (
        ("label set", labels, stamp.labels),
        ("size", size, (stamp.height, stamp.width)),
        ("parser with the weights", weights, stamp.weights),
    ):
        if wanted is not None and wanted != seen:
            raise BadLabels(
                f"The part maps in {folder} are of the {what} {seen}, but {wanted} is needed: write others with "
                "`resight parts` into a new folder."
            )


def load_part_maps(
    folder: Path,
    files: Sequence[Path],
    *,
    root: Path,
    labels: str | None = None,
    size: tuple[int, int] | None = None,
    weights: str | None = None,
    told: Callable[[int], None] | None = None,
) -> LoadedParts:
    """Maps of some pictures of the set in `root`, in their order; decoded at the first call only.

    Raises BadLabels for maps of another label set, size or parser, and names pictures without a map or changed since.
    """
    stamp = read_stamp(folder)
    check_stamp(stamp, folder, labels=labels, size=size, weights=weights)
    names = [path.relative_to(root).as_posix() for path in files]
    chunks = _chunk_files(folder)
    place = {name: row for row, name in enumerate(names)}
    if len(place) < len(names):
        raise BadLabels(f"{len(names) - len(place)} pictures are asked for twice; name each once.")
    quality, second = np.full((2, len(names)), np.nan, dtype=np.float32)
    contents = np.full(len(names), -1, dtype=np.int64)
    for _, rows, at, chunk in _rows_of(chunks, place, "names", "quality", "second", "contents"):
        quality[rows], second[rows], contents[rows] = chunk["quality"][at], chunk["second"][at], chunk["contents"][at]
    _complain(folder, [names[row] for row in np.flatnonzero(contents < 0)], "have no part map")
    now = Contents()
    changed = np.flatnonzero(contents != np.array([now[path] for path in files], dtype=np.int64))
    _complain(folder, [names[row] for row in changed], "have changed since their maps were made")
    digest = hashlib.sha256(json.dumps([asdict(stamp), names, contents.tolist(), _signs(chunks)]).encode()).hexdigest()

    def decode(array: NDArray[np.uint8]) -> None:
        for _, rows, at, chunk in _rows_of(chunks, place, "names", "maps"):
            array[rows] = chunk["maps"][at]
            if told:
                told(len(rows))

    path = cache_folder() / f"parts-{digest[:12]}.npy"
    [maps] = mapped({path: (len(names), stamp.classes, stamp.height, stamp.width)}, decode)
    return LoadedParts(maps, quality, second, stamp)


def as_levels(probabilities: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Probabilities 0..1 as 0..255."""
    return np.asarray(np.clip(probabilities, 0, 1) * 255 + 0.5, dtype=np.uint8)


def _chunk_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("maps-*.npz"))


def _signs(chunks: Sequence[Path]) -> list[tuple[str, int, int]]:
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in chunks]


def _read_chunk(path: Path, *keys: str) -> dict[str, NDArray[np.generic]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:  # numpy leaves damaged files open
            return {key: file[key] for key in keys}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadLabels(
            f"{path} is damaged or of an older kind; delete it and run `resight parts` again to write its maps anew."
        ) from error


def _rows_of(
    chunks: Sequence[Path], place: dict[str, int], *keys: str
) -> Iterator[tuple[Path, NDArray[np.intp], NDArray[np.intp], dict[str, NDArray[np.generic]]]]:
    """Each chunk that holds wanted crops: their rows in the answer, and in the chunk."""
    for path in chunks:
        names = _read_chunk(path, "names")["names"].tolist()
        found = [(place[name], at) for at, name in enumerate(names) if name in place]
        if found:
            rows, at = np.array(found, dtype=np.intp).T
            yield path, rows, at, _read_chunk(path, *keys)


def _complain(folder: Path, names: Sequence[str], what: str) -> None:
    if names:
        some = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        raise BadLabels(f"{len(names)} pictures {what} in {folder}: {some}. Run `resight parts` again.")
