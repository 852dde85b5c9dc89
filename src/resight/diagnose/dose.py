"""Dose and response: spoil clean queries (or true matches, or both) step by step, and see what each dose costs.

Causal where everything else observes: the same pictures, one thing changed. Level 0 is the picture's own bytes; the
same draws serve every level, so that a curve is a paired comparison; covers of different contents hide the same pixels,
so that contents are compared without their shapes. All spoiling is done by `data/degrade.py`.
Intervals: paired bootstrap over persons. Proof: tests/diagnose/test_dose.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray
from PIL import Image

from resight.data import degrade
from resight.errors import BadFeatures, UnknownName
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import score_features
from resight.evaluate.statistics import RESAMPLES, bootstrap_over_persons
from resight.search.features import Features
from resight.types import Side

if TYPE_CHECKING:
    from resight.model import Embedded

Picture = UInt8[np.ndarray, "H W 3"]
Embed = Callable[[Sequence[NDArray[np.uint8]]], "Embedded"]
"""Pictures to what a model says of them: features, and parts with their visibility where the features have them."""
Setting = Literal["query", "gallery", "both"]
Contents = Literal["grey", "noise", "mirror"]
CONTENTS: Final[tuple[Contents, ...]] = ("grey", "noise", "mirror")


@dataclass(frozen=True, slots=True)
class Course:
    """One kind of spoiling and its levels, the harmless one first."""

    unit: str
    levels: tuple[float, ...]
    spoil: Callable[[Picture, float, np.random.Generator], Picture]


@dataclass(frozen=True, slots=True)
class Point:
    """One level of a curve; differences in mAP to level 0, signed."""

    level: float
    mean_ap: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What each level of one condition costs in one setting."""

    condition: str
    setting: Setting
    points: tuple[Point, ...]
    half: float
    """D50: level at which half of the mAP is gone, between levels by a straight line; NaN where none goes so far."""


def darkened(picture: Picture, stops: float, rng: np.random.Generator) -> Picture:
    """Take light away, with the noise of a sensor."""
    return degrade.darken(picture, stops=stops, rng=rng)


def shrunk(picture: Picture, times: float, rng: np.random.Generator) -> Picture:
    """Lose detail: the crop was so many times less high."""
    return degrade.shrink(picture, height=max(1, round(picture.shape[0] / times)))


def blurred(picture: Picture, length: float, rng: np.random.Generator) -> Picture:
    """Move during the exposure, by a length in hundredths of the height, at any angle."""
    angle = float(rng.uniform(0, np.pi))
    return degrade.blur(picture, length=length * picture.shape[0] / 100, angle=angle)


def cut_off(picture: Picture, share: float, rng: np.random.Generator) -> Picture:
    """Cut the lower share away, as a detector's short box does."""
    return degrade.cut(picture, share=share)


def tinted(picture: Picture, stops: float, rng: np.random.Generator) -> Picture:
    """Colour the light warm or cold."""
    return degrade.cast(picture, warmth=stops * float(rng.choice([-1, 1])))


def covered(picture: Picture, share: float, rng: np.random.Generator, *, contents: Contents) -> Picture:
    """Hide a share of the picture from below; what hides it does not change which pixels are hidden."""
    if share == 0:
        return picture
    if contents == "grey":
        patch = np.full_like(picture, 128)
    elif contents == "noise":
        patch = rng.integers(0, 256, picture.shape, dtype=np.uint8)
    else:
        patch = np.ascontiguousarray(picture[::-1])
    return degrade.cover(picture, patch, cover_mask(picture.shape[:2], share))


def cover_mask(size: tuple[int, int], share: float) -> Bool[np.ndarray, "H W"]:
    """Pixels that a cover from below hides."""
    mask = np.zeros(size, np.bool_)
    mask[size[0] - round(share * size[0]) :] = True
    return mask


COURSES: Final[dict[str, Course]] = {
    "low_light": Course("stops", (0, 1, 2, 3, 4), darkened),
    "low_res": Course("times less high", (1, 2, 3, 4, 6, 8), shrunk),
    "motion_blur": Course("hundredths of the height", (0, 2, 4, 8, 12), blurred),
    "truncation": Course("share cut off below", (0, 0.15, 0.3, 0.45, 0.6), cut_off),
    "color_cast": Course("stops of red over blue", (0, 0.5, 1, 1.5), tinted),
    **{
        f"occlusion_{contents}": Course(
            "share hidden from below", (0, 0.15, 0.3, 0.45, 0.6), partial(covered, contents=contents)
        )
        for contents in CONTENTS
    },
}


COMPANY: Final = "multi_person"


