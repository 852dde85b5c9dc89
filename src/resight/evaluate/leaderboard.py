"""The table of methods: which rows should be there, what each file says, and what differences are worth.

One JSON file holds one row and seed: method, backbone, recipe hash, seed, protocol, cost, surroundings, and for each
condition (clean, occluded-40, other-view, …) the scores and each person's sum of AP, so that methods can be compared
person by person without their features (a row scored once may hold its interval alone). A row without files is "not
measured".
Rules: an ordering needs an interval over seeds and persons, else it is undecided; methods compared share a recipe hash,
or the row says in what it differs.
Proof: tests/evaluate/test_leaderboard.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resight.data.files import write_text
from resight.errors import BadFeatures
from resight.evaluate.ranking import RankingScores
from resight.evaluate.score_file import intervals_of
from resight.evaluate.statistics import OverSeeds, over_seeds_and_persons, person_sums

CONDITIONS: Final = ("clean", "occluded-20", "occluded-40", "occluded-60", "same-view", "other-view")
SEEDS: Final = (1, 2, 3)
LIGHT: Final = "efficientnet-lite0"
SMALL: Final = "mscan"
OCCLUSIONS: Final = "occlusions"
"""In `more`: digits that change with what hid the queries of the occlusion benchmark."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that should be in the table."""

    method: str
    backbone: str
    paper: str
    unrun: str = ""
    """Why it is not measured, where it is not."""


TWO_NETS: Final = "it is two nets, twice a row's time"
LARGE: Final = "a row on ResNet-50 takes more than half a day on two cores (`scripts/gpu_rows.py` runs it on a GPU)"
ROWS: Final = (
    Row("baseline", LIGHT, "Luo et al., CVPR Workshops 2019"),
    Row("spatial-attention", LIGHT, "Wang et al., 2018"),
    Row("spreid", LIGHT, "Kalayeh et al., CVPR 2018"),
    Row("visible-parts", LIGHT, "own"),
    Row("baseline-unpasted", LIGHT, "baseline, trained without anything pasted before persons"),
    Row("one-pass", LIGHT, "own"),
    Row("one-pass-global", LIGHT, "one-pass, compared by whole body and foreground, without parts"),
    Row(
        "one-pass-rendered", LIGHT, "own, trained without Market-1501", "it learns from rendered people; see the README"
    ),
    Row("maskreid", LIGHT, "Qi et al., 2018"),
    Row("maskreid-softmax", LIGHT, "Qi et al., 2018, by identities alone, without its ranking loss"),
    Row("two-stream", LIGHT, "unpublished", TWO_NETS),
    Row("mgcam-rgb", SMALL, "Song et al., CVPR 2018"),
    Row("mgcam-masked-rgb", SMALL, "Song et al., CVPR 2018"),
    Row("mgcam-rgb-mask", SMALL, "Song et al., CVPR 2018"),
    Row("mgcam", SMALL, "Song et al., CVPR 2018"),
    Row("mgcam-hard", SMALL, "Song et al., CVPR 2018"),
    Row("baseline", "resnet50", "Luo et al., CVPR Workshops 2019", LARGE),
    Row("spatial-attention", "resnet50", "Wang et al., 2018", LARGE),
    Row("spreid", "resnet50", "Kalayeh et al., CVPR 2018", LARGE),
    Row("maskreid", "resnet50", "Qi et al., 2018", LARGE),
    Row("maskreid-softmax", "resnet50", "Qi et al., 2018", LARGE),
    Row("visible-parts", "resnet50", "own", LARGE),
)
CONTRASTS: Final[tuple[tuple[tuple[str, str], tuple[str, str], tuple[str, ...]], ...]] = (
    (("spatial-attention", LIGHT), ("baseline", LIGHT), ("clean",)),
    (("spreid", LIGHT), ("baseline", LIGHT), ("clean", "occluded-40")),
    (("visible-parts", LIGHT), ("baseline", LIGHT), ("clean", "occluded-40", "other-view")),
    (("visible-parts", LIGHT), ("baseline-unpasted", LIGHT), ("clean", "occluded-40", "other-view")),
    (("baseline", LIGHT), ("baseline-unpasted", LIGHT), ("clean", "occluded-40", "other-view")),
    (("one-pass", LIGHT), ("one-pass-global", LIGHT), ("clean", "occluded-40", "other-view")),
    (("maskreid", LIGHT), ("maskreid-softmax", LIGHT), ("clean",)),
    (("maskreid", LIGHT), ("baseline", LIGHT), ("clean", "occluded-40")),
    (("mgcam-rgb", SMALL), ("mgcam-masked-rgb", SMALL), ("clean",)),
    (("mgcam-rgb-mask", SMALL), ("mgcam-rgb", SMALL), ("clean",)),
    (("mgcam", SMALL), ("mgcam-hard", SMALL), ("clean",)),
    (("spatial-attention", "resnet50"), ("baseline", "resnet50"), ("clean",)),
    (("spreid", "resnet50"), ("baseline", "resnet50"), ("clean",)),
    (("maskreid", "resnet50"), ("maskreid-softmax", "resnet50"), ("clean",)),
)
"""First less second, in these conditions: the orderings that the papers claim, and what comparing parts is worth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row and seed."""

    method: str
    backbone: str
    recipe: str
    """Name of the recipe that trains it."""
    recipe_hash: str
    """As `run.json` holds it (train.recipe.recipe_hash)."""
    seed: int
    protocol: str
    """"validation" (held-out training persons) or "market1501" (the official test split)."""
    scores: Mapping[str, Mapping[str, Any]]
    """By condition: mean_ap, rank1, mean_inp, answered, ci95, and persons with their ap_sums and counts."""
    changes: str = ""
    """What its training command says beyond recipe, seed, data and folder: `--set training-persons=375 …`."""
    differs: str = ""
    """In what the recipe differs, where its hash does."""
    note: str = ""
    """What else sets the run apart, such as what its pasting knew; it explains no other hash."""
    parameters: int | None = None
    multiply_adds: int | None = None
    pictures_per_second: float | None = None
    training_seconds: float | None = None
    hardware: str | None = None
    commit: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> tuple[str, str]:
        return self.method, self.backbone


