"""Garments cut from the clothing shells of the body model, and the skin that they leave bare.

A garment is a field over the shell's corners at rest (above zero where there is cloth), cut there with straight hems,
then carried along by the posed body and held away from it. Proof: tests/people/test_people.py.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from resight.people.anatomy import SHELLS, load_anatomy
from resight.people.body import parts
from resight.people.cloth import Cloth, cloth_colours
from resight.people.mesh import Mesh, cut, normals

WAIST, CROTCH = 0.17, -0.03
"""Heights on the mean body at rest, metres above its middle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """Where a garment ends; lengths run 0 at shoulder or hip, 1 at elbow or knee, 2 at wrist or ankle."""

    top: float = 9.0
    """Highest point on the trunk, metres on the mean body."""
    bottom: float = -9.0
    """Lowest point on the trunk."""
    sleeve: float = 0.0
    """Length of the sleeves, 0 none."""
    leg: float = 0.0
    """Length of the legs, 0 none."""
    leg_from: float = -1.0
    """Where the legs begin: for socks."""
    neck: float = 0.07
    """Radius of the opening for the neck, metres; 0 closes it."""
    open_front: float = 0.0
    """Half the width of an open front, metres."""
    side: int = 0
    """1 keeps the own left half alone, -1 the right one."""
    skirt: float = -9.0
    """Hem of a hanging skirt on the mean body, metres; -9 none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Garment:
    """One piece of clothing."""

    label: int
    """In `lip20`."""
    cut: Cut
    cloth: Cloth
    away: float = 0.008
    """How far it is held from the body, metres."""
    loose: float = 0.0
    """How much more at waist, hem and leg ends, metres."""
    fine: bool = True
    """Whether the shell is divided, for patterns and round hems."""


@dataclass(frozen=True)
class Fields:
    """Where every corner lies on the mean body; distances in metres, lengths as in Cut."""

    places: np.ndarray
    arm: np.ndarray
    """0 at the shoulder, 1 elbow, 2 wrist; below 0 on the trunk."""
    leg: np.ndarray
    """0 at the hip, 1 knee, 2 ankle, above 2 the foot; -1 elsewhere."""
    is_arm: np.ndarray
    is_leg: np.ndarray
    front: np.ndarray


@functools.cache
def fields() -> Fields:
    """Fields of all corners."""
    anatomy, part = load_anatomy(), parts()
    places = anatomy.template
    arm, leg = np.full(len(places), -1.0), np.full(len(places), -1.0)
    is_arm, is_leg = (part >= 3) & (part <= 6), part >= 7
    chains = {"L": 1, "R": -1}
    for side, sign in chains.items():
        joints = {name: anatomy.heads[anatomy.bone(f"{name}.{side}")] for name in _JOINTS}
        mine = places[:, 0] * sign > 0
        arm = np.where(mine, _along(places, joints["upperarm01"], joints["lowerarm01"], joints["wrist"]), arm)
        leg = np.where(mine, _along(places, joints["upperleg01"], joints["lowerleg01"], joints["foot"]), leg)
    front = (normals(places.astype(float), anatomy.faces)[:, 1] < 0).astype(float)
    return Fields(places, arm, leg, is_arm, is_leg, front)


_JOINTS: Final = ("upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot")


def _along(places: np.ndarray, first: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    """Length along two bones, 0 at the first joint, 1 at the second, 2 at the third."""
    upper, lower = second - first, third - second
    one = (places - first) @ upper / (upper @ upper)
    two = (places - second) @ lower / (lower @ lower)
    blend = 1 / (1 + np.exp(-np.clip((np.minimum(one, 2) - 1 + two) * 8, -30, 30)))
    return np.asarray((1 - blend) * np.minimum(one, 1.3) + blend * (1 + np.maximum(two, -0.3)))


def level(how: Cut, shell: str) -> np.ndarray:
    """Field of a garment over all corners: above zero where there is cloth, about metres to the next hem."""
    at = fields()
    if shell == "helper-skirt":
        return np.asarray(np.minimum(at.places[:, 2] - how.skirt, 1.0))
    height = at.places[:, 2]
    trunk = np.minimum(how.top - height, height - how.bottom)
    ring = np.hypot(at.places[:, 0], at.places[:, 1] + 0.02) - how.neck
    trunk = np.where(height > 0.45, np.minimum(trunk, ring + np.maximum(0, 0.53 - height) * 3), trunk)
    if how.open_front:
        trunk = np.where(at.front > 0.5, np.minimum(trunk, np.abs(at.places[:, 0]) - how.open_front), trunk)
    socks = how.leg_from >= 0
    legs = np.minimum(np.minimum(how.leg - at.leg, at.leg - how.leg_from) * 0.4, how.top - height)
    found = np.where(at.is_leg, legs if how.leg else trunk, -1.0 if socks else trunk)
    arm = np.full(len(height), -1.0)
    if how.sleeve and how.top > 0.5:
        arm = (how.sleeve - at.arm) * 0.28
    found = np.where(at.is_arm, np.where(at.arm < 0, np.minimum(arm, 1.0), arm), found)
    return np.asarray(np.minimum(found, at.places[:, 0] * how.side) if how.side else found)


@functools.lru_cache(maxsize=64)
def pattern_piece(how: Cut, shell: str, fine: bool) -> tuple[sparse.csr_matrix, np.ndarray]:
    """What is cut out of a shell: how its corners arise from the body's (N V), and its triangles."""
    anatomy = load_anatomy()
    faces = anatomy.of_shells(shell).astype(np.int64)
    corners = sparse.identity(len(anatomy.shell), format="csr", dtype=np.float32)
    field = level(how, shell)
    if fine:
        faces = faces[(field[faces] > -0.1).any(1)]
        faces, pairs = _halved(faces, len(field))
        corners = _with_new(corners, pairs, np.full(len(pairs), 0.5))
        field = corners @ field
    faces, pairs, shares = cut(faces, field)
    corners = _with_new(corners, pairs, shares)
    used, inverse = np.unique(faces, return_inverse=True)
    return corners[used].tocsr(), inverse.reshape(faces.shape).astype(np.int32)


