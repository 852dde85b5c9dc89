"""From numbers to a posed body: shape, skeleton, gait and linear blend skinning, in numpy.

Gait curves are drawn after the textbook sagittal angles of level walking (Winter, "Biomechanics and Motor Control of
Human Movement", 2009), smoothed by hand. Proof: tests/people/test_people.py.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from resight.people.anatomy import Anatomy, load_anatomy

ANCHORS: Final = {"age": np.linspace(-1 / 3, 1, 5)}
"""Where the variations of a feature sit; others are spread evenly over 0..1."""
RACES: Final = ("african", "asian", "caucasian")
SHOULDER_DROP: Final = 7
"""How far collar bones sink when held-away arms come down, degrees."""
PARTS: Final[dict[str, int]] = {  # first letters of a bone's name -> body10 of the left side, or of the middle
    "upperarm": 3,
    "lowerarm": 5,
    "wrist": 5,
    "finger": 5,
    "metacarpal": 5,
    "upperleg": 7,
    "lowerleg": 9,
    "foot": 9,
    "toe": 9,
    "head": 1,
    "eye": 1,
    "neck02": 1,
    "neck03": 1,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A body by anny's phenotypes, each 0..1 (age: 0 baby, 1/3 child, 2/3 young, 1 old)."""

    gender: float = 0.5
    age: float = 0.67
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.6
    african: float = 0.3
    asian: float = 0.4
    caucasian: float = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """How a body stands or walks; angles in degrees, sides are the person's own."""

    phase: float = 0.0
    """Of the gait, 0..1: 0 the left heel strikes, 0.5 the right one."""
    stride: float = 1.0
    """1 a usual step, 0 standing."""
    swing: float = 1.0
    """Of the arms, 1 as usual."""
    lean: float = 3.0
    """Of the trunk, forwards."""
    twist: float = 5.0
    """Of the shoulders against the hips, at the widest step."""
    head_turn: float = 0.0
    """To the own left."""
    head_nod: float = 0.0
    """Downwards."""
    left_lift: float = 0.0
    """Upper arm forwards, on top of the swing."""
    right_lift: float = 0.0
    left_bend: float = 15.0
    """Elbow, 0 straight."""
    right_bend: float = 15.0
    left_spread: float = 7.0
    """Upper arm away from the trunk."""
    right_spread: float = 7.0
    stance: float = 2.0
    """Each leg outwards."""


@dataclass(frozen=True, slots=True)
class Rest:
    """One body before it is posed: V 3 corners and B 3 bone heads, metres, arms held away."""

    vertices: np.ndarray
    heads: np.ndarray


@functools.lru_cache(maxsize=8)
def rest_body(shape: Shape) -> Rest:
    """Body of one shape; kept for the pictures of the same person that follow."""
    anatomy = load_anatomy()
    weights = shape_weights(anatomy, shape)
    flat = weights @ anatomy.shapes.reshape(len(weights), -1)
    heads = weights @ anatomy.head_shapes.reshape(len(weights), -1)
    return Rest(
        anatomy.template + flat.reshape(-1, 3).astype(np.float32),
        anatomy.heads + heads.reshape(-1, 3).astype(np.float32),
    )


def shape_weights(anatomy: Anatomy, shape: Shape) -> np.ndarray:
    """How much of each shape direction a body takes, K: products of linear interpolations between variations."""
    features = [name.split(":")[0] for name in anatomy.variations.tolist()]
    values = np.zeros(len(features), np.float32)
    for feature in dict.fromkeys(features):
        places = [row for row, name in enumerate(features) if name == feature]
        if feature == "race":
            shares = np.array([getattr(shape, race) for race in RACES], np.float32)
            values[places] = shares / max(float(shares.sum()), 1e-6)
            continue
        anchors = ANCHORS.get(feature, np.linspace(0, 1, len(places)))
        value = float(np.clip(getattr(shape, feature, 0.5), anchors[0], anchors[-1]))
        for row, hat in zip(places, np.eye(len(places)), strict=True):
            values[row] = np.interp(value, anchors, hat)
    products = np.prod(values * anatomy.mask + (1 - anatomy.mask), axis=1)
    found: np.ndarray = products @ anatomy.projection
    return found


