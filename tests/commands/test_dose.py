"""`resight dose` with a poor man's model."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from resight.cli import main
from resight.commands import embed as command
from resight.data.images import read_resized
from resight.model import Embedded
from toy_people import ToyCounts, write_market


class ColourModel:
    settings = SimpleNamespace(height=32, width=16)
    needs_maps = False

    def describe(self, pictures, maps=None):
        rows = [np.asarray(one)[::4, ::4].ravel() / 255.0 - 0.5 for one in pictures]
        return Embedded(np.stack(rows).astype(np.float32))

    def embed_files(self, paths, *, told=None, **_):
        return self.describe([read_resized(path, 32, 16) for path in paths])


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "open_model", lambda _: ColourModel())
    return write_market(tmp_path / "toy", ToyCounts(train_persons=0, persons=4, cameras=2), seed=1)


def test_every_level_of_a_condition_is_a_row(toy, tmp_path, capsys):
    out = tmp_path / "dose.csv"
    words = ["dose", str(toy), "--conditions", "low_light", "--out", str(out), "--resamples", "100"]
    assert main(words) == 0
    with out.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(row["level"]) for row in found] == [0, 1, 2, 3, 4]
    assert float(found[0]["difference"]) == 0
    assert "low_light (stops), spoilt: query" in capsys.readouterr().out


def test_unknown_conditions_are_answered_with_the_nearest(toy, capsys):
    assert main(["dose", str(toy), "--conditions", "low_ligth"]) == 2
    assert "Did you mean `low_light`" in capsys.readouterr().err
