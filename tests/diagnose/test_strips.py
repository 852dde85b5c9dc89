"""Old strips are read as they were painted; what is no strip is refused in plain words."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from resight.cli import main
from resight.diagnose.strips import read_strip
from resight.errors import BadPicture
from toy_people import draw_person, make_person
from toy_scenes import make_cameras

GREEN, RED = (0, 255, 0), (255, 0, 0)


def paint(path, right, *, seed=0, frame=3, quality=88, colours=(RED, GREEN)):
    rng = np.random.default_rng(seed)
    camera = make_cameras(1, rng)[0]
    strip = np.full((128, 784, 3), 255, np.uint8)
    strip[:, :64] = draw_person(make_person(rng), camera, rng)
    for rank, one in enumerate(right, start=1):
        tile = draw_person(make_person(rng), camera, rng)
        inside = tile[frame:-frame, frame:-frame].copy() if frame else tile.copy()
        tile[:] = colours[int(one)] if frame else tile
        tile[frame : 128 - frame, frame : 64 - frame] = inside
        strip[:, 72 * rank : 72 * rank + 64] = tile
    Image.fromarray(strip).save(path, quality=quality)
    return path


@pytest.mark.parametrize("quality", [95, 75, 50])
def test_right_and_wrong_come_back_as_they_were_painted(tmp_path, quality):
    for seed in range(5):
        right = np.random.default_rng(seed).random(10) < 0.5
        found = read_strip(paint(tmp_path / "one.jpg", right, seed=seed, quality=quality))
        np.testing.assert_array_equal(found.right, right)
        assert found.first_hit == (int(right.argmax()) + 1 if right.any() else None)
        assert {crop.shape for crop in found.crops} == {(116, 52, 3)}
        assert found.query.shape == (128, 64, 3)


def test_no_paint_is_left_in_the_crops(tmp_path):
    strip = read_strip(paint(tmp_path / "one.png", [True] * 10))
    bare = read_strip(paint(tmp_path / "two.png", [False] * 10))
    for one, other in zip(strip.crops, bare.crops, strict=True):
        np.testing.assert_array_equal(one, other)


def test_tools_that_paint_true_matches_red_are_read_too(tmp_path):
    right = np.arange(10) % 3 == 0
    path = paint(tmp_path / "one.jpg", right, colours=(GREEN, RED))
    np.testing.assert_array_equal(read_strip(path, true="red").right, right)


def test_foreign_layouts_are_refused(tmp_path):
    Image.new("RGB", (640, 128)).save(tmp_path / "short.png")
    with pytest.raises(BadPicture, match="640 × 128 pixels, a strip 784 × 128"):
        read_strip(tmp_path / "short.png")
    with pytest.raises(BadPicture, match="rank 1 has no green or red frame"):
        read_strip(paint(tmp_path / "bare.png", [True] * 10, frame=0))


def test_the_command_counts_as_the_strips_were_painted(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "old"
    folder.mkdir()
    for number, right in enumerate(([1] * 10, [0] * 10, [0, 1] * 5)):
        paint(folder / f"{number}.jpg", np.array(right, bool), seed=number)
    assert main(["strips", str(folder), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "3 strips, 30 gallery crops" in said
    assert "wrong at rank 1: 2; no true match among ten: 1" in said
    with (tmp_path / "out" / "strips.csv").open(newline="") as file:
        assert [row["first_hit"] for row in csv.DictReader(file)] == ["1", "", "2"]
    assert len(list((tmp_path / "out" / "crops").glob("*.png"))) == 33
    Image.new("RGB", (64, 128)).save(folder / "crop.png")
    assert main(["strips", str(folder), "--out", str(tmp_path / "out")]) == 1
    assert main(["strips", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    capsys.readouterr()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("resight.commands.strips.read_strip", lambda *_, **__: pytest.fail("a strip was read"))
    assert main(["strips", str(folder), "--out", str(tmp_path / "file")]) == 2
    assert "file is a file" in capsys.readouterr().err