def beside(
    picture: Picture, share: float, rng: np.random.Generator, *, company: Sequence[UInt8[np.ndarray, "h w 4"]]
) -> Picture:
    """Put somebody else, as high as the picture, before a share of its width from the left or the right."""
    one, mirrored, from_right = company[int(rng.integers(len(company)))], rng.random() < 0.5, rng.random() < 0.5
    high, wide = picture.shape[:2]
    size = max(1, round(one.shape[1] * high / one.shape[0])), high
    cutout = np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR), np.float32)
    cutout = cutout[:, ::-1] if mirrored else cutout
    columns = np.flatnonzero((cutout[:, :, 3] >= 128).any(0))
    if share == 0 or len(columns) == 0:
        return picture
    shown = cutout[:, columns[0] : columns[-1] + 1][:, -round(share * wide) :]  # in from the left, as far as it goes
    patch = np.zeros((high, wide, 4), np.float32)
    first = max(0, round(share * wide) - shown.shape[1])
    patch[:, first : first + shown.shape[1]] = shown
    patch[:, :, 3] /= 255
    patch[:, :, :3] *= patch[:, :, 3:]
    return degrade.paste(picture, np.ascontiguousarray(patch[:, ::-1]) if from_right else patch)


def with_company(company: Sequence[UInt8[np.ndarray, "h w 4"]]) -> dict[str, Course]:
    """All courses: those of COURSES and several people, for which somebody must be cut out (colours and opacity)."""
    spoil = partial(beside, company=tuple(company))
    return {**COURSES, COMPANY: Course("share of the width behind somebody", (0, 0.15, 0.3, 0.45, 0.6), spoil)}


def spoilt(pictures: Sequence[Picture], course: Course, level: float, *, seed: int) -> Iterator[Picture]:
    """Yield pictures at one level; each picture has its own draws, the same at every level."""
    for number, picture in enumerate(pictures):
        if level == course.levels[0]:
            yield picture
        else:
            yield course.spoil(picture, level, np.random.default_rng((seed, number)))


def dose_curve(
    condition: str,
    features: Features,
    *,
    embed: Embed,
    query: Sequence[Picture] = (),
    gallery: Sequence[Picture] = (),
    rows: NDArray[np.intp] | None = None,
    setting: Setting = "query",
    courses: Mapping[str, Course] = MappingProxyType(COURSES),
    protocol: ProtocolName = "market",
    seed: int = 0,
    resamples: int = RESAMPLES,
    told: Callable[[int], None] | None = None,
) -> Curve:
    """Spoil the queries' pictures, the gallery pictures `rows` (as `gallery` holds them), or both, level by level.

    Level 0 is scored with the features as they are given. Raises UnknownName for a condition that is in no table and
    BadFeatures where pictures and features differ in number.
    """
    if condition not in courses:
        raise UnknownName("condition", condition, courses)
    course = courses[condition]
    places = np.zeros(0, np.intp) if rows is None else rows
    if (setting != "gallery" and len(query) != len(features.query.persons)) or (
        setting != "query" and len(gallery) != len(places)
    ):
        raise BadFeatures(f"{len(query)} query and {len(gallery)} gallery pictures do not fit the features and `rows`.")
    clean = score_features(features, protocol=protocol)
    points = [Point(course.levels[0], clean.mean_ap, 0.0, 0.0, 0.0)]
    for level in course.levels[1:]:
        asked, searched = features.query, features.gallery
        if setting != "gallery":
            asked = _with(asked, embed(list(spoilt(query, course, level, seed=seed))), slice(None))
        if setting != "query":
            searched = _with(searched, embed(list(spoilt(gallery, course, level, seed=seed + 1))), places)
        scores = score_features(replace(features, query=asked, gallery=searched), protocol=protocol)
        lost = (scores.ap - clean.ap)[:, None]
        rng = np.random.default_rng(seed)  # the same persons are drawn at every level
        low, high = bootstrap_over_persons(lost, clean.persons, rng=rng, resamples=resamples)[0]
        points.append(Point(level, scores.mean_ap, scores.mean_ap - clean.mean_ap, float(low), float(high)))
        if told:
            told(1)
    return Curve(condition, setting, tuple(points), half_level([(one.level, one.mean_ap) for one in points]))


def half_level(points: Sequence[tuple[float, float]]) -> float:
    """Level at which the value has fallen to half of the first one's; NaN where it never does."""
    goal = points[0][1] / 2
    for (level, value), (after, lower) in itertools.pairwise(points):
        if lower <= goal < value:
            return level + (after - level) * (value - goal) / (value - lower)
    return float("nan")


def _with(side: Side, found: Embedded, rows: NDArray[np.intp] | slice) -> Side:
    """The side with these rows said anew, in everything that it holds."""
    new: dict[str, NDArray[np.float32]] = {}
    for name in ("features", "parts", "visible"):
        before, values = getattr(side, name), getattr(found, name)
        if before is None:
            continue
        if values is None:
            raise BadFeatures(f"The features hold `{name}` and the model says none of spoilt pictures; embed anew.")
        new[name] = before.copy()
        new[name][rows] = values
    return replace(side, **new)
