"""`resight embed` as a user meets it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from resight.cli import main
from small_sets import market, put


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main(["embed", *map(str, words), "--model", "baseline-lite", "--threads", "1"])
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


def test_a_plain_folder_is_summed_up_and_bad_pictures_are_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number}.jpg" for number in range(70)]
    plain, out = put(tmp_path / "plain", *names), tmp_path / "f.npz"
    code, err = said(capsys, plain, "--out", out)
    assert code == 0
    assert re.search(rf"^{out}: 70 pictures, 1,280 numbers each, in [\d.]+ s\.$", err, re.MULTILINE)
    with np.load(out) as arrays:
        whole = dict(zip(arrays["files"].tolist(), arrays["features"], strict=True))
    for bad in ("12.jpg", "69.jpg"):
        (plain / bad).write_bytes(b"no picture")
    code, err = said(capsys, plain, "--out", out)
    assert code == 1
    assert "12.jpg is no picture" in err
    assert "69.jpg is no picture" in err
    assert "68 pictures" in err
    assert "2 could not be read and were left out." in err
    with np.load(out) as arrays:
        left = dict(zip(arrays["files"].tolist(), arrays["features"], strict=True))
    assert left.keys() == whole.keys() - {"12.jpg", "69.jpg"}
    for name, row in left.items():
        np.testing.assert_allclose(row, whole[name], atol=1e-4)


def test_a_folder_of_nothing_but_bad_pictures_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    code, err = said(capsys, tmp_path, "--out", tmp_path / "f.npz")
    assert code == 2
    assert "No picture can be read; the first:" in err
    assert not (tmp_path / "f.npz").exists()


def test_a_data_set_with_bad_pictures_is_refused_and_all_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = market(tmp_path / "set")
    bad = ["query/0003_c2s1_000001_00.jpg", "bounding_box_test/0003_c6s1_000301_00.jpg"]
    for name in bad:
        (root / name).write_bytes(b"no picture")
    code, err = said(capsys, root, "--out", tmp_path / "f.npz")
    assert code == 2
    assert "2 of the set's pictures cannot be read" in err
    assert all(name in err for name in bad)
    assert not (tmp_path / "f.npz").exists()


def test_what_cannot_work_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: object) -> None:
        raise AssertionError("embedding began")

    monkeypatch.setattr("resight.commands.embed.open_model", never)
    sets = {"market": market(tmp_path / "market"), "plain": put(tmp_path / "plain", "1.jpg", "2.jpg")}
    for name, words, expected in (
        ("market", ("--out", "/proc/nowhere/f.npz"), "Could not write"),
        ("plain", ("--out", tmp_path), "it is a folder"),
        ("market", ("--path-column", "foo"), "has no columns"),
        ("plain", ("--path-column", "foo"), "Leave --path-column out to take it as a plain folder"),
        ("plain", ("--layout", "market1501"), "Leave --layout out"),
        ("plain", ("--camera-pattern", "("), "no regular expression"),
    ):
        code, err = said(capsys, sets[name], *words)
        assert code == 2
        assert expected in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["embed", "evaluate", "report", "diagnose"])
def test_part_maps_are_refused_where_the_model_looks_at_none(command: str, tmp_path: Path, capsys) -> None:
    assert main([command, "sample", "--parts", str(tmp_path), "--out" if command != "evaluate" else "--json", "x"]) == 2
    assert "`one-pass` looks at pictures alone and at no part maps: leave --parts out." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_a_part_share_that_makes_no_sense_is_told_before_the_work(command: str, capsys, monkeypatch) -> None:
    monkeypatch.setattr("resight.commands.embed.open_model", pytest.fail)
    assert main([command, "sample", "--part-share", "7"]) == 2
    assert "The part share is 7" in capsys.readouterr().err
