"""Charts are well-formed, stay inside their frame, and say their numbers in words too."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.report.charts import HEIGHT, WIDTH, ap_chart, cmc_chart, distance_chart
from resight.report.diagnosis_charts import dose_chart
from resight.report.diagnosis_facts import DoseCurve
from resight.report.facts import Histogram

shares = st.floats(0, 1)


def points(chart: str) -> list[tuple[float, float]]:
    numbers = [float(n) for path in re.findall(r' d="M([^"]+)"', chart) for n in re.findall(r"-?[\d.]+", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def check(chart: str) -> None:
    ElementTree.fromstring(chart)
    assert "nan" not in chart.lower().replace("nearest", "")
    assert all(-1 <= x <= WIDTH + 1 and -1 <= y <= HEIGHT + 1 for x, y in points(chart))


@settings(max_examples=40)
@given(st.lists(shares, min_size=1, max_size=50))
def test_any_match_curve_stays_in_its_frame(values):
    check(cmc_chart(np.sort(np.array(values))))


@settings(max_examples=40)
@given(st.lists(shares, min_size=1, max_size=40))
def test_any_average_precisions_can_be_drawn(values):
    check(ap_chart(np.array(values)))


@settings(max_examples=40)
@given(st.integers(1, 60), st.floats(0, 100), st.floats(1e-3, 1e4))
def test_any_histogram_stays_in_its_frame(bins, start, width):
    rng = np.random.default_rng(0)
    histogram = Histogram(np.linspace(start, start + width, bins + 1), rng.random(bins), np.zeros(bins), 3)
    check(distance_chart(histogram, "cosine distance"))


def written(chart: str, kind: str) -> list[tuple[float, float, str]]:
    texts = [one for one in ElementTree.fromstring(chart).iter("text") if one.attrib["class"] == kind]
    return [(float(one.attrib["x"]), float(one.attrib["y"]), one.text or "") for one in texts]


@settings(max_examples=100)
@given(st.lists(shares, min_size=1, max_size=50))
def test_shares_on_the_axis_stand_where_they_say_and_numbers_of_the_curve_keep_clear_of_the_axis(values):
    cmc = np.sort(np.array(values))
    chart = cmc_chart(cmc)
    ticks = [(float(word[:-1]) / 100, y - 4) for _, y, word in written(chart, "tick") if word.endswith("%")]
    (low, bottom), (high, top) = ticks[0], ticks[-1]
    assert high == 1
    assert low <= cmc[0]
    assert 2 <= len(ticks) <= 6
    for value, y in ticks:
        assert y == pytest.approx(bottom + (top - bottom) * (value - low) / (high - low), abs=0.11)
    for x, y, word in written(chart, "value"):
        assert y < HEIGHT - 40
        assert x + 7 * len(word) <= WIDTH or x > 100  # those at the right edge end there


levels = st.lists(st.tuples(*[st.floats(-0.9, 0.3)] * 3), min_size=2, max_size=6)


@settings(max_examples=60)
@given(levels)
def test_a_dose_curve_that_rises_above_nothing_stays_in_its_frame_too(values):
    low, middle, high = zip(*(sorted(one) for one in values), strict=True)
    steps = tuple(range(len(values)))
    chart = dose_chart(DoseCurve("low_light", "low_light", "stops", steps, middle, low, high, 1.0, ()))
    check(chart)
    assert all(14 - 0.1 <= y <= HEIGHT - 40 + 0.1 for _, y in points(chart))
    zero = [y for _, y, word in written(chart, "tick") if word == "0"]
    assert len(zero) == 2 or steps[0] == 0  # once on the axis of mAP, once as a level
    ((_, y, word),) = written(chart, "value")
    assert word == f"{middle[-1] * 100:+.1f}"
    assert y < HEIGHT - 40


def test_a_better_curve_is_drawn_higher():
    low, high = cmc_chart(np.array([0.5, 0.6])), cmc_chart(np.array([0.5, 0.9]))
    assert points(high)[1][1] < points(low)[1][1]


def test_the_curve_is_read_out_in_words():
    chart = cmc_chart(np.linspace(0.5, 1, 50))
    label = ElementTree.fromstring(chart).attrib["aria-label"]
    assert "rank 1 50.0%" in label
    assert "rank 10 59.2%" in label


@pytest.mark.parametrize("name", ['<script>"', "a & b"])
def test_a_name_from_outside_is_escaped(name):
    chart = distance_chart(Histogram(np.array([0.0, 1.0]), np.ones(1), np.ones(1), 1), name)
    assert name in "".join(ElementTree.fromstring(chart).itertext())
