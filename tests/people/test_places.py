from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resight.people.backdrop import backdrop
from resight.people.cameras import PLACES, draw_camera
from resight.people.paint import TEXELS, WIDE
from resight.people.places import BACKDROPS, GROUNDS, Screen, Site, halvings
from resight.people.scene import View

VIEW = View(np.array([0.0, -6, 3]), np.array([0.0, 0, 1]), 20.0, 32, 16)
EVERYWHERE = np.ones((32, 16), bool)


def plain(colour: float, high: int = 8 * TEXELS) -> np.ndarray:
    return np.dstack([np.full((high, WIDE * TEXELS, 3), colour), np.ones((high, WIDE * TEXELS))]).astype(np.float32)


@pytest.mark.parametrize("name", [*BACKDROPS, *GROUNDS])
def test_textures_are_reflectances_and_the_same_chance_paints_the_same(name: str) -> None:
    painter = {**BACKDROPS, **GROUNDS}[name]
    for seed in range(12):
        found = painter(np.random.default_rng(seed))
        assert found.dtype == np.float32
        assert found.shape[2] == 4
        assert found.min() >= 0
        assert found[:, :, :3].max() <= 1.5
        assert (found[:, :, 3] <= 1).all()
    assert np.array_equal(found, painter(np.random.default_rng(11)))


def test_all_places_occur_among_the_first_cameras() -> None:
    assert {draw_camera(4, number).place for number in range(1, len(PLACES) + 1)} == set(PLACES)
    assert len(PLACES) >= 8


def test_a_pixel_shows_the_nearest_surface_on_its_ray() -> None:
    ground = halvings(plain(0.2))
    site = Site(ground, ground, 99.0, (Screen(4.0, halvings(plain(0.5))), Screen(9.0, halvings(plain(0.8)))), 0.2)
    found = backdrop(site, VIEW, EVERYWHERE, yaw=0.0, shift=(0.0, 0.0), walk=0.0)
    rays = VIEW.rays().reshape(-1, 3)
    on_ground = VIEW.eye[1] + rays[:, 1] * -VIEW.eye[2] / np.minimum(rays[:, 2], -1e-9) < 4
    on_ground &= rays[:, 2] < 0
    assert 0 < on_ground.sum() < on_ground.size
    assert np.array_equal(found.upright, ~on_ground)
    assert np.allclose(found.colours, np.where(on_ground, 0.2, 0.5)[:, None], atol=1e-5)
    assert np.allclose(found.points[on_ground, 2], 0, atol=1e-4)
    assert np.allclose(found.points[~on_ground, 1], 4, atol=1e-4)


def test_gaps_show_what_is_behind_them() -> None:
    ground, gappy = halvings(plain(0.2)), plain(0.5)
    gappy[:, :, 3] = 0
    site = Site(ground, ground, 99.0, (Screen(1.0, halvings(gappy)), Screen(4.0, halvings(plain(0.8)))), 0.2)
    without = replace(site, screens=site.screens[1:])
    one, two = (backdrop(each, VIEW, EVERYWHERE, yaw=0.3, shift=(1.0, 0.5), walk=0.0) for each in (site, without))
    assert np.array_equal(one.colours, two.colours)
    assert np.array_equal(one.points, two.points)


def test_some_pixels_alone_are_the_same_as_among_all() -> None:
    ground = halvings(np.random.default_rng(0).uniform(0, 1, (64, 64, 4)).astype(np.float32))
    site = Site(ground, ground, 2.0, (Screen(4.0, halvings(plain(0.8))),), 0.2)
    some = np.random.default_rng(1).random(EVERYWHERE.shape) < 0.3
    found, whole = (backdrop(site, VIEW, where, yaw=0.2, shift=(3.0, 0.2), walk=0.0) for where in (some, EVERYWHERE))
    assert np.allclose(found.points, whole.points[some.ravel()])
    assert np.allclose(found.colours, whole.colours[some.ravel()])


def test_a_ray_through_a_pixel_is_projected_back_onto_it_also_when_pixels_are_divided() -> None:
    y, x = np.mgrid[: VIEW.height, : VIEW.width]
    for distance in (1.0, 7.0):
        found = VIEW.project((VIEW.eye + distance * VIEW.rays()).reshape(-1, 3))
        assert np.allclose(found, np.column_stack([x.ravel(), y.ravel(), np.full(x.size, distance)]))
    assert np.allclose(VIEW.finer(3).rays()[1::3, 1::3], VIEW.rays())
