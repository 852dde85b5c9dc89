"""The benchmarks of parsers run: a few steps on a tiny set, rows kept and taken up again, gaps named."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_parser import write_people

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import measuring

    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measuring, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def run(monkeypatch: pytest.MonkeyPatch, script: str, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
    runpy.run_path(str(BENCHMARKS / script), run_name="__main__")


def test_the_components_of_ce2p_are_trained_kept_and_compared(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = write_people(tmp_path / "people")
    words = ("--people", people, "--work", tmp_path / "work", "--steps", 2, "--batch", 2, "--seeds", 1)
    run(monkeypatch, "ce2p_components.py", *words)
    found = json.loads((results / "ce2p_components.json").read_text())
    assert list(found["rows"]) == ["context", "+ high resolution", "+ edge"]
    assert found["not_measured"] == []
    step = found["steps"]["context to + high resolution"]
    gain = found["rows"]["+ high resolution"]["mean_iou"] - found["rows"]["context"]["mean_iou"]
    assert step["mean_gain"] == pytest.approx(gain)
    assert step["verdict"] == "undecided"  # one seed has no interval
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    run(monkeypatch, "ce2p_components.py", *words)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()} == before


def test_the_survey_writes_what_was_run_and_names_what_was_not(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = write_people(tmp_path / "people")
    words = ("train", "--people", people, "--work", tmp_path / "work", "--steps", 1, "--batch", 2, "--size", "32x16")
    run(monkeypatch, "parser_survey.py", *words, "--rows", "parser-lite")
    run(monkeypatch, "parser_survey.py", *words, "--rows", "cocnn")
    found = json.loads((results / "parser_survey.json").read_text())
    assert set(found["rows"]) == {"parser-lite", "cocnn"}
    assert found["not_measured"] == ["ce2p-resnet18", "ce2p", "attention-ssl"]
    assert found["budget"]["steps"] == 1
    assert found["budget"]["wanted_steps_reached"] is False
    assert 0 <= found["rows"]["cocnn"]["people"]["mean_iou"] <= 1
    assert "ccp" not in found["rows"]["cocnn"]


def test_a_row_that_was_stopped_goes_on_and_ends_as_an_unbroken_one(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import parser_training
    import torch
    from parser_training import parsing_data, train

    from resight.parsing import build_parser
    from resight.train.parser_recipe import ParserRecipe
    from resight.train.parsing_pictures import CanvasSet

    recipe = ParserRecipe(parser="ce2p", backbone="resnet18", height=32, width=16, batch=2, steps=4, warmup=1)
    data = parsing_data(write_people(tmp_path / "people"), recipe)
    monkeypatch.setattr(parser_training, "SAVE_EVERY", 2)
    state, ends = tmp_path / "row.state", []

    class Stopped(CanvasSet):
        """Batches that stop like a killed process before the third."""

        def batches(self, recipe: Any, steps: range, **more: Any) -> Iterator[Any]:
            for step, batch in zip(steps, data.batches(recipe, steps, **more), strict=True):
                if step == 3:
                    raise KeyboardInterrupt
                yield batch

    stopped = Stopped(*(getattr(data, one.name) for one in fields(data)))
    for stop in (False, True):
        torch.manual_seed(0)
        network = build_parser("ce2p", classes=20, backbone="resnet18")
        if stop:
            with pytest.raises(KeyboardInterrupt):
                train(network, recipe, stopped, state=state)
            assert state.exists()
            torch.manual_seed(5)
        assert np.isfinite(train(network, recipe, data, state=state)["training_pixels_right"])
        assert not state.exists()
        ends.append(network.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_gains_are_paired_over_pictures_and_seeds() -> None:
    from parser_training import drawn_means, mean_iou, paired

    rng = np.random.default_rng(0)
    true = rng.integers(50, 100, (40, 3))
    sums = [np.stack([true - off, true, true], 1) for off in (20, 10)]  # right, true, predicted
    found = paired([sums[0]] * 3, [sums[1]] * 3)
    assert found["mean_gain"] == pytest.approx(float(mean_iou(sums[1].sum(0)) - mean_iou(sums[0].sum(0))))
    low, high = found["ci95_pictures"]
    assert 0 < low < found["mean_gain"] < high
    alone = [drawn_means(one, np.random.default_rng(0), resamples=500) for one in sums]
    assert high - low < np.ptp(alone[0])  # what both rows share does not count
    assert paired([sums[0]] * 2, [sums[0]] * 2)["mean_gain"] == 0


def test_parser_lites_speed_is_told_in_times_of_ce2p() -> None:
    from parser_speed import KINDS, times_ce2p

    found = {kind: {"per_cpu_second": 400.0 if kind.startswith("lite") else 4.0} for kind in KINDS}
    told = times_ce2p({**found, "lite onnx 128x64": "not measured: the extra `onnx` is not installed"})
    assert told["times_ce2p_384x128"]["lite pytorch 128x64"] == 100
    assert "lite onnx 128x64" not in told["times_ce2p_384x128"]
    assert told["wanted_times_reached"]
