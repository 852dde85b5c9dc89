"""Protocols: which gallery pictures count for which query.

Source: `market` Zheng et al., ICCV 2015; `cuhk03` Li et al., CVPR 2014 (one gallery picture of each person, drawn);
`cuhk03-np` Zhong et al., CVPR 2017; `occluded` as for Occluded-REID, whose cameras are made up; `multi-query` Zheng
et al., ICCV 2015 (mean of the query's pictures in its camera).
Always ignored: junk (person -1). Person 0 of Market-1501 is a person whom no query shows: a wrong answer.
Differs: chance comes in as a generator; pictures without a camera are refused where the rule needs cameras.
Proof: tests/evaluate/test_protocols.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from resight.errors import BadFeatures, BadRecipe, UnknownName
from resight.search.features import Features, check_features
from resight.search.part_distances import unit_parts
from resight.search.rows import normalised
from resight.types import JUNK, NO_CAMERA, Side, written_as

ProtocolName = Literal["market", "cuhk03", "cuhk03-np", "occluded", "multi-query"]
PairFilter = Callable[[NDArray[np.intp], NDArray[np.intp]], Bool[np.ndarray, " M"]]
Ignored = Callable[[NDArray[np.generic], NDArray[np.generic]], Bool[np.ndarray, " M"]]


def same_camera(query_cameras: NDArray[np.generic], gallery_cameras: NDArray[np.generic]) -> Bool[np.ndarray, " M"]:
    """Ignore pictures of the query's person in the query's own camera. For M pairs of one person."""
    return np.asarray(query_cameras == gallery_cameras, dtype=np.bool_)


def nothing(query_cameras: NDArray[np.generic], gallery_cameras: NDArray[np.generic]) -> Bool[np.ndarray, " M"]:
    """Count every picture of the query's person, whatever its camera. For M pairs of one person."""
    return np.zeros(len(query_cameras), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Rules:
    """One protocol, as data."""

    summary: str
    ignored: Ignored = same_camera
    single_shot: bool = False
    """One gallery picture of each person is drawn, again and again; scores are means over the draws."""
    pooled: bool = False
    """Query pictures of one person in one camera are one query: the mean of their features at length 1."""


PROTOCOLS: Final[dict[ProtocolName, Rules]] = {
    "market": Rules("pictures of the query's person in the query's camera are ignored"),
    "cuhk03": Rules("one gallery picture of each person, drawn at random, other cameras only", single_shot=True),
    "cuhk03-np": Rules("pictures of the query's person in the query's camera are ignored"),
    "occluded": Rules("no camera rule: every gallery picture counts", ignored=nothing),
    "multi-query": Rules("as market, with the query pictures of a person in a camera pooled by mean", pooled=True),
}


@runtime_checkable
class Labels(Protocol):
    """Who and where, for each picture of one side: a `Side`, or anything with these two arrays."""

    @property
    def persons(self) -> NDArray[np.generic]:
        """Person ids, numbers or text."""
        ...

    @property
    def cameras(self) -> NDArray[np.generic]:
        """Camera ids, numbers or text."""
        ...


@dataclass(frozen=True, slots=True)
class Pairs:
    """All query-gallery pairs of one person for some consecutive queries, ordered by query."""

    rows: Int[np.ndarray, " M"]
    """Query, counted from the first of these queries."""
    columns: Int[np.ndarray, " M"]
    """Gallery picture, counted among the pictures that are not junk."""
    ignored: Bool[np.ndarray, " M"]
    """Neither right nor wrong by the protocol's camera rule."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Persons of both sides as numbers, ready to list the pairs of any queries."""

    counted: Int[np.ndarray, " G"]
    """Gallery pictures that are not junk, ascending."""
    person: Int[np.ndarray, " G"]
    """Person number of each of these."""
    query_person: Int[np.ndarray, " Q"]
    """Person number of each query; -1 where the gallery does not show that person (or the query is junk)."""
    by_person: Int[np.ndarray, " G"]
    """Positions in `counted`, grouped by person number."""
    starts: Int[np.ndarray, " P1"]
    """Where each person's group starts in `by_person`, with the end appended."""
    query_cameras: NDArray[np.generic]
    gallery_cameras: NDArray[np.generic]
    """Of the pictures in `counted`."""
    ignored: Ignored
    only: PairFilter | None = None
    """Which pairs of one person may count at all: rows of the query side and of the whole gallery side."""

    def pair_counts(self) -> Int[np.ndarray, " Q"]:
        """Count the gallery pictures that show each query's person, ignored ones included."""
        sizes = np.append(np.diff(self.starts), 0)  # the last one answers person -1
        return np.asarray(sizes[self.query_person])

    def pairs(self, first: int, last: int) -> Pairs:
        """List the pairs of queries `first` to `last` (not included)."""
        counts = self.pair_counts()[first:last]
        rows = np.repeat(np.arange(last - first), counts)
        ends = np.cumsum(counts)
        within = np.arange(len(rows)) - np.repeat(ends - counts, counts)
        columns = self.by_person[np.repeat(self.starts[self.query_person[first:last]], counts) + within]
        ignored = self.ignored(self.query_cameras[first:last][rows], self.gallery_cameras[columns])
        if self.only is not None:
            ignored = ignored | ~self.only(rows + first, self.counted[columns])
        return Pairs(rows, columns, ignored)


def rules_of(name: str) -> Rules:
    """Look the rules up; raises UnknownName with the nearest known one."""
    for known, rules in PROTOCOLS.items():
        if known == name:
            return rules
    raise UnknownName("protocol", name, PROTOCOLS)


def needs_cameras(name: str) -> bool:
    """Whether a protocol ignores pictures by their camera."""
    return rules_of(name).ignored is same_camera


def match(query: Labels, gallery: Labels, rules: Rules) -> Matching:
    """Give numbers to the persons of both sides.

    Raises BadFeatures where cameras are needed and not known, and for a gallery of nothing but junk.
    """
    counted = np.flatnonzero(~written_as(JUNK, gallery.persons))
    if len(counted) == 0:
        raise BadFeatures("Every gallery picture is junk (person -1): there is nothing to search.")
    names, person = np.unique(gallery.persons[counted], return_inverse=True)
    place = np.minimum(np.searchsorted(names, query.persons), max(len(names) - 1, 0))
    known = names[place] == query.persons if len(names) else np.zeros(len(query.persons), dtype=np.bool_)
    query_person = np.where(known, place, -1)
    cameras = gallery.cameras[counted]
    if rules.ignored is same_camera:
        shown = np.isin(person, query_person)
        _check_cameras("query", query.cameras[known], np.flatnonzero(known), query)
        _check_cameras("gallery", cameras[shown], counted[shown], gallery)
    starts = np.concatenate([[0], np.cumsum(np.bincount(person, minlength=len(names)))])
    by_person = np.argsort(person, kind="stable")
    return Matching(counted, person, query_person, by_person, starts, query.cameras, cameras, rules.ignored)


def searched(features: Features, protocol: ProtocolName, *, draws: bool = False) -> tuple[Features, Matching]:
    """Features as a protocol searches them, pooled where it pools queries, and their pairs.

    Raises BadFeatures for what cannot be searched and, unless `draws`, BadRecipe for `cuhk03`.
    """
    check_features(features)
    rules = rules_of(protocol)
    if rules.single_shot and not draws:
        raise BadRecipe("`cuhk03` draws single pictures, and this needs all of them: pass `--protocol cuhk03-np`.")
    matching = match(features.query, features.gallery, rules)  # before pooling, which needs cameras
    if rules.pooled:
        features = pool_queries(features)
        matching = match(features.query, features.gallery, rules)
    return features, matching


def draw_single_shots(
    matching: Matching, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " G"]]:
    """One random gallery picture of each person, and the random order of all pictures that chose it.

    The order decides, for a query whose own drawn picture is ignored, which other picture of that person stands in.
    """
    order = rng.permutation(len(matching.counted))
    by_person = np.lexsort((order, matching.person))
    return by_person[matching.starts[:-1]], order