def part_of_bone(bone: str) -> int:
    """The body part in `body10` that a bone moves."""
    left = next((number for start, number in PARTS.items() if bone.startswith(start)), 2)
    return left + 1 if bone.endswith(".R") and left >= 3 else left


@functools.cache
def parts() -> np.ndarray:
    """Body part of every corner, V: that of the bones it follows most."""
    anatomy = load_anatomy()
    of_bone = np.array([part_of_bone(name) for name in anatomy.bones.tolist()])
    shares = np.stack([anatomy.weights[:, of_bone == part].sum(1) for part in range(11)], axis=1)
    return np.asarray(shares.argmax(1), np.uint8)


def _turn(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rotation about a unit axis (Rodrigues)."""
    angle = np.deg2rad(degrees)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def _towards(start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Smallest rotation that turns one direction into another."""
    a, b = start / np.linalg.norm(start), goal / np.linalg.norm(goal)
    cross, cos = np.cross(a, b), float(a @ b)
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / max(1 + cos, 1e-6))


def hip_angle(phase: float) -> float:
    """Thigh forwards, degrees, at one leg's phase (0 its heel strike)."""
    return 6 + 22 * float(np.cos(2 * np.pi * phase))


def _bump(phase: float, centre: float, width: float) -> float:
    """A rise to 1 at one phase of the gait, which comes round again after 1."""
    apart = (phase - centre + 0.5) % 1 - 0.5
    return float(np.exp(-((apart / width) ** 2)))


def knee_angle(phase: float) -> float:
    """Knee bend, degrees."""
    return 4 + 13 * _bump(phase, 0.15, 0.09) + 56 * _bump(phase, 0.73, 0.12)


def foot_angle(phase: float) -> float:
    """Toes downwards against the ground, degrees."""
    return (
        -18 * _bump(phase, 0.0, 0.06)
        + 55 * _bump(phase, 0.63, 0.11)
        + 8 * _bump(phase, 0.8, 0.1)
        - 8 * _bump(phase, 0.93, 0.06)
    )


def bone_turns(anatomy: Anatomy, heads: np.ndarray, pose: Pose) -> dict[str, np.ndarray]:
    """Rotations of the bones that move, in the room's axes, as left by the parent bones at rest."""
    arms = (
        ("L", 1, 0.0, pose.left_lift, pose.left_bend, pose.left_spread),
        ("R", -1, 0.5, pose.right_lift, pose.right_bend, pose.right_spread),
    )
    wave = float(np.cos(2 * np.pi * pose.phase)) * pose.stride
    turns = {
        "spine05": _turn((0, 0, 1), wave * pose.twist * 0.5) @ _turn((1, 0, 0), pose.lean * 0.5),
        "spine03": _turn((0, 0, 1), wave * pose.twist * 0.5) @ _turn((1, 0, 0), pose.lean * 0.5),
        "neck02": _turn((0, 0, 1), pose.head_turn * 0.4) @ _turn((1, 0, 0), pose.head_nod * 0.4),
        "head": _turn((0, 0, 1), pose.head_turn * 0.6) @ _turn((1, 0, 0), pose.head_nod * 0.6),
    }
    head_of = {name: heads[anatomy.bone(name)] for name in anatomy.bones.tolist()}
    for side, sign, shift, lift, bend, spread in arms:
        drop = turns[f"clavicle.{side}"] = _turn((0, 1, 0), SHOULDER_DROP * sign)
        leg = (pose.phase + shift) % 1
        hip, knee = pose.stride * hip_angle(leg) + (1 - pose.stride) * 1, pose.stride * knee_angle(leg) + 2
        out = np.deg2rad(pose.stance) * sign
        thigh = _turn((1, 0, 0), -hip) @ np.array([np.sin(out), 0, -np.cos(out)])
        shank = _turn((1, 0, 0), -hip + knee) @ np.array([np.sin(out) * 0.3, 0, -1.0])
        turns[f"upperleg01.{side}"] = upper = _towards(
            head_of[f"lowerleg01.{side}"] - head_of[f"upperleg01.{side}"], thigh
        )
        lower = _towards(upper @ (head_of[f"foot.{side}"] - head_of[f"lowerleg01.{side}"]), shank) @ upper
        turns[f"lowerleg01.{side}"] = upper.T @ lower
        foot = _turn((0, 0, 1), 6 * sign) @ _turn((1, 0, 0), pose.stride * foot_angle(leg))
        turns[f"foot.{side}"] = lower.T @ foot
        arm = _turn((1, 0, 0), pose.stride * pose.swing * 20 * float(np.cos(2 * np.pi * leg)) - lift)
        away = np.deg2rad(spread) * sign
        upper = _towards(
            head_of[f"lowerarm01.{side}"] - head_of[f"upperarm01.{side}"],
            arm @ np.array([np.sin(away), 0, -np.cos(away)]),
        )
        forward = _turn((1, 0, 0), -bend) @ arm
        lower = _towards(
            upper @ (head_of[f"wrist.{side}"] - head_of[f"lowerarm01.{side}"]),
            forward @ np.array([np.sin(away) * 0.3, 0, -1.0]),
        )
        turns[f"upperarm01.{side}"] = drop.T @ upper
        turns[f"lowerarm01.{side}"] = upper.T @ lower @ upper
        turns |= _resting_hand(head_of, side, sign)
    return turns


