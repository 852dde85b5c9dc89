"""Decisions on identity splits stay from run to run and are told in mAP; nothing is merged."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from resight.commands.diagnose_fixes import fixed_mean_ap, read_decisions, with_decisions
from resight.diagnose.splits import Suspects
from resight.errors import BadRecipe
from resight.evaluate.ranking import score_features
from resight.search.features import Features, side

SUSPECTS = (Suspects(3, 7, 2, 3, 0.5, 0.01, 0.8), Suspects(4, 9, 1, 1, 0.9, 0.02, 0.7))


def write(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("first", "second", "same"), *rows])
    return path


def split_in_two() -> Features:
    """Person 2 is person 1: the query of 1 finds it first."""
    spots = {1: (1.0, 0.0), 2: (1.0, 0.05), 3: (0.0, 1.0)}
    query = [(1, 1), (3, 1)]
    gallery = [(2, 2), (2, 3), (1, 2), (3, 2)]
    values = [[*spots[person]] for person, _ in gallery]
    values[2] = [0.8, 0.5]  # its own second picture is farther away
    sides = [
        side(
            np.array(rows, np.float32),
            np.array([person for person, _ in facts]),
            np.array([camera for _, camera in facts]),
            np.array([f"{place}{number}.jpg" for number in range(len(facts))]),
        )
        for place, facts, rows in (("q", query, [spots[1], spots[3]]), ("g", gallery, values))
    ]
    return Features(*sides)


def test_answers_stay_and_those_of_gone_suspects_too(tmp_path: Path) -> None:
    decided = read_decisions(write(tmp_path / "fixes.csv", [("3", "7", "yes"), ("4", "9", ""), ("1", "2", "no")]))
    table = with_decisions(SUSPECTS, decided)
    assert list(table["same"]) == ["yes", "", "no"]
    assert [str(one) for one in table["first"]] == ["3", "4", "1"]
    assert {len(column) for column in table.values()} == {3}
    assert read_decisions(tmp_path / "none.csv") == {}


def test_the_map_with_the_answers_is_that_of_one_person() -> None:
    features = split_in_two()
    before = score_features(features).mean_ap
    assert before < 1
    assert fixed_mean_ap(features, {("1", "2"): "no"}, protocol="market") is None
    assert fixed_mean_ap(features, {("1", "2"): "Yes"}, protocol="market") == (1, 1.0)
    assert score_features(features).mean_ap == before


def test_tables_of_something_else_and_unknown_persons_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadRecipe, match="first, second and same"):
        read_decisions(tmp_path / "bad.csv")
    with pytest.raises(BadRecipe, match="person 99"):
        fixed_mean_ap(split_in_two(), {("1", "99"): "yes"}, protocol="market")
