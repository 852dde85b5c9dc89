"""Every layout in the table is told from all others and read as it was published."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.reid_layouts import Columns, share_out
from resight.data.reid_sets import find_set, plain_pictures
from resight.data.reid_table import LAYOUTS
from resight.errors import BadRecipe, DatasetNotFound, UnknownName
from resight.types import SPLITS, Crop
from small_sets import MARKET, market, put


def _three(train, query, gallery):
    return (f"bounding_box_train/{train}", f"query/{query}", f"bounding_box_test/{gallery}")


MSMT = (
    "train/0000/0000_000_01_0303morning_0015_0.jpg",
    "train/0001/0001_003_14_0303noon_0015_0_ex.jpg",
    "test/0000/0000_001_01_0303morning_0016_2.jpg",
    "test/0000/0000_002_05_0303afternoon_0016_2.jpg",
)
BODIES = ("occluded_body_images/001/001_1.tif", "whole_body_images/001/001_1.tif", "whole_body_images/002/002_1.tif")

FILES = {  # layout -> folder name and files; (pictures, persons, cameras) of each split
    "market1501": ("market", MARKET),
    "dukemtmc-reid": ("duke", _three("0001_c2_f0046182.jpg", "0005_c2_f0046985.jpg", "0005_c5_f0051341.jpg")),
    "occluded-duke": ("Occluded_Duke", _three("0001_c2_f0046182.jpg", "0005_c2_f0046985.jpg", "0005_c5_f0051341.jpg")),
    "cuhk03-np-labeled": ("labeled", _three("0001_c1_1.png", "0003_c1_21.png", "0003_c2_25.png")),
    "cuhk03-np-detected": ("detected", _three("0001_c1_1.png", "0003_c1_21.png", "0003_c2_25.png")),
    "cuhk03-np": ("cuhk", _three("0001_c1_1.png", "0003_c1_21.png", "0003_c2_25.png")),
    "msmt17-market": ("merged", _three("0000_c14_0032.jpg", "0000_c15_0002.jpg", "0000_c1_0003.jpg")),
    "market-style": ("mine", _three("0001_c1_a.jpg", "0003_c1_b.jpg", "0003_c2_c.jpg")),
    "viper": ("VIPeR", ("cam_a/000_45.bmp", "cam_a/001_45.bmp", "cam_b/000_90.bmp", "cam_b/001_90.bmp")),
    "p-dukemtmc": (
        "P-Duke",
        tuple(f"{part}/{name}".replace("tif", "jpg") for part in ("train", "test") for name in BODIES),
    ),
    "occluded-reid": ("Occluded_REID", BODIES),
    "p-ethz": ("P_ETHZ", tuple(name.replace("tif", "png") for name in BODIES)),
    "partial-reid": ("Partial_REID", ("partial_body_images/001_1.jpg", "whole_body_images/001_1.jpg")),
    "identity-folders": ("people", ("ann/1.jpg", "ann/2.jpg", "bob/1.jpg")),
    "identity-splits": ("split", ("train/ann/1.jpg", "query/bob/1.jpg", "gallery/bob/2.jpg")),
}
SEEN = {
    "market1501": [(4, 2, 3), (2, 2, 2), (4, 4, 3)],
    "viper": [(0, 0, 0), (2, 2, 1), (2, 2, 1)],
    "p-dukemtmc": [(3, 2, 0), (1, 1, 0), (2, 2, 0)],
    "occluded-reid": [(0, 0, 0), (1, 1, 0), (2, 2, 0)],
    "p-ethz": [(0, 0, 0), (1, 1, 0), (2, 2, 0)],
    "partial-reid": [(0, 0, 0), (1, 1, 0), (1, 1, 0)],
    "identity-folders": [(3, 2, 0), (1, 1, 0), (2, 2, 0)],
    "identity-splits": [(1, 1, 0), (1, 1, 0), (1, 1, 0)],
    "msmt17": [(2, 2, 2), (1, 1, 1), (1, 1, 1)],
}


def _msmt17(root, train="train", test="test"):
    put(root, *(name.replace("train/", f"{train}/").replace("test/", f"{test}/") for name in MSMT))
    (root / "list_train.txt").write_text(MSMT[0].removeprefix("train/") + " 0\n")
    (root / "list_val.txt").write_text(MSMT[1].removeprefix("train/") + " 1\n")
    (root / "list_query.txt").write_text(MSMT[2].removeprefix("test/") + " 0\n")
    (root / "list_gallery.txt").write_text(MSMT[3].removeprefix("test/") + " 0\n")
    return root


def _read(found):
    return {split: list(found.crops(split)) for split in SPLITS}


def _shape(crops):
    return len(crops), len({c.person for c in crops}), len({c.camera for c in crops} - {None})


@pytest.mark.parametrize("layout", FILES)
def test_a_layout_is_known_by_its_names_and_read_whole(layout, tmp_path):
    folder, names = FILES[layout]
    root = put(tmp_path / folder, *names)
    (root / "Thumbs.db").write_bytes(b"not a picture")
    for path in [*root.rglob("*.jpg")]:
        (path.parent / "Thumbs.db").touch()
        (path.parent / f"._{path.name}").touch()
    found = find_set(root)
    assert found.name == layout
    read = _read(found)
    assert [_shape(read[split]) for split in SPLITS] == SEEN.get(layout, [(1, 1, 1)] * 3)
    for split in SPLITS:
        assert all(crop.path.is_file() for crop in read[split])
        assert list(found.crops(split)) == read[split]
        kinds = {type(crop.person) for crop in read[split]}
        assert kinds <= {str if layout.startswith("identity") else int}
    assert ("no camera ids" in " ".join(found.notes)) == (_shape(read["gallery"])[2] == 0)


@pytest.mark.parametrize("layout", sorted(LAYOUTS.keys() - FILES.keys()))
def test_every_other_layout_has_a_test_of_its_own(layout):
    assert layout in {"msmt17", "csv", "csv-unsplit", "cuhk03-mat", "cuhk03-classic"}


def test_market_1501_is_read_in_file_name_order_with_junk_and_distractors(tmp_path):
    gallery = list(find_set(market(tmp_path)).crops("gallery"))
    assert [crop.path.name for crop in gallery] == sorted(crop.path.name for crop in gallery)
    assert [(c.person, c.camera, c.junk, c.distractor) for c in gallery] == [
        (-1, 1, True, False),
        (0, 1, False, True),
        (1, 2, False, False),
        (3, 6, False, False),
    ]


def test_person_0_is_a_person_outside_market_1501(tmp_path):
    found = find_set(put(tmp_path / "msmt", *FILES["msmt17-market"][1]))
    assert not any(crop.distractor for split in SPLITS for crop in found.crops(split))


def test_occluded_duke_is_also_told_by_its_number_of_queries(tmp_path):
    root = put(tmp_path, *FILES["dukemtmc-reid"][1])
    for number in range(2_209):
        (root / "query" / f"0006_c1_f{number:07}.jpg").touch()
    assert find_set(root).name == "occluded-duke"


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17_is_read_by_its_lists_in_both_versions(train, test, tmp_path):
    found = find_set(_msmt17(tmp_path, train, test))
    read = _read(found)
    assert found.name == "msmt17"
    assert found.overlap == "numbers"
    assert [_shape(read[split]) for split in SPLITS] == SEEN["msmt17"]
    assert [crop.camera for crop in read["train"]] == [1, 14]
    assert read["query"][0].path == tmp_path / test / "0000/0000_001_01_0303morning_0016_2.jpg"


def test_a_broken_list_names_its_line(tmp_path):
    root = _msmt17(tmp_path)
    (root / "list_query.txt").write_text("0000/0000_001_01_0303morning_0016_2.jpg\n")
    with pytest.raises(DatasetNotFound, match=r"Line 1 of .*list_query.txt"):
        list(find_set(root).crops("query"))


def test_the_first_picture_of_a_person_asks_and_the_others_answer(tmp_path):
    found = find_set(put(tmp_path, "ann/2.jpg", "ann/10.jpg", "ann/3.jpg", "007/a.jpg", "007/b.jpg", "solo/1.jpg"))
    names = {split: [c.path.relative_to(tmp_path).as_posix() for c in found.crops(split)] for split in SPLITS}
    assert names["query"] == ["007/a.jpg", "ann/10.jpg"]
    assert names["gallery"] == ["007/b.jpg", "ann/2.jpg", "ann/3.jpg", "solo/1.jpg"]
    assert sorted(names["query"] + names["gallery"]) == names["train"]
    assert {crop.person for crop in found.crops("train")} == {"007", "ann", "solo"}
    assert found.overlap == "pictures"
    assert any("nobody has split" in note for note in found.notes)


@given(st.lists(st.integers(1, 5), max_size=8))
def test_sharing_out_loses_no_picture_and_asks_only_what_can_be_answered(sizes):
    from pathlib import Path

    crops = [Crop(Path(f"{p}/{n}.jpg"), str(p)) for p, size in enumerate(sizes) for n in range(size)]
    query, gallery, train = (list(share_out(iter(crops), split)) for split in ("query", "gallery", "train"))
    assert train == crops
    assert sorted(c.path for c in query + gallery) == sorted(c.path for c in crops)
    assert {c.person for c in query} <= {c.person for c in gallery}
    assert len(query) == sum(size > 1 for size in sizes)


def test_train_and_test_folders_without_query_share_out_the_test(tmp_path):
    found = find_set(put(tmp_path, "train/a/1.jpg", "train/a/2.jpg", "test/b/1.jpg", "test/b/2.jpg", "test/c/1.jpg"))
    names = {split: [c.path.relative_to(tmp_path).as_posix() for c in found.crops(split)] for split in SPLITS}
    assert names == {
        "train": ["train/a/1.jpg", "train/a/2.jpg"],
        "query": ["test/b/1.jpg"],
        "gallery": ["test/b/2.jpg", "test/c/1.jpg"],
    }


def test_a_camera_pattern_finds_cameras_and_none_are_invented_without_it(tmp_path):
    root = put(tmp_path, "ann/door_1.jpg", "ann/gate_1.jpg", "bob/door_1.jpg")
    assert {c.camera for c in find_set(root).crops("train")} == {None}
    found = find_set(root, camera_pattern=r"/([a-z]+)_")
    assert [c.camera for c in found.crops("train")] == ["door", "gate", "door"]
    assert not any("no camera ids" in note for note in found.notes)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("_(", "no regular expression"),
        ("door", "exactly one group"),
        (r"_(cam\d)", "finds no camera in `ann/door_1.jpg`"),
    ],
)
def test_a_camera_pattern_that_cannot_work_is_explained(pattern, says, tmp_path):
    root = put(tmp_path, "ann/door_1.jpg", "bob/door_1.jpg")
    with pytest.raises((BadRecipe, DatasetNotFound), match=says):
        find_set(root, camera_pattern=pattern)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"camera_pattern": "(x)"}, "`market1501` says itself which cameras there are: leave --camera-pattern out"),
        ({"camera_pattern": "("}, "no regular expression"),
        ({"columns": Columns(path="file")}, "`market1501` is no CSV list, so it has no columns"),
    ],
)
def test_what_a_layout_does_not_ask_is_refused_and_never_dropped(asked, says, tmp_path):
    with pytest.raises(BadRecipe, match=says):
        find_set(market(tmp_path), **asked)


def test_a_list_with_a_column_of_cameras_takes_no_pattern(tmp_path):
    with pytest.raises(BadRecipe, match="has a column of cameras, `camera`"):
        _list(tmp_path / "l.csv", "path,person,camera\n1.jpg,a,c1\n", camera_pattern="(.)")


def test_person_folders_that_hold_folders_are_explained(tmp_path):
    root = put(tmp_path, "ann/cam1/1.jpg", "bob/1.jpg", "cy/1.jpg")
    with pytest.raises(DatasetNotFound, match="holds folders"):
        find_set(root)


# ---- CSV lists ------------------------------------------------------------------------------------------------------

ROWS = """file;who;where;part
a/1.jpg;ann;door;train
a/2.jpg;bob;door;Query
b/1.jpg;bob;;gallery

