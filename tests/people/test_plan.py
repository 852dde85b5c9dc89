from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from resight.errors import BadRecipe, UnknownName
from resight.people.plan import Plan, double_of, learns, shots
from resight.people.shoot import camera_of, identity_of

PLAN = Plan(persons=6, cameras=3, pictures=2, seed=4, causes=("occlusion", "low_light"), twins=True)


def test_a_person_does_not_change_when_more_are_asked_for() -> None:
    for person in range(1, 7):
        assert list(shots(PLAN, person)) == list(shots(replace(PLAN, persons=600), person))


def test_every_person_is_seen_by_every_camera_as_often_as_asked() -> None:
    seen = [(shot.camera, shot.number) for shot in shots(PLAN, 2)]
    assert seen == [(camera, number) for camera in (1, 2, 3) for number in (1, 2)]


def test_names_differ_and_are_market_names() -> None:
    names = [shot.name for person in range(1, 7) for shot in shots(PLAN, person)]
    assert len(set(names)) == PLAN.total
    assert names[0] == "0001_c1s1_000001_00"


def test_training_persons_take_the_wanted_share_and_are_never_queries() -> None:
    for share in (0.0, 0.3, 0.5, 1.0):
        assert sum(learns(person, share) for person in range(1, 1001)) == 1000 * share
    for person in range(1, 7):
        splits = {shot.split for shot in shots(PLAN, person)}
        assert splits in ({"bounding_box_train"}, {"query", "bounding_box_test"})


@pytest.mark.parametrize(("cameras", "pictures"), [(2, 1), (3, 1), (6, 1), (2, 2), (3, 4)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_every_query_can_be_found_in_another_camera(cameras: int, pictures: int, share: float) -> None:
    plan = replace(PLAN, persons=40, cameras=cameras, pictures=pictures, train_share=share)
    asking = set()
    for person in range(1, 41):
        found = list(shots(plan, person))
        queries = {shot.camera for shot in found if shot.split == "query"}
        gallery = {shot.camera for shot in found if shot.split == "bounding_box_test"}
        assert learns(person, share) or (queries and all(gallery - {camera} for camera in queries))
        asking |= queries
    assert asking == set(range(1, cameras + 1))


def test_about_the_wanted_share_gets_a_cause_with_a_dose() -> None:
    found = [shot.cause for person in range(1, 101) for shot in shots(replace(PLAN, persons=100), person)]
    planted = [cause for cause in found if cause is not None]
    assert 0.4 < len(planted) / len(found) < 0.6
    assert {cause.name for cause in planted} == {"occlusion", "low_light"}
    assert all(0.1 < cause.dose < 4.1 for cause in planted)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"persons": 0}, "--persons is 0; it must be at least 1"),
        ({"seed": -1}, "--seed is -1"),
        ({"cameras": 100}, "at most 99"),
        ({"cause_share": 1.5}, "--cause-share is 1.5"),
        ({"height": 4}, "--size is 4x64"),
        ({"look_alikes": 2.0}, "--look-alikes is 2.0"),
    ],
)
def test_impossible_numbers_are_refused(change: dict[str, int], says: str) -> None:
    with pytest.raises(BadRecipe, match=says):
        replace(PLAN, **change).check()


def test_an_unknown_kind_of_variety_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="cloth"):
        replace(PLAN, plain=("clothes",)).check()


def test_without_variety_of_cameras_all_look_like_the_first_and_without_that_of_cloth_all_is_plain() -> None:
    plain = replace(PLAN, plain=("cameras", "cloth"))
    assert {replace(camera_of(plain, number), number=1) for number in (1, 2, 3)} == {camera_of(PLAN, 1)}
    assert camera_of(PLAN, 2) != camera_of(plain, 2)
    people = [asdict(identity_of(plain, person)) for person in range(1, 30)]
    assert {worn["pattern"] for one in people for name, worn in one.items() if name.endswith("_cloth")} == {"plain"}
    before = asdict(identity_of(PLAN, 5))
    assert {name: value for name, value in before.items() if not name.endswith("_cloth")} == {
        name: value for name, value in people[4].items() if not name.endswith("_cloth")
    }


def test_without_variety_of_sizes_and_light_no_camera_sees_small_dark_or_coloured_people() -> None:
    plain = replace(PLAN, plain=("sizes", "light"))
    for number in range(1, 6):
        varied, even = camera_of(PLAN, number), camera_of(plain, number)
        assert varied.pixels[0] < even.pixels[0] == even.pixels[1]
        assert (even.sun, even.warmth, even.tint, even.exposure) == (0, 0, 0, 0)
        kept = dict(pixels=even.pixels, sun=0.0, warmth=0.0, tint=0.0, exposure=0.0)
        assert replace(varied, **kept) == even


def test_every_second_person_of_a_split_looks_like_the_one_before_who_looks_like_nobody() -> None:
    for share in (0.0, 0.3, 0.5, 2 / 3, 1.0):
        plan = replace(PLAN, look_alikes=0.8, train_share=share)
        for learnt in (True, False):
            split = [person for person in range(1, 200) if learns(person, share) == learnt]
            assert [double_of(plan, person) for person in split[::2]] == [None] * len(split[::2])
            assert [double_of(plan, person) for person in split[1::2]] == split[::2][: len(split[1::2])]
    assert double_of(PLAN, 3) is None


def test_the_closer_look_alikes_are_asked_for_the_more_they_share() -> None:
    def shared(closeness: float) -> float:
        plan = replace(PLAN, look_alikes=closeness, train_share=0.0)
        pairs = [[asdict(identity_of(plan, person)) for person in (first, first + 1)] for first in range(1, 80, 2)]
        same = [one[name] == two[name] for one, two in pairs for name in one if name.endswith("_cloth")]
        assert all(one["shape"] != two["shape"] for one, two in pairs)
        return sum(same) / len(same)

    assert shared(1.0) == 1
    assert 0.65 < shared(0.8) < 0.9
    assert shared(0.0) < 0.1


def test_the_space_told_beforehand_grows_with_twins_and_size_and_counts_whole_blocks() -> None:
    small = Plan(persons=100)
    assert small.megabytes == pytest.approx((small.total * (4 * 4096 + 600) + 100 * 3_100) / 1e6)
    assert replace(small, twins=True).megabytes == small.megabytes  # no cause, no twin
    assert replace(small, twins=True, causes=("occlusion",)).megabytes > 1.2 * small.megabytes
    assert replace(small, height=1024, width=512).megabytes > 10 * small.megabytes


def test_an_unknown_cause_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean `occlusion`\?"):
        replace(PLAN, causes=("oclusion",)).check()