def pool_queries(features: Features, more: Side | None = None) -> Features:
    """One query for each person and camera: the mean of its pictures' features, at length 1 where angles count.

    `more` holds further pictures of the queries' persons (Market-1501's `gt_bbox`), pooled with the query of their
    person and camera; those of other persons or cameras are left out. Parts are averaged as far as they are visible;
    when `more` knows none, the pooled queries are compared without them.
    """
    query = features.query
    sides = (query,) if more is None else (query, more)
    _, person = np.unique(np.concatenate([side.persons for side in sides]), return_inverse=True)
    _, camera = np.unique(np.concatenate([side.cameras for side in sides]), return_inverse=True)
    place = person * (camera.max() + 1) + camera
    groups, firsts = np.unique(place[: len(query.persons)], return_index=True)
    group = np.minimum(np.searchsorted(groups, place), len(groups) - 1)
    pooled = np.flatnonzero(groups[group] == place)

    def mean(values: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Average the rows of each group."""
        rows = np.concatenate(tuple(values))[pooled]
        total = np.zeros((len(groups), *rows.shape[1:]))
        np.add.at(total, group[pooled], rows)
        count = np.bincount(group[pooled], minlength=len(groups))
        return (total / count.reshape(-1, *[1] * (rows.ndim - 1))).astype(np.float32)

    first = query.take(firsts)
    angles = features.metric == "cosine"
    rows = mean(normalised(side) if angles else side.features for side in sides)
    means = replace(first, features=rows, parts=None, visible=None)
    seen = [
        (unit_parts(side) if angles else side.parts, side.visible)
        for side in sides
        if side.parts is not None and side.visible is not None
    ]
    if len(seen) < len(sides):
        gallery = replace(features.gallery, parts=None, visible=None)
        return Features(means, gallery, features.metric)
    weighed, visible = mean(unit * shown[:, :, None] for unit, shown in seen), mean(shown for _, shown in seen)
    scale = np.divide(1, visible, out=np.zeros_like(visible), where=visible > 0)
    parts = weighed * scale[:, :, None]
    return replace(features, query=replace(means, parts=parts, visible=visible))


def _check_cameras(name: str, cameras: NDArray[np.generic], rows: NDArray[np.intp], side: Labels) -> None:
    unknown = written_as(NO_CAMERA, cameras)
    if cameras.dtype.kind == "U":
        unknown |= cameras == ""
    if not unknown.any():
        return
    row = int(rows[unknown.argmax()])
    files = getattr(side, "files", None)
    raise BadFeatures(
        f"{int(unknown.sum())} of {len(cameras)} {name} pictures have no camera (the first is row {row}"
        f"{'' if files is None else f', {files[row]}'}), and this protocol must ignore pictures of the query's own "
        "camera; pass `--protocol occluded` to count every picture."
    )
