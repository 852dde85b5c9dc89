"""The sample is unpacked once, whole, and mended when somebody or a kill has damaged it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from resight.data import sample
from resight.data.files import sha256
from resight.data.sample import is_whole, sample_folder
from resight.errors import CannotWrite, DatasetNotFound


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sample, "_temporary", lambda: tmp_path / "temporary")
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "small.zip", "w") as packed:
        packed.writestr("query/0001_c1s1_000001_00.jpg", b"picture")
        packed.writestr("lip/val_segmentations/0001_c1s1_000001_00.png", b"map")
        packed.writestr("people.csv", "file\n")
    return tmp_path / "small.zip"


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WHOLE = {
    "query/0001_c1s1_000001_00.jpg": b"picture",
    "lip/val_segmentations/0001_c1s1_000001_00.png": b"map",
    "lip/val_images/0001_c1s1_000001_00.jpg": b"picture",
    "people.csv": b"file\n",
}


def test_the_checksum_in_the_code_is_that_of_the_packaged_zip():
    assert sha256(sample.ARCHIVE) == sample.CHECKSUM


def test_it_is_unpacked_at_the_first_call_only(archive, cache):
    folder = sample_folder(archive, sha256(archive))
    assert folder.parent == cache
    assert tree(folder) == WHOLE
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert sample_folder(archive, sha256(archive)) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert [path.name for path in cache.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "people.csv").unlink(),
        lambda folder: (folder / "people.csv").write_bytes(b"FILE\n"),
        lambda folder: (folder / "query" / "0009_c1s1_000001_00.jpg").write_bytes(b"mine"),
        lambda folder: shutil.rmtree(folder / "query"),
    ],
)
def test_a_damaged_or_half_unpacked_folder_is_unpacked_anew(damage, archive, cache):
    folder = sample_folder(archive, sha256(archive))
    damage(folder)
    assert not is_whole(folder, archive)
    assert tree(sample_folder(archive, sha256(archive))) == WHOLE
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_a_kill_in_the_middle_leaves_nothing_that_is_taken_for_the_sample(archive, cache, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sample, "link", killed)
        with pytest.raises(KeyboardInterrupt):
            sample_folder(archive, sha256(archive))
    assert list(cache.iterdir()) == []
    assert tree(sample_folder(archive, sha256(archive))) == WHOLE


def test_a_neighbour_who_was_faster_is_left_alone(archive, monkeypatch):
    rename = Path.rename

    def late(self: Path, target: Path) -> Path:
        if self.name == "whole":
            shutil.copytree(self, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert tree(sample_folder(archive, sha256(archive))) == WHOLE


def test_where_the_cache_cannot_be_written_the_temporary_folder_serves(archive, cache, tmp_path):
    cache.write_text("a file in the way")
    folder = sample_folder(archive, sha256(archive))
    assert folder.parent == tmp_path / "temporary"
    assert tree(folder) == WHOLE


def test_where_nothing_can_be_written_the_error_names_what_to_set(archive, cache, tmp_path):
    for place in (cache, tmp_path / "temporary"):
        place.write_text("a file in the way")
    with pytest.raises(CannotWrite, match="RESIGHT_CACHE"):
        sample_folder(archive, sha256(archive))


def test_a_damaged_or_missing_zip_is_an_error_that_says_so(archive, tmp_path):
    checksum = sha256(archive)
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(DatasetNotFound, match="damaged"):
        sample_folder(archive, checksum)
    with pytest.raises(DatasetNotFound, match="no sample set inside"):
        sample_folder(tmp_path / "none.zip", checksum)
