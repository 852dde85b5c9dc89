"""What is wrong with a set is found, and what is right is not called wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.check import KINDS, check_set, count, unanswered
from resight.data.reid_sets import find_set
from resight.data.reid_table import LAYOUTS
from resight.types import SPLITS, Crop
from small_sets import market, put


def _found(root, **options):
    result = check_set(find_set(root), **options)
    return {finding.kind: finding.items for finding in result.findings if finding.kind != "other-set"}


def _copy(root, a, b):
    (root / b).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / a, root / b)


def test_a_sound_set_has_no_finding(tmp_path):
    result = check_set(find_set(market(tmp_path)))
    assert [finding.kind for finding in result.findings] == ["other-set"]
    assert result.problems == 0
    gallery = result.counts["gallery"]
    assert (gallery.pictures, gallery.persons, gallery.cameras, gallery.junk, gallery.distractors) == (4, 2, 3, 1, 1)


PLANTED = {
    # kind: (a copy, where it is put), what the finding names
    "two-persons": (
        ("bounding_box_test/0001_c2s1_000301_00.jpg", "bounding_box_test/0003_c2s1_000009_00.jpg"),
        "bounding_box_test/0001_c2s1_000301_00.jpg",
    ),
    "picture-leak": (
        ("query/0003_c2s1_000001_00.jpg", "bounding_box_train/0007_c2s1_000001_00.jpg"),
        "bounding_box_train/0007_c2s1_000001_00.jpg",
    ),
    "answer-given": (
        ("query/0003_c2s1_000001_00.jpg", "bounding_box_test/0003_c4s1_000001_00.jpg"),
        "query/0003_c2s1_000001_00.jpg",
    ),
    "duplicate": (
        ("query/0003_c2s1_000001_00.jpg", "bounding_box_test/0003_c2s1_000002_00.jpg"),  # the protocol ignores it
        "bounding_box_test/0003_c2s1_000002_00.jpg",
    ),
    "person-leak": (("query/0003_c2s1_000001_00.jpg", "bounding_box_test/0007_c2s1_000002_00.jpg"), "7"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_was_planted_is_found(kind, tmp_path):
    root = market(tmp_path)
    (source, target), names = PLANTED[kind]
    _copy(root, source, target)
    found = _found(root)
    expected = {kind, "two-persons"} if kind == "person-leak" else {kind}
    assert set(found) == expected
    assert any(names in item for item in found[kind])


def test_a_distractor_that_shows_a_person_of_the_test_is_a_problem(tmp_path):
    root = market(tmp_path)
    _copy(root, "query/0003_c2s1_000001_00.jpg", "bounding_box_test/0000_c4s1_000001_00.jpg")
    assert set(_found(root)) == {"two-persons"}


def test_copies_of_junk_and_of_distractors_are_notes(tmp_path):
    root = market(tmp_path)
    _copy(root, "query/0003_c2s1_000001_00.jpg", "bounding_box_test/-1_c4s1_000001_00.jpg")
    _copy(root, "bounding_box_test/0000_c1s1_000151_01.jpg", "bounding_box_test/0000_c1s1_000152_01.jpg")
    assert {kind: len(items) for kind, items in _found(root).items()} == {"duplicate": 2}
    assert not KINDS["duplicate"].problem


def test_a_query_whose_person_is_only_under_its_own_camera_has_no_answer(tmp_path):
    root = put(market(tmp_path), "query/0009_c3s1_000001_00.jpg", "bounding_box_test/0009_c3s1_000002_00.jpg")
    assert _found(root) == {"no-answer": (("query/0009_c3s1_000001_00.jpg",),)}


def test_unreadable_pictures_are_named_with_the_reason(tmp_path):
    root = market(tmp_path)
    (root / "query" / "0003_c2s1_000001_00.jpg").write_text("a letter")
    ((name, reason),) = _found(root)["unreadable"]
    assert name == "query/0003_c2s1_000001_00.jpg"
    assert "no picture" in reason
    assert "unreadable" not in _found(root, pixels=False)


def test_persons_with_one_training_picture_are_a_note(tmp_path):
    root = put(market(tmp_path), "bounding_box_train/0042_c3s3_077419_03.jpg")
    assert _found(root) == {"single": (("42",),)}


def test_a_copy_of_a_published_set_is_counted_against_it(tmp_path):
    root = put(tmp_path, *(f"{c}/{n:03}_{a}.bmp" for c, a in (("cam_a", 0), ("cam_b", 90)) for n in range(400)))
    (finding,) = [f for f in check_set(find_set(root), pixels=False).findings if f.kind == "damaged-copy"]
    assert ("query", "pictures", "400 instead of 632") in finding.items
    assert finding.problem


def test_own_pictures_that_train_and_test_share_by_design_are_no_leak(tmp_path):
    root = put(tmp_path, "ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "bob/2.jpg")
    assert _found(root) == {}
    _copy(root, "ann/1.jpg", "ann/3.jpg")  # without cameras the query's own copy is a right answer
    assert _found(root) == {"answer-given": (("ann/1.jpg", "ann/3.jpg"),)}


def test_own_splits_with_the_same_person_or_picture_are_leaks(tmp_path):
    root = put(tmp_path, "train/ann/1.jpg", "train/ann/2.jpg", "test/ann/3.jpg", "test/ann/4.jpg")
    _copy(root, "train/ann/1.jpg", "test/ann/5.jpg")
    assert _found(root) == {
        "person-leak": (("ann",),),
        "picture-leak": (("train/ann/1.jpg", "test/ann/5.jpg"),),
    }


def test_a_list_that_uses_one_file_twice_is_found_out(tmp_path):
    root = put(tmp_path, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    rows = [
        "path,person,split",
        "1.jpg,a,query",
        "1.jpg,a,gallery",
        "2.jpg,a,gallery",
        "3.jpg,b,train",
        "3.jpg,c,train",
    ]
    (root / "l.csv").write_text("\n".join([*rows, "4.jpg,b,train", "4.jpg,b,gallery"]))
    found = _found(root / "l.csv")
    assert found["answer-given"] == (("1.jpg", "1.jpg"),)
    assert found["two-persons"] == (("3.jpg", "3.jpg"),)
    assert found["picture-leak"] == (("4.jpg", "4.jpg"),)


def test_empty_splits_are_said(tmp_path):
    root = put(tmp_path, "train/ann/1.jpg", "train/ann/2.jpg")
    assert _found(root) == {"no-test": (("query",), ("gallery",))}


def test_numbers_that_start_again_are_no_leak(tmp_path):
    root = put(tmp_path / "msmt", "bounding_box_train/0000_c1_0.jpg", "bounding_box_train/0000_c1_1.jpg")
    put(root, "query/0000_c1_2.jpg", "bounding_box_test/0000_c2_3.jpg")
    assert _found(root) == {}


def test_progress_tells_of_every_picture_twice(tmp_path):
    calls = []
    check_set(find_set(market(tmp_path)), told=lambda n, total=None: calls.append((n, total)))
    assert calls[0] == (0, 20)
    assert sum(n for n, _ in calls) == 20


persons, cameras = st.integers(-1, 3), st.sampled_from([None, 1, 2])
crops = st.lists(
    st.builds(lambda p, c: Crop(Path("x"), p, c, junk=p == -1, distractor=p == 0), persons, cameras), max_size=8
)


@given(crops, crops)
def test_queries_without_an_answer_are_those_for_which_no_pair_counts(queries, gallery):
    def answers(query, other):
        same = query.person == other.person and other.person > 0
        return same and not (query.camera is not None and query.camera == other.camera)

    slow = [q for q in queries if not q.junk and not any(answers(q, g) for g in gallery)]
    assert list(unanswered(queries, gallery)) == slow


@given(crops)
def test_counting_adds_up(some):
    counts = count(some)
    assert counts.pictures == len(some)
    assert counts.persons == len({crop.person for crop in some if crop.person > 0})
    assert counts.junk + counts.distractors <= counts.pictures


def test_official_counts_are_plausible():
    for name, row in LAYOUTS.items():
        for split in SPLITS if row.official else ():
            counts = row.official[split]
            assert counts.persons <= counts.pictures, name
        assert row.official is None or row.official["query"].persons <= row.official["gallery"].persons


def test_the_sample_has_no_problem():
    assert check_set(find_set("sample")).problems == 0