@dataclass(frozen=True, slots=True)
class Contrast:
    """First method less second, in mAP."""

    first: tuple[str, str]
    second: tuple[str, str]
    condition: str
    found: OverSeeds | None
    """None where it was not measured."""
    note: str
    """Why it is not measured, or why nothing can be decided."""
    differs: str = ""
    """In what the rows say they differ beside their method."""

    @property
    def verdict(self) -> str:
        return "not measured" if self.found is None else "undecided" if self.note else self.found.verdict


def condition_scores(scores: RankingScores, *, rng: np.random.Generator) -> dict[str, Any]:
    """What an entry keeps of one condition."""
    ends = intervals_of(scores, rng=rng)
    answered = ~np.isnan(scores.ap)
    grouped = person_sums(scores.ap[:, None], scores.persons)
    return {
        "mean_ap": scores.mean_ap,
        "rank1": float(scores.cmc[0]),
        "mean_inp": scores.mean_inp,
        "answered": scores.answered,
        "ci95": {"mean_ap": list(ends.mean_ap), "rank1": list(ends.rank1), "mean_inp": list(ends.mean_inp)},
        "persons": np.unique(scores.persons[answered]).tolist(),
        "ap_sums": np.round(grouped.sums[:, 0], 6).tolist(),
        "counts": grouped.counts.astype(int).tolist(),
    }


def write_entry(folder: Path, entry: Entry) -> Path:
    """Write one row and seed into the folder, under its own name."""
    path = folder / f"{entry.protocol}-{entry.method}-{entry.backbone}-{entry.seed}.json"
    write_text(path, json.dumps(asdict(entry)) + "\n")
    return path


def read_entries(folder: Path) -> list[Entry]:
    """All rows and seeds of a folder, by file name. Raises BadFeatures for a file that is none."""
    entries = []
    known = {one.name for one in fields(Entry)}
    needed = {one.name for one in fields(Entry) if one.default is MISSING and one.default_factory is MISSING}
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict) or needed - content.keys():
                raise ValueError("it holds something else")
            entry = Entry(**{name: value for name, value in content.items() if name in known})
            for scores in entry.scores.values():
                if "persons" not in scores:  # a single scoring that kept its interval alone
                    float(scores["ci95"]["mean_ap"][0])
                elif not len(scores["persons"]) == len(scores["ap_sums"]) == len(scores["counts"]) > 0:
                    raise ValueError("unequal lengths")
                float(scores["mean_ap"]), float(scores["rank1"])
        except OSError as error:
            raise BadFeatures(f"{path} cannot be read: {error.strerror}; check the file.") from error
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise BadFeatures(
                f"{path} is no row of the leaderboard; write it anew, or keep only such files in the folder."
            ) from error
        entries.append(entry)
    return entries


