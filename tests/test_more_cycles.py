"""A gain is of the same queries, and a run that knows the validation persons is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import more_cycles

from resight.evaluate.ranking import score_features
from resight.search.features import Features, side


def test_a_gain_is_the_mean_difference_of_answered_queries() -> None:
    rng = np.random.default_rng(0)
    persons = np.arange(40) % 10
    sides = [side(rng.standard_normal((40, 8)), persons, np.full(40, camera)) for camera in (0, 1)]
    before = score_features(Features(*sides))
    assert more_cycles.gained(before, before)["gain"] == 0
    ap = before.ap.copy()
    ap[0] = np.nan  # not answered in either
    after = replace(before, ap=np.minimum(ap + 0.25, 1))
    found = more_cycles.gained(before, after)
    assert found["gain"] == pytest.approx(np.nanmean(after.ap - ap))
    assert found["ci95"][0] <= found["gain"] <= found["ci95"][1]


def test_a_run_that_knows_the_validation_persons_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("validation-persons = 0\n")
    monkeypatch.setattr(sys, "argv", ["more_cycles.py", str(tmp_path), str(tmp_path), "--threads", "1"])
    with pytest.raises(SystemExit, match="learned from the 100 validation persons"):
        more_cycles.main()
