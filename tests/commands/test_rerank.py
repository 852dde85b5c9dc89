"""`resight rerank` as a user meets it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from resight.cli import main
from resight.commands import rerank as command
from resight.commands.rerank import Rerank
from resight.search.rerank import rerank


@pytest.fixture
def features(tmp_path):
    rng = np.random.default_rng(0)
    persons = np.arange(60) % 10
    rows = (rng.standard_normal((10, 16))[persons] + 0.5 * rng.standard_normal((60, 16))).astype(np.float32)
    path = tmp_path / "features.npz"
    np.savez(
        path,
        query_features=rows[:15],
        query_persons=persons[:15],
        query_cameras=np.zeros(15, int),
        gallery_features=rows[15:],
        gallery_persons=persons[15:],
        gallery_cameras=np.ones(45, int),
    )
    return path


def test_the_file_holds_the_final_distances_as_float32(features, tmp_path, capsys):
    out = tmp_path / "new" / "r.npy"
    assert main(["rerank", str(features), "--k1", "8", "--k2", "3", "--lambda", "0.5", "--out", str(out)]) == 0
    with np.load(features) as arrays:
        wanted = rerank(arrays["query_features"], arrays["gallery_features"], k1=8, k2=3, lambda_=0.5)
    found = np.load(out)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"{out}: 15 queries by 45 gallery pictures, re-ranked with k1 8, k2 3, lambda 0.5.\n"
    assert [path.name for path in out.parent.iterdir()] == ["r.npy"]


def test_the_paper_s_numbers_are_the_defaults():
    config = Rerank(features=Path("f.npz"))
    assert (config.k1, config.k2, config.lambda_) == (20, 6, 0.3)


def test_long_work_shows_progress_on_stderr(features, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "LONG", 10)
    assert main(["rerank", str(features), "--out", str(tmp_path / "r.npy")]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "re-ranking: 1 of 1" in said.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--k1", "0"], "k1 is 0: it counts neighbours"),
        (["--k2", "-1"], "k2 is -1"),
        (["--lambda", "2"], "lambda is 2.0: it is the share of the original distance"),
        (["--lambda", "nan"], "lambda is nan"),
        (["--k1", "many"], "k1"),
    ],
)
def test_wrong_numbers_are_one_sentence_and_exit_2(features, tmp_path, capsys, options, message):
    out = tmp_path / "r.npy"
    assert main(["rerank", str(features), "--out", str(out), *options]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not out.exists()


def test_distances_alone_are_refused(tmp_path, capsys):
    np.save(tmp_path / "d.npy", np.ones((3, 4), np.float32))
    np.savez(tmp_path / "d.npz", distances=np.ones((3, 4), np.float32))
    for name, message in (("d.npy", "bare array"), ("d.npz", "found: distances")):
        assert main(["rerank", str(tmp_path / name), "--out", str(tmp_path / "r.npy")]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1


def test_features_with_nan_are_refused_and_the_old_file_stays(features, tmp_path, capsys):
    with np.load(features) as arrays:
        broken = dict(arrays)
    broken["gallery_features"][4, 2] = np.nan
    np.savez(features, **broken)
    out = tmp_path / "r.npy"
    out.write_bytes(b"old")
    assert main(["rerank", str(features), "--out", str(out)]) == 2
    assert "row 4" in capsys.readouterr().err
    assert out.read_bytes() == b"old"


def test_the_features_file_is_never_overwritten(features, capsys):
    before = features.read_bytes()
    assert main(["rerank", str(features), "--out", str(features)]) == 2
    assert "is the features file itself" in capsys.readouterr().err
    assert features.read_bytes() == before


def test_a_full_disk_is_one_sentence_and_the_old_file_stays(features, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    out = tmp_path / "r.npy"
    out.write_bytes(b"old")
    assert main(["rerank", str(features), "--out", str(out)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.npz", "r.npy"]
