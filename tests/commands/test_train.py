"""`resight train embedder` and `resight embed` from the shell's side, on a few toy people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from resight.cli import main
from resight.search.features import load_features
from small_sets import put
from toy_people import ToyCounts, write_market

RECIPE = """
backbone-weights = "none"
persons = 4
pictures = 2
warmup-epochs = 0.5
stages = [{ epochs = 1, height = 32, width = 16 }]
"""


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    counts = ToyCounts(train_persons=6, persons=3, cameras=2, per_camera=2, junk=1, distractors=1)
    return write_market(tmp_path / "people", counts)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def train(people: Path, recipe: Path, out: Path, *more: str) -> int:
    return main(["train", "embedder", "--recipe", str(recipe), "--data", str(people), "--out", str(out), *more])


def test_a_run_folder_holds_everything_and_its_model_embeds(
    people: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(people, recipe, run) == 0
    assert capsys.readouterr().out.strip() == str(run / "model.safetensors")
    assert {entry.name for entry in run.iterdir()} == {
        "config.toml",
        "log.jsonl",
        "run.json",
        "last",
        "model.safetensors",
    }
    out = tmp_path / "features.npz"
    assert main(["embed", str(people), "--model", str(run), "--out", str(out), "--threads", "2"]) == 0
    assert torch.get_num_threads() == 1
    features = load_features(out)
    assert features.query.features.dtype == np.float32
    assert len(features.query.files) == len(list((people / "query").iterdir()))
    assert (people / str(features.gallery.files[0])).is_file()
    assert -1 in features.gallery.persons
    with np.load(out) as arrays:
        named = {
            f"{side}_{what}" for side in ("query", "gallery") for what in ("features", "persons", "cameras", "files")
        }
        assert named <= set(arrays)


def test_held_out_persons_are_scored_after_each_stage(people: Path, recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(people, recipe, run, "--validation-persons", "2") == 0
    lines = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == [0]
    assert 0 <= lines[0]["mean_ap"] <= 1
    assert json.loads((run / "run.json").read_text())["persons"] == 4


def test_training_opens_no_query_and_no_gallery_picture(people: Path, recipe: Path, tmp_path: Path) -> None:
    for folder in ("query", "bounding_box_test"):
        for path in (people / folder).iterdir():
            path.write_bytes(b"nobody may read me")
    assert train(people, recipe, tmp_path / "run") == 0


def test_a_run_of_another_recipe_is_not_gone_on_with(
    people: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(people, recipe, tmp_path / "run") == 0
    assert train(people, recipe, tmp_path / "run", "--seed", "5") == 2
    assert "another recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("presons = 4", "Did you mean `persons`"),
        ("persons = 40", "has 6"),
        ('persons = "many"', "whole number"),
        ("persons = 4\nvalidation-persons = 9", "has 6 persons"),
        ('persons = 4\nbackbone = "resnet5"', "Did you mean `resnet50`"),
        ('persons = 4\nparser-weights = "nowhere"', "has none"),
    ],
)
def test_a_bad_recipe_exits_2_with_one_sentence_and_leaves_no_folder(
    people: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    recipe.write_text(RECIPE.replace("persons = 4", line))
    assert train(people, recipe, tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert said in error.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "name", "other"), [("embedder", "ce2p-473", "parser"), ("parser", "spreid", "embedder")]
)
def test_a_recipe_of_the_other_kind_of_network_is_answered_with_its_command(
    kind: str, name: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", kind, "--recipe", name, "--data", "nowhere", "--out", str(tmp_path / "run")]) == 2
    assert f"`resight train {other} --recipe {name}`" in capsys.readouterr().err


def test_no_threads_are_refused(people: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(people, recipe, tmp_path / "run", "--threads", "0") == 2
    assert "0 threads can do nothing" in capsys.readouterr().err


def test_a_damaged_training_picture_is_named(
    people: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = sorted((people / "bounding_box_train").iterdir())[3]
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert train(people, recipe, tmp_path / "run") == 2
    assert damaged.name in capsys.readouterr().err


def test_a_plain_folder_gives_features_and_files(people: Path, recipe: Path, tmp_path: Path) -> None:
    assert train(people, recipe, tmp_path / "run") == 0
    folder = put(tmp_path / "photos", "b.png", "a.jpg")
    out = tmp_path / "plain.npz"
    assert main(["embed", str(folder), "--model", str(tmp_path / "run"), "--out", str(out)]) == 0
    with np.load(out) as arrays:
        assert set(arrays) == {"features", "files"}
        assert arrays["files"].tolist() == ["a.jpg", "b.png"]
        assert arrays["features"].shape == (2, 1280)


def test_an_empty_folder_and_a_missing_one_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "nowhere"):
        assert main(["embed", str(tmp_path / place), "--out", str(tmp_path / "x.npz")]) == 2
        assert place in capsys.readouterr().err
    assert not (tmp_path / "x.npz").exists()


def test_other_values_of_a_recipe_can_be_said_on_the_command_line(
    people: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    sizes = "stages=[{epochs=1, height=48, width=24}]"
    assert train(people, recipe, run, "--set", "training-persons=4", "margin=0.5", sizes, "pooling=average") == 0
    assert json.loads((run / "run.json").read_text())["persons"] == 4
    written = (run / "config.toml").read_text()
    for line in ("training-persons = 4", "margin = 0.5", 'pooling = "average"', '"height" = 48'):
        assert line in written
    capsys.readouterr()
    assert train(people, recipe, tmp_path / "b", "--set", "margn=0.5") == 2
    assert "Did you mean `margin`" in capsys.readouterr().err
    assert train(people, recipe, tmp_path / "c", "--set", "margin") == 2
    assert "write KEY=VALUE" in capsys.readouterr().err
    assert train(people, recipe, tmp_path / "d", "--set", "training-persons=7") == 2
    assert "6 persons are left to learn from" in capsys.readouterr().err


def test_a_run_goes_on_when_its_data_moved_and_not_when_a_picture_became_another(
    people: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, moved = tmp_path / "run", tmp_path / "elsewhere" / "persons"
    assert train(people, recipe, run) == 0
    moved.parent.mkdir()
    people.rename(moved)
    capsys.readouterr()
    assert train(moved, recipe, run) == 0
    assert "finished before: nothing is changed" in capsys.readouterr().err
    first, second = sorted((moved / "bounding_box_train").iterdir())[:2]
    first.write_bytes(second.read_bytes())
    assert train(moved, recipe, run) == 2
    assert "was trained on other pictures" in capsys.readouterr().err


def test_a_run_whose_recipe_was_kept_before_a_field_existed_goes_on(people: Path, recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(people, recipe, run) == 0
    kept = run / "config.toml"
    kept.write_text(kept.read_text().replace("training-persons = 0\n", ""))
    assert train(people, recipe, run) == 0
    assert train(people, recipe, run, "--set", "training-persons=4") == 2
