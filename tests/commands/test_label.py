"""`resight label`: a page that works alone and knows no outcome, a CSV to go on with, a check against the signals."""

from __future__ import annotations

import csv
import re

import pytest

from resight.cli import main
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
    assert "not measured" in said  # no picture was labelled `occlusion`
    found = {row["condition"]: row for row in rows(out / "agreement.csv")}
    assert 0 <= float(found["low_light"]["low"]) <= float(found["low_light"]["auc"]) <= 1
    assert found["occlusion"]["auc"] == ""


def test_labels_of_another_set_are_refused(toy, tmp_path, capsys):
    table = tmp_path / "labels.csv"
    table.write_text("file,weight,seen,low_light\nquery/other.jpg,1,yes,no\n")
    assert main(["label", str(toy), "--parser", "none", "--check", str(table)]) == 2
    assert "query/other.jpg" in capsys.readouterr().err
