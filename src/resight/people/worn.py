"""What sits on a body without being cut from its shells: hair, hats, glasses, scarves and bags.

Everything is made on the body at rest and carried by one bone. Proof: tests/people/test_people.py.
"""

from __future__ import annotations

import functools

import numpy as np

from resight.people.anatomy import SHELLS, load_anatomy
from resight.people.body import parts, rest_body
from resight.people.identity import Identity
from resight.people.mesh import Mesh, ellipsoid, grid_faces, kept, normals, painted, tube

HAT, HAIR, SUNGLASSES, SCARF = 1, 2, 4, 11


@functools.lru_cache(maxsize=8)
def worn(identity: Identity) -> tuple[tuple[Mesh, str], ...]:
    """All of it on the body at rest, each with the bone that carries it (`hang:L`: it hangs from the left hand)."""
    rest = rest_body(identity.shape)
    found = [*hair(identity, rest.vertices), *hat(identity, rest.vertices), *glasses(identity, rest.vertices)]
    found += [*scarf(identity, rest.heads), *bag(identity, rest.vertices, rest.heads)]
    return tuple((mesh if bone.startswith("hang:") else kept(mesh), bone) for mesh, bone in found)


@functools.cache
def _scalp() -> np.ndarray:
    """Height above the hair line of every corner of the head on the mean body, metres; the face is below."""
    anatomy = load_anatomy()
    depth, height = anatomy.template[:, 1], anatomy.template[:, 2]
    line = np.interp(
        depth,
        [-0.17, -0.125, -0.085, -0.06, -0.045, -0.02, 0.0, 0.04],
        [0.83, 0.805, 0.79, 0.775, 0.735, 0.735, 0.67, 0.64],
    )
    found = height - line
    found[(parts() != 1) | (anatomy.shell != 0) | _ears()] = -1
    return np.asarray(found)


def _ears() -> np.ndarray:
    at = load_anatomy().template
    return np.asarray((np.abs(at[:, 0]) > 0.078) & (at[:, 2] < 0.77) & (at[:, 2] > 0.67) & (at[:, 1] < 0.0))


def hair(identity: Identity, rest: np.ndarray) -> list[tuple[Mesh, str]]:
    """Hair as meshes at rest with the bone that carries each."""
    style = identity.hair_style
    if style == "bald":
        return []
    anatomy = load_anatomy()
    colour = np.asarray(identity.hair_colour)
    thick = {"crop": 0.013, "short": 0.027}.get(style, 0.023)
    mine = _scalp() > 0
    faces = anatomy.skin[mine[anatomy.skin].any(1)]
    skull = anatomy.skin[(parts() == 1)[anatomy.skin].all(1)]
    out = normals(rest.astype(float), skull)
    lift = thick * np.clip(_scalp() / 0.035, 0.15, 1)
    top = np.clip((anatomy.template[:, 2] - 0.78) / 0.07, 0, 1)
    moved = rest + out * lift[:, None] + np.array([0, 0, 1.0]) * (0.4 * thick * top)[:, None]
    strands = 1 + 0.25 * np.sin(anatomy.template @ np.array([90.0, 130.0, 60.0]))
    found = [
        (
            Mesh(
                moved.astype(np.float32),
                faces,
                np.clip(colour * strands[:, None], 0, 0.9).astype(np.float32),
                np.full(len(faces), HAIR, np.uint8),
            ),
            "head",
        )
    ]
    crown, jaw, back = _head_size(rest)
    if style in ("bob", "long"):
        end = jaw - 0.02 if style == "bob" else jaw - 0.12 - 0.16 * identity.length
        found.append((painted(*_curtain(crown, end, back), colour, HAIR), "neck03" if style == "long" else "head"))
    if style in ("ponytail", "bun"):
        high = crown[2] - 0.075 + 0.03 * identity.length
        if style == "bun":
            found.append((painted(*ellipsoid((0, back, high), (0.04, 0.035, 0.038)), colour, HAIR), "head"))
        else:
            drop = np.linspace(0, 1, 7)
            path = np.stack([0 * drop, back + 0.015 + 0.045 * np.sin(drop * 2.6), high - 0.26 * drop], 1)
            found.append((painted(*tube(path, 0.026 * np.sqrt(np.maximum(0.05, 1 - drop**2))), colour, HAIR), "head"))
    return found


