"""An 8-bit file describes pictures as the float one does, says how nearly, and is not written when it does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resight import export_int8
from resight.cli import main
from resight.model import ModelSettings, build_embedder, save_model

pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def weights_of(embedder: str, folder: Path) -> Path:
    torch.manual_seed(0)
    settings = ModelSettings(
        embedder=embedder, backbone="resnet18", pooling="average", last_stride=1, height=64, width=32
    )
    network = build_embedder(embedder, classes=0, backbone="resnet18", pooling="average", last_stride=1)
    save_model(folder / "w.safetensors", network.state_dict(), settings)
    return folder / "w.safetensors"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return weights_of("baseline", tmp_path)


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "crops").mkdir()
    for number in range(40):
        cells = rng.integers(0, 256, (8, 4, 3), dtype=np.uint8)
        Image.fromarray(cells).resize((32, 64)).save(tmp_path / "crops" / f"{number:02d}.png")
    return tmp_path / "crops"


def test_an_8_bit_file_says_what_the_float_one_says_and_keeps_its_facts(
    weights: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["export", str(weights)]
    floating, small = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    assert main([*words, "--out", str(floating)]) == 0
    assert main([*words, "--out", str(small), "--int8", "--calibration", str(crops)]) == 0
    assert "times smaller; cosine to the float features" in capsys.readouterr().err
    assert small.stat().st_size < floating.stat().st_size / 3
    facts = {entry.key: entry.value for entry in onnx.load(small).metadata_props}
    parity = json.loads(facts["int8 parity"])
    assert json.loads(facts["resight"])["embedder"] == "baseline"
    assert (parity["pictures"], parity["calibrated_on"], parity["mean_cosine_of_parts"]) == (20, 20, None)
    pictures = np.stack([np.asarray(Image.open(path)) for path in sorted(crops.iterdir())])[1::2]
    one, other = (
        onnxruntime.InferenceSession(path).run(["features"], {"pictures": pictures})[0] for path in (floating, small)
    )
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosines.mean() == pytest.approx(parity["mean_cosine"], abs=1e-3)
    assert cosines.mean() >= export_int8.LEAST_COSINE
    monkeypatch.setattr(export_int8, "LEAST_COSINE", 1.01)
    assert main([*words, "--out", str(tmp_path / "x.onnx"), "--int8", "--calibration", str(crops)]) == 2
    assert "was not written. Calibrate on more than these 40 pictures, 512 at best" in capsys.readouterr().err
    monkeypatch.setattr(export_int8, "MOST_PICTURES", 39)
    assert main([*words, "--out", str(tmp_path / "x.onnx"), "--int8", "--calibration", str(crops)]) == 2
    assert "was not written. Calibrate on pictures of the kind" in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()


def test_calibration_looks_at_pictures_from_the_whole_folder(
    weights: Path, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Seen(Exception):
        pass

    def seen(floating: Path, out: Path, pictures: np.ndarray) -> None:
        raise Seen([int(np.flatnonzero((every == one).all((1, 2, 3)))[0]) for one in pictures])

    every = np.stack([np.asarray(Image.open(path)) for path in sorted(crops.iterdir())])
    monkeypatch.setattr(export_int8, "MOST_PICTURES", 33)
    monkeypatch.setattr(export_int8, "export_int8", seen)
    with pytest.raises(Seen) as found:
        main(["export", str(weights), "--out", str(tmp_path / "x.onnx"), "--int8", "--calibration", str(crops)])
    (places,) = found.value.args
    assert (len(places), places[0], places[-1]) == (33, 0, 39)
    assert set(np.diff(places)) == {1, 2}


def test_parts_are_compared_too(
    crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["export", str(weights_of("visible-parts", tmp_path)), "--int8", "--calibration", str(crops)]
    assert main([*words, "--out", str(tmp_path / "int8.onnx")]) == 0
    assert "; of parts 0.9" in capsys.readouterr().err

    def other_parts(wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
        return np.full(wanted.shape[:-1], 0.99 if wanted.ndim == 2 else 0.9)

    monkeypatch.setattr(export_int8, "_cosines", other_parts)
    assert main([*words, "--out", str(tmp_path / "x.onnx")]) == 2
    assert "8-bit parts have a mean cosine of 0.9000" in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()


def test_what_cannot_be_made_is_said(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(weights), "--int8"]) == 2
    assert "go together" in capsys.readouterr().err
    assert main(["export", "--int8", "--calibration", str(tmp_path)]) == 2
    assert "is a parser" in capsys.readouterr().err
