"""Every layout is recognised and read in order; training opens no test picture; lists stay small."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import small_parsing_sets as small
from resight.data.parsing_layouts import ParsingPicture
from resight.data.parsing_sets import LAYOUTS, find_parsing_set, picture_list, refuse_test_picture
from resight.errors import BadLabels, BadRecipe, DatasetNotFound, UnknownName

OPENED: list[str] = []
"""Every file and folder that is opened while `watched` is on."""
WATCHING = [False]


def watch(event: str, args: tuple[object, ...]) -> None:
    if WATCHING[0] and event in ("open", "os.listdir", "os.scandir"):
        OPENED.append(str(args[0]))


@pytest.fixture
def watched():
    if not getattr(watch, "added", False):
        sys.addaudithook(watch)
        watch.added = True  # type: ignore[attr-defined]
    OPENED.clear()
    WATCHING[0] = True
    yield OPENED
    WATCHING[0] = False


def names(folder: Path, half: str) -> list[str]:
    return [one.picture.stem for one in find_parsing_set(folder).pictures(half)]


def test_every_layout_has_its_small_folder_here() -> None:
    assert {layout.name for layout in LAYOUTS} == set(small.LAYOUTS)


@pytest.mark.parametrize("name", small.LAYOUTS)
def test_a_layout_is_recognised_and_yields_existing_files_in_order(name: str, tmp_path: Path) -> None:
    small.LAYOUTS[name](tmp_path)
    found = find_parsing_set(tmp_path)
    assert found.layout.name == name
    for half in ("train", "val"):
        records = list(found.pictures(half))
        assert [one.picture for one in records] == sorted(one.picture for one in records)
        for one in records:
            assert one.split == half
            assert one.source == found.source
            assert one.picture.is_file()
            assert one.labels is None or one.labels.is_file()
            assert one.persons is None or one.persons.is_file()
    assert next(found.pictures("train"), None) is not None


@pytest.mark.parametrize("layout", ["lip", "lip-folders", "lip-lists", "people"])
def test_lip_is_read_alike_in_all_its_layouts(layout: str, tmp_path: Path) -> None:
    small.LAYOUTS[layout](tmp_path)
    assert names(tmp_path, "train") == ["100_1", "100_2"]
    assert names(tmp_path, "val") == ["200_1"]


def test_zips_may_nest_one_level(tmp_path: Path) -> None:
    small.lip_download(tmp_path, nested=True)
    assert names(tmp_path, "train") == ["100_1", "100_2"]


def test_splits_are_those_of_the_agreement(tmp_path: Path) -> None:
    small.clothing_co_parsing(tmp_path / "ccp")
    small.penn_fudan(tmp_path / "penn")
    small.market_keypoints(tmp_path / "market")
    assert (names(tmp_path / "ccp", "train"), names(tmp_path / "ccp", "val")) == (["0001", "0800"], ["0801"])
    penn = list(find_parsing_set(tmp_path / "penn").pictures("train"))
    assert [(one.picture.stem, one.wanted) for one in penn] == [
        *(("FudanPed00074", 1), ("FudanPed00074", 2), ("PennPed00046", 1), ("PennPed00046", 2)),
    ]
    assert [one.crop for one in penn[:2]] == [(4, 2, 16, 7), (19, 14, 30, 20)]
    assert names(tmp_path / "penn", "val") == []
    assert names(tmp_path / "market", "train") == [f"{person:04d}_c1s1_000151_01" for person in (2, 3, 4)]
    assert len(names(tmp_path / "market", "val")) == 100


def test_the_maps_may_follow_another_table_than_the_layout_says(tmp_path: Path) -> None:
    small.lip_folders(tmp_path)  # as SCHP hands ATR out
    assert {one.source for one in find_parsing_set(tmp_path, labels="atr18").pictures("train")} == {"atr18"}
    with pytest.raises(UnknownName, match="atr18"):
        find_parsing_set(tmp_path, labels="atr")
    (tmp_path / "train_labels").mkdir()
    (tmp_path / "train_id.txt").unlink()
    with pytest.raises(DatasetNotFound, match=r"No list `train\.txt`"):
        next(find_parsing_set(tmp_path).pictures("train"))


def test_an_unknown_folder_is_told_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    with pytest.raises(DatasetNotFound, match=r"found: holiday/.*LIP as downloaded.*Clothing Co-Parsing"):
        find_parsing_set(tmp_path)
    with pytest.raises(DatasetNotFound, match="no such folder"):
        find_parsing_set(tmp_path / "nowhere")


def test_a_list_that_names_missing_files_is_one_sentence_before_anything_is_read(tmp_path: Path) -> None:
    small.lip_folders(tmp_path)
    (tmp_path / "train_segmentations" / "100_1.png").unlink()
    with pytest.raises(DatasetNotFound, match=r"train_id.txt names 1 files that are not in .*: 100_1\.png"):
        next(find_parsing_set(tmp_path).pictures("train"))
    (tmp_path / "train_id.txt").write_text("")
    with pytest.raises(DatasetNotFound, match="is empty"):
        next(find_parsing_set(tmp_path).pictures("train"))


def test_outlines_of_an_earlier_parser_stand_beside_the_joints(tmp_path: Path) -> None:
    small.market_keypoints(tmp_path)
    alone = next(find_parsing_set(tmp_path).pictures("train"))
    assert alone.persons is None
    assert np.isnan(alone.hidden)
    (tmp_path / "outlines").mkdir()
    with pytest.raises(DatasetNotFound, match=r"103 files that are not in .*outlines"):
        next(find_parsing_set(tmp_path).pictures("train"))
    for picture in (tmp_path / "bounding_box_train").iterdir():
        (tmp_path / "outlines" / f"{picture.stem}.png").write_bytes(b"")
    found = next(find_parsing_set(tmp_path).pictures("train"))
    assert found.persons == tmp_path / "outlines" / f"{found.picture.stem}.png"
    assert np.isnan(found.hidden)
    assert np.isnan(found.company)


def test_labels_by_eye_stand_beside_the_pictures_they_name(tmp_path: Path) -> None:
    small.market_keypoints(tmp_path)
    names = [one.picture.name for one in find_parsing_set(tmp_path).pictures("train")]
    rows = [f"bounding_box_train/{names[0]},yes,no,no", f"bounding_box_train/{names[1]},no,yes,no"]
    rows.append(f"bounding_box_train/{names[2]},unsure,unsure,no")
    (tmp_path / "labels.csv").write_text("\n".join(["file,multi_person,occlusion,truncation", *rows]), "utf-8")
    listed = picture_list(find_parsing_set(tmp_path).pictures("train"), half="train")
    assert [(listed[row].company, listed[row].hidden) for row in (0, 1)] == [(1.0, 0.0), (0.0, 0.5)]
    assert np.isnan([listed[2].company, listed[2].hidden]).all()
    (tmp_path / "labels.csv").write_text("file,occlusion\na.jpg,yes", "utf-8")
    with pytest.raises(BadLabels, match=r"labels\.csv has no column 'multi_person'"):
        next(find_parsing_set(tmp_path).pictures("train"))


def test_reading_sets_opens_no_query_and_no_gallery_path(tmp_path: Path, watched: list[str]) -> None:
    small.market_keypoints(tmp_path / "market")
    small.penn_fudan(tmp_path / "penn")
    watched.clear()
    for folder in ("market", "penn"):
        for half in ("train", "val"):
            list(find_parsing_set(tmp_path / folder).pictures(half))
    WATCHING[0] = False
    assert any("bounding_box_train" in path for path in watched)
    forbidden = ("query", "bounding_box_test", "gallery", "PennPed00047", "PennPed00096")
    assert [path for path in watched if any(word in path for word in forbidden)] == []


@pytest.mark.parametrize(
    "path",
    [
        "m/query/0001_c1s1_1_1.jpg",
        "m/bounding_box_test/0001_c1s1_1_1.jpg",
        "own/gallery/anna/1.jpg",
        "penn/images/PennPed00047.jpg",
        "LIP/testing_images/1.jpg",
    ],
)
def test_a_list_to_train_on_refuses_test_pictures(path: str) -> None:
    with pytest.raises(BadRecipe, match="is a test picture"):
        picture_list([ParsingPicture(Path(path), None, None, "lip20", "train")], half="train")
    refuse_test_picture(Path("query/m/bounding_box_train/0001.jpg"))  # only the folder nearest counts


def test_a_list_returns_its_records_modulo_its_length(tmp_path: Path) -> None:
    records = []
    for name, write in small.LAYOUTS.items():
        write(tmp_path / name)
        records += find_parsing_set(tmp_path / name).pictures("train")
    found = pickle.loads(pickle.dumps(picture_list(records, half="train")))
    assert len(found) == len(records)
    for index in range(2 * len(records)):
        one, other = found[index], records[index % len(records)]
        assert one == other
        assert (one.points is None) == (other.points is None)
        assert one.points is None or np.array_equal(one.points, other.points)
    rows = found.rows_of("ccp59")
    assert {found[int(row)].source for row in rows} == {"ccp59"}
    assert len(rows) == 2


def test_a_list_refuses_the_other_half_and_nothing(tmp_path: Path) -> None:
    small.lip_folders(tmp_path)
    with pytest.raises(BadRecipe, match="belongs to `val`"):
        picture_list(find_parsing_set(tmp_path).pictures("val"), half="train")
    with pytest.raises(BadRecipe, match="no picture for the half `train`"):
        picture_list([], half="train")


def test_a_list_as_long_as_lip_takes_a_few_megabytes_and_does_not_grow_with_the_steps() -> None:
    root = Path("/data/sets/LIP/TrainVal_images")
    records = (
        ParsingPicture(root / f"{n:06d}_483681.jpg", root / f"{n:06d}_483681.png", None, "lip20", "train")
        for n in range(30_462)
    )
    found = picture_list(records, half="train")
    assert found.nbytes < 8e6
    assert found[4_600_000 - 1].picture == found[(4_600_000 - 1) % 30_462].picture


def test_the_real_sets_are_read(shared_data: Path) -> None:
    for name, train, val in (("ccp", 800, 84), ("market1501", 12_936 - 1_667, 1_667)):
        if not (shared_data / name).is_dir():
            pytest.skip(f"no {name} here")
        counts = [sum(1 for _ in find_parsing_set(shared_data / name).pictures(half)) for half in ("train", "val")]
        assert sum(counts) == train + val
        assert name == "market1501" or counts == [train, val]
    photos = sorted({one.picture.name for one in find_parsing_set(shared_data / "pennfudan").pictures("train")})
    assert photos == sorted(path.name for path in (shared_data / "pennfudan" / "images").iterdir())[:120]


def test_reading_a_list_for_long_leaves_nothing_behind() -> None:
    points = np.zeros((14, 2), np.float32)
    records = (
        ParsingPicture(Path(f"a/{n}.jpg"), None, None, "keypoints14", "train", points=points) for n in range(1_000)
    )
    found = picture_list(records, half="train")
    tracemalloc.start()
    held = []
    try:
        for _ in range(4):
            for index in range(6_000):
                found[index]
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert min(np.diff(held)) < 50_000  # a leak grows in every round; Python's own table of names in one of them


FORKED_READERS = """
import multiprocessing, random
from pathlib import Path
from resight.data.parsing_sets import ParsingPicture, picture_list

def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

def walk(listed, number, told):
    rng = random.Random(number)
    for _ in range(3_000):
        listed[rng.randrange(10**7)]
    before = private()
    for _ in range(10_000):
        listed[rng.randrange(10**7)]
    told.put(private() - before)

root = Path("/data/LIP/train_images")
names = (root / f"{n:06d}_4.jpg" for n in range(30_462))
records = (ParsingPicture(name, name.with_suffix(".png"), None, "lip20", "train") for name in names)
listed = picture_list(records, half="train")
context = multiprocessing.get_context("fork")
told = context.Queue()
readers = [context.Process(target=walk, args=(listed, number, told)) for number in range(4)]
[reader.start() for reader in readers]
print(max(told.get() for _ in readers))
[reader.join() for reader in readers]
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's account of memory")
def test_four_forked_readers_copy_less_than_a_mebibyte_each_in_10_000_looks() -> None:
    """CE2P's list of dictionaries grew by 4.75 KiB an entry, as every look at a string copied its page."""
    ran = subprocess.run([sys.executable, "-c", FORKED_READERS], check=True, capture_output=True, text=True)
    assert int(ran.stdout) < 1024
