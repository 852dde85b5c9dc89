"""Learn from differently labelled sets at once: a source's label stands for the set of target classes it may mean.

"skin" of Clothing Co-Parsing is a face or any arm or leg; a Pascal arm is left or right; a pedestrian without parts is
anything but background. The loss of a pixel is −log of the summed probability of its set (`losses.set_loss`), so a
source teaches what it knows and nothing else. What each label means stands in `label_meanings`.
Source: partial labels, Cour, Sapp and Taskar, JMLR 2011. Proof: tests/data/test_label_union.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from resight.data.label_sets import LabelSet, mirrored_name
from resight.data.regrouping import Regrouping
from resight.errors import BadLabels
from resight.types import IGNORE


@dataclass(frozen=True, slots=True)
class Meaning:
    """Target classes that each source class may mean; an empty tuple: nothing is known (255).

    Every source class has its entry; raises BadLabels otherwise, and for classes that the target does not have.
    """

    source: LabelSet
    target: LabelSet
    means: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        title = f"The meaning of {self.source.name} in {self.target.name}"
        for name in (*self.source.classes, *self.means):
            if name not in self.means:
                raise BadLabels(f"{title} leaves `{name}` out; say what it may mean, or `()` for nothing known.")
            if name not in self.source.classes:
                raise BadLabels(f"{title} explains `{name}`, which is no class of {self.source.name}.")
            for target in self.means[name]:
                if target not in self.target.classes:
                    raise BadLabels(f"{title}: `{name}` means `{target}`, which is no class of {self.target.name}.")
            if len(set(self.means[name])) < len(self.means[name]):
                raise BadLabels(f"{title}: `{name}` names a class twice.")

    def regrouped(self, regrouping: Regrouping) -> Meaning:
        """The same labels in a regrouped target; a class whose policy is `ignore` leaves the set it was in."""
        if regrouping.source != self.target:
            raise BadLabels(f"A meaning in {self.target.name} cannot be regrouped from {regrouping.source.name}.")
        classes = regrouping.target.classes
        means = {}
        for name, targets in self.means.items():
            groups = {regrouping.group_of(target) for target in targets} - {IGNORE}
            means[name] = tuple(classes[group] for group in sorted(groups))
        return Meaning(self.source, regrouping.target, means)


def exact(labels: LabelSet) -> Meaning:
    """A source that is labelled by the target's own table: each class means itself."""
    return Meaning(labels, labels, {name: (name,) for name in labels.classes})


@dataclass(frozen=True, slots=True)
class SetTable:
    """All sets that the sources' labels may mean, as one table; set k < K is target class k alone.

    A target map holds set numbers as uint8 (255: ignored) until the device. With each set its mirror image is there.
    """

    target: LabelSet
    sets: Bool[Tensor, "S K"]
    tables: Mapping[str, UInt8[np.ndarray, " 256"]]
    """Source's name -> set number of each of its 256 values; 255 stays 255."""

    def number(self, classes: Sequence[str]) -> int:
        """Number of the set of these classes; raises BadLabels when no source and no extra asked for it."""
        same = (self.sets == torch.tensor(_row(self.target, classes))).all(1)
        if bool(same.any()):
            return int(same.int().argmax())
        raise BadLabels(f"The table has no set ({', '.join(classes)}); name it among `extra` when it is made.")

    def swap(self) -> UInt8[np.ndarray, " 256"]:
        """Set that each set becomes in a mirror; 255 stays. Turns target maps as `LabelSet.swap` turns label maps."""
        mirrored = self.sets[:, torch.from_numpy(self.target.swap().astype(np.int64))]
        values = np.arange(256, dtype=np.uint8)
        same = (mirrored[:, None] == self.sets[None]).all(2)
        values[: len(self.sets)] = same.int().argmax(1).numpy()
        return values

    def set_map(self, source: str, values: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
        """Turn a source's map, already checked against its table, into set numbers."""
        if source not in self.tables:
            raise BadLabels(f"The table knows no source `{source}`; it was made of {', '.join(self.tables)}.")
        return np.asarray(self.tables[source][values])

    def flip(self, set_map: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
        """Mirror a map of set numbers."""
        return np.ascontiguousarray(self.swap()[set_map[:, ::-1]])


def set_table(meanings: Sequence[Meaning], extra: Sequence[Sequence[str]] = ()) -> SetTable:
    """Join the meanings of several sources, and `extra` sets (of key points), into one table.

    Raises BadLabels when targets differ, a source is named twice, or there are more than 255 sets.
    """
    if not meanings:
        raise BadLabels("A table of sets needs at least one source.")
    target = meanings[0].target
    rows: dict[tuple[bool, ...], int] = {}
    for name in target.classes:
        _add(rows, target, (name,))
    tables: dict[str, UInt8[np.ndarray, " 256"]] = {}
    for meaning in meanings:
        if meaning.target != target:
            raise BadLabels(f"Sources mean classes of {target.name} and of {meaning.target.name}; regroup one of them.")
        if meaning.source.name in tables:
            raise BadLabels(f"The source {meaning.source.name} is given twice.")
        table = np.full(256, IGNORE, np.uint8)
        for number, name in enumerate(meaning.source.classes):
            table[number] = _add(rows, target, meaning.means[name]) if meaning.means[name] else IGNORE
        tables[meaning.source.name] = table
    for classes in extra:
        _add(rows, target, classes)
    return SetTable(target, torch.tensor(list(rows), dtype=torch.bool), tables)


def _row(target: LabelSet, classes: Sequence[str]) -> tuple[bool, ...]:
    numbers = {target.number(name) for name in classes}
    if not numbers:
        raise BadLabels("A set of classes needs at least one class.")
    return tuple(number in numbers for number in range(len(target.classes)))


def _add(rows: dict[tuple[bool, ...], int], target: LabelSet, classes: Sequence[str]) -> int:
    """Number of a set in the table, where it and its mirror image are entered if they are new."""
    number = rows.setdefault(_row(target, classes), len(rows))
    rows.setdefault(_row(target, [mirrored_name(name) for name in classes]), len(rows))
    if len(rows) > IGNORE:
        raise BadLabels(f"The sources mean more than {IGNORE} different sets; leave one out.")
    return number
