"""Identity splits: nominated with what is at stake, never merged."""

from __future__ import annotations

import numpy as np
import pytest

from planted import planted
from resight.diagnose.ledger import ledger_of
from resight.diagnose.splits import merge, nominate
from resight.errors import BadRecipe
from resight.evaluate.ranking import score_features
from resight.search.features import Features
from resight.types import Side


def divided(features: Features, person: int, name: int) -> Features:
    """Give half of one person's pictures another number."""
    sides = []
    for side in (features.query, features.gallery):
        persons = side.persons.copy()
        persons[(persons == person) & (np.arange(len(persons)) % 2 == 0)] = name
        sides.append(Side(side.features, persons, side.cameras, side.files))
    return Features(*sides)


def test_a_divided_person_is_nominated_and_merging_wins_back_what_it_cost():
    whole = planted(0, harm=(0.0,), noise=0.5).features
    broken = divided(whole, 7, 999)
    ledger = ledger_of(broken)
    before = broken.gallery.persons.copy()
    first = nominate(ledger)[0]
    assert {first.first, first.second} == {7, 999}
    assert first.nearness < 1
    assert first.mean_ap_if_merged == pytest.approx(score_features(whole).mean_ap)
    assert first.mean_ap_if_merged > 1 - ledger.loss
    np.testing.assert_array_equal(ledger.features.gallery.persons, before)


def test_a_search_without_mutual_hits_has_no_suspects():
    assert nominate(ledger_of(planted(0, harm=(0.0,), noise=0.1).features)) == ()


def test_unknown_persons_are_not_merged():
    with pytest.raises(BadRecipe, match="no person 1 or 12345"):
        merge(planted(0, persons=5).features, [(1, 12345)])
