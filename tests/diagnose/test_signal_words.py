"""Signals in words: every one that is measured has a name in both languages, a unit, and values that read."""

from __future__ import annotations

import numpy as np
import pytest

from resight.diagnose.conditions import judge, measure
from resight.diagnose.signal_words import UNITS, axis_of, part_of, plainest, signal_name, signal_value
from resight.diagnose.thresholds import OF_A_PARSER, OF_A_SET, read_thresholds
from resight.report.words import dictionary


def test_every_signal_has_words_that_are_not_its_raw_name():
    signals = judge(measure([]), files=[]).signals
    assert set(signals) | {*OF_A_PARSER, *OF_A_SET} == set(UNITS)
    assert {name.removeprefix("signal_") for name in dictionary() if name.startswith("signal_")} == set(UNITS)
    for name in UNITS:
        assert "_" not in signal_name(name).en + signal_name(name).zh + axis_of(name)[0].en
        assert "{" not in signal_value(name, 0.5).en + signal_value(name, 0.5).zh


@pytest.mark.parametrize(
    ("signal", "value", "said"),
    [
        ("eff_h", 31.4, "31 px"),
        ("hidden", 0.991, "99%"),
        ("light_index", 23.0, "23 of 100"),
        ("cloth_L", -12.0, "−12 of 100"),
        ("cast", 12.06, "12.1 (CIE a*b*)"),
        ("slope", -4.631, "−4.63 (log)"),
    ],
)
def test_a_value_is_said_with_its_unit(signal, value, said):
    assert signal_value(signal, value).en == said


def test_shares_stand_on_an_axis_of_percent_and_colours_on_one_of_their_own():
    assert [axis_of(name)[1] for name in ("hidden", "cast", "eff_h")] == [100.0, 1.0, 1.0]
    assert axis_of("cast")[0].en == "colour cast beside the set’s median (CIE a*b*)"
    values = np.array([0.0, 12.0])
    assert (values * axis_of("cast")[1]).max() == 12


def test_a_share_of_pictures_is_none_only_where_there_are_none():
    assert [part_of(share) for share in (0, 0.001, 0.02, 1)] == ["0%", "<1%", "2%", "100%"]


def test_low_resolution_is_told_by_pixels_and_not_by_a_slope():
    ramps = read_thresholds().ramps
    assert [plainest(ramps[name]).signal for name in ("low_res", "motion_blur")] == ["eff_h", "motion_blur"]
