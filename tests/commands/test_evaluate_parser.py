"""A parser is scored on a set's validation half: one command, a table for each size, from the pictures' own pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from resight.cli import main
from resight.data.images import read_picture
from resight.data.label_sets import LIP20, PARTS7
from resight.data.labels import read_map
from resight.data.regrouping import LIP20_PARTS7, regroup_map
from resight.evaluate.parsing import Confusion
from resight.parsing import ParserSettings, build_parser, load_parser, save_parser
from small_parser import untrained, write_people


@pytest.fixture
def lip(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people") / "lip"


def test_one_command_prints_a_table_for_each_size_of_a_ce2p_run(
    tmp_path: Path, lip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "run" / "model.safetensors"
    settings = ParserSettings(parser="ce2p", labels="parts7", backbone="resnet18", height=48, width=16)
    save_parser(weights, build_parser("ce2p", classes=7, backbone="resnet18").state_dict(), settings)
    words = ["evaluate", str(lip), "--model", str(weights.parent), "--json", str(tmp_path / "scores.json")]
    assert main([*words, "--input-size", "48x16", "--input-size", "33x33"]) == 0
    printed = capsys.readouterr().out
    assert "48x16 (height x width): 2 pictures" in printed
    assert "33x33 (height x width): 2 pictures" in printed
    tables = json.loads((tmp_path / "scores.json").read_text())["tables"]
    assert list(tables) == ["48x16", "33x33"]
    for table in tables.values():
        assert len(table["iou"]) == 7
        assert np.mean(table["iou"]) == pytest.approx(table["mean_iou"])
        assert table["labels"] == "parts7"


def test_the_scores_are_those_of_parsing_each_picture_and_counting(tmp_path: Path, lip: Path) -> None:
    weights = untrained(tmp_path / "lite.safetensors")
    out = tmp_path / "scores.json"
    assert main(["evaluate", str(lip), "--model", str(weights), "--labels", "parts7", "--json", str(out)]) == 0
    model, confusion = load_parser(weights), Confusion(PARTS7)
    for path in sorted((lip / "val_images").glob("*.jpg")):
        truth = regroup_map(read_map(lip / "val_segmentations" / f"{path.stem}.png", LIP20), LIP20_PARTS7)
        confusion.add(truth, model.parse([read_picture(path)], regrouping=LIP20_PARTS7)[0].labels)
    assert json.loads(out.read_text())["tables"]["64x32"]["confusion"] == confusion.counts.tolist()


def test_answers_at_several_scales_are_averaged_and_one_scale_changes_nothing(tmp_path: Path, lip: Path) -> None:
    model = load_parser(untrained(tmp_path / "lite.safetensors"))
    picture = [read_picture(lip / "val_images" / "val_0.jpg")]
    alone, double = (model.parse(picture, scales=scales)[0].probabilities for scales in ((1.0,), (1.0, 1.0)))
    assert np.allclose(alone, double, atol=1e-6)
    mixed = model.parse(picture, scales=(1.0, 0.5), flip=True)[0].probabilities
    assert mixed.shape == alone.shape
    assert np.allclose(mixed.sum(0), 1, atol=1e-5)
    assert not np.allclose(mixed, alone)


def test_what_cannot_be_scored_is_one_sentence(tmp_path: Path, lip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(untrained(tmp_path / "lite.safetensors"))
    for words, said in (
        (["--model", weights, "--scales", "9"], "numbers from 0.1 to 4"),
        (["--model", weights, "--input-size", "wide"], "height x width"),
        (["--model", weights, "--labels", "atr18"], "atr18"),
        (["--input-size", "48x16"], "neither a parser (its run or weights as --model)"),
    ):
        assert main(["evaluate", str(lip), *words]) == 2
        assert said in capsys.readouterr().err
