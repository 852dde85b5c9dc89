"""`resight data check` as a user meets it."""

from __future__ import annotations

import json

import pytest

from resight.cli import main
from resight.commands.check import Check, check
from small_sets import market, put


def test_a_sound_set_is_counted_and_exits_with_0(tmp_path, capsys):
    assert main(["data", "check", str(market(tmp_path))]) == 0
    out, err = capsys.readouterr()
    assert "market1501 (Zheng et al., ICCV 2015)" in out
    assert "No problem found." in out
    gallery = next(line for line in out.splitlines() if line.startswith("gallery"))
    assert gallery.split() == ["gallery", "4", "2", "3", "1", "1", "none"]
    assert "looking at pictures: 20 of 20" in err


def test_problems_are_named_and_exit_with_1(tmp_path, capsys):
    root = market(tmp_path)
    (root / "query" / "0003_c2s1_000001_00.jpg").write_bytes(b"")
    assert main(["data", "check", str(root)]) == 1
    out = capsys.readouterr().out
    assert "PROBLEM pictures that cannot be read: 1" in out
    assert "query/0003_c2s1_000001_00.jpg" in out
    assert "1 kind of problem, 1 in all." in out


def test_a_quick_look_reads_no_picture_and_says_so(tmp_path, capsys):
    root = market(tmp_path)
    (root / "query" / "0003_c2s1_000001_00.jpg").write_bytes(b"")
    assert main(["data", "check", str(root), "--quick"]) == 0
    out, err = capsys.readouterr()
    assert "Pictures were not read (--quick)." in out
    assert err == ""


def test_long_findings_are_cut_on_the_screen_and_whole_in_the_file(tmp_path, capsys):
    names = [f"query/00{n}_c1s1_000001_00.jpg" for n in range(10, 30)]
    root = put(market(tmp_path / "set"), *names)
    assert main(["data", "check", str(root), "--quick", "--json", str(tmp_path / "out" / "found.json")]) == 1
    assert "and 15 more (all of them: --json FILE)" in capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "found.json").read_text())
    assert written["problems"] == 20
    assert written["counts"]["query"] == {"pictures": 22, "persons": 22, "cameras": 2, "junk": 0, "distractors": 0}
    assert written["official"]["train"]["pictures"] == 12_936
    (finding,) = [f for f in written["findings"] if f["kind"] == "no-answer"]
    assert finding["problem"]
    assert finding["items"] == [[name] for name in names]


def test_names_with_brackets_are_printed_as_they_are(tmp_path, capsys):
    root = put(tmp_path / "[bold]set[/]", "ann/1.jpg", "ann/[red]2.jpg", "bob/1.jpg", "bob/2.jpg")
    (root / "ann" / "[red]2.jpg").write_text("x")
    assert main(["data", "check", str(root)]) == 1
    out = capsys.readouterr().out
    assert "[bold]set[/]" in out
    assert "ann/[red]2.jpg" in out
    assert "Note: no camera ids" in out


@pytest.mark.parametrize("place", ["nowhere", "faces", "empty"])
def test_what_is_no_set_is_one_sentence_and_exits_with_2(place, tmp_path, capsys):
    put(tmp_path, "faces/1.jpg")
    (tmp_path / "empty").mkdir()
    assert main(["data", "check", str(tmp_path / place)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_own_columns_and_cameras_are_options(tmp_path, capsys):
    put(tmp_path, "a_c1.jpg", "b_c2.jpg")
    (tmp_path / "l.csv").write_text("file,who\na_c1.jpg,ann\nb_c2.jpg,ann\n")
    words = ["--path-column", "file", "--person-column", "who", "--camera-pattern", r"_(c\d)"]
    assert main(["data", "check", str(tmp_path / "l.csv"), *words]) == 0
    out = capsys.readouterr().out
    assert next(line for line in out.splitlines() if line.startswith("train")).split()[1:4] == ["2", "1", "2"]
    assert "camera ids" not in out
    assert main(["data", "check", str(tmp_path / "l.csv"), "--path-column", "fil"]) == 2
    assert "Did you mean `file`?" in capsys.readouterr().err


def test_the_title_is_what_the_user_named(tmp_path, capsys, monkeypatch):
    assert main(["data", "check", "sample", "--quick", "--json", str(tmp_path / "s.json")]) == 0
    assert capsys.readouterr().out.startswith("sample: laid out as market1501 (")
    written = json.loads((tmp_path / "s.json").read_text())
    assert (written["set"], written["layout"]) == ("sample", "market1501")
    monkeypatch.chdir(market(tmp_path / "set").parent)
    assert main(["data", "check", "set", "--quick"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "set: laid out as market1501 (Zheng et al., ICCV 2015)"


def test_a_place_that_cannot_be_written_is_told_before_pictures_are_read(tmp_path, capsys):
    assert main(["data", "check", str(market(tmp_path / "set")), "--json", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "looking at pictures" not in err


def test_it_can_be_called_from_python(tmp_path):
    assert check(Check(dataset=str(market(tmp_path)), quick=True)) == 0
