"""Measurements are kept by the thousand: stopped work goes on, a changed picture is measured again."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from resight.diagnose import stages
from resight.diagnose.conditions import measure


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stages, "KEPT", 4)
    rng = np.random.default_rng(0)
    made = [tmp_path / f"{number}.png" for number in range(10)]
    for path in made:
        Image.fromarray(rng.integers(0, 255, (64, 32, 3), dtype=np.uint8)).save(path)
    return made


def counting(monkeypatch, *, fail_from=99):
    asked = []

    def measure_some(some, **how):
        asked.extend(some)
        if len(asked) > fail_from:
            raise KeyboardInterrupt
        return measure(some, **how)

    monkeypatch.setattr(stages, "measure", measure_some)
    return asked


def same(one, other):
    np.testing.assert_allclose(one.clothes, other.clothes, rtol=1e-6)
    np.testing.assert_array_equal(one.widths, other.widths)
    assert one.signals.keys() == other.signals.keys()
    for name, values in one.signals.items():
        np.testing.assert_allclose(values, other.signals[name], rtol=1e-9)


def test_measurements_are_those_of_all_pictures_at_once_and_are_read_the_second_time(paths, monkeypatch):
    whole = measure(paths)
    asked, told = counting(monkeypatch), []
    same(stages.measured(paths), whole)
    assert asked == paths
    same(stages.measured(paths, told=told.append), whole)
    assert asked == paths
    assert sum(told) == 10
    same(whole.take(np.array([7, 2])), measure([paths[7], paths[2]]))


def test_stopped_work_goes_on_where_it_was(paths, monkeypatch):
    counting(monkeypatch, fail_from=8)
    with pytest.raises(KeyboardInterrupt):
        stages.measured(paths)
    asked = counting(monkeypatch)
    stages.measured(paths)
    assert asked == paths[8:]


def test_a_changed_a_missing_and_another_parsers_picture_is_measured_again(paths, monkeypatch):
    stages.measured(paths)
    asked = counting(monkeypatch)
    Image.fromarray(np.zeros((64, 32, 3), np.uint8)).save(paths[5])
    found = stages.measured(paths)
    assert asked == paths[4:8]
    assert found.signals["lum_mean"][5] == 0
    asked.clear()
    paths[9].unlink()
    assert stages.measured(paths).readable.tolist() == [True] * 9 + [False]
    assert asked == paths[8:]
    asked.clear()
    stages.measured(paths, parser="another")
    assert asked == paths


def test_nothing_to_measure(paths):
    assert stages.measured([]).readable.shape == (0,)
