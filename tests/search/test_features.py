"""The features file: it survives the way to the disk and back, and garbage gets one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import BadFeatures, CannotWrite
from resight.search.features import (
    Features,
    load_features,
    save_features,
    save_plain_features,
    side,
)


def arrays(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    """What anybody's program may write, with some keys replaced (None leaves one out)."""
    rng = np.random.default_rng(0)
    whole: dict[str, np.ndarray | None] = {
        "query_features": rng.standard_normal((3, 4)),
        "query_persons": np.array([1, 2, 3]),
        "query_cameras": np.array([1, 1, 2]),
        "gallery_features": rng.standard_normal((5, 4)),
        "gallery_persons": np.array([1, 2, 3, -1, 0]),
        "gallery_cameras": np.array([2, 2, 1, 1, 1]),
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


def written(path: Path, **changes: np.ndarray | None) -> Path:
    np.savez(path, **arrays(**changes))
    return path


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    saved = Features(
        side(rng.standard_normal((2, 3)), np.array(["ann", "bob"]), np.array(["hall", "door"]), np.array(["a", "b"])),
        side(rng.standard_normal((1, 3)), np.array(["bob"]), np.array(["-1"]), np.array(["c/ü.jpg"])),
        metric="euclidean",
    )
    save_features(tmp_path / "features.npz", saved)
    loaded = load_features(tmp_path / "features.npz")
    assert loaded.metric == "euclidean"
    for name in ("query", "gallery"):
        for field in dataclasses.fields(getattr(saved, name)):
            before, after = (getattr(getattr(one, name), field.name) for one in (saved, loaded))
            assert np.array_equal(before, after)
            assert before is None or before.dtype == after.dtype


def test_the_file_holds_exactly_the_agreed_keys(tmp_path: Path) -> None:
    one = side(np.ones((1, 2)), np.array([1]), np.array([1]))
    save_features(tmp_path / "f.npz", Features(one, one))
    agreed = {f"{side}_{what}" for side in ("query", "gallery") for what in ("features", "persons", "cameras", "files")}
    assert set(np.load(tmp_path / "f.npz").files) == agreed | {"metric"}


def test_a_foreign_file_without_file_names_is_read_as_it_is(tmp_path: Path) -> None:
    features = load_features(written(tmp_path / "foreign.npz"))
    assert features.metric == "cosine"
    assert features.query.features.dtype == np.float32
    assert features.gallery.persons.tolist() == [1, 2, 3, -1, 0]
    assert features.query.files.tolist() == ["query 0", "query 1", "query 2"]


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int8])
def test_numbers_of_any_kind_become_float32(tmp_path: Path, kind: type) -> None:
    whole = arrays()
    changed = {name: whole[name].astype(kind) for name in ("query_features", "gallery_features")}
    assert load_features(written(tmp_path / "f.npz", **changed)).query.features.dtype == np.float32


def test_ids_as_whole_floats_or_bytes_are_understood(tmp_path: Path) -> None:
    features = load_features(written(tmp_path / "f.npz", query_persons=np.array([1.0, 2.0, 3.0])))
    assert features.query.persons.dtype == np.int64
    changed = {f"{name}_persons": arrays()[f"{name}_persons"].astype("S4") for name in ("query", "gallery")}
    assert load_features(written(tmp_path / "g.npz", **changed)).query.persons.tolist() == ["1", "2", "3"]