def summary(entries: Sequence[Entry], condition: str) -> OverSeeds | None:
    """Mean AP of one row in one condition, over its seeds and persons; None where it was not measured."""
    found = _sums(entries, condition)
    if found is None and len(entries) == 1 and condition in entries[0].scores:
        scores = entries[0].scores[condition]
        low, high = scores["ci95"]["mean_ap"]
        return OverSeeds(float(scores["mean_ap"]), math.nan, math.nan, low, high, seeds=1)
    return None if found is None else over_seeds_and_persons([found[1]], found[2], rng=np.random.default_rng(0))


def contrasts(entries: Sequence[Entry]) -> list[Contrast]:
    """Every contrast of the table, for entries of one protocol."""
    by_row: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        by_row.setdefault(entry.row, []).append(entry)
    found = []
    for first, second, conditions in CONTRASTS:
        one, other = by_row.get(first, []), by_row.get(second, [])
        for condition in conditions:
            contrast = _contrast(one, other, condition)
            found.append(Contrast(first, second, condition, *contrast, differs=_said_apart(one, other)))
    return found


def _said_apart(first: Sequence[Entry], second: Sequence[Entry]) -> str:
    """What some of the runs say of themselves and others do not, with the seeds where not all of a row say it."""
    both = (*first, *second)
    said = []
    for words in sorted({one for entry in both for one in (entry.differs, entry.note) if one}):
        for row in (first, second):
            some = [entry for entry in row if words in (entry.differs, entry.note)]
            if some and not all(words in (entry.differs, entry.note) for entry in both):
                seeds = "" if len(some) == len(row) else f" {' '.join(str(entry.seed) for entry in some)}"
                said.append(f"{some[0].method}{seeds}: {words}")
    return "; ".join(said)


def _contrast(first: Sequence[Entry], second: Sequence[Entry], condition: str) -> tuple[OverSeeds | None, str]:
    one, other = _sums(second, condition), _sums(first, condition)
    if one is None or other is None:
        return None, "a row has no such scores"
    (persons, before, counts), (others, after, other_counts) = one, other
    if persons != others or not np.array_equal(counts, other_counts):
        return None, "the rows were scored on different queries"
    hidden_by = {entry.more.get(OCCLUSIONS) for entry in (*first, *second)} - {None}
    if condition.startswith("occluded") and len(hidden_by) > 1:
        return None, "the rows' queries were hidden behind different things"
    trained = [[entry.more.get("weights_sha256") for entry in row] for row in (first, second)]
    twice = trained[0] == trained[1] and None not in trained[0]  # the same runs, read in two ways: seed by seed
    runs = [after - before] if twice else [before, after]
    value = over_seeds_and_persons(runs, counts, rng=np.random.default_rng(0))
    hashes = {entry.recipe_hash for entry in (*first, *second)}
    said = any(entry.differs for entry in (*first, *second))
    return value, "" if len(hashes) == 1 or said else "the recipes differ and no row says in what"


def _sums(
    entries: Sequence[Entry], condition: str
) -> tuple[list[Any], NDArray[np.float64], NDArray[np.float64]] | None:
    """Persons, AP sums (seeds × persons) and counts of one row, where all its seeds have the condition."""
    scores = [entry.scores[condition] for entry in entries if condition in entry.scores]
    if not scores or len(scores) < len(entries) or any("persons" not in one for one in scores):
        return None
    first = scores[0]
    if any(one["persons"] != first["persons"] or one["counts"] != first["counts"] for one in scores):
        raise BadFeatures(f"The seeds of {entries[0].method} were scored on different queries; score them alike.")
    sums = np.array([one["ap_sums"] for one in scores], dtype=np.float64)
    return first["persons"], sums, np.array(first["counts"], dtype=np.float64)
