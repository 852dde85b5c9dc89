"""CUHK03 out of its MATLAB file: a small one of the same layout, written here."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from resight.data.images import read_picture
from resight.data.reid_sets import find_set
from resight.errors import BadPicture, DatasetNotFound, MissingExtra
from resight.types import SPLITS

h5py = pytest.importorskip("h5py")

PEOPLE = (3, 2)  # persons of each camera pair
LACKING = (1, 2, 7)  # pair, person, slot that holds no picture


def _pixels(pair, person, slot):
    return np.random.default_rng([pair, person, slot]).integers(0, 256, (6, 4, 3), dtype=np.uint8)


@pytest.fixture
def mat(tmp_path):
    path = tmp_path / "cuhk03_release" / "cuhk-03.mat"
    path.parent.mkdir()
    kind = h5py.ref_dtype
    with h5py.File(path, "w") as file:
        for name in ("labeled", "detected"):
            pairs = []
            for pair, persons in enumerate(PEOPLE, start=1):
                cells = np.empty((10, persons), kind)  # MATLAB's persons × 10, seen from the other side
                for person in range(1, persons + 1):
                    for slot in range(1, 11):
                        there = (pair, person, slot) != LACKING
                        data = _pixels(pair, person, slot).T if there else np.zeros(2, np.uint64)
                        cells[slot - 1, person - 1] = file.create_dataset(
                            f"r/{name}{pair}_{person}_{slot}", data=data
                        ).ref
                pairs.append(file.create_dataset(f"r/{name}{pair}", data=cells, dtype=kind).ref)
            file.create_dataset(name, data=np.array([pairs], kind), dtype=kind)
        test = file.create_dataset("r/test", data=np.array([[1, 2], [2, 1]], float).T).ref
        file.create_dataset("testsets", data=np.array([[test]], kind), dtype=kind)
    return path


def test_pictures_are_read_as_they_were_stored(mat):
    found = find_set(mat / "labeled")
    for split in SPLITS:
        for crop in found.crops(split):
            pair, person, view, slot = map(int, crop.path.stem.split("_"))
            assert np.array_equal(read_picture(crop.path), _pixels(pair, person, slot))
            assert crop.camera == view == (1 if slot <= 5 else 2)


def test_without_its_configuration_the_old_protocol_is_read(mat):
    found = find_set(mat / "detected")
    read = {split: list(found.crops(split)) for split in SPLITS}
    assert found.name == "cuhk03-classic"
    assert {crop.person for crop in read["train"]} == {"1_001", "1_003", "2_002"}
    assert {crop.person for crop in read["query"]} == {"1_002", "2_001"}
    assert read["query"] == read["gallery"]
    assert len(read["train"]) == 30
    assert len(read["query"]) == 19  # an empty slot is no picture


def test_beside_its_configuration_the_new_protocol_is_read(mat):
    from scipy.io import savemat

    names = np.array([["1_001_1_01.png"], ["1_001_2_06.png"], ["1_003_1_02.png"], ["1_003_2_08.png"]], object)
    places = {"train_idx": [[1], [2]], "query_idx": [[3]], "gallery_idx": [[4]], "labels": [[1], [1], [3], [3]]}
    savemat(mat.parent.parent / "cuhk03_new_protocol_config_labeled.mat", {"filelist": names, **places})
    found = find_set(mat / "labeled")
    assert found.name == "cuhk03-mat"
    assert [[(c.path.name, c.person, c.camera) for c in found.crops(split)] for split in SPLITS] == [
        [("1_001_1_01.png", 1, 1), ("1_001_2_06.png", 1, 2)],
        [("1_003_1_02.png", 3, 1)],
        [("1_003_2_08.png", 3, 2)],
    ]
    assert find_set(mat / "labeled", layout="cuhk03-classic").name == "cuhk03-classic"


def test_the_file_alone_is_ambiguous_and_says_what_to_pass(mat):
    with pytest.raises(DatasetNotFound, match=r"pass .*cuhk-03.mat/labeled or .*cuhk-03.mat/detected"):
        find_set(mat)


def test_files_that_are_not_cuhk03_are_refused(mat, tmp_path):
    (tmp_path / "other.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(DatasetNotFound, match=r"not a MATLAB 7\.3 file"):
        find_set(tmp_path / "other.mat" / "labeled")
    with h5py.File(tmp_path / "empty.mat", "w"):
        pass
    with pytest.raises(DatasetNotFound, match=r"not laid out as cuhk-03\.mat"):
        find_set(tmp_path / "empty.mat" / "labeled")
    (mat.parent / "cuhk03_new_protocol_config_labeled.mat").write_bytes(b"nothing")
    with pytest.raises(DatasetNotFound, match="not the configuration"):
        find_set(mat / "labeled")


@pytest.mark.parametrize("name", ["1_002_2_07.png", "9_001_1_01.png", "1_900_1_01.png", "anything.png"])
def test_pictures_that_are_not_there_are_bad_pictures(mat, name):
    with pytest.raises(BadPicture, match=name):
        read_picture(mat / "labeled" / name)


def test_without_h5py_the_extra_is_named(mat, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[matlab\]'"):
        find_set(mat / "labeled")
