"""Nominate persons who may be one person under two numbers; a person decides.

Candidates beat each other's own true matches in both directions: a query of the one finds a picture of the other before
every true match, and the other way round. How near they lie is said beside it: the distance between the persons' means
over the typical distance of a picture to its own person's mean; real look-alikes stay candidates like everyone else.
Nothing is merged: `label_fixes.csv` lists the candidates with an empty column for the decision.
Proof: tests/diagnose/test_splits.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from resight.diagnose.ledger import Ledger
from resight.errors import BadRecipe
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import score_features
from resight.search.features import Features
from resight.search.rows import normalised
from resight.types import PersonId


@dataclass(frozen=True, slots=True)
class Suspects:
    """Two persons who may be one."""

    first: PersonId
    second: PersonId
    first_ahead: int
    """Queries of the first that find the second before every true match."""
    second_ahead: int
    nearness: float
    """Distance of the two means over the mean distance of pictures to their own mean; below 1 is suspicious."""
    loss: float
    """What the two cost each other, in mAP 0..1."""
    mean_ap_if_merged: float
    """mAP if the two were one person: what is at stake, never applied."""


def nominate(ledger: Ledger, *, protocol: ProtocolName = "market", most: int = 20) -> tuple[Suspects, ...]:
    """List pairs that beat each other's true matches, those that cost most first, at most `most`."""
    mutual = np.minimum(ledger.ahead, ledger.ahead.T)
    first, second = np.nonzero(np.triu(mutual, 1))
    if len(first) == 0:
        return ()
    cost = ledger.by_persons + ledger.by_persons.T
    order = np.argsort(-cost[first, second], kind="stable")[:most]
    found = []
    means, spread = _means(ledger)
    for a, b in zip(first[order].tolist(), second[order].tolist(), strict=True):
        apart = float(np.linalg.norm(means[a] - means[b]))
        names = ledger.persons[a].item(), ledger.persons[b].item()
        merged = score_features(merge(ledger.features, [names]), protocol=protocol).mean_ap
        found.append(
            Suspects(
                *names,
                int(ledger.ahead[a, b]),
                int(ledger.ahead[b, a]),
                apart / max(float(spread[[a, b]].mean()), 1e-12),
                float(cost[a, b]),
                merged,
            )
        )
    return tuple(found)


def merge(features: Features, pairs: Sequence[tuple[PersonId, PersonId]]) -> Features:
    """Give the second person of each pair the first one's number, in a copy; raises BadRecipe for unknown persons."""
    sides = []
    known = set(features.query.persons.tolist()) | set(features.gallery.persons.tolist())
    for pair in pairs:
        if not known.issuperset(pair):
            raise BadRecipe(f"There is no person {pair[0]} or {pair[1]} in this search; check the label fixes.")
    for side in (features.query, features.gallery):
        persons = side.persons.copy()
        for kept, gone in pairs:
            persons[persons == gone] = kept
        sides.append(replace(side, persons=persons))
    return replace(features, query=sides[0], gallery=sides[1])


def _means(ledger: Ledger) -> tuple[Float[np.ndarray, "P D"], Float[np.ndarray, " P"]]:
    """Mean feature of each person in the gallery at length 1, and how far pictures lie from it on average."""
    gallery = ledger.features.gallery
    values = normalised(gallery)
    place = np.minimum(np.searchsorted(ledger.persons, gallery.persons), len(ledger.persons) - 1)
    rows: Int[np.ndarray, " N"] = np.flatnonzero(ledger.persons[place] == gallery.persons)
    count = np.bincount(place[rows], minlength=len(ledger.persons))[:, None]
    sums = np.zeros((len(ledger.persons), values.shape[1]))
    np.add.at(sums, place[rows], values[rows])
    means = sums / np.maximum(count, 1)
    apart = np.linalg.norm(values[rows] - means[place[rows]], axis=1)
    return means, np.bincount(place[rows], apart, minlength=len(ledger.persons)) / np.maximum(count[:, 0], 1)