def _head_size(rest: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Crown (a point), height of the jaw, and how far back the head reaches."""
    skin = load_anatomy().shell == 0
    head = rest[skin & (parts() == 1)]
    crown = head[head[:, 2].argmax()]
    return crown, float(crown[2] - 0.235), float(head[head[:, 2] > crown[2] - 0.15][:, 1].max())


def _curtain(crown: np.ndarray, end: float, back: float) -> tuple[np.ndarray, np.ndarray]:
    """Hair that falls round the back and the sides of the head down to `end`."""
    turn = np.deg2rad(np.linspace(-118, 118, 21))[None]
    down = np.linspace(0, 1, 12)[:, None]
    height = crown[2] - 0.06 + down * (end - crown[2] + 0.06)
    fall = np.clip((crown[2] - 0.06 - height) / 0.1, 0, 1)
    wide = 0.078 + 0.018 * fall + 0 * turn
    deep = back - 0.02 + 0.045 * fall + 0.03 * np.clip((crown[2] - 0.25 - height) / 0.1, 0, 1)
    centre = -0.02
    x, y = wide * np.sin(turn), centre + (deep - centre) * np.cos(turn)
    y = np.where(np.cos(turn) < 0, centre + 0.06 * np.cos(turn), y)
    corners = np.stack([x, y, height + 0 * turn], -1).reshape(-1, 3)
    return corners, grid_faces(12, 21, closed=False)


def hat(identity: Identity, rest: np.ndarray) -> list[tuple[Mesh, str]]:
    """Cap, hat or beanie."""
    if identity.hat == "none":
        return []
    crown, _, back = _head_size(rest)
    front = -0.165 + (back - 0.04)
    middle = (0.0, (back + front) / 2, crown[2] - 0.075)
    deep, wide = (back - front) / 2 + 0.014, 0.092
    corners, faces = ellipsoid(middle, (wide, deep, 0.1 if identity.hat != "beanie" else 0.115), rings=12)
    faces = faces[corners[faces][:, :, 2].min(1) > middle[2] - 0.012]
    colour = identity.hat_cloth.colour
    found = [painted(corners, faces, colour, HAT)]
    if identity.hat == "cap":
        turn = np.deg2rad(np.linspace(-62, 62, 9))[None]
        out = np.array([1.0, 1.75])[:, None]
        x, y = wide * np.sin(turn) * (0.9 + 0.1 * out), middle[1] - deep * np.cos(turn) * out
        brim = np.stack([x, y, middle[2] - 0.015 * out + 0 * turn], -1).reshape(-1, 3)
        found.append(painted(brim, grid_faces(2, 9, closed=False), np.asarray(identity.hat_cloth.second), HAT))
    elif identity.hat == "hat":
        turn = np.linspace(0, 2 * np.pi, 18, endpoint=False)[None]
        out = np.array([0.95, 1.75])[:, None]
        brim = np.stack(
            [
                wide * np.sin(turn) * out,
                middle[1] + deep * np.cos(turn) * out,
                middle[2] + 0.005 - 0.02 * (out - 1) + 0 * turn,
            ],
            -1,
        )
        found.append(painted(brim.reshape(-1, 3), grid_faces(2, 18, closed=True), colour, HAT))
    return [(mesh, "head") for mesh in found]


def glasses(identity: Identity, rest: np.ndarray) -> list[tuple[Mesh, str]]:
    """Sunglasses before the eyes."""
    if not identity.glasses:
        return []
    anatomy = load_anatomy()
    found = []
    for name in ("helper-l-eye", "helper-r-eye"):
        eye = rest[anatomy.shell == SHELLS.index(name)].mean(0)
        front = rest[anatomy.shell == SHELLS.index(name)][:, 1].min()
        lens = ellipsoid((eye[0] * 1.08, front - 0.008, eye[2] - 0.003), (0.031, 0.009, 0.022), square=0.7)
        found.append((painted(*lens, (0.012, 0.012, 0.014), SUNGLASSES), "head"))
    return found


def scarf(identity: Identity, heads: np.ndarray) -> list[tuple[Mesh, str]]:
    """A ring of cloth round the neck with an end that hangs down the chest."""
    if not identity.scarf:
        return []
    anatomy = load_anatomy()
    neck = heads[anatomy.bone("neck01")] * [0, 1, 1]
    turn = np.linspace(0, 2 * np.pi, 19)
    ring = np.stack([0.085 * np.sin(turn), -0.085 * np.cos(turn), 0.015 * np.cos(turn) + 0.012], 1) + neck
    rows = np.linspace(0, 1, 7)
    end = np.stack([0.04 + 0 * rows, -0.095 - 0.05 * np.sin(rows * 1.8), -0.01 - 0.28 * rows], 1) + neck
    colours = identity.scarf_cloth
    meshes = [
        painted(*tube(ring, 0.034), colours.colour, SCARF),
        painted(*tube(end, 0.032), colours.second if colours.pattern != "plain" else colours.colour, SCARF),
    ]
    return [(mesh, "spine01") for mesh in meshes]


def bag(identity: Identity, rest: np.ndarray, heads: np.ndarray) -> list[tuple[Mesh, str]]:
    """Rucksack, shoulder bag, handbag or shopping bag: label 0, since `lip20` has no bag."""
    if identity.bag == "none":
        return []
    anatomy = load_anatomy()
    sign, side = (1, "L") if identity.bag_side == "left" else (-1, "R")
    colour, second = identity.bag_cloth.colour, identity.bag_cloth.second
    skin = rest[(anatomy.shell == 0) & (parts() == 2)]
    chest = heads[anatomy.bone("spine01")]
    if identity.bag == "rucksack":
        behind = float(skin[:, 1].max()) + 0.075
        size = 0.85 + 0.3 * identity.length
        sack = ellipsoid((0, behind, chest[2] - 0.13), (0.155 * size, 0.085 * size, 0.22 * size), square=0.55)
        pocket = ellipsoid((0, behind + 0.07 * size, chest[2] - 0.2), (0.11 * size, 0.04, 0.09), square=0.5)
        meshes = [painted(*sack, colour), painted(*pocket, second if identity.bag_cloth.pattern != "plain" else colour)]
        front = float(skin[:, 1].min())
        for x in (0.085, -0.085):
            path = np.array(
                [
                    [x, behind - 0.05, chest[2] + 0.03],
                    [x, -0.02, chest[2] + 0.172],
                    [x, -0.12, chest[2] + 0.11],
                    [x * 1.1, front - 0.03, chest[2] - 0.03],
                    [x * 1.6, front + 0.02, chest[2] - 0.17],
                    [x * 1.4, behind - 0.06, chest[2] - 0.25],
                ]
            )
            meshes.append(painted(*tube(path, 0.018, sides=6), colour))
        return [(mesh, "spine02") for mesh in meshes]
    if identity.bag == "shoulder-bag":
        hip = heads[anatomy.bone(f"upperleg01.{side}")]
        wide = float(np.abs(skin[np.abs(skin[:, 2] - hip[2]) < 0.05][:, 0]).max()) + 0.06
        box = ellipsoid((sign * wide, 0.02, hip[2] + 0.02), (0.055, 0.15, 0.12), square=0.5)
        front, behind = float(skin[:, 1].min()) - 0.015, float(skin[:, 1].max()) + 0.02
        path = np.array(
            [
                [sign * wide, -0.08, hip[2] + 0.12],
                [0.03 * sign, front, chest[2] - 0.12],
                [-0.09 * sign, -0.06, chest[2] + 0.15],
                [-0.06 * sign, behind, chest[2] - 0.02],
                [sign * wide, 0.1, hip[2] + 0.12],
            ]
        )
        return [(painted(*box, colour), "spine05"), (painted(*tube(path, 0.014, sides=6), colour), "spine05")]
    radii = (0.06, 0.16, 0.13) if identity.bag == "handbag" else (0.08, 0.15, 0.19)
    return [(painted(*ellipsoid((0, 0, -0.2), radii, square=0.45), colour), f"hang:{side}")]
