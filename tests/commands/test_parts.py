"""`resight parts`: every readable picture gets a map; a stopped run goes on; other parsers' folders are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from resight.cli import main
from resight.data.part_maps import load_part_maps, read_stamp
from resight.data.reid_sets import find_set
from resight.parsing import ParserSettings, build_parser, save_parser
from resight.types import SPLITS
from small_sets import MARKET, put


def parser(path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    settings = ParserSettings(parser="lite", labels="lip20", height=64, width=32)
    save_parser(path, build_parser("lite", classes=20).state_dict(), settings)
    return path


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    return put(tmp_path / "market", *MARKET)


def test_a_set_gets_a_map_for_every_picture_and_goes_on_where_it_was(market: Path, tmp_path: Path, capsys) -> None:
    weights, out = parser(tmp_path / "lite.safetensors"), tmp_path / "parts"
    options = ("--model", str(weights), "--out", str(out), "--height", "16", "--width", "8")
    assert main(["parts", str(market), *options]) == 0
    found = find_set(market)
    files = [crop.path for split in SPLITS for crop in found.crops(split)]
    loaded = load_part_maps(out, files, root=market, labels="lip20", size=(16, 8))
    assert loaded.maps.shape == (len(files), 20, 16, 8)
    assert loaded.maps.sum(axis=1, dtype=np.int64) == pytest.approx(255, abs=10)
    assert ((loaded.quality >= 0) & (loaded.quality <= 1)).all()
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / ".maps-00001.npz.1.partial").write_bytes(b"torn")
    put(market, "query/0009_c2s1_000001_00.jpg")
    assert main(["parts", str(market), *options]) == 0
    assert f"{len(files) + 1} pictures" in capsys.readouterr().err
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert before.items() < after.items()
    assert sorted(after) == ["maps-00000.npz", "maps-00001.npz", "parts.json"]


def test_grouped_maps_are_sums_and_another_parsers_folder_is_refused(market: Path, tmp_path: Path, capsys) -> None:
    weights, out = parser(tmp_path / "lite.safetensors"), tmp_path / "p8"
    assert main(["parts", str(market), "--model", str(weights), "--labels", "parts8", "--out", str(out)]) == 0
    assert read_stamp(out).classes == 8
    capsys.readouterr()
    other = parser(tmp_path / "other.safetensors", seed=1)
    assert main(["parts", str(market), "--model", str(other), "--labels", "parts8", "--out", str(out)]) == 2
    assert "of other making: weights" in capsys.readouterr().err
    assert main(["parts", str(market), "--model", str(weights), "--out", str(out)]) == 2
    assert "labels parts8 and not lip20" in capsys.readouterr().err


def test_an_unreadable_picture_is_named_and_left_out(market: Path, tmp_path: Path, capsys) -> None:
    bad = market / "query" / "0003_c2s1_000001_00.jpg"
    bad.write_bytes(b"no picture")
    weights, out = parser(tmp_path / "lite.safetensors"), tmp_path / "parts"
    assert main(["parts", str(market), "--model", str(weights), "--out", str(out)]) == 1
    assert bad.name in capsys.readouterr().err
    assert np.load(out / "maps-00000.npz")["names"].shape == (len(MARKET) - 1,)


def test_an_embedders_weights_are_no_parser(market: Path, tmp_path: Path, capsys) -> None:
    assert main(["parts", str(market), "--model", "baseline-lite", "--out", str(tmp_path / "x")]) == 2
    assert "parser" in capsys.readouterr().err


def test_a_set_without_training_pictures_gets_maps_of_what_it_has(market: Path, tmp_path: Path) -> None:
    """As `resight occlude` writes sets."""
    shutil.rmtree(market / "bounding_box_train")
    out = tmp_path / "parts"
    assert main(["parts", str(market), "--model", str(parser(tmp_path / "lite.safetensors")), "--out", str(out)]) == 0
    found = find_set(market)
    files = [crop.path for split in ("query", "gallery") for crop in found.crops(split)]
    assert len(load_part_maps(out, files, root=market).maps) == len(files) > 0


def test_pictures_that_splits_share_are_parsed_once(market: Path, tmp_path: Path, capsys) -> None:
    people = put(tmp_path / "people", "ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "bob/2.jpg")
    out = tmp_path / "parts"
    assert main(["parts", str(people), "--model", str(parser(tmp_path / "w.safetensors")), "--out", str(out)]) == 0
    with np.load(out / "maps-00000.npz") as chunk:
        assert sorted(chunk["names"].tolist()) == ["ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "bob/2.jpg"]
