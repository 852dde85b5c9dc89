"""Find out what is wrong with a re-id set before a number is made on it.

Problems make numbers wrong or stop a run; notes are good to know. Which is which stands in one table, `KINDS`.
A query has an answer when the gallery holds its person under another camera; a camera that is not known counts as
another one. Junk answers nothing, and a copy of it is only a note.
Proof: tests/data/test_check.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from resight.data.check_maps import TruthCheck, check_truth, maps_beside
from resight.data.duplicates import MOST_PAIRS, Alike, alike, look_at
from resight.data.reid_sets import ReidSet
from resight.data.reid_table import Counts
from resight.types import SPLITS, Crop, PersonId, Split


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can be found."""

    problem: bool
    says: str
    counted: bool = True
    """Whether the number of items says anything."""


KINDS: Final[dict[str, Kind]] = {
    "unreadable": Kind(True, "pictures that cannot be read"),
    "no-answer": Kind(True, "queries whose person is in the gallery under no other camera"),
    "two-persons": Kind(True, "pairs of the same picture under two persons"),
    "picture-leak": Kind(True, "pairs of the same picture in train and in test"),
    "person-leak": Kind(True, "persons who are both in train and in test"),
    "answer-given": Kind(True, "queries whose own picture counts as a right answer in the gallery"),
    "damaged-copy": Kind(True, "counts that differ from the published set"),
    "no-map": Kind(True, "pictures without their label map"),
    "bad-map": Kind(True, "label maps that do not fit their picture or their classes"),
    "bad-table": Kind(True, "faults of the table people.csv"),
    "no-picture": Kind(True, "files in people.csv that are no picture of the set"),
    "no-row": Kind(True, "pictures that are not in people.csv"),
    "stray-map": Kind(False, "label maps without a picture"),
    "other-set": Kind(False, "another set under the file names of a published one", counted=False),
    "duplicate": Kind(False, "pairs of the very same picture under one person"),
    "near-duplicate": Kind(False, "pairs of nearly the same picture under one person"),
    "single": Kind(False, "persons with one picture in train, of whom no pair can be learnt"),
    "no-test": Kind(False, "nothing can be scored, for want of pictures in", counted=False),
    "no-train": Kind(False, "nothing can be trained, for want of pictures in", counted=False),
    "more": Kind(False, "the search for near duplicates ended early: there are more than are listed", counted=False),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """All findings of one kind."""

    kind: str
    items: tuple[tuple[str, ...], ...]
    """What was found, each as a tuple of file names below the set's folder, persons, counts or reasons."""

    @property
    def problem(self) -> bool:
        """Whether it makes numbers wrong."""
        return KINDS[self.kind].problem

    @property
    def says(self) -> str:
        """What `items` are, in words, and how many where that matters."""
        kind = KINDS[self.kind]
        return f"{kind.says}: {len(self.items):,}" if kind.counted else kind.says


@dataclass(frozen=True, slots=True)
class SetCheck:
    """What a re-id set holds and what is wrong with it."""

    counts: Mapping[Split, Counts]
    findings: tuple[Finding, ...]
    """Problems first, in the order of KINDS."""
    looked: bool
    """Whether pictures were read; without it duplicates and damaged files are not known."""
    truth: TruthCheck
    """What the label maps and the table of truth beside the pictures hold."""

    @property
    def problems(self) -> int:
        """How many problems were found."""
        return sum(len(finding.items) for finding in self.findings if finding.problem)


@dataclass(frozen=True, slots=True)
class _Record:
    split: Split
    crop: Crop

    @property
    def test(self) -> bool:
        return self.split != "train"


def check_set(reid_set: ReidSet, *, pixels: bool = True, told: Callable[..., None] | None = None) -> SetCheck:
    """Count a re-id set and search it for what makes numbers wrong.

    Without `pixels` only names and ids are looked at. `told(n, total=...)` is called as the work goes on.
    """
    crops = {split: list(reid_set.crops(split)) for split in SPLITS}
    counts = {split: count(crops[split]) for split in SPLITS}
    found: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)

    def short(path: Path) -> str:
        return path.relative_to(reid_set.root).as_posix() if path.is_relative_to(reid_set.root) else str(path)

    for crop in unanswered(crops["query"], crops["gallery"]):
        found["no-answer"].append((short(crop.path),))
    for person in shared_persons(crops) if reid_set.overlap == "none" else ():
        found["person-leak"].append((str(person),))
    for person, number in sorted(_pictures_of_persons(crops["train"]).items(), key=lambda item: str(item[0])):
        if number == 1:
            found["single"].append((str(person),))
    for kind, row in chain(_compare(counts, reid_set.official), _empty(counts)):
        found[kind].append(row)
    splits = SPLITS[1:] if reid_set.overlap == "pictures" else SPLITS  # there, train is query and gallery
    records = [_Record(split, crop) for split in splits for crop in crops[split]]
    paths = list(dict.fromkeys(record.crop.path for record in records))
    maps = maps_beside(reid_set.root)
    told = told or (lambda n, total=None: None)
    if pixels:
        told(0, total=2 * len(paths) + sum(path.stem in files for files in maps.values() for path in paths))
        for kind, row in _look(records, short, told):
            found[kind].append(row)
    truth = check_truth(reid_set.root, paths, maps, pixels=pixels, told=told)
    for kind, row in truth.found:
        found[kind].append(row)
    findings = tuple(Finding(kind, tuple(found[kind])) for kind in KINDS if found[kind])
    return SetCheck(counts, findings, pixels, truth)


