from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from resight.data import arrays
from resight.data.arrays import digest, mapped, write_mapped, write_npz
from resight.errors import CannotWrite


def test_an_npz_file_holds_its_arrays(tmp_path: Path) -> None:
    made = {"names": np.array(["a", "b"]), "maps": np.zeros((2, 500), np.uint8)}
    for compressed in (False, True):
        write_npz(tmp_path / f"{compressed}.npz", made, compressed=compressed)
        with np.load(tmp_path / f"{compressed}.npz") as found:
            assert {name: found[name].tolist() for name in found} == {name: one.tolist() for name, one in made.items()}
    assert (tmp_path / "True.npz").stat().st_size < (tmp_path / "False.npz").stat().st_size


@pytest.mark.parametrize("fallocate", [True, False])
def test_mapped_arrays_hold_what_was_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallocate: bool
) -> None:
    if not fallocate:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
        monkeypatch.setattr(arrays, "ZEROS", bytes(1000))

    def fill(one: np.ndarray, two: np.ndarray) -> None:
        one[:], two[:] = 1.5, -2

    write_mapped({tmp_path / "one.npy": (50, 70), tmp_path / "two.npy": (3,)}, fill, dtype=np.float32)
    assert (np.load(tmp_path / "one.npy") == np.full((50, 70), 1.5, np.float32)).all()
    assert np.load(tmp_path / "two.npy").tolist() == [-2, -2, -2]


def test_what_is_there_is_not_filled_again(tmp_path: Path) -> None:
    filled = []

    def fill(one: np.ndarray, two: np.ndarray) -> None:
        filled.append(1)
        one[:], two[:] = 1, 2

    shapes = {tmp_path / "one.npy": (3,), tmp_path / "two.npy": (2, 2)}
    for _ in range(2):
        one, two = mapped(shapes, fill)
        assert (one.tolist(), two.tolist()) == ([1, 1, 1], [[2, 2], [2, 2]])
        del one, two
    (tmp_path / "two.npy").unlink()
    mapped(shapes, fill)
    assert len(filled) == 2


def test_a_digest_changes_with_values_shapes_and_kinds_and_sees_parts_of_arrays() -> None:
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    others = [whole.T, whole.reshape(4, 3), whole.astype(np.float64), whole + np.eye(3, 4, dtype=np.float32), whole[:0]]
    assert len({digest(one) for one in (whole, *others)}) == 6
    assert digest(whole[:, ::2]) == digest(whole[:, ::2].copy())
    assert digest(whole, whole) != digest(whole)


def test_arrays_that_were_not_filled_to_the_end_are_not_there(tmp_path: Path) -> None:
    def fill(one: np.ndarray, two: np.ndarray) -> None:
        one[:] = 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mapped({tmp_path / "one.npy": (5,), tmp_path / "two.npy": (5,)}, fill)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(CannotWrite, match="No space left on device"):
        write_mapped({tmp_path / "one.npy": (5,)}, lambda _: pytest.fail("filled"))
    assert list(tmp_path.iterdir()) == []
