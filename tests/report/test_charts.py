"""Charts are well-formed, stay inside their frame, and say their numbers in words too."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.report.charts import HEIGHT, WIDTH, ap_chart, cmc_chart, distance_chart
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
