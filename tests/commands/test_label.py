"""`resight label`: a page that works alone and knows no outcome, a CSV to go on with, a check against the signals."""

from __future__ import annotations

import csv
import re
import shlex

import pytest
from markupsafe import escape

from resight.cli import main
from resight.diagnose.labelled import COLUMNS, LABELLED
from resight.report.words import say
from toy_people import ToyCounts, write_market


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    return write_market(tmp_path / "toy", ToyCounts(train_persons=0, persons=16, cameras=3), seed=3)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_holds_the_drawn_queries_and_no_address_or_outcome(toy, tmp_path, capsys):
    out = tmp_path / "labels"
    assert main(["label", str(toy), "--out", str(out), "--count", "12", "--parser", "none"]) == 0
    assert "12 of 12 pictures" in capsys.readouterr().out
    page = (out / "label.html").read_text(encoding="utf-8")
    assert page.count("data:image/") == 12
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?https?:", page)
    assert not re.search(r"rank|\bAP\b|distance|true match", page)
    drawn = rows(out / "labels.csv")
    assert len(drawn) == 12
    asked = [name for name in drawn[0] if name not in COLUMNS]
    assert {"low_light", "low_res"} <= set(asked)
    assert not {"occlusion", "carried_object"} & set(asked)  # nothing here measures them
    assert re.findall(r'data-condition="(\w+)"', page) == asked
    assert all(escape(say(f"ask_{name}").en) in page for name in asked)
    assert all(row["seen"] == row["low_light"] == "" for row in drawn)


def test_labels_can_be_gone_on_with_and_are_never_overwritten(toy, tmp_path, capsys):
    out = tmp_path / "labels"
    words = ["label", str(toy), "--out", str(out), "--count", "12", "--parser", "none"]
    assert main(words) == 0
    table = out / "labels.csv"
    lines = table.read_text().splitlines()
    file, weight, *rest = lines[3].split(",")
    lines[3] = ",".join([file, weight, "yes", "yes", *["no"] * (len(rest) - 2)])
    table.write_text("\n".join(lines) + "\n")
    before = rows(table)
    assert main(words) == 2
    assert "--labels" in capsys.readouterr().err
    assert main([*words, "--labels", str(table)]) == 0
    assert rows(table) == before
    assert f'["{file}", "{weight}", "yes", "yes"' in (out / "label.html").read_text(encoding="utf-8")


def test_signals_are_checked_against_labels(toy, tmp_path, capsys):
    out = tmp_path / "labels"
    words = ["label", str(toy), "--parser", "none", "--out", str(out)]
    assert main([*words, "--count", "40"]) == 0
    drawn = rows(out / "labels.csv")
    for number, row in enumerate(drawn):
        row |= dict.fromkeys(list(row)[3:], "no") | {"seen": "yes", "low_light": "yes" if number % 3 == 0 else "no"}
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(drawn[0]))
        writer.writeheader()
        writer.writerows(drawn)
    assert main([*words, "--check", str(out / "labels.csv")]) in (0, 1)
    said = capsys.readouterr().out
    assert "chance" in said
    assert "not measured" in said  # no picture was labelled `low_res`
    assert f"{len(drawn)} of {len(drawn)} pictures were labelled" in said
    found = {row["condition"]: row for row in rows(out / "agreement.csv")}
    assert 0 <= float(found["low_light"]["low"]) <= float(found["low_light"]["auc"]) <= 1
    assert found["low_res"]["auc"] == ""


def test_the_next_command_names_the_written_file_and_refuses_one_without_answers(toy, tmp_path, capsys, monkeypatch):
    out = tmp_path / "my labels"
    assert main(["label", str(toy), "--out", str(out), "--count", "3", "--parser", "none"]) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Then: ")]
    words = shlex.split(told.removeprefix("Then: resight "))
    assert words == ["label", str(toy), "--check", str(out / "labels.csv")]
    refuse_to_measure(monkeypatch)
    assert main(words) == 2
    assert "none of its 3 pictures is labelled" in capsys.readouterr().err


def refuse_to_measure(monkeypatch):
    monkeypatch.setattr("resight.commands.label.conditions_of", lambda *_: pytest.fail("pictures were measured"))


def test_what_cannot_be_drawn_or_written_is_refused_before_pictures_are_measured(toy, tmp_path, capsys, monkeypatch):
    refuse_to_measure(monkeypatch)
    assert main(["label", str(toy), "--out", str(tmp_path / "labels"), "--count", "0"]) == 2
    assert "--count is 0" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["label", str(toy), "--out", str(tmp_path / "file")]) == 2
    assert "file is a file" in capsys.readouterr().err
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "labels.csv").write_text("file\n")
    assert main(["label", str(toy), "--out", str(tmp_path / "there")]) == 2
    assert "is there already" in capsys.readouterr().err


def test_every_condition_that_may_be_labelled_has_a_question_in_plain_words():
    asked = [say(f"ask_{name}").en for name in LABELLED]
    assert all("?" in words for words in asked)
    assert len(set(asked)) == len(LABELLED)


def test_labels_of_another_set_are_refused(toy, tmp_path, capsys):
    table = tmp_path / "labels.csv"
    table.write_text("file,weight,seen,low_light\nquery/other.jpg,1,yes,no\n")
    assert main(["label", str(toy), "--parser", "none", "--check", str(table)]) == 2
    assert "query/other.jpg" in capsys.readouterr().err
