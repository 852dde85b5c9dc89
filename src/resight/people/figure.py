"""A dressed person in a pose: everything that is seen of somebody, and the body under it.

Proof: tests/people/test_people.py.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from resight.people.anatomy import load_anatomy
from resight.people.body import Pose, parts, pose_frames, rest_body, skin_body
from resight.people.identity import Identity
from resight.people.mesh import Mesh, kept, normals
from resight.people.wardrobe import CROTCH, WAIST, Cut, Garment, covered, fields, sew
from resight.people.worn import worn

UPPER, DRESS, COAT, SOCKS, PANTS, JUMPSUIT, SKIRT, FACE = 5, 6, 7, 8, 9, 10, 12, 13
GLOVE, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG, LEFT_SHOE, RIGHT_SHOE = 3, 14, 15, 16, 17, 18, 19
SLEEVES: Final = {"t-shirt": (0.45, 0.95), "shirt": (1.85, 2.0), "long-sleeve": (1.8, 2.02), "sleeveless": (0.06, 0.1)}
SOLES: Final = {"trainers": 0.022, "boots": 0.026, "sandals": 0.012}
"""How high the bare foot stands above the ground, metres."""
EYE_COLOUR: Final = (0.05, 0.04, 0.035)


@dataclass(frozen=True, slots=True)
class Figure:
    """Somebody standing at x = y = 0 on z = 0, facing -y; metres."""

    meshes: tuple[Mesh, ...]
    """All that is seen, with labels of `lip20`; what is carried has label 0."""
    body: Mesh
    """The whole undressed body, with labels of `body10`."""
    keypoints: np.ndarray
    """17 3, in COCO's order."""
    height: float
    """From the ground to the crown, metres."""


def make_figure(identity: Identity, pose: Pose) -> Figure:
    """Pose and dress somebody; the same identity and pose give the same figure to the last bit."""
    anatomy = load_anatomy()
    rest = rest_body(identity.shape)
    frames = pose_frames(rest, pose)
    posed = skin_body(rest, frames)
    skin = bare_skin(identity)
    meshes = [mesh for garment in clothes(identity) for mesh in sew(garment, posed)]
    meshes += [piece.on(posed) for piece in skin.bare]
    if skin.hands is not None:
        meshes.insert(-1, skin.hands.on(posed + 0.006 * normals(posed.astype(float), skin.faces)))
    meshes += [_carried(mesh, bone, rest.heads, frames) for mesh, bone in worn(identity)]
    lowest = float(posed[anatomy.shell == 0, 2].min())
    up = np.array([0, 0, SOLES[identity.shoes] - lowest], np.float32)
    body = _undressed().on(posed)
    lifted = [replace(mesh, vertices=mesh.vertices + up) for mesh in (body, *meshes) if len(mesh.faces)]
    top = float(posed[anatomy.shell == 0, 2].max() + up[2])
    keypoints = (anatomy.keypoints @ posed + up).astype(np.float32)
    return Figure(tuple(lifted[1:]), lifted[0], keypoints, top)


def clothes(identity: Identity) -> list[Garment]:
    """Garments of somebody, from the skin outwards."""
    long, slack = identity.length, identity.slack
    found = []
    if identity.sock_height < 2.5 and identity.shoes != "sandals":
        found.append(
            Garment(
                label=SOCKS,
                cut=Cut(leg=9, leg_from=identity.sock_height, top=WAIST),
                cloth=identity.sock_cloth,
                away=0.003,
                fine=False,
            )
        )
    low = 0.012 + 0.05 * slack
    sleeve = float(np.interp(long, [0, 1], SLEEVES[identity.upper]))
    top = Cut(bottom=WAIST - 0.1 - 0.12 * long, sleeve=sleeve, neck=0.062 + 0.02 * slack)
    over_loose = 0.01 + 0.03 * slack if identity.outer == "none" else 0.002
    over = Garment(label=UPPER, cut=top, cloth=identity.upper_cloth, away=0.012, loose=over_loose)
    legs = {"trousers": 1.9 + 0.12 * long, "shorts": 0.45 + 0.6 * long, "jumpsuit": 1.9}.get(identity.lower)
    if identity.lower == "jumpsuit":
        whole = replace(top, bottom=-9.0, leg=1.9)
        found.append(Garment(label=JUMPSUIT, cut=whole, cloth=identity.upper_cloth, away=0.014, loose=low * 0.4))
    elif identity.lower == "dress":
        hem = float(np.interp(long, [0, 1], [-0.18, -0.5]))
        whole = replace(top, bottom=WAIST - 0.06, skirt=hem)
        found.append(Garment(label=DRESS, cut=whole, cloth=identity.upper_cloth, away=0.01, loose=0.01))
    else:
        if legs:
            trousers = Cut(top=WAIST - 0.02, leg=legs)
            found.append(
                Garment(
                    label=PANTS,
                    cut=trousers,
                    cloth=identity.lower_cloth,
                    away=0.008,
                    loose=low * 0.55,
                    fine=identity.lower_cloth.pattern != "plain",
                )
            )
        else:
            hem = float(np.interp(long, [0, 1], [-0.12, -0.34] if identity.lower == "skirt" else [-0.5, -0.68]))
            found.append(Garment(label=SKIRT, cut=Cut(top=-9, skirt=hem), cloth=identity.lower_cloth, away=0.004))
        found.append(over)
    if identity.outer != "none":
        is_open = 0.05 if identity.outer.startswith("open") else 0.0
        coat = Cut(bottom=WAIST - 0.14 - 0.06 * long, sleeve=2.02, neck=0.07, open_front=is_open)
        if identity.outer.endswith("coat"):
            coat = replace(coat, bottom=WAIST - 0.06, skirt=CROTCH - 0.1 - 0.3 * long)
        found.append(
            Garment(
                label=COAT, cut=coat, cloth=identity.outer_cloth, away=0.02 + 0.01 * slack, loose=0.014 + 0.024 * slack
            )
        )
    top_of_shoe = {"trainers": 1.93, "boots": 1.62, "sandals": 2.02}[identity.shoes]
    for label, side in ((LEFT_SHOE, 1), (RIGHT_SHOE, -1)):
        shoe = Cut(leg=9, leg_from=top_of_shoe, top=WAIST, side=side)
        found.append(Garment(label=label, cut=shoe, cloth=identity.shoe_cloth, away=0.009, fine=True))
    return found


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of the body's surface that is the same in every pose but for where its corners are."""

    corners: np.ndarray
    """Numbers of the body's corners that it uses."""
    mesh: Mesh
    """Triangles, colours and labels; its vertices stand for nothing."""

    def on(self, posed: np.ndarray) -> Mesh:
        """The piece on a posed body, V 3."""
        return replace(self.mesh, vertices=posed[self.corners].astype(np.float32))


