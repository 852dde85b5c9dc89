"""A row of the leaderboard says with which words its run was trained, and keeps scores that can be compared."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import leaderboard_row
import official
from held_out import refuse_learned

from resight.cli import main
from resight.commands.train import recipe_value
from resight.config import load_toml, to_toml
from resight.evaluate.ranking import score_features
from resight.search.features import Features, side
from resight.train.recipe import EmbedderRecipe, Stage

NO_MAPS = SimpleNamespace(settings=SimpleNamespace(parser=""))


def test_the_words_of_a_row_make_its_recipe_again(tmp_path: Path) -> None:
    shipped = load_toml(EmbedderRecipe, "spreid")
    covering = replace(shipped.covering, paste=0.5)
    stages = (Stage(epochs=12, height=128, width=64),)
    used = replace(shipped, stages=stages, covering=covering, training_persons=375, seed=3, options={"shared": False})
    (tmp_path / "config.toml").write_text(to_toml(used))
    (tmp_path / "run.json").write_text('{"pasted": {"objects": 40, "people": 0}}')
    said = leaderboard_row.changes("spreid", tmp_path, NO_MAPS)
    words = shlex.split(said)
    assert words[-2:] == ["--occluders", "OBJECTS"]
    assert all(word == "--set" for word in words[:-2:2])
    again = load_toml(EmbedderRecipe, "spreid", dict(map(recipe_value, words[1:-2:2])))
    assert replace(again, seed=3) == used
    (tmp_path / "config.toml").write_text(to_toml(replace(shipped, seed=2, validation_persons=100)))
    assert leaderboard_row.changes("spreid", tmp_path, NO_MAPS) == ""


def test_kept_scores_of_two_rows_are_compared_query_by_query(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(8), 3)
    truth = np.eye(8)[persons]
    files = np.array([f"{number}.jpg" for number in range(24)])
    for name, noise in (("a", 2.0), ("b", 0.1)):
        sides = [
            side(truth + noise * rng.standard_normal((24, 8)), persons, np.full(24, camera), files) for camera in (0, 1)
        ]
        path = tmp_path / name / "scores" / "validation-clean.json"
        leaderboard_row.keep_scores(path, score_features(Features(*sides)), gallery=24, source="toy")
    paths = [str(tmp_path / name / "scores" / "validation-clean.json") for name in "ab"]
    assert main(["compare", *paths, "--at-least", "0"]) == 0
    assert "B is better" in capsys.readouterr().out


def test_a_row_does_not_tell_where_other_runs_lie_on_this_machine(tmp_path: Path) -> None:
    shipped = load_toml(EmbedderRecipe, "one-pass")
    (tmp_path / "config.toml").write_text(to_toml(replace(shipped, backbone_weights="/home/me/run/model.safetensors")))
    (tmp_path / "run.json").write_text('{"pasted": {"objects": 40, "people": 7}}')
    assert leaderboard_row.changes("one-pass", tmp_path, NO_MAPS).endswith("--people PENNFUDAN")
    assert "--set 'backbone-weights=\"RUN\"'" in leaderboard_row.changes("one-pass", tmp_path, NO_MAPS)


def test_hidden_queries_of_the_official_test_are_logged_beside_the_plain_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "LOG", tmp_path / "log.jsonl")
    line = {"date": "d", "model": "m", "weights_sha256": "aa", "mean_ap": 0.5, "commit": "c", "cmc": [0.7]}
    official.log_scoring(line, None)
    official.refuse_twice("aa", None, official.HIDDEN)
    with pytest.raises(SystemExit):
        official.refuse_twice("aa", None)
    official.log_scoring(line, None, official.HIDDEN)
    with pytest.raises(SystemExit):
        official.refuse_twice("aa", None, official.HIDDEN)
    official.refuse_twice("aa", "a reason", official.HIDDEN)


def test_a_row_takes_no_queries_of_another_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "config.toml").write_text("validation-persons = 100")
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "occlusions.json").write_text('{"split": "query"}')
    words = [str(tmp_path), "DATA", "--method", "m", "--recipe", "r", "--threads", "1", "--occluded", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["leaderboard_row.py", *words])
    with pytest.raises(SystemExit, match="hides query pictures: not those of validation"):
        leaderboard_row.main()


def test_a_row_is_not_of_a_run_that_knew_the_persons_nor_of_one_that_came_from_it(tmp_path: Path) -> None:
    before = "imagenet"
    for name, held_out in (("first", 0), ("second", 100), ("third", 100)):
        (tmp_path / name).mkdir()
        settings = f'backbone-weights = "{before}"\nvalidation-persons = {held_out}\n'
        (tmp_path / name / "config.toml").write_text(settings)
        before = str(tmp_path / name)
    with pytest.raises(SystemExit, match="first learned from"):
        refuse_learned(tmp_path / "first")
    for name in ("second", "third"):
        with pytest.raises(SystemExit, match=f"{name} started from .*first, which learned from"):
            refuse_learned(tmp_path / name)
    with pytest.raises(SystemExit, match="one-pass learned from"):
        refuse_learned(Path("one-pass"))
    (tmp_path / "first" / "config.toml").write_text("validation-persons = 100\n")
    refuse_learned(tmp_path / "third")
    for start in ("baseline-lite", "gone"):
        (tmp_path / "first" / "config.toml").write_text(f'backbone-weights = "{start}"\nvalidation-persons = 100\n')
        with pytest.raises(SystemExit, match=f"third started from {start}, which learned from"):
            refuse_learned(tmp_path / "third")