def nan_row() -> np.ndarray:
    features = arrays()["gallery_features"]
    features[3, 1] = np.nan
    return features


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gallery_features": nan_row()}, r"gallery_features row 3 \(gallery 3\) holds the value nan"),
        ({"query_features": np.full((3, 4), 1e300)}, r"query_features row 0 .* the value inf"),
        ({"query_features": np.full((3, 4), 1e20)}, r"query_features row 0 .* the value 1e\+20"),
        ({"query_persons": np.array([1, 2])}, "query_features has 3 rows but query_persons has 2"),
        ({"gallery_cameras": np.arange(6)}, "gallery_features has 5 rows but gallery_cameras has 6"),
        ({"gallery_files": np.array(["one"])}, "gallery_features has 5 rows but gallery_files has 1"),
        ({"query_features": np.ones((3, 7))}, "query_features are 7 wide and gallery_features 4"),
        ({"query_features": np.ones((0, 4))}, r"query_features has the shape \(0, 4\)"),
        ({"query_features": np.ones((3, 0))}, r"shape \(3, 0\)"),
        ({"query_features": np.ones(3)}, r"shape \(3,\)"),
        ({"query_features": np.ones((3, 4, 1, 1))}, r"shape \(3, 4, 1, 1\)"),
        ({"query_features": np.full((3, 4), "x")}, "holds <U1, not numbers"),
        ({"query_features": np.ones((3, 4), dtype=complex)}, "complex128, not numbers"),
        ({"query_persons": np.array([1, 2, 2.5])}, "query_persons holds float64 that are not ids"),
        ({"query_persons": np.array([1, 2, np.nan])}, "query_persons holds float64 that are not ids"),
        ({"query_persons": np.ones((3, 1))}, r"query_persons has the shape \(3, 1\)"),
        ({"query_persons": np.array(["1", "2", "3"])}, "query_persons are text, gallery_persons are numbers"),
        ({"gallery_cameras": np.array(list("abcde"))}, "query_cameras are numbers, gallery_cameras are text"),
        ({"metric": np.array("cosinus")}, "the metric `cosinus` is not known; write one of: cosine, euclidean"),
        ({"query_persons": None, "gallery_cameras": None}, "has no `query_persons`, `gallery_cameras` "),
        ({"query_persons": np.array([1, None, 3], dtype=object)}, "pickled Python objects"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_gets_one_sentence_with_the_file(
    tmp_path: Path, changes: dict[str, np.ndarray | None], said: str
) -> None:
    path = written(tmp_path / "wrong.npz", **changes)
    with pytest.raises(BadFeatures, match=said) as caught:
        load_features(path)
    assert str(caught.value).startswith(str(path))


def test_the_first_bad_row_is_named_by_its_picture(tmp_path: Path) -> None:
    path = written(tmp_path / "f.npz", gallery_features=nan_row(), gallery_files=np.array(list("vwxyz")))
    with pytest.raises(BadFeatures, match=r"row 3 \(y\)"):
        load_features(path)


def test_features_of_a_plain_folder_are_sent_to_a_data_set(tmp_path: Path) -> None:
    save_plain_features(tmp_path / "plain.npz", np.ones((2, 3), np.float32), np.array(["a.jpg", "b.jpg"]))
    with np.load(tmp_path / "plain.npz") as file:
        assert file["features"].shape == (2, 3)
        assert file["files"].tolist() == ["a.jpg", "b.jpg"]
    with pytest.raises(BadFeatures, match="plain folder"):
        load_features(tmp_path / "plain.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive at all", b"\x93NUMPY", b"\x80\x04K\x01."])
def test_a_file_that_is_no_archive_is_called_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "features.npz"
    path.write_bytes(content)
    with pytest.raises(BadFeatures, match=rf"cannot be read as a features file \({len(content)} bytes\)"):
        load_features(path)


def test_a_bare_array_a_folder_and_nothing_are_called_so(tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", np.ones((2, 2)))
    with pytest.raises(BadFeatures, match="one bare array"):
        load_features(tmp_path / "bare.npy")
    with pytest.raises(BadFeatures, match="is a folder"):
        load_features(tmp_path)
    with pytest.raises(BadFeatures, match="does not exist"):
        load_features(tmp_path / "none.npz")


@given(st.data())
@settings(max_examples=60)
def test_damage_anywhere_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut or flip bytes: the file loads whole or is refused; nothing else ever comes out."""
    path = written(tmp_path_factory.mktemp("damage") / "f.npz")
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
            content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(BadFeatures):
        load_features(path)


def test_a_place_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    one = side(np.ones((1, 2)), np.array([1]), np.array([1]))
    (tmp_path / "taken").mkdir()
    with pytest.raises(CannotWrite):
        save_features(tmp_path / "taken", Features(one, one))
    with pytest.raises(BadFeatures):
        save_features(tmp_path / "bad.npz", Features(one, side(np.ones((1, 3)), np.array([1]), np.array([1]))))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
