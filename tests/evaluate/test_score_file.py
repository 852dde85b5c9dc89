"""The scores file holds what was agreed, word for word, and is read again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from resight.errors import BadFeatures
from resight.evaluate.ranking import RankingScores, score_features
from resight.evaluate.score_file import intervals_of, query_scores, read_query_scores, write_scores
from resight.search.features import Features, side


def some_scores(*, answered: bool = True) -> RankingScores:
    rng = np.random.default_rng(0)
    sides = [
        side(rng.standard_normal((count, 6)), np.arange(count) % 7 + first, np.full(count, camera))
        for count, first, camera in ((12, 0, 1), (50, 1 if answered else 90, 2))
    ]
    return score_features(Features(*sides))


def written(path: Path, scores: RankingScores) -> dict[str, object]:
    intervals = intervals_of(scores, rng=np.random.default_rng(0), resamples=200)
    write_scores(path, scores, intervals, gallery=50, about={"metric": "cosine", "notes": ["one"]})
    return json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_the_agreed_keys_are_there(tmp_path: Path) -> None:
    scores = some_scores()
    content = written(tmp_path / "scores.json", scores)
    assert content["mean_ap"] == scores.mean_ap
    assert content["mean_ap_trapezoid"] == scores.mean_ap_trapezoid
    assert content["mean_inp"] == scores.mean_inp
    assert len(content["cmc"]) == 50
    assert content["cmc"][0] == scores.cmc[0]
    assert (content["answered"], content["unanswerable"]) == (scores.answered, scores.unanswerable) == (10, 2)
    ci95 = content["ci95"]
    assert set(ci95) == {"mean_ap", "mean_ap_trapezoid", "mean_inp", "rank1", "cmc"}
    assert ci95["mean_ap"][0] <= content["mean_ap"] <= ci95["mean_ap"][1]
    assert len(ci95["cmc"]) == 50
    assert ci95["cmc"][0] == ci95["rank1"]
    assert content["definitions"]["mean_ap"] == "precision at hits"


def test_what_is_undefined_is_null_and_the_rest_survives(tmp_path: Path) -> None:
    scores = some_scores()
    content = written(tmp_path / "scores.json", scores)
    assert content["queries"]["ap"].count(None) == 2
    read, kept = read_query_scores(tmp_path / "scores.json"), query_scores(scores, gallery=50)
    for name in ("ap", "ap_trapezoid", "inp", "rank1", "persons", "files"):
        assert np.array_equal(getattr(read, name), getattr(kept, name), equal_nan=name not in {"files", "persons"})
    assert (read.protocol, read.gallery) == ("market", 50)


def test_nothing_answered_is_still_valid_json(tmp_path: Path) -> None:
    content = written(tmp_path / "scores.json", some_scores(answered=False))
    assert content["mean_ap"] is None
    assert content["cmc"] == [None] * 50
    assert content["ci95"]["mean_ap"] == [None, None]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "does not hold scores"),
        ("[]", "does not hold scores"),
        ("{}", "has no 'queries'"),
        ('{"queries": 3}', "does not hold scores"),
        ('{"queries": {"ap": [1]}}', "has no 'ap_trapezoid'"),
        ('{"queries": {"ap": ["x"], "ap_trapezoid": [1], "inp": [1], "rank1": [1]}}', "does not hold scores"),
        (
            '{"queries": {"ap": [1, 2], "ap_trapezoid": [1], "inp": [1], "rank1": [1], "persons": [1], "files": ["a"]},'
            '"protocol": "market", "gallery": 3}',
            "does not hold scores",
        ),
    ],
)
def test_other_files_get_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(BadFeatures, match=said):
        read_query_scores(tmp_path / "scores.json")


def test_a_file_that_is_no_text_or_not_there_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(BadFeatures, match="does not hold scores"):
        read_query_scores(tmp_path / "scores.json")
    with pytest.raises(BadFeatures, match="No such file"):
        read_query_scores(tmp_path / "none.json")