def _with_new(corners: sparse.csr_matrix, pairs: np.ndarray, shares: np.ndarray) -> sparse.csr_matrix:
    """Rows added that lie between two old rows each."""
    first, second = corners[pairs[:, 0]], corners[pairs[:, 1]]
    between = sparse.diags(1 - shares) @ first + sparse.diags(shares) @ second
    return sparse.vstack([corners, between]).tocsr().astype(np.float32)


def _halved(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle as four; new corners are the middles of the edges."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    pairs, number = np.unique(edges, axis=0, return_inverse=True)
    a, b, c = (count + number.reshape(3, -1)).astype(np.int64)
    x, y, z = faces.T
    return np.concatenate([np.stack(part, 1) for part in ((x, a, c), (a, y, b), (c, b, z), (a, b, c))]), pairs


def sew(garment: Garment, posed: np.ndarray) -> list[Mesh]:
    """Meshes of a garment on a posed body (V 3 corners of all shells)."""
    found, at = [], fields()
    shells = ("helper-tights", "helper-skirt") if garment.cut.skirt > -9 else ("helper-tights",)
    for shell in shells:
        corners, faces = pattern_piece(garment.cut, shell, garment.fine)
        if not len(faces):
            continue
        places = corners @ at.places
        surface = corners @ posed
        out = normals(surface, faces)
        away = np.full(len(places), garment.away)
        if garment.loose:
            away = away + garment.loose * _slack(garment, places, corners)
        rng = np.random.default_rng(garment.cloth.seed)
        folds = np.sin(places @ (rng.normal(0, 1, (4, 3)) * [22, 22, 11]).T + rng.uniform(0, 6, 4)).mean(1)
        small = np.sin(places @ (rng.normal(0, 1, (3, 3)) * [55, 55, 30]).T + rng.uniform(0, 6, 3)).mean(1)
        vertices = surface + out * (away * (1 + 0.3 * folds) + 0.004 * folds + 0.16 * away * small)[:, None]
        colours = cloth_colours(garment.cloth, places, corners @ at.front, corners @ at.is_arm.astype(np.float32))
        found.append(Mesh(vertices.astype(np.float32), faces, colours, np.full(len(faces), garment.label, np.uint8)))
    return found


def _slack(garment: Garment, places: np.ndarray, corners: sparse.csr_matrix) -> np.ndarray:
    """Share of the looseness at each corner: most at the waist, the hem and down the legs."""
    at = fields()
    height = places[:, 2]
    waist = np.exp(-(((height - WAIST) / 0.13) ** 2))
    hem = np.clip((0.45 - height) / 0.5, 0, 1.2)
    leg = corners @ at.leg.astype(np.float32)
    legs = np.clip(leg, 0, 2) * 0.8
    if garment.cut.leg and garment.cut.top < 0.5:  # trousers hold on at the waist
        return np.asarray(legs * np.clip((WAIST - 0.1 - height) / 0.1, 0, 1))
    trunk = np.where(corners @ at.is_arm.astype(np.float32) > 0.5, 0.35, np.maximum(waist, 0.8 * hem))
    return np.asarray(np.where(corners @ at.is_leg.astype(np.float32) > 0.5, legs, trunk))


@functools.cache
def _under_shell() -> tuple[np.ndarray, np.ndarray]:
    """For each corner of the skin, the corner of the tights that lies nearest over it, and whether it is near."""
    anatomy = load_anatomy()
    tights = np.flatnonzero(anatomy.shell == SHELLS.index("helper-tights"))
    over = tights[cKDTree(anatomy.template[tights]).query(anatomy.template)[1]]
    return over, np.linalg.norm(anatomy.template - anatomy.template[over], axis=1) < 0.04


def covered(cuts: Iterable[Cut]) -> np.ndarray:
    """Which corners of the skin lie under cloth, well inside its hems."""
    over, near = _under_shell()
    deep = [level(how, "helper-tights")[over] > 0.025 for how in cuts]
    return np.asarray(np.any(deep, axis=0) & near)