def _resting_hand(head_of: Mapping[str, np.ndarray], side: str, sign: int) -> dict[str, np.ndarray]:
    """Fingers side by side and half closed, as hands hang."""
    along = head_of[f"finger3-2.{side}"] - head_of[f"finger3-1.{side}"]
    curl = _turn((0, 1, 0), 22 * sign)
    turns = {f"finger1-2.{side}": _towards(head_of[f"finger1-3.{side}"] - head_of[f"finger1-2.{side}"], along)}
    for finger in range(2, 6):
        own = head_of[f"finger{finger}-2.{side}"] - head_of[f"finger{finger}-1.{side}"]
        turns[f"finger{finger}-1.{side}"] = curl @ _towards(own, along)
        turns[f"finger{finger}-2.{side}"] = turns[f"finger{finger}-3.{side}"] = _turn((0, 1, 0), 28 * sign)
    return turns


def pose_frames(rest: Rest, pose: Pose) -> np.ndarray:
    """Each bone's movement from rest, B 3 4, with the hips over x = y = 0."""
    anatomy = load_anatomy()
    frames = _chain(anatomy, rest.heads, bone_turns(anatomy, rest.heads, pose))
    root = frames[0, :, :3] @ rest.heads[0] + frames[0, :, 3]
    frames[:, :2, 3] -= root[:2]
    return frames


def skin_body(rest: Rest, frames: np.ndarray) -> np.ndarray:
    """Corners V 3 of all shells, moved by the bones that they follow (linear blend skinning)."""
    blended = (load_anatomy().sparse_weights @ frames.reshape(len(frames), 12)).reshape(-1, 3, 4)
    vertices = np.einsum("vij,vj->vi", blended[:, :, :3], rest.vertices) + blended[:, :, 3]
    return np.asarray(vertices, np.float32)


def _chain(anatomy: Anatomy, heads: np.ndarray, turns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Each bone's movement from rest, B 3 4: turns about the bones' heads, handed on from parent to child."""
    frames = np.zeros((len(heads), 3, 4))
    for bone, (name, parent) in enumerate(zip(anatomy.bones.tolist(), anatomy.parents.tolist(), strict=True)):
        turn = turns.get(name, np.eye(3))
        own = np.hstack([turn, (heads[bone] - turn @ heads[bone])[:, None]])
        if parent < 0:
            frames[bone] = own
        else:
            frames[bone, :, :3] = frames[parent, :, :3] @ own[:, :3]
            frames[bone, :, 3] = frames[parent, :, :3] @ own[:, 3] + frames[parent, :, 3]
    return frames
