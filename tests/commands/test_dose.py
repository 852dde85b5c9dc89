"""`resight dose` with a poor man's model."""

from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from resight.cli import main
from resight.commands import conditions
from resight.commands import embed as command
from resight.commands.dose import Dose, asked_for, cut_out_people, drawn_queries
from resight.data.images import read_resized
from resight.data.reid_sets import find_set
from resight.errors import UnknownName
from resight.model import Embedded
from small_sets import put
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
    monkeypatch.setattr(command, "open_model", lambda *_, **__: ColourModel())
    return write_market(tmp_path / "toy", ToyCounts(train_persons=0, persons=4, cameras=2), seed=1)


def test_a_set_without_cameras_is_answered_before_the_work_with_the_command_to_type(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "open_model", pytest.fail)
    own = put(tmp_path / "own", "ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "bob/2.jpg")
    assert main(["dose", str(own), "--queries", "3"]) == 2
    assert f"`resight dose {own} --queries 3 --protocol occluded`" in capsys.readouterr().err


def test_every_level_of_a_condition_is_a_row(toy, tmp_path, capsys):
    out = tmp_path / "dose.csv"
    words = ["dose", str(toy), "--conditions", "low_light", "--out", str(out), "--resamples", "100", "--any-queries"]
    assert main(words) == 0
    with out.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(row["level"]) for row in found] == [0, 1, 2, 3, 4]
    assert float(found[0]["difference"]) == 0
    assert "low_light (stops), spoilt: query" in capsys.readouterr().out


def test_only_clean_queries_are_drawn_and_a_set_without_any_says_so(toy, tmp_path, capsys, monkeypatch):
    crops = list(find_set(toy).crops("query"))
    dark = np.arange(len(crops)) % 2 == 0

    def conditions_of(paths, *_, **__):
        where = [[crop.path for crop in crops].index(path) for path in paths]
        shown = {"low_light": dark[where], "carried_object": ~dark[where]}
        return SimpleNamespace(scores=shown, present=shown.__getitem__, readable=np.ones(len(paths), bool))

    monkeypatch.setattr(conditions, "conditions_of", conditions_of)
    config = Dose(dataset=str(toy), parser="none", queries=3)
    clean = [crop for crop, hidden in zip(crops, dark, strict=True) if not hidden]
    assert drawn_queries(config, crops) == clean[:3]
    assert drawn_queries(replace(config, queries=1), crops)[0] in clean
    assert drawn_queries(replace(config, any_queries=True, queries=0), crops) == crops
    dark[:] = True
    words = ["dose", str(toy), "--parser", "none", "--out", str(tmp_path / "dose.csv")]
    assert main(words) == 2
    assert "Every query shows a condition by itself" in capsys.readouterr().err


def test_unknown_conditions_are_answered_with_the_nearest(toy, capsys):
    assert main(["dose", str(toy), "--conditions", "low_ligth"]) == 2
    assert "Did you mean `low_light`" in capsys.readouterr().err


def test_people_are_cut_out_by_the_parser_and_without_one_it_is_said(toy, tmp_path, capsys, monkeypatch):
    words = ["dose", str(toy), "--any-queries", "--resamples", "100", "--out", str(tmp_path / "dose.csv")]
    assert main([*words, "--parser", "none", "--conditions", "multi_person", "truncation"]) == 0
    assert "several people are not tried" in capsys.readouterr().err
    with (tmp_path / "dose.csv").open(newline="") as file:
        assert {row["condition"] for row in csv.DictReader(file)} == {"truncation"}

    def parse(pictures):
        labels = [np.zeros(one.shape[:2], np.uint8) for one in pictures]
        for one in labels:
            one[10:-5, 20:-20] = 5
        return [SimpleNamespace(labels=one) for one in labels]

    monkeypatch.setattr(conditions, "open_parser", lambda _: (parse, None, "mine"))
    cut = cut_out_people(Dose(dataset=str(toy)), list(find_set(toy).crops("query")))
    assert len(cut) == 4
    assert all((one[:, :, 3] > 0).mean() == pytest.approx((parse([one])[0].labels > 0).mean()) for one in cut)
    assert main([*words, "--conditions", "multi_person"]) == 0
    with (tmp_path / "dose.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["unit"] for row in found] == ["share of the width behind somebody"] * 5
    assert float(found[-1]["difference"]) < 0


def test_conditions_are_asked_for_with_hyphens_or_underscores_and_occlusion_is_all_its_contents():
    assert asked_for(["low-light", "multi-person", "low_light"]) == ("low_light", "multi_person")
    assert asked_for(["occlusion"]) == ("occlusion_grey", "occlusion_noise", "occlusion_mirror")
    assert len(asked_for(["all"])) == len(set(asked_for(["all"]))) == 9
    with pytest.raises(UnknownName, match="Did you mean `low_"):
        asked_for(["low"])
