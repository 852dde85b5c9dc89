"""`resight people` from the command line: what it refuses, what it says beforehand, what it writes."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from PIL import Image

from resight.cli import main

SMALL = ["people", "--persons", "1", "--cameras", "1", "--pictures", "1", "--size", "32x16", "--workers", "1"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Say where to write"),
        (["--out", "set", "--persons", "0"], "--persons is 0"),
        (["--out", "set", "--seed", "-1"], "--seed is -1"),
        (["--out", "set", "--size", "big"], "--size is `big`"),
        (["--out", "set", "--size", "4x4"], "--size is 4x4; it must be from 16x8"),
        (["--out", "set", "--workers", "0"], "--workers is 0"),
        (["--out", "set", "--preview", "0"], "--preview is 0"),
        (["--out", "set", "--causes", "oclusion"], "Did you mean `occlusion`?"),
    ],
)
def test_what_makes_no_set_is_refused_in_a_sentence_and_nothing_is_written(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["people", *words]) != 0
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_anny_the_way_to_install_it_is_said_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    from resight.people.anatomy import load_anatomy

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    load_anatomy.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "version", missing)
        assert main([*SMALL, "--out", str(tmp_path / "set")]) != 0
    load_anatomy.cache_clear()
    assert "pip install '.[people]'" in capsys.readouterr().err.replace('"', "'")
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_a_set_is_announced_drawn_and_found_without_problem(tmp_path: Path, capsys) -> None:
    pytest.importorskip("anny")
    assert main([*SMALL, "--out", str(tmp_path / "set")]) == 0
    out, err = capsys.readouterr()
    assert "Drawing 1 pictures of 1 persons in 1 cameras: about " in err
    assert "no query can be answered" in err
    assert out.strip() == str(tmp_path / "set")
    assert main(["data", "check", str(tmp_path / "set")]) == 0
    assert main([*SMALL, "--seed", "2", "--out", str(tmp_path / "set")]) != 0
    assert "people of another plan" in capsys.readouterr().err


@pytest.mark.slow
def test_a_sheet_shows_each_person_once_and_says_when_it_replaces_one(tmp_path: Path, capsys) -> None:
    pytest.importorskip("anny")
    sheet = tmp_path / "sheet.png"
    for _ in range(2):
        assert main(["people", "--preview", "2", "--cameras", "1", "--size", "32x16", "--out", str(sheet)]) == 0
    with Image.open(sheet) as drawn:
        assert drawn.size == (32, 32)
    assert "is drawn anew" in capsys.readouterr().err
