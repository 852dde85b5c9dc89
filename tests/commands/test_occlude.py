"""The occlusion benchmark: same bytes from same inputs, clean pictures untouched, the gallery found where it was."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.cli import main
from resight.data.reid_sets import find_set

NAMES = ("0001_c1s1_001051_00.jpg", "0003_c2s1_000001_00.jpg", "0004_c2s1_000001_00.jpg")
UPPER = [(32, 8), (32, 20), (22, 22), (20, 40), (20, 55), (42, 22), (44, 40), (44, 55)]
BODY = np.array([*UPPER, (26, 60), (26, 90), (26, 120), (38, 60), (38, 90), (38, 120)], dtype=np.float32)


@pytest.fixture
def market(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    root = tmp_path / "market"
    gallery = [f"bounding_box_test/{name[:6]}3{name[7:]}" for name in NAMES]
    train = [
        f"bounding_box_train/000{person}_c{camera}s1_000001_0{shot}.jpg"
        for person in (5, 6)
        for camera in (1, 2)
        for shot in (1, 2)
    ]
    for name in [*(f"query/{name}" for name in NAMES), *gallery, *train]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (128, 64, 3), dtype=np.uint8)).save(root / name)
    points = {"query": [BODY, BODY + 2, BODY * 0.05], "train": [BODY] * len(train)}
    names = {"query": NAMES, "train": [Path(name).name for name in train]}
    arrays = {f"{split}_xy": np.stack(xy) for split, xy in points.items()}
    np.savez(root / "keypoints14.npz", **arrays, **{f"{split}_name": np.array(some) for split, some in names.items()})
    for number in range(3):
        path = tmp_path / "objects" / "cars" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rgba = np.full((30, 60, 4), 40 + 80 * number, dtype=np.uint8)
        rgba[:, :, 3] = 255
        Image.fromarray(rgba).save(path)
    return root


def run(market: Path, out: Path, *more: str) -> int:
    return main(["occlude", str(market), "--objects", str(market.parent / "objects"), "--out", str(out), *more])


def test_the_benchmark_is_made_alike_twice_and_leaves_clean_pictures_alone(
    market: Path, tmp_path: Path, capsys
) -> None:
    assert run(market, tmp_path / "a") == 0
    assert "1 left out" in capsys.readouterr().err
    assert run(market, tmp_path / "b") == 0
    made = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert all((tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in made)
    for name in NAMES[:2]:
        clean = tmp_path / "a" / "occluded-0" / "query" / name
        assert clean.read_bytes() == (market / "query" / name).read_bytes()
    with (tmp_path / "a" / "occlusions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert all(abs(float(row["hidden"]) - int(row["share"]) / 100) <= 0.02 for row in rows)
    assert {row["object"] for row in rows} == {"cars/2.png"}  # the last third is test only


def test_each_share_is_a_set_with_the_untouched_gallery(market: Path, tmp_path: Path) -> None:
    assert run(market, tmp_path / "o", "--shares", "40") == 0
    for name in ("occluded-0", "occluded-40", "control-40"):
        found = find_set(tmp_path / "o" / name)
        assert [crop.person for crop in found.crops("query")] == [1, 3]
        gallery = [crop.path for crop in found.crops("gallery")]
        assert [path.read_bytes() for path in gallery] == [
            (market / "bounding_box_test" / path.name).read_bytes() for path in gallery
        ]


def test_validation_hides_training_persons_behind_training_objects(market: Path, tmp_path: Path) -> None:
    more = ("--split", "validation", "--validation-persons", "1", "--shares", "20")
    assert run(market, tmp_path / "v", *more) == 0
    found = find_set(tmp_path / "v" / "occluded-20")
    assert {crop.person for split in ("query", "gallery") for crop in found.crops(split)} == {6}
    assert "cars/2.png" not in (tmp_path / "v" / "occlusions.csv").read_text()


def test_what_cannot_be_hidden_is_refused(market: Path, tmp_path: Path, capsys) -> None:
    assert run(market, tmp_path / "x", "--shares", "0") == 2
    assert "1 to 80" in capsys.readouterr().err
    assert run(market, tmp_path / "x", "--keypoints", str(tmp_path / "none.npz")) == 2
    assert "--keypoints" in capsys.readouterr().err
    with np.load(market / "keypoints14.npz") as file:
        arrays = dict(file)
    arrays["query_name"] = np.array(["other_1.jpg", "other_2.jpg", "other_3.jpg"])
    np.savez(tmp_path / "other.npz", **arrays)
    assert run(market, tmp_path / "x", "--keypoints", str(tmp_path / "other.npz")) == 2
    assert f"none of the 3 pictures to hide: it names other_1.jpg, not {NAMES[0]}" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert main(["occlude", "sample", "--objects", str(tmp_path / "none"), "--out", str(tmp_path / "x")]) == 2


def test_two_benchmarks_are_not_mixed_in_one_folder(market: Path, tmp_path: Path, capsys) -> None:
    assert run(market, tmp_path / "o", "--shares", "20") == 0
    assert run(market, tmp_path / "o", "--shares", "20") == 0  # the same once more
    capsys.readouterr()
    assert run(market, tmp_path / "o", "--split", "validation", "--validation-persons", "1", "--shares", "20") == 2
    assert "another benchmark" in capsys.readouterr().err


def test_the_set_is_opened_once_and_none_that_can_be_hidden_is_a_finding(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr("resight.commands.datasets.find_set", lambda *a, **b: opened.append(a) or find_set(*a, **b))
    with np.load(market / "keypoints14.npz") as file:
        arrays = dict(file)
    arrays["query_xy"] *= 0.05
    np.savez(market / "keypoints14.npz", **arrays)
    assert run(market, tmp_path / "o") == 1
    assert len(opened) == 1


def test_a_query_that_cannot_be_hidden_any_more_leaves_the_sets(market: Path, tmp_path: Path) -> None:
    assert run(market, tmp_path / "o", "--shares", "20") == 0
    with np.load(market / "keypoints14.npz") as file:
        arrays = dict(file)
    arrays["query_xy"][0] *= 0.05
    np.savez(market / "keypoints14.npz", **arrays)
    assert run(market, tmp_path / "o", "--shares", "20") == 0
    for name in ("occluded-0", "occluded-20", "control-20"):
        assert [crop.person for crop in find_set(tmp_path / "o" / name).crops("query")] == [3]
