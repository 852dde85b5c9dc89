"""Laws of what is said to be true about a picture: sides, keypoints, visible shares, doses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirrored_pose import mirrored_pose
from resight.data.labels import BODY10, COCO_SWAP, KEYPOINTS, LIP20, flip_map
from resight.people.cameras import draw_camera
from resight.people.causes import Cause
from resight.people.figure import make_figure
from resight.people.identity import draw_identity, draw_pose
from resight.people.occluders import OCCLUDERS
from resight.people.plan import Plan, Shot
from resight.people.render import Rendered, draw
from resight.people.scene import Scene, make_scene
from resight.people.shoot import shoot

pytest.importorskip("anny")
pytestmark = pytest.mark.slow

PLAN = Plan(persons=9, cameras=3, pictures=1, seed=8, twins=True)


def somebody(seed: int) -> tuple[Scene, Scene]:
    """A person before a camera, and the same in the mirrored pose, turned the other way, in the same upright box."""
    rng = np.random.default_rng(seed)
    identity = replace(draw_identity(rng), bag="none", gloves=False)
    pose, turn, camera = draw_pose(identity, rng), float(rng.uniform(-3, 3)), draw_camera(1, seed + 1)
    scenes = [
        make_scene(camera, make_figure(identity, one), turn=way * turn, rng=np.random.default_rng(9))
        for one, way in ((pose, 1), (mirrored_pose(pose), -1))
    ]
    top, left, bottom, right = scenes[0].box
    box = (top, (left - right) / 2, bottom, (right - left) / 2)
    return replace(scenes[0], box=box), replace(scenes[1], box=box, middle=scenes[0].middle)


def seen(scene: Scene) -> Rendered:
    return draw(scene, height=128, width=64)


def test_a_scene_in_a_mirror_has_exactly_the_flipped_maps_with_left_and_right_swapped() -> None:
    scene, _ = somebody(4)

    def mirrored(mesh, labels):
        vertices = mesh.vertices * np.float32([-1, 1, 1])
        return replace(mesh, vertices=vertices, faces=mesh.faces[:, ::-1].copy(), labels=labels.swap()[mesh.labels])

    keypoints = (scene.keypoints * [-1, 1, 1])[list(COCO_SWAP)]
    other = replace(scene, person=mirrored(scene.person, LIP20), body=mirrored(scene.body, BODY10), keypoints=keypoints)
    one, two = seen(scene), seen(other)
    assert np.array_equal(flip_map(one.label, LIP20), two.label)
    assert np.array_equal(flip_map(one.parts, BODY10), two.parts)
    places = one.keypoints[list(COCO_SWAP)]
    assert np.allclose(places * [-1, 1, 1] + [63, 0, 0], two.keypoints, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_somebody_in_the_mirrored_pose_shows_the_other_side_where_the_first_showed_one(seed: int) -> None:
    one, two = (seen(scene) for scene in somebody(seed))
    for name, labels, least in (("parts", BODY10, 0.99), ("label", LIP20, 0.93)):  # folds of cloth are not symmetric
        flipped, own = flip_map(getattr(one, name), labels), getattr(two, name)
        body = (flipped > 0) | (own > 0)
        assert (flipped == own)[body].mean() > least
        crossed = (labels.swap()[flipped] == own) & (labels.swap()[flipped] != flipped)
        assert not crossed.any()


@pytest.mark.parametrize("seed", range(3))
def test_visible_keypoints_lie_on_their_parts_and_their_side(seed: int) -> None:
    picture = seen(somebody(seed)[0])
    for name, (x, y, state) in zip(KEYPOINTS, picture.keypoints, strict=True):
        if state == 2:
            assert BODY10.classes[picture.parts[round(float(y)), round(float(x))]] in parts_at(name)
    assert (picture.keypoints[:, 2] == 2).sum() >= 8


def parts_at(keypoint: str) -> set[str]:
    """Parts that meet at a joint."""
    side, _, joint = keypoint.partition(" ")
    meeting = {
        "shoulder": {"torso", f"{side} upper arm"},
        "elbow": {f"{side} upper arm", f"{side} lower arm"},
        "wrist": {f"{side} lower arm"},
        "hip": {"torso", f"{side} upper leg"},
        "knee": {f"{side} upper leg", f"{side} lower leg"},
        "ankle": {f"{side} lower leg"},
    }
    return meeting.get(joint, {"head"})


@pytest.fixture(scope="module")
def clean():
    return shoot(PLAN, Shot(2, 1, 1, "query", None))


@pytest.mark.parametrize("kind", OCCLUDERS)
def test_visible_shares_and_dose_are_those_of_counting_pixels_beside_the_clean_twin(kind: str, clean) -> None:
    planted = shoot(PLAN, Shot(2, 1, 1, "query", Cause("occlusion", 0.4, kind)))
    assert np.array_equal(planted.parts, clean.parts)
    assert np.array_equal(planted.twin, clean.pixels)
    before = (clean.persons == 1) & (planted.persons != 1)
    assert before.any()
    columns = ["visible", *(f"visible_{name.replace(' ', '_')}" for name in BODY10.classes[1:])]
    for number, column in enumerate(columns):
        part = clean.parts > 0 if number == 0 else clean.parts == number
        if (whole := (part & (clean.persons == 1)).sum()) > 0:
            left = (part & (planted.persons == 1)).sum() / whole
            assert planted.truth[column] == pytest.approx(left * clean.truth[column], abs=2e-4), column
    body = clean.parts > 0
    hidden = (planted.reach == 1) & body
    assert planted.truth["dose"] == pytest.approx(hidden.sum() / body.sum(), abs=1e-4)
    assert (planted.truth["second_person"] > 0) == (kind == "person")
    away = planted.reach == 0
    assert np.abs(planted.pixels[away].astype(int) - clean.pixels[away]).mean() <= 2


def test_a_second_person_has_a_number_of_its_own_and_the_area_that_the_table_says(clean) -> None:
    planted = shoot(PLAN, Shot(2, 1, 1, "query", Cause("multi_person", 0.3)))
    area = (planted.persons == 2).mean()
    assert area > 0.03
    assert planted.truth["second_person"] == planted.truth["dose"] == pytest.approx(area, abs=1e-4)
    assert not planted.label[planted.persons != 1].any()


def test_a_second_person_covers_the_share_asked_for_where_there_is_room_and_hides_no_more_than_half() -> None:
    reached = []
    for number in range(1, 9):
        planted = shoot(PLAN, Shot(2, 1, number, "query", Cause("multi_person", 0.12)))
        reached.append(planted.truth["dose"])
        assert planted.truth["visible"] > 0.45
    assert np.median(reached) == pytest.approx(0.12, abs=0.03)
    large = [shoot(PLAN, Shot(2, 1, number, "query", Cause("multi_person", 0.4))).truth for number in range(1, 9)]
    assert np.mean([one["dose"] for one in large]) > np.mean(reached) + 0.03
    assert all(one["visible"] > 0.45 for one in large)


def test_truncation_hides_the_share_of_the_body_that_lies_beyond_the_box(clean) -> None:
    planted = shoot(PLAN, Shot(2, 1, 1, "query", Cause("truncation", 0.4, "bottom")))
    shift = round(0.4 * PLAN.height)
    assert 0.3 < planted.truth["visible"] < 0.7 * clean.truth["visible"]
    assert planted.truth["visible_left_lower_leg"] == planted.truth["visible_right_lower_leg"] == 0
    assert planted.truth["visible_head"] == clean.truth["visible_head"] == 1
    kept = clean.parts[:-shift] > 0  # the same pixels, a little nearer to the middle of the view
    assert ((planted.parts[shift:] > 0) == kept).mean() > 0.95


def test_causes_of_the_sensor_leave_maps_alone_and_change_what_they_name(clean) -> None:
    def planted(name: str, dose: float):
        found = shoot(PLAN, Shot(2, 1, 1, "query", Cause(name, dose)))
        assert np.array_equal(found.label, clean.label)
        return found

    dark, red, small = planted("low_light", 2.5), planted("color_cast", 1.2), planted("low_res", 16)
    moved = planted("motion_blur", 10)
    assert dark.truth["stops"] == pytest.approx(clean.truth["stops"] - 2.5, abs=1e-3)
    assert dark.pixels.mean() < 0.7 * clean.pixels.mean()
    warmth = [np.diff(one.pixels.astype(float).mean((0, 1))[[2, 0]]) for one in (red, clean)]
    assert warmth[0] > warmth[1] + 10
    assert small.truth["native_height"] == 16
    detail = [np.abs(np.diff(one.pixels.astype(float), axis=1)).mean() for one in (small, moved, clean)]
    assert max(detail[:2]) < 0.8 * detail[2]
