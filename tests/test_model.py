from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from resight.errors import BadWeights, UnknownName
from resight.model import ModelSettings, build_embedder, load_model, model_from_state, save_model
from resight.parsing import ParserSettings, save_parser

SETTINGS = ModelSettings(
    embedder="baseline", backbone="efficientnet-lite0", pooling="gem", last_stride=1, height=64, width=32
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_model(path, build_embedder("baseline", classes=5).state_dict(), SETTINGS)
    return path


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 32, 3), dtype=np.uint8)


def test_a_saved_model_comes_back_without_its_classifier(weights: Path) -> None:
    model = load_model(weights)
    assert model.settings == SETTINGS
    assert not any(name.startswith("classifier") for name in safetensors.torch.load_file(weights))
    assert model.embed_pictures(pictures(2)).shape == (2, 1280)


def test_half_precision_halves_the_file_and_hardly_changes_the_features(weights: Path, tmp_path: Path) -> None:
    model = load_model(weights)
    half = tmp_path / "half.safetensors"
    save_model(half, model.network.state_dict(), SETTINGS, half=True)
    assert half.stat().st_size < 0.52 * weights.stat().st_size
    before, after = model.embed_pictures(pictures(4)), load_model(half).embed_pictures(pictures(4))
    cosine = (before * after).sum(1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    assert cosine.min() > 0.999


def test_a_mirrored_picture_has_the_same_feature(weights: Path) -> None:
    model = load_model(weights)
    some = pictures(3)
    assert np.allclose(model.embed_pictures(some), model.embed_pictures(some[:, :, ::-1].copy()), atol=1e-4)


def test_files_are_embedded_in_the_order_given_whatever_the_batch(weights: Path, tmp_path: Path) -> None:
    model = load_model(weights)
    paths = [tmp_path / f"{n}.png" for n in (2, 0, 1)]
    for path, picture in zip(paths, pictures(3), strict=True):
        Image.fromarray(picture).save(path)
    told: list[int] = []
    rows = model.embed(paths, batch=2, told=told.append)
    assert told == [2, 1]
    assert np.allclose(rows, model.embed_pictures(pictures(3)), atol=1e-4)


def test_a_folder_without_weights_a_foreign_file_and_an_unknown_name_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=r"holds no model\.safetensors"):
        load_model(tmp_path)
    (tmp_path / "text.safetensors").write_text("hello, this is not a weights file")
    with pytest.raises(BadWeights, match="not a readable weights file"):
        load_model(tmp_path / "text.safetensors")
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(BadWeights, match="not written by resight"):
        load_model(tmp_path / "foreign.safetensors")
    settings = ParserSettings(parser="lite", labels="lip20", height=64, width=32)
    save_parser(tmp_path / "parser.safetensors", {"a": torch.zeros(1)}, settings)
    with pytest.raises(BadWeights, match="holds a parser's weights, and an embedder is needed"):
        load_model(tmp_path / "parser.safetensors")
    with pytest.raises(UnknownName, match="no model, run folder or weights file called `nowhere`"):
        load_model("nowhere")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.onnx", "an ONNX export, which other programs run"),
        ("a.pth", "a pickle of PyTorch"),
        ("a.npz", "a file of arrays"),
        ("mine.toml", "a recipe"),
    ],
)
def test_a_file_of_another_kind_is_named_for_what_it_is(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(1, 200)))
    with pytest.raises(BadWeights, match=f"{says}.*pass a run folder") as caught:
        load_model(tmp_path / name)
    assert "header" not in str(caught.value)


def test_weights_of_another_shape_are_refused(weights: Path, tmp_path: Path) -> None:
    state = safetensors.torch.load_file(weights)
    state["neck.weight"] = torch.zeros(7)
    save_model(tmp_path / "odd.safetensors", state, SETTINGS)
    with pytest.raises(BadWeights, match="does not fit a baseline"):
        load_model(tmp_path / "odd.safetensors")


def test_a_state_with_a_classifier_is_taken_too() -> None:
    state = build_embedder("baseline", classes=5).state_dict()
    assert model_from_state(state, SETTINGS).embed_pictures(pictures(1)).shape == (1, 1280)