def _piece(faces: np.ndarray, colours: np.ndarray, labels: np.ndarray) -> Piece:
    """Some triangles of the body; `colours` is V 3 for all its corners."""
    return Piece(np.unique(faces), kept(Mesh(np.zeros(colours.shape, np.float32), faces, colours, labels)))


@dataclass(frozen=True, slots=True)
class Skin:
    """What clothes leave bare of somebody."""

    bare: tuple[Piece, ...]
    """Face and neck, arms and legs; then the eyes."""
    hands: Piece | None
    """In gloves, or None."""
    faces: np.ndarray
    """Triangles of all of it, by the body's corners."""


@functools.cache
def _undressed() -> Piece:
    """The whole body, with labels of `body10`."""
    skin = load_anatomy().skin
    colours = np.tile(np.array([0.4, 0.3, 0.25], np.float32), (len(parts()), 1))
    return _piece(skin, colours, np.median(parts()[skin], axis=1).astype(np.uint8))


@functools.lru_cache(maxsize=8)
def bare_skin(identity: Identity) -> Skin:
    """Bare skin by the labels of each side, with eyes, brows and lips; the same in every pose."""
    anatomy, part, at = load_anatomy(), parts(), fields()
    skin = anatomy.skin[~covered(garment.cut for garment in clothes(identity))[anatomy.skin].all(1)]
    of_part = np.array(
        [0, FACE, FACE, LEFT_ARM, RIGHT_ARM, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG, LEFT_LEG, RIGHT_LEG], np.uint8
    )
    labels = of_part[np.median(part[skin], axis=1).astype(int)]
    middle = at.places[skin].mean(1)
    shoulder = (labels == FACE) & (np.abs(middle[:, 0]) > 0.12)
    labels[shoulder] = np.where(middle[shoulder, 0] > 0, LEFT_ARM, RIGHT_ARM)
    low = (labels == FACE) & (middle[:, 2] < CROTCH + 0.1)
    labels[low] = np.where(middle[low, 0] > 0, LEFT_LEG, RIGHT_LEG)
    colours = np.tile(np.asarray(identity.skin, np.float32), (len(part), 1))
    colours[_brows()] = np.asarray(identity.hair_colour) * 0.7 + colours[_brows()] * 0.3
    colours[_lips()] *= np.array([0.85, 0.55, 0.55], np.float32)
    gloved = identity.gloves & np.isin(labels, (LEFT_ARM, RIGHT_ARM)) & (at.arm[skin].min(1) > 1.95)
    glove = np.tile(np.asarray(identity.hat_cloth.colour, np.float32), (len(part), 1))
    eye = np.tile(np.array(EYE_COLOUR, np.float32), (len(part), 1))
    eyes = anatomy.of_shells("helper-l-eye", "helper-r-eye")
    return Skin(
        bare=(
            _piece(skin[~gloved], colours, labels[~gloved]),
            _piece(eyes, eye, np.full(len(eyes), FACE, np.uint8)),
        ),
        hands=_piece(skin[gloved], glove, np.full(gloved.sum(), GLOVE, np.uint8)) if identity.gloves else None,
        faces=skin,
    )


def _brows() -> np.ndarray:
    at = fields().places
    return np.asarray(
        (np.abs(at[:, 0]) > 0.012) & (np.abs(at[:, 0]) < 0.05) & (np.abs(at[:, 2] - 0.752) < 0.006) & (at[:, 1] < -0.12)
    )


def _lips() -> np.ndarray:
    at = fields().places
    return np.asarray((np.abs(at[:, 0]) < 0.024) & (np.abs(at[:, 2] - 0.656) < 0.01) & (at[:, 1] < -0.145))


def _carried(mesh: Mesh, bone: str, heads: np.ndarray, frames: np.ndarray) -> Mesh:
    """A thing of the body at rest, moved along with one bone; `hang:L` hangs straight down from the left hand."""
    anatomy = load_anatomy()
    if bone.startswith("hang:"):
        hand = anatomy.bone(f"finger3-1.{bone[-1]}")
        place = frames[hand, :, :3] @ heads[hand] + frames[hand, :, 3]
        return replace(mesh, vertices=(mesh.vertices + place).astype(np.float32))
    frame = frames[anatomy.bone(bone)]
    return replace(mesh, vertices=(mesh.vertices @ frame[:, :3].T + frame[:, 3]).astype(np.float32))
