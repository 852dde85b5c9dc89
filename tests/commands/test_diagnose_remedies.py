"""Remedies on the page of a diagnosis: commands that run as printed, gains credited to what is known to have won."""

from __future__ import annotations

import importlib
import shlex
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from planted import planted
from resight.cli import main
from resight.commands.diagnose import Diagnose
from resight.commands.diagnose_remedies import REMEDIES, advice, dose_command, other_models, own_recipe
from resight.commands.table import COMMANDS
from resight.commands.train import TrainEmbedder, _recipe
from resight.diagnose.findings import Findings, attribute
from resight.diagnose.grades import Verdict
from resight.diagnose.ledger import ledger_of
from resight.diagnose.remedies import ALL, PARTS, RERANK, Gain
from resight.train.starting import check_start, needs_maps
from toy_people import ToyCounts, write_market

CAUSES = tuple(cause for remedy in REMEDIES for cause in remedy.causes)


@pytest.fixture(scope="module")
def search() -> Findings:
    """A diagnosis in which every cause costs something."""
    features = planted(0, persons=12, harm=(1.0,)).features
    found = attribute(
        features,
        ledger_of(features),
        None,
        protocol="market",
        rng=np.random.default_rng(0),
        resamples=20,
        watch=lambda _: nullcontext(lambda _: None),
    )
    verdicts = tuple(Verdict(one, 1, 1, 0.1, None, None, None, "C") for one in CAUSES)
    gains = [Gain(remedy, cause, 0.01, 0.0, 0.02) for remedy in (RERANK, "other") for cause in (*CAUSES, ALL)]
    return replace(found, verdicts=verdicts, gains=tuple(gains))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_market(tmp_path / "my data", ToyCounts(train_persons=2, persons=2, cameras=2, per_camera=1))


def in_use(search: Findings) -> Findings:
    """The same search by a model that compares parts, which won something."""
    features = replace(search.ledger.features, part_share=0.5)
    gains = (*search.gains, *(Gain(PARTS, cause, 0.02, 0.01, 0.03) for cause in CAUSES))
    return replace(search, ledger=replace(search.ledger, features=features), gains=gains)


def parsed(line: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """What the command line hands to the command; nothing is run."""
    words = shlex.split(line)
    assert words.pop(0) == "resight"
    name = next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS)
    module, _, function = COMMANDS[name].target.split(":")
    seen: list[object] = []
    monkeypatch.setattr(importlib.import_module(module), function, lambda config: seen.append(config) or 0)
    assert main(words) == 0
    return seen[0]


