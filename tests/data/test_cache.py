from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.data.cache import cache_folder, decoded_pictures, fingerprint, identity
from resight.data.files import check_place, write_beside
from resight.errors import BadPicture, CannotWrite


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    names = [tmp_path / f"{n}.png" for n in range(3)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (20, 10, 3), dtype=np.uint8)).save(name)
    return names


def test_pictures_are_decoded_once_and_come_in_the_order_given(paths: list[Path]) -> None:
    told: list[int] = []
    first = decoded_pictures(paths, height=20, width=10, told=told.append)
    again = decoded_pictures(paths, height=20, width=10, told=told.append)
    assert sum(told) == 3
    assert np.array_equal(first, again)
    assert all(np.array_equal(row, np.asarray(Image.open(path))) for row, path in zip(first, paths, strict=True))


def test_a_changed_picture_is_decoded_again(paths: list[Path]) -> None:
    before = fingerprint(paths)
    Image.new("RGB", (10, 20), "red").save(paths[1])
    os.utime(paths[1], (1, 1))
    assert fingerprint(paths) != before
    assert (decoded_pictures(paths, height=20, width=10)[1] == (255, 0, 0)).all()


def test_a_set_is_the_same_wherever_it_lies_and_another_when_content_name_or_order_changes(
    paths: list[Path], tmp_path: Path
) -> None:
    before = identity(paths)
    for name in ("moved", "other"):
        (tmp_path / name).mkdir()
    moved = [Path(shutil.copyfile(path, tmp_path / "moved" / path.name)) for path in paths]
    assert identity(moved) == before != identity(moved, "more")
    assert identity([moved[1], moved[0], moved[2]]) != before
    assert identity([*moved[:2], Path(shutil.copyfile(moved[2], tmp_path / "moved" / "3.png"))]) != before
    times, held = moved[1].stat(), moved[1].read_bytes()
    moved[1].write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    os.utime(moved[1], ns=(times.st_atime_ns, times.st_mtime_ns))
    assert identity(moved) != before


def test_an_unreadable_picture_leaves_nothing_behind(paths: list[Path]) -> None:
    paths[2].write_text("not a picture")
    with pytest.raises(BadPicture, match=r"2\.png"):
        decoded_pictures(paths, height=20, width=10)
    assert list(cache_folder().iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), write_beside(path) as partial:
        _write_half(partial, RuntimeError())
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.json"]


def test_a_full_disk_is_said_in_one_sentence_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with pytest.raises(CannotWrite, match=r"No space left.*Free some space"), write_beside(path) as partial:
        _write_half(partial, OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="file is a file"):
        check_place(tmp_path / "file" / "deep" / "x")
    with pytest.raises(CannotWrite, match="Could not write"), write_beside(tmp_path / "file" / "x") as partial:
        partial.write_text("never")


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with write_beside(pipe) as partial:
        partial.write_text("through")
        assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()


def _write_half(path: Path, error: Exception) -> None:
    path.write_text("half")
    raise error


@pytest.mark.parametrize("place", ["new/deep/f.npz", "f.npz"])
def test_a_place_is_tried_without_a_trace(tmp_path: Path, place: str) -> None:
    check_place(tmp_path / place)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_and_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("there")
    for place, reason in ((tmp_path / "file" / "x", "file is a file"), (tmp_path, "it is a folder")):
        with pytest.raises(CannotWrite, match=f"Could not write.*{reason}"):
            check_place(place)
    check_place(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "there"
