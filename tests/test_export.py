"""An exported parser answers as PyTorch does at any batch size, and is not written when it does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from resight import export
from resight.errors import BadWeights, MissingExtra
from resight.model import Model, ModelSettings, build_embedder, model_from_state
from resight.parsing import load_parser
from small_parser import untrained

pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def test_a_file_takes_grey_levels_of_any_batch_and_says_what_was_checked(tmp_path: Path) -> None:
    model = load_parser(untrained(tmp_path / "lite.safetensors"))
    path = tmp_path / "lite.onnx"
    found = export.export_parser(model, path)
    assert set(found) == {"1", "2", "17"}
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(facts["parity"]) == found
    assert json.loads(facts["resight-parser"])["height"] == 64
    session = onnxruntime.InferenceSession(path)
    pictures = np.random.default_rng(5).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)
    probabilities, sure, _, view, hidden, company = session.run(None, {"pictures": pictures})
    for number, one in enumerate(model.parse(list(pictures))):
        assert np.allclose(probabilities[number], one.probabilities, atol=1e-4)
        assert sure[number] == pytest.approx(one.sure, abs=1e-4)
        assert hidden[number] == pytest.approx(one.hidden, abs=1e-4)
        assert company[number] == pytest.approx(one.company, abs=1e-4)
        assert np.degrees(np.arctan2(view[number, 1], view[number, 0])) == pytest.approx(one.view_degrees, abs=0.5)


MAPPED = ("spreid",)


@pytest.mark.parametrize("name", ["one-pass", "visible-parts", "spreid"])
def test_an_embedder_becomes_a_file_of_any_batch_that_says_what_it_was_checked_for(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = ModelSettings(
        embedder=name, backbone="efficientnet-lite0", pooling="gem", last_stride=1, height=64, width=32
    )
    network = build_embedder(name, classes=0, backbone=settings.backbone, pooling="gem", last_stride=1).eval()
    model, path = Model(network, settings, torch.device("cpu")), tmp_path / "m.onnx"
    found = export.export_embedder(model, path)
    assert set(found) == {"1", "2", "17"}
    made = onnx.load(path)
    facts = {entry.key: entry.value for entry in made.metadata_props}
    assert json.loads(facts["resight"])["embedder"] == name
    assert json.loads(facts["parity"]) == found
    outputs = {output.name for output in made.graph.output}
    assert "features" in outputs
    assert ({"parts", "visible"} <= outputs) == (name in ("one-pass", "visible-parts"))
    assert ({"probabilities", "sure", "second", "seen_from"} <= outputs) == (name == "one-pass")
    assert [one.name for one in made.graph.input] == (["pictures", "maps"] if name in MAPPED else ["pictures"])


def test_a_file_whose_answers_differ_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(BadWeights, match="was not written"):
        export.export_parser(load_parser(untrained(tmp_path / "lite.safetensors")), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[onnx\]'"):
        export._packages()


def test_a_file_that_answers_what_is_no_number_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_differences", lambda *_: {"1": 1e-6, "2": float("nan"), "17": 1e-6})
    with pytest.raises(BadWeights, match="up to nan away"):
        export.export_parser(load_parser(untrained(tmp_path / "lite.safetensors")), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_a_size_that_cannot_be_exported_is_told() -> None:
    settings = ModelSettings(embedder="mgcam", backbone="mscan", pooling="average", last_stride=2, height=96, width=64)
    model = model_from_state(build_embedder("mgcam", classes=0, backbone="mscan").state_dict(), settings)
    with pytest.raises(BadWeights, match="cannot write this network for pictures of 96 × 64"):
        export.export_embedder(model, Path("never.onnx"))