def run_folder(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(text)
    return folder


@pytest.mark.parametrize("model", ["one-pass", "baseline-lite", "runs/own"])
def test_every_command_is_one_that_the_command_line_takes_with_all_that_its_recipe_needs(
    model: str, search: Findings, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "runs" / "own", 'embedder = "mgcam"\nbackbone = "mscan"\nbackbone-weights = "none"\n')
    config = Diagnose(x=str(data), out=Path("found"), model=model, layout="market1501")
    made: set[Path] = set()
    commands = 0
    for one in advice(config, search, [data]):
        for line in one.commands:
            commands += 1
            seen = parsed(line, monkeypatch)
            place = next((getattr(seen, name) for name in ("dataset", "data", "x") if hasattr(seen, name)), str(data))
            assert place == str(data)
            assert getattr(seen, "layout", "market1501") == "market1501"
            if isinstance(seen, TrainEmbedder):
                recipe = _recipe(seen)
                check_start(recipe, maps=seen.parts in made, cutouts=bool(seen.occluders))
            elif hasattr(seen, "model") and str(getattr(seen, "model", "")).startswith("found/runs"):
                assert Path(seen.model) in made  # trained by a command before
                assert seen.parts in made or not needs_maps(recipe)
            elif hasattr(seen, "against"):
                assert set(seen.against) <= made
            made |= {seen.out} if getattr(seen, "out", None) else set()
    assert commands >= 12
    assert Path("found/reranked.npy") in made


def test_the_command_for_dose_curves_runs_as_printed_where_the_model_is_known(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = dose_command(Diagnose(x=str(data), out=Path("found"), protocol="cuhk03-np"), [data])
    seen = parsed(line, monkeypatch)
    assert (seen.dataset, seen.out, seen.model) == (str(data), Path("found/dose.csv"), None)
    assert seen.protocol == "cuhk03-np"
    assert "DATASET" in dose_command(Diagnose(x="features.npz"), [])


def test_features_without_a_data_set_have_commands_that_say_so(search: Findings, tmp_path: Path) -> None:
    found = {one.words.en: one for one in advice(Diagnose(x="some/features.npz"), search, [tmp_path])}
    assert found["re-rank by neighbours"].commands == ("resight rerank some/features.npz --out diagnosis/reranked.npy",)
    learn = found["train with pictures that lost detail"]
    assert any("--data DATASET" in line for line in learn.commands)
    assert any("DATASET stands for" in hint.en for hint in learn.hints)
    checked = found["check the labels and files"]
    assert (checked.gains, [hint.en[:7] for hint in checked.hints]) == ((), ["DATASET"])


def test_what_the_judged_model_does_already_is_not_advised(search: Findings, data: Path, tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", 'embedder = "baseline"\n[augmentation]\ncoarse = 0.2\n')
    config = Diagnose(x=str(data), model=str(run))
    told = {one.words.en: one for one in advice(config, in_use(search), [data])}
    for words in ("compare only parts that both crops show", "train with pictures that lost detail"):
        assert told[words].commands == ()
        assert told[words].hints[0].en == "The judged model does this already."
    assert told["train with stronger changes of light and colour"].commands
    assert {look.value for _, look in told["compare only parts that both crops show"].gains} == {0.02}


def test_what_was_measured_to_do_harm_is_not_advised(search: Findings, data: Path) -> None:
    gains = tuple(replace(one, gain=-0.1, low=-0.2, high=-0.05) for one in search.gains if one.remedy == RERANK)
    told = {one.words.en: one for one in advice(Diagnose(x=str(data)), replace(search, gains=gains), [data])}
    assert told["re-rank by neighbours"].commands == ()
    assert "takes mAP away" in told["re-rank by neighbours"].hints[0].en


def test_another_models_gain_is_a_remedys_only_where_its_recipe_holds_the_remedy(
    search: Findings, data: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "other.npz"
    for name, against, credited in (
        ("other", plain, set()),
        ("other", run_folder(tmp_path / "other", "[augmentation]\ncoarse = 0.3\n") / "features.npz", {"low_res"}),
    ):
        rows = advice(Diagnose(x=str(data), against=(against,)), search, [data])
        by_name = {
            cause for one in rows[:-1] for cause, look in one.gains if look.note is not None and name in look.note.en
        }
        assert by_name == credited | ({"motion_blur"} if credited else set())
        assert rows[-1].words.en == "The other model, other"
        assert dict(rows[-1].gains)[ALL].value == 0.01
        assert not rows[-1].commands


def test_causes_that_cost_nothing_have_no_remedy(search: Findings, data: Path) -> None:
    none = tuple(replace(one, loss=0.0, grade="") for one in search.verdicts)
    assert advice(Diagnose(x=str(data)), replace(search, verdicts=none, gains=()), [data]) == ()


def test_models_are_told_apart_by_their_folders_where_their_files_have_one_name() -> None:
    assert list(other_models([Path("runs/a/features.npz"), Path("b.npz")])) == ["a", "b"]
    same = [Path("x/a/features.npz"), Path("y/a/features.npz")]
    assert list(other_models(same)) == [str(path) for path in same]


def test_the_judged_models_recipe_is_its_run_folders_or_has_its_name(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", 'embedder = "baseline"\n')
    assert own_recipe(Diagnose(x="sample")) == "one-pass"
    assert own_recipe(Diagnose(x="sample", model=str(run))) == str(run / "config.toml")
    assert own_recipe(Diagnose(x=str(run / "features.npz"))) == str(run / "config.toml")
    assert own_recipe(Diagnose(x=str(tmp_path / "features.npz"))) is None
    assert own_recipe(Diagnose(x="sample", features=tmp_path / "features.npz")) is None
