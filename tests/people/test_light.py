from __future__ import annotations

import numpy as np
import pytest

from resight.people.light import SKY_CELL, height_map, shadows, sky_directions, spread
from resight.people.mesh import Mesh, ellipsoid, moved, painted
from resight.people.places import halvings

UP = np.array([0.0, 0, 1])
GREY = (0.5, 0.5, 0.5)


def ball(at: tuple[float, float, float], radius: float = 0.3) -> Mesh:
    return moved(painted(*ellipsoid((0, 0, 0), (radius,) * 3, rings=24, sides=40), GREY), to=at)


def test_the_open_sky_gives_a_level_surface_the_light_of_one() -> None:
    directions, weights = sky_directions()
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    assert (weights * directions[:, 2]).sum() == pytest.approx(1)
    far = shadows([ball((50, 50, 1))], None)
    assert far.lit(np.zeros((1, 3)), UP)[0] == pytest.approx(1)


def test_the_shadow_of_a_ball_lies_where_its_rays_meet_the_ground() -> None:
    sun = np.array([1.0, 0, 1]) / np.sqrt(2)
    cast = shadows([ball((0, 0, 1))], sun)
    points = np.array([[-1.0, 0, 0], [-1.2, 0.1, 0], [-1.0, 0.4, 0], [0.0, 0, 0], [1.0, 0, 0], [-2, 0, 0]])
    lit = cast.sunlit(points, UP) / sun[2]
    assert lit.tolist() == [0, 0, 1, 1, 1, 1]


def test_a_ball_does_not_shade_its_own_sunny_side() -> None:
    sun = np.array([0.6, 0, 0.8])
    mesh = ball((0, 0, 1))
    cast = shadows([mesh], sun)
    out = (mesh.vertices - [0, 0, 1]) / 0.3
    facing = out @ sun
    lit = cast.sunlit(mesh.vertices.astype(float), out)
    sunny = facing > 0.5
    assert (lit[sunny] > 0.9 * facing[sunny]).mean() > 0.98
    assert (lit[facing < -0.1] == 0).all()


def test_the_ground_under_something_gets_less_sky_than_the_ground_beside_it() -> None:
    cast = shadows([ball((0, 0, 0.35))], None)
    lit = cast.lit(np.array([[0.0, 0, 0], [0.5, 0, 0], [2.0, 0, 0]]), UP)
    assert lit[0] < 0.3
    assert lit[0] < lit[1] < lit[2]


def test_something_far_away_changes_no_bit_of_the_light_here() -> None:
    sun = np.array([0.0, -0.6, 0.8])
    alone, together = shadows([ball((0, 0, 1))], sun), shadows([ball((0, 0, 1)), ball((90, 0, 1))], sun)
    points = np.random.default_rng(0).uniform([-0.5, -0.5, 0], [0.5, 0.5, 0.5], (200, 3))
    assert np.array_equal(alone.sunlit(points, UP), together.sunlit(points, UP))
    assert np.array_equal(alone.lit(points, UP), together.lit(points, UP))


def test_points_on_large_triangles_leave_no_gap_wider_than_asked() -> None:
    mesh = painted(np.array([[0.0, 0, 0], [2, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]]), GREY)
    grid = height_map(spread(mesh, SKY_CELL), UP, SKY_CELL)
    inside = np.array([[0.3, 0.3, -1], [1.0, 0.2, -1], [0.1, 0.8, -1]])
    assert (grid.shadow(inside) == 1).all()


def test_halvings_keep_the_mean_colour_of_what_is_there() -> None:
    texture = np.random.default_rng(0).uniform(0, 1, (64, 96, 4)).astype(np.float32)
    for half in halvings(texture)[1:]:
        there = half[:, :, 3:]
        whole = (texture[:, :, :3] * texture[:, :, 3:]).sum((0, 1)) / texture[:, :, 3].sum()
        assert np.allclose((half[:, :, :3] * there).sum((0, 1)) / there.sum(), whole, atol=2e-3)
