"""`resight diagnose` and `resight conditions`: tables that sum, honest gaps, resumed stages, bad input."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from planted import planted
from resight.cli import main
from resight.data.images import read_picture
from resight.diagnose import stages
from resight.evaluate.ranking import score_features
from resight.search.features import Features, load_features, save_features, side
from toy_people import ToyCounts, write_market


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp("drawn"), ToyCounts(train_persons=0, persons=16, cameras=3), seed=3)


@pytest.fixture
def toy(drawn, tmp_path):
    """A toy set and features of it: small pictures as they are."""
    root = tmp_path / "toy"
    shutil.copytree(drawn, root)
    sides = []
    for folder in ("query", "bounding_box_test"):
        paths = sorted((root / folder).glob("*.jpg"))
        values = np.stack([read_picture(path)[::8, ::8].ravel() / 255.0 - 0.5 for path in paths])
        persons = np.array([int(path.name.split("_")[0]) for path in paths])
        cameras = np.array([int(path.name.split("_c")[1][0]) for path in paths])
        sides.append(side(values, persons, cameras, np.array([f"{folder}/{path.name}" for path in paths])))
    save_features(root / "features.npz", Features(*sides), root=root)
    return root


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def total(path, column):
    return sum(float(row[column]) for row in rows(path))


def test_every_table_sums_to_what_evaluate_calls_lost(toy, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["diagnose", str(toy / "features.npz"), "--out", str(out), "--resamples", "200"]) == 0
    lost = 1 - score_features(load_features(toy / "features.npz")).mean_ap
    columns = {
        "queries": ("loss",),
        "gallery": ("loss_as_wrong", "loss_as_match"),
        "matches": ("loss",),
        "cameras": ("loss_by_wrong", "loss_by_match"),
        "persons": ("loss_as_query", "loss_as_wrong"),
        "shares": ("loss",),
    }
    for name, some in columns.items():
        for column in some:
            assert total(out / f"{name}.csv", column) == pytest.approx(lost, abs=1e-9), (name, column)
    run = json.loads((out / "run.json").read_text())
    assert run["mean_ap"] == pytest.approx(1 - lost)
    assert run["thresholds"]
    assert rows(out / "images.csv")[0]["mask"] == "prior"
    assert rows(out / "images.csv")[0]["occlusion"] == ""
    said = capsys.readouterr().out
    assert "unexplained" in said
    assert "not measured" in said


def test_measurements_are_kept_and_change_nothing(toy, tmp_path, monkeypatch):
    words = ["diagnose", str(toy / "features.npz"), "--resamples", "200", "--out"]
    assert main([*words, str(tmp_path / "a")]) == 0
    monkeypatch.setattr(stages, "measure", lambda *_, **__: pytest.fail("measured again"))
    assert main([*words, str(tmp_path / "b")]) == 0
    for name in ("shares", "causes", "images", "steps", "label_fixes"):
        assert (tmp_path / "a" / f"{name}.csv").read_bytes() == (tmp_path / "b" / f"{name}.csv").read_bytes()


def test_without_pictures_the_ledger_stands_alone(toy, tmp_path, capsys):
    alone = tmp_path / "alone" / "features.npz"
    save_features(alone, load_features(toy / "features.npz"))
    assert main(["diagnose", str(alone), "--out", str(tmp_path / "out"), "--resamples", "200"]) == 0
    assert "No pictures were found" in capsys.readouterr().out
    assert not (tmp_path / "out" / "images.csv").exists()
    assert {row["cause"] for row in rows(tmp_path / "out" / "shares.csv")} <= {"unexplained", "gallery_distractor"}


def test_pictures_that_are_missing_in_the_middle_are_empty_cells(toy, tmp_path):
    gone = sorted((toy / "bounding_box_test").glob("*.jpg"))[5]
    gone.unlink()
    out = tmp_path / "out"
    assert main(["diagnose", str(toy / "features.npz"), "--out", str(out), "--resamples", "200"]) == 0
    row = next(row for row in rows(out / "images.csv") if row["file"].endswith(gone.name))
    assert (row["mask"], row["low_light"]) == ("unreadable", "")


def test_a_search_that_loses_nothing_says_so(tmp_path, capsys):
    perfect = planted(0, noise=0.01).features
    save_features(tmp_path / "features.npz", perfect)
    words = ["diagnose", str(tmp_path / "features.npz"), "--out", str(tmp_path / "out"), "--resamples", "200"]
    assert main(words) == 0
    assert "Nothing was lost" in capsys.readouterr().out


def test_two_diagnoses_are_compared_by_cause(toy, tmp_path, capsys):
    for name in ("a", "b"):
        words = ["diagnose", str(toy / "features.npz"), "--out", str(tmp_path / name), "--resamples", "200"]
        assert main(words) == 0
    capsys.readouterr()
    assert main(["diagnose", "--compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out
    assert "all that is lost" in said
    assert "+0.0%" in said
    run = json.loads((tmp_path / "b" / "run.json").read_text())
    (tmp_path / "b" / "run.json").write_text(json.dumps(run | {"thresholds": "other"}))
    assert main(["diagnose", "--compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "differ in thresholds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs a data set"),
        (["--compare", "only"], "takes two folders"),
        (["{npz}", "--images", "nowhere"], "does not hold"),
        (["{npz}", "--protocol", "cuhk03"], "cuhk03-np"),
        (["{npz}", "--thresholds", "none.toml"], "no file of thresholds"),
    ],
)
def test_bad_input_is_one_sentence(toy, words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["diagnose", *(word.replace("{npz}", str(toy / "features.npz")) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_conditions_write_one_row_a_picture_with_the_five_scores_first(toy, tmp_path, capsys):
    folder = tmp_path / "crops"
    shutil.copytree(toy / "query", folder / "deep")
    out = tmp_path / "conditions.csv"
    assert main(["conditions", str(folder), "--out", str(out)]) == 0
    found = rows(out)
    assert list(found[0])[:6] == ["file", "low_light", "low_res", "multi_person", "occlusion", "truncation"]
    assert [row["file"] for row in found] == [f"deep/{path.name}" for path in sorted((toy / "query").glob("*.jpg"))]
    assert all(0 <= float(row["low_light"]) <= 1 for row in found)
    (folder / "broken.jpg").write_bytes(b"broken")
    assert main(["conditions", str(folder), "--out", str(out)]) == 1
    assert main(["conditions", str(tmp_path / "nothing"), "--out", str(out)]) == 2
    assert "is no folder" in capsys.readouterr().err
