from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from resight.errors import BadRecipe, UnknownName
from resight.people.plan import Plan, learns, shots
from resight.people.shoot import camera_of, identity_of

PLAN = Plan(persons=6, cameras=3, pictures=2, seed=4, causes=("occlusion", "low-light"), twins=True)


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


def test_about_the_wanted_share_gets_a_cause_with_a_dose() -> None:
    found = [shot.cause for person in range(1, 101) for shot in shots(replace(PLAN, persons=100), person)]
    planted = [cause for cause in found if cause is not None]
    assert 0.4 < len(planted) / len(found) < 0.6
    assert {cause.name for cause in planted} == {"occlusion", "low-light"}
    assert all(0.1 < cause.dose < 4.1 for cause in planted)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"persons": 0}, "--persons is 0; it must be at least 1"),
        ({"seed": -1}, "--seed is -1"),
        ({"cameras": 100}, "at most 99"),
        ({"cause_share": 1.5}, "--cause-share is 1.5"),
        ({"height": 4}, "--height is 4"),
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


def test_an_unknown_cause_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean `occlusion`\?"):
        replace(PLAN, causes=("oclusion",)).check()