b/2.jpg;0007;gate;test
"""


def _list(path, text, **options):
    path.write_text(text, encoding="utf-8-sig")
    return find_set(path, **options)


def test_a_list_is_read_by_the_names_its_owner_gives(tmp_path):
    columns = Columns(path="file", person="who", camera="where", split="part")
    found = _list(tmp_path / "people.csv", ROWS, columns=columns)
    assert found.name == "csv"
    read = _read(found)
    assert [(c.person, c.camera) for c in read["train"] + read["query"]] == [("ann", "door"), ("bob", "door")]
    assert [(c.person, c.camera) for c in read["gallery"]] == [("bob", None), ("0007", "gate")]
    assert [c.path.relative_to(found.root).as_posix() for c in read["gallery"]] == ["b/1.jpg", "b/2.jpg"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_without_splits_or_cameras_is_shared_out_and_says_so(separator, tmp_path):
    rows = ["path,person", "z.jpg,ann", "x.jpg,bob", '"y.jpg",bob', "w.jpg,ann"]
    found = _list(tmp_path / "people.csv", "\n".join(row.replace(",", separator) for row in rows))
    assert found.name == "csv-unsplit"
    assert [c.path.name for c in found.crops("query")] == ["w.jpg", "x.jpg"]
    assert [c.path.name for c in found.crops("gallery")] == ["y.jpg", "z.jpg"]
    assert [c.path.name for c in found.crops("train")] == ["w.jpg", "x.jpg", "y.jpg", "z.jpg"]
    assert any("no camera ids" in note for note in found.notes)


def test_a_list_with_train_and_test_only_shares_out_the_test(tmp_path):
    found = _list(tmp_path / "l.csv", "path,person,split\n1.jpg,a,train\n2.jpg,b,test\n3.jpg,b,test\n4.jpg,c,test\n")
    assert [[c.path.name for c in found.crops(split)] for split in SPLITS] == [["1.jpg"], ["2.jpg"], ["3.jpg", "4.jpg"]]


def test_pictures_of_a_list_may_lie_anywhere_and_names_stay_below_the_root(tmp_path):
    put(tmp_path, "far/1.jpg", "lists/near.jpg")
    found = _list(tmp_path / "lists" / "l.csv", f"path,person\n../far/1.jpg,a\n{tmp_path}/lists/near.jpg,a\n")
    assert [c.path.relative_to(found.root).as_posix() for c in found.crops("train")] == ["far/1.jpg", "lists/near.jpg"]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", DatasetNotFound, "is empty"),
        ("path,person\n\n", DatasetNotFound, "names no picture: below its first line \\(path, person\\) is none"),
        ("path,persn\n1.jpg,a\n", DatasetNotFound, "no column `person` .columns: path, persn.. Did you mean `persn`"),
        ("path,who\n1.jpg,a\n", DatasetNotFound, "`--person-column NAME`"),
        ("path,person\n1.jpg\n", DatasetNotFound, "Line 2 .* has 1 cells, the first line has 2"),
        ("path,person\n1.jpg,\n", DatasetNotFound, "Line 2 .* does not say its person"),
        ("path,person\n,ann\n", DatasetNotFound, "Line 2 .* does not say its picture"),
        ("path,person,split\n1.jpg,a,val\n", DatasetNotFound, "Line 2 .* has `val` as its split: use train"),
    ],
)
def test_a_list_that_cannot_be_read_names_the_line(text, error, says, tmp_path):
    with pytest.raises(error, match=says):
        _list(tmp_path / "l.csv", text)


def test_a_list_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "l.csv"
    path.write_bytes(b"path,person\n\xff\xfe\x00,a\n")
    with pytest.raises(DatasetNotFound, match="UTF-8"):
        find_set(path)


# ---- what is no data set --------------------------------------------------------------------------------------------


def _says(root, **options):
    with pytest.raises(DatasetNotFound) as caught:
        find_set(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_folder_offers_its_neighbour(tmp_path):
    market(tmp_path / "market1501")
    assert f"Did you mean {tmp_path / 'market1501'}?" in _says(tmp_path / "market-1501")
    assert "does not exist" in _says(tmp_path / "x" / "y")


def test_the_folder_above_points_to_the_set_inside(tmp_path):
    market(tmp_path / "Market-1501-v15.09.15")
    assert str(tmp_path / "Market-1501-v15.09.15") in _says(tmp_path)
    put(tmp_path / "np" / "labeled", *FILES["cuhk03-np"][1])
    put(tmp_path / "np" / "detected", *FILES["cuhk03-np"][1])
    assert "labeled (cuhk03-np-labeled)" in _says(tmp_path / "np")
    assert "detected (cuhk03-np-detected)" in _says(tmp_path / "np")


def test_a_plain_folder_is_told_what_it_lacks_and_can_still_be_listed(tmp_path):
    root = put(tmp_path / "faces", "b.jpg", "a.png")
    (root / "notes.txt").touch()
    assert "holds 2 pictures but does not say who is on them" in _says(root)
    assert [path.name for path in plain_pictures(root)] == ["a.png", "b.jpg"]
    assert plain_pictures(tmp_path) == plain_pictures(tmp_path / "nowhere") == []


def test_an_empty_folder_and_a_strange_one_are_told_what_was_seen(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "found: nothing" in _says(tmp_path / "empty")
    put(tmp_path / "parts", "images/1.jpg", "masks/1.png")
    assert "found: images/, masks/" in _says(tmp_path / "parts")


def test_market_folders_without_a_picture_are_not_a_set(tmp_path):
    for name in ("bounding_box_train", "bounding_box_test", "query"):
        (tmp_path / name).mkdir()
    assert "found: bounding_box_test/, bounding_box_train/, query/" in _says(tmp_path)


def test_names_that_tell_nothing_are_shown(tmp_path):
    put(tmp_path, *_three("a.jpg", "b.jpg", "c.jpg"))
    assert "(found: b.jpg)" in _says(tmp_path)


def test_one_odd_name_is_an_error_not_a_loss(tmp_path):
    put(market(tmp_path), "bounding_box_train/zz_extra.jpg")
    found = find_set(tmp_path)
    with pytest.raises(DatasetNotFound, match=r"`zz_extra\.jpg`"):
        list(found.crops("train"))


def test_a_missing_part_is_named_when_it_is_needed(tmp_path):
    root = put(tmp_path, *MARKET[4:])
    found = find_set(root)
    assert len(list(found.crops("query"))) == 2
    with pytest.raises(DatasetNotFound, match=r"No folder `bounding_box_train` .* bounding_box_test/, query/"):
        list(found.crops("train"))


def test_a_set_for_training_alone_can_be_opened(tmp_path):
    found = find_set(put(tmp_path, *MARKET[:4]))
    assert len(list(found.crops("train"))) == 4


def test_a_file_is_no_set(tmp_path):
    (tmp_path / "features.npz").touch()
    assert "is a file and no data set" in _says(tmp_path / "features.npz")


def test_a_layout_can_be_named_and_a_wrong_one_says_what_it_expects(tmp_path):
    root = put(tmp_path / "people", *FILES["market-style"][1])
    assert find_set(root, layout="cuhk03-np").name == "cuhk03-np"
    assert "The layout `viper` expects cam_a and cam_b" in _says(root, layout="viper")
    with pytest.raises(UnknownName, match="Did you mean `msmt17`"):
        find_set(root, layout="msmt7")


def test_the_sample_is_a_word_and_not_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    market(tmp_path / "sample")
    assert find_set("sample").root != tmp_path / "sample"
    assert find_set("./sample").root.resolve() == (tmp_path / "sample").resolve()


def test_market_1501_itself_has_the_published_counts(shared_data):
    found = find_set(shared_data / "market1501")
    assert found.name == "market1501"
    assert [len(list(found.crops(split))) for split in SPLITS] == [12_936, 3_368, 19_732]


def test_a_gallery_without_queries_is_whole(tmp_path):
    root = put(tmp_path / "set", "train/ann/1.jpg", *(f"gallery/{name}/{n}.jpg" for name in "ab" for n in range(3)))
    found = find_set(root)
    assert len(list(found.crops("gallery"))) == 6
    assert list(found.crops("query")) == []
