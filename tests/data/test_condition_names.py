"""Conditions go by one name, however a user or an older file writes them."""

from __future__ import annotations

import tomllib

import pytest

from resight.data.condition_names import CONDITIONS, condition_name
from resight.diagnose.dose import COMPANY, COURSES
from resight.diagnose.thresholds import THRESHOLDS
from resight.people.causes import UNITS
from resight.report.words import dictionary


@pytest.mark.parametrize("name", CONDITIONS)
def test_hyphens_and_underscores_are_one_name(name):
    assert condition_name(name) == condition_name(name.replace("_", "-")) == condition_name(name.upper()) == name


def test_other_names_lead_to_the_one_name():
    assert [condition_name(name) for name in ("second-person", "colour-cast")] == ["multi_person", "color_cast"]


def test_measuring_planting_spoiling_and_words_have_the_same_names():
    assert set(tomllib.loads(THRESHOLDS.read_text())) == set(CONDITIONS)
    assert set(UNITS) <= set(CONDITIONS)
    assert {name if name in CONDITIONS else name.rsplit("_", 1)[0] for name in (*COURSES, COMPANY)} <= set(CONDITIONS)
    assert {f"cause_{name}" for name in CONDITIONS} <= set(dictionary())
