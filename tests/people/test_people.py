"""Laws of bodies, clothes and pictures; they need the extra `people`."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from mirrored_pose import mirrored_pose
from resight.data.labels import BODY10, LIP20
from resight.people import anatomy
from resight.people.anatomy import Anatomy, load_anatomy
from resight.people.causes import Cause
from resight.people.plan import Plan, Shot

pytest.importorskip("anny")

PLAN = Plan(persons=3, cameras=2, pictures=2, seed=5, twins=True)


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def areas(meshes, count: int) -> np.ndarray:
    found = np.zeros(count)
    for mesh in meshes:
        a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(float) for corner in range(3))
        found += np.bincount(mesh.labels, np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2, minlength=count)
    return found


def test_the_mirrored_pose_swaps_left_and_right() -> None:
    from resight.people.figure import make_figure
    from resight.people.identity import draw_identity, draw_pose

    identity = replace(draw_identity(chance(2)), bag="none", gloves=False)
    pose = replace(draw_pose(identity, chance(1)), left_lift=40.0, left_bend=90.0)
    one, two = make_figure(identity, pose), make_figure(identity, mirrored_pose(pose))
    first, second = areas(one.meshes, 20), areas(two.meshes, 20)
    assert np.allclose(first[LIP20.swap()], second, rtol=0.04, atol=2e-3)
    assert np.allclose(areas([one.body], 11)[BODY10.swap()], areas([two.body], 11), rtol=0.03, atol=1e-3)
    swap = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    assert np.allclose(one.keypoints[swap] * [-1, 1, 1], two.keypoints, atol=0.015)


def test_left_is_the_own_left_and_somebody_stands_on_the_ground() -> None:
    from resight.people.figure import make_figure
    from resight.people.identity import draw_identity, draw_pose

    identity = draw_identity(chance(3))
    figure = make_figure(identity, draw_pose(identity, chance(1)))
    left, right = figure.keypoints[[5, 11]], figure.keypoints[[6, 12]]
    assert (left[:, 0] > right[:, 0]).all()  # facing -y, the own left lies at +x
    assert figure.keypoints[0, 1] < figure.keypoints[[3, 4], 1].mean()  # the nose lies before the ears
    lowest = min(mesh.vertices[:, 2].min() for mesh in figure.meshes)
    assert -0.03 < lowest < 0.03
    assert 1.1 < figure.height < 2.15


def test_the_same_person_and_pose_give_the_same_figure() -> None:
    from resight.people.figure import make_figure
    from resight.people.identity import draw_identity, draw_pose

    identity = draw_identity(chance(4))
    one, two = (make_figure(identity, draw_pose(identity, chance(1))) for _ in range(2))
    assert all(np.array_equal(a.vertices, b.vertices) for a, b in zip(one.meshes, two.meshes, strict=True))


def test_look_alikes_share_what_they_are_asked_to() -> None:
    from resight.people.identity import draw_identity, look_alike

    somebody = draw_identity(chance(1))
    double = look_alike(somebody, 1.0, chance(2))
    assert replace(double, shape=somebody.shape) == somebody
    assert look_alike(somebody, 0.0, chance(2)) == draw_identity(chance(2))


def test_everything_that_lip20_names_is_worn_by_somebody_and_rare_things_are_rare() -> None:
    from resight.people.figure import clothes
    from resight.people.identity import draw_identity

    count = np.zeros(len(LIP20.classes))
    for seed in range(500):
        identity = draw_identity(chance(seed))
        for label in {garment.label for garment in clothes(identity)}:
            count[label] += 1
        flags = (identity.hat != "none", identity.hair_style != "bald", identity.gloves, identity.glasses)
        for label, worn in zip((1, 2, 3, 4, 11), (*flags, identity.scarf), strict=True):
            count[label] += worn
    always = [0, 13, 14, 15, 16, 17]  # background, face, arms and legs
    assert (np.delete(count, always) >= 5).all(), dict(zip(LIP20.classes, count, strict=True))
    for name in ("glove", "scarf", "sunglasses", "jumpsuits"):
        assert count[LIP20.classes.index(name)] < 75


@pytest.fixture(scope="module")
def covered():
    from resight.people.shoot import shoot

    shot = Shot(1, 1, 1, "query", Cause("occlusion", 0.4, "pole"))
    return shoot(PLAN, shot), shoot(PLAN, replace(shot, cause=None))


@pytest.mark.slow
def test_pictures_come_out_the_same_twice(covered) -> None:
    from resight.people.shoot import shoot

    again = shoot(PLAN, Shot(1, 1, 1, "query", Cause("occlusion", 0.4, "pole")))
    assert np.array_equal(again.pixels, covered[0].pixels)
    assert again.truth == covered[0].truth


@pytest.mark.slow
def test_a_twin_is_the_clean_picture_and_equals_the_planted_one_beyond_cause_and_shadow(covered) -> None:
    planted, clean = covered
    assert np.array_equal(planted.twin, clean.pixels)
    away = planted.reach == 0
    assert away.any()
    assert np.abs(planted.pixels[away].astype(int) - planted.twin[away]).mean() <= 2


@pytest.mark.slow
def test_the_visible_share_falls_by_what_the_occluder_hides(covered) -> None:
    planted, clean = covered
    body = clean.parts > 0
    assert np.array_equal(planted.parts, clean.parts)  # the body is whole where it is hidden
    hidden = (body & (clean.persons == 1) & (planted.persons != 1)).sum() / body.sum()
    assert planted.truth["visible"] == pytest.approx(clean.truth["visible"] - hidden, abs=0.06)
    assert 0.2 < planted.truth["dose"] < 0.6


@pytest.mark.slow
def test_visible_keypoints_lie_on_the_person(covered) -> None:
    clean = covered[1]
    points = np.array([[float(v) for v in word.split(",")] for word in clean.truth["keypoints"].split()])
    assert len(points) == 17
    for x, y, state in points:
        if state == 2:
            assert clean.persons[round(y), round(x)] == 1
    assert (points[:, 2] == 2).sum() >= 5


def test_reading_the_body_model_says_nothing_and_leaves_one_file(tmp_path: Path, monkeypatch, capfd) -> None:
    """Warp's C++ writes to the shell, anny keeps 900 MB for its next start."""

    def read() -> dict[str, np.ndarray]:
        print("Warp initialized")
        os.write(2, b"Warp CUDA warning")
        for name in ("ANNY_CACHE_DIR", "WARP_CACHE_PATH"):
            Path(os.environ[name], name).touch()
        return {field.name: np.zeros(1) for field in fields(Anatomy)}

    for name in ("ANNY_CACHE_DIR", "WARP_CACHE_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(anatomy, "_from_anny", read)
    print("before")
    before = dict(os.environ)
    load_anatomy.__wrapped__()
    print("after")
    assert capfd.readouterr() == ("before\nafter\n", "")
    assert dict(os.environ) == before
    kept = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert kept == [f"cache/anatomy-{metadata.version('anny')}-1.npz"]
