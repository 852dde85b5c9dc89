"""The sample inside the package: a zip that is unpacked once into the cache folder, and mended when it is damaged.

Made by scripts/make_sample.py, which also writes CHECKSUM. Proof: tests/data/test_sample.py, tests/test_sample.py.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from resight.data.cache import cache_folder
from resight.data.files import link, sha256
from resight.errors import CannotWrite, DatasetNotFound

ARCHIVE: Final = Path(__file__).parents[1] / "sample" / "sample.zip"
CHECKSUM: Final = "1dc0fcb170fa701be00cb296a94a26cc12e773b24926f65fd7640bacf637a791"


def sample_folder(archive: Path = ARCHIVE, checksum: str = CHECKSUM) -> Path:
    """The folder of the unpacked sample: in the cache, or in the temporary folder where the cache cannot be written.

    Every file is compared with its checksum in the zip, so a folder that is damaged or half there is unpacked anew.
    Raises DatasetNotFound when the package has no such zip, CannotWrite when neither folder takes it.
    """
    if not archive.is_file():
        raise DatasetNotFound("This copy of resight has no sample set inside: install it from its wheel or repository.")
    if (seen := sha256(archive)) != checksum:
        raise DatasetNotFound(
            f"{archive} is damaged: its SHA-256 begins with {seen[:12]} instead of {checksum[:12]}. "
            "Install resight again."
        )
    failed: OSError | None = None
    for place in (cache_folder(), _temporary()):
        folder = place / f"sample-{checksum[:12]}"
        try:
            if not is_whole(folder, archive):
                _unpack(archive, folder)
            return folder
        except OSError as error:
            failed = failed or error
    raise CannotWrite(
        f"The sample could not be unpacked into {cache_folder()}: {failed and failed.strerror}. "
        "Name a folder that can be written in RESIGHT_CACHE."
    )


def is_whole(folder: Path, archive: Path) -> bool:
    """Whether a folder holds the files of the zip, with its bytes, and no others."""
    with zipfile.ZipFile(archive) as packed:
        entries = packed.infolist()
    expected = {entry.filename for entry in entries} | {second for _, second in _second_names(packed.namelist())}
    if {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} != expected:
        return False
    return all(zlib.crc32((folder / entry.filename).read_bytes()) == entry.CRC for entry in entries)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack beside and rename, so that nobody sees half a sample; a neighbour who was faster is left alone."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        whole = partial / "whole"
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(whole)
            for first, second in _second_names(packed.namelist()):
                link(whole / first, whole / second)
        if folder.exists():
            folder.rename(partial / "damaged")
        try:
            whole.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if not is_whole(folder, archive):
        raise OSError(0, "what was written is not what can be read")


def _second_names(names: list[str]) -> Iterator[tuple[str, str]]:
    """Pictures that LIP's layout shows under a second name, which the zip does not hold twice."""
    pictures = {Path(name).stem: name for name in names if name.endswith(".jpg") and not name.startswith("twins/")}
    for name in names:
        if name.startswith("lip/") and name.endswith(".png"):
            folder, file = name.removesuffix(".png").rsplit("/", 1)
            yield pictures[file], f"{folder.removesuffix('_segmentations')}_images/{file}.jpg"


def _temporary() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"resight-{user}"