def count(crops: list[Crop]) -> Counts:
    """Count pictures, persons (without junk and distractors), cameras, junk and distractors."""
    return Counts(
        pictures=len(crops),
        persons=len(_pictures_of_persons(crops)),
        cameras=len({crop.camera for crop in crops} - {None}),
        junk=sum(crop.junk for crop in crops),
        distractors=sum(crop.distractor for crop in crops),
    )


def _pictures_of_persons(crops: list[Crop]) -> Counter[PersonId]:
    return Counter(crop.person for crop in crops if not (crop.junk or crop.distractor))


def unanswered(queries: list[Crop], gallery: list[Crop]) -> Iterator[Crop]:
    """Yield the queries without a true match that their protocol would count."""
    cameras: defaultdict[PersonId, set[object]] = defaultdict(set)
    for crop in gallery:
        if not (crop.junk or crop.distractor):
            cameras[crop.person].add(crop.camera)
    for crop in queries:
        others = cameras[crop.person] - ({crop.camera} if crop.camera is not None else set())
        if not others and not crop.junk:
            yield crop


def shared_persons(crops: Mapping[Split, list[Crop]]) -> list[PersonId]:
    """Persons in train and in test, in order."""
    test = _pictures_of_persons(crops["query"]) | _pictures_of_persons(crops["gallery"])
    return sorted(
        _pictures_of_persons(crops["train"]).keys() & test.keys(), key=lambda person: (str(type(person)), person)
    )


def _compare(
    counts: Mapping[Split, Counts], official: Mapping[Split, Counts] | None
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Compare with the published counts; a set of less than half as many pictures is not taken for a copy."""
    if official is None:
        return
    pictures, published = (sum(side[split].pictures for split in SPLITS) for side in (counts, official))
    if 2 * pictures < published:
        yield "other-set", (f"{pictures:,} pictures instead of {published:,}",)
        return
    for split in SPLITS:
        for name in Counts.__slots__:
            mine, theirs = getattr(counts[split], name), getattr(official[split], name)
            if theirs is not None and mine != theirs:
                yield "damaged-copy", (split, name, f"{mine} instead of {theirs}")


def _empty(counts: Mapping[Split, Counts]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for split in SPLITS:
        if not counts[split].pictures:
            yield "no-train" if split == "train" else "no-test", (split,)


def _look(
    records: list[_Record], short: Callable[[Path], str], told: Callable[..., None]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Read each picture once, compare all with all, and yield what that shows."""
    users: defaultdict[Path, list[_Record]] = defaultdict(list)
    for record in records:
        users[record.crop.path].append(record)
    paths = list(users)
    looks = look_at(paths, told)
    for row, reason in looks.unreadable.items():
        yield "unreadable", (short(paths[row]), reason)
    pairs = alike(looks, told)
    twice = [Alike(row, row, 0.0) for row, path in enumerate(paths) if len(users[path]) > 1]
    for pair in twice + pairs:
        for first, second in _meetings(users[paths[pair.first]], users[paths[pair.second]]):
            kind = judge(first, second, exact=pair.unlike == 0)
            if kind is not None:
                yield kind, (short(first.crop.path), short(second.crop.path))
    if len(pairs) >= MOST_PAIRS:
        yield "more", (f"{len(pairs)} pairs",)


def _meetings(first: list[_Record], second: list[_Record]) -> Iterator[tuple[_Record, _Record]]:
    for here, one in enumerate(first):
        for there, other in enumerate(second):
            if first is not second or here < there:
                yield one, other


def judge(first: _Record, second: _Record, *, exact: bool) -> str | None:
    """Say what it means that two records show the same picture; None where it is no news."""
    a, b = first.crop, second.crop
    plain = "duplicate" if exact else "near-duplicate"
    if a.junk or b.junk:
        return plain
    if first.test != second.test:
        return "picture-leak"
    if a.person != b.person:
        return "two-persons"
    if {first.split, second.split} == {"query", "gallery"} and not a.distractor:
        if a.camera is None or a.camera != b.camera:
            return "answer-given"
        if a.path == b.path:
            return None  # the protocol ignores it, and it is no second copy (CUHK03's old protocol)
    return plain
