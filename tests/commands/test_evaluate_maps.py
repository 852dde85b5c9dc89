"""`resight evaluate MAPS --truth MAPS` as a user types it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.cli import main
from resight.commands.evaluate_maps import as_json
from resight.data.label_sets import PARTS7
from resight.data.labels import LIP20, write_map
from resight.data.regrouping import LIP20_PARTS7, regroup_map
from resight.evaluate.parsing import Confusion


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["evaluate", *map(str, words), "--resamples", "100"])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Six maps in parts7 with a tenth of wrong pixels, and their truth in lip20."""
    rng = np.random.default_rng(0)
    for number in range(6):
        truth = rng.choice([0, 2, 5, 9, 14, 17], (20, 10)).astype(np.uint8)
        write_map(tmp_path / "truth" / f"{number}.png", truth, LIP20)
        predicted = regroup_map(truth, LIP20_PARTS7)
        predicted[rng.random((20, 10)) < 0.1] = 0
        write_map(tmp_path / "parsed" / f"{number}.png", predicted, PARTS7)
    (tmp_path / "parsed" / "contact-sheet.png").write_bytes(b"an overview, as `resight parse` writes it")
    return tmp_path / "parsed", tmp_path / "truth"


def test_maps_are_scored_with_a_row_for_every_class(folders, tmp_path, capsys) -> None:
    parsed, truth = folders
    words = ("--truth", truth, "--labels", "parts7", "--truth-labels", "lip20", "--json", tmp_path / "s.json")
    code, out, err = said(capsys, parsed, *words)
    assert (code, err) == (0, "")
    content = json.loads((tmp_path / "s.json").read_text())
    rows = [line.split() for line in out.splitlines() if line.split() and line.split()[0] in set("0123456")]
    rows = [row for row in rows if row[1] != "pictures,"]
    printed = [float(row[-4]) for row in rows]
    assert len(printed) == len(content["iou"]) == 7
    assert np.mean(printed) == pytest.approx(content["mean_iou"], abs=1e-4)
    assert content["absent"] == ["right arm", "left leg"]
    assert "in no picture, counted as 0 in the means over all classes: right arm, left leg" in out
    assert "truth regrouped from lip20 to parts7 (glove: ignore, socks: ignore)" in out
    assert f"{content['pixel_accuracy']:.4f}" in out
    assert content["ci95"]["mean_iou"][0] < content["mean_iou"] < content["ci95"]["mean_iou"][1]


def test_maps_that_are_regrouped_after_argmax_say_so(folders, tmp_path, capsys) -> None:
    _, truth = folders
    code, out, _ = said(
        capsys, truth, "--truth", truth, "--labels", "parts7", "--truth-labels", "lip20", "--map-labels", "lip20"
    )
    assert code == 0
    assert "merged after argmax" in out
    code, out, _ = said(capsys, truth, "--truth", truth)
    assert code == 0
    assert "merged" not in out


def test_a_regrouping_of_ones_own_serves_for_the_truth(folders, tmp_path, capsys) -> None:
    _, truth = folders
    (tmp_path / "mine.toml").write_text('name = "mine"\nclasses = ["background", "person"]\n')
    person = [name for name in LIP20.classes if name != "background"]
    text = f'source = "lip20"\ntarget = "mine.toml"\n[groups]\nbackground = ["background"]\nperson = {person}\n'
    (tmp_path / "groups.toml").write_text(text)
    groups = tmp_path / "groups.toml"
    words = ("--truth-labels", groups, "--map-labels", groups)
    code, out, _ = said(capsys, truth, "--truth", truth, "--labels", tmp_path / "mine.toml", *words)
    assert code == 0
    assert ["mean", "IoU", "1.0000"] in [line.split()[:3] for line in out.splitlines()]
    code, _, err = said(capsys, truth, "--truth", truth, "--labels", "parts7", *words)
    assert code == 2
    assert "leads to mine and parts7 is scored" in err


def test_what_cannot_be_scored_is_one_sentence(folders, tmp_path, capsys) -> None:
    parsed, truth = folders

    def refused(*expected: str, labels: str = "parts7") -> None:
        code, out, err = said(capsys, parsed, "--truth", truth, "--labels", labels, "--truth-labels", "lip20")
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        for words in expected:
            assert words in err

    refused("label set", "parts77", "Did you mean `parts7`", labels="parts77")
    (parsed / "3.png").rename(parsed / "x.png")
    refused("1 truth maps have no prediction", "3.png")
    (truth / "3.png").unlink()
    refused("1 predictions have no truth", "x.png")
    (parsed / "x.png").unlink()
    write_map(parsed / "2.png", np.full((20, 10), 7, np.uint8), LIP20)
    refused("2.png holds class 7; parts7 ends at 6")
    write_map(parsed / "2.png", np.zeros((10, 10), np.uint8), LIP20)
    refused("2.png: the prediction is 10 × 10, the truth 20 × 10")
    Image.fromarray(np.zeros((20, 10, 3), np.uint8)).save(parsed / "2.png")
    refused("2.png has RGB pixels", "read_coloured_map")
    write_map(parsed / "2.png", np.zeros((20, 10), np.uint8), LIP20)
    Image.fromarray(np.full((20, 10), 21, np.uint8)).save(truth / "2.png")
    refused("truth/2.png holds class 21; lip20 ends at 19")
    for path in parsed.iterdir():
        path.unlink()
    refused("holds no label maps")


def test_one_pixel_maps_and_wholly_ignored_truth(tmp_path, capsys) -> None:
    write_map(tmp_path / "parsed" / "a.png", np.array([[1]], np.uint8), PARTS7)
    (tmp_path / "truth").mkdir()
    Image.fromarray(np.array([[1]], np.uint8)).save(tmp_path / "truth" / "a.png")
    code, out, _ = said(capsys, tmp_path / "parsed", "--truth", tmp_path / "truth", "--labels", "parts7")
    assert code == 0
    assert "not measured" in out  # an interval over one picture, sides without limbs
    Image.fromarray(np.array([[255]], np.uint8)).save(tmp_path / "truth" / "a.png")
    code, _, err = said(capsys, tmp_path / "parsed", "--truth", tmp_path / "truth", "--labels", "parts7")
    assert code == 2
    assert "No pixel could be counted" in err


def test_something_that_is_no_folder_is_told_what_was_expected(tmp_path, capsys) -> None:
    code, _, err = said(capsys, tmp_path, "--truth", tmp_path / "nowhere")
    assert code == 2
    assert "nowhere is no folder" in err
    assert "a folder of label maps" in err


def test_what_is_undefined_is_null_in_the_file() -> None:
    """NaN is no JSON."""
    confusion = Confusion(LIP20)
    confusion.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    scores = replace(confusion.scores(), precision=np.array([1.0, *[np.nan] * 19]))
    content = as_json(scores, {"mean_iou": (0.1, float("nan"))}, confusion, {})
    told = json.loads(json.dumps(content, allow_nan=False))
    assert (told["precision"][:2], told["side_confusion"]) == ([1.0, None], None)  # no side is there to be confused
    assert told["ci95"]["mean_iou"] == [0.1, None]
