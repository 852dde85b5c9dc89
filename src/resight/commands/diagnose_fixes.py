"""Decisions on suspected identity splits: kept from one diagnosis to the next, and what they are worth in mAP.

Nothing is merged in the tables: a person says yes or no in `label_fixes.csv`, and hears what the mAP would be.
Proof: tests/commands/test_diagnose_fixes.py.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from resight.diagnose.splits import Suspects, merge
from resight.diagnose.tables import Table, suspects_table
from resight.errors import BadRecipe
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import score_features
from resight.search.features import Features
from resight.types import PersonId

FIXES: Final = "label_fixes.csv"
YES: Final = ("yes", "y", "true", "1", "是")
Pair = tuple[str, str]


def read_decisions(path: Path) -> dict[Pair, str]:
    """What `label_fixes.csv` says of each pair of persons; empty where it is not there. Raises BadRecipe for others."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return {(row["first"], row["second"]): row["same"].strip() for row in rows if row["same"].strip()}
    except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
        raise BadRecipe(
            f"{path} is no table with the columns first, second and same ({error}); delete it or mend it."
        ) from error


def with_decisions(suspects: Sequence[Suspects], decided: dict[Pair, str]) -> Table:
    """The table of suspects with what was decided before; decided pairs that are no suspects now stay at the end."""
    table = dict(suspects_table(suspects))
    pairs = [(str(one.first), str(one.second)) for one in suspects]
    gone = [pair for pair in decided if pair not in pairs]
    table["same"] = [decided.get(pair, "") for pair in (*pairs, *gone)]
    for name in table:
        if name != "same":
            place = {"first": 0, "second": 1}.get(name)
            table[name] = [*table[name], *("" if place is None else pair[place] for pair in gone)]
    return table


def fixed_mean_ap(features: Features, decided: dict[Pair, str], *, protocol: ProtocolName) -> tuple[int, float] | None:
    """How many pairs were said to be one person, and the mAP when they are; None where none was."""
    known: dict[str, PersonId] = {
        str(one): one for side in (features.query, features.gallery) for one in side.persons.tolist()
    }
    yes = [pair for pair, same in decided.items() if same.lower() in YES]
    unknown = [name for pair in yes for name in pair if name not in known]
    if unknown:
        raise BadRecipe(f"label_fixes.csv names person {unknown[0]}, who is not in this search; mend or delete it.")
    if not yes:
        return None
    merged = merge(features, [(known[first], known[second]) for first, second in yes])
    return len(yes), float(score_features(merged, protocol=protocol).mean_ap)
