"""The leaderboard's table: rows are read back, differences are decided by seeds and persons, never by one seed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resight.cli import main
from resight.errors import BadFeatures
from resight.evaluate.leaderboard import (
    LIGHT,
    ROWS,
    Entry,
    condition_scores,
    contrasts,
    read_entries,
    summary,
    write_entry,
)
from resight.evaluate.ranking import score_features
from resight.evaluate.statistics import over_seeds_and_persons
from resight.search.features import Features, side

PERSONS = 40
PAIR = ("visible-parts", "baseline")


def entry(method: str, seed: int, level: float, *, noise: float = 0.02, recipe: str = "aa", **more: object) -> Entry:
    """A row whose persons have about `level` of AP, each with four queries, harder and easier persons alike in all."""
    rng = np.random.default_rng([seed, int(level * 1000)])
    hard = np.random.default_rng(9).normal(0, 0.1, PERSONS)
    sums = 4 * np.clip(level + hard + rng.normal(0, noise, PERSONS), 0, 1)
    scores = {
        "mean_ap": sums.sum() / (4 * PERSONS),
        "rank1": 0.5,
        "persons": list(range(PERSONS)),
        "ap_sums": sums.tolist(),
        "counts": [4] * PERSONS,
    }
    return Entry(
        method=method,
        backbone=LIGHT,
        recipe=method,
        recipe_hash=recipe,
        seed=seed,
        protocol="validation",
        scores={"clean": scores},
        **more,  # type: ignore[arg-type]
    )


def test_an_entry_holds_what_the_search_scored(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = Features(
        side(rng.standard_normal((30, 4)), rng.integers(0, 6, 30), np.zeros(30, dtype=int)),
        side(rng.standard_normal((90, 4)), rng.integers(0, 6, 90), np.ones(90, dtype=int)),
    )
    scores = score_features(features)
    kept = condition_scores(scores, rng=rng)
    one = Entry(
        method="m", backbone="b", recipe="r", recipe_hash="h", seed=1, protocol="validation", scores={"clean": kept}
    )
    write_entry(tmp_path, one)
    (back,) = read_entries(tmp_path)
    assert back.scores["clean"]["mean_ap"] == scores.mean_ap
    found = summary([back], "clean")
    assert found.mean == pytest.approx(scores.mean_ap, abs=1e-6)
    assert np.isnan(found.low)
    assert found.persons_low < found.mean < found.persons_high
    assert summary([back], "occluded-40") is None


def test_a_clear_difference_over_three_seeds_is_decided_and_a_small_one_is_not() -> None:
    base = [entry("baseline", seed, 0.5) for seed in (1, 2, 3)]
    better = [entry("spreid", seed, 0.6) for seed in (1, 2, 3)]
    same = [entry("spatial-attention", seed, 0.501, noise=0.1) for seed in (1, 2, 3)]
    verdicts = {one.first[0]: one.verdict for one in contrasts([*base, *better, *same]) if one.found is not None}
    assert verdicts == {"spreid": "better", "spatial-attention": "undecided"}
    swapped = [entry("baseline", seed, 0.6) for seed in (1, 2, 3)] + [entry("spreid", seed, 0.5) for seed in (1, 2, 3)]
    assert {one.verdict for one in contrasts(swapped) if one.found is not None} == {"worse"}


def test_one_seed_and_unlike_recipes_decide_nothing() -> None:
    one_seed = [entry("baseline", 1, 0.3), entry("spreid", 1, 0.9)]
    assert {one.verdict for one in contrasts(one_seed) if one.found is not None} == {"undecided"}
    base = [entry("baseline", seed, 0.3) for seed in (1, 2, 3)]
    other = [entry("spreid", seed, 0.9, recipe="bb") for seed in (1, 2, 3)]
    (found,) = [one for one in contrasts([*base, *other]) if one.found is not None]
    assert found.verdict == "undecided"
    assert "recipes differ" in found.note
    noted = [replace(one, note="pasted blindly") for one in other]
    assert {one.verdict for one in contrasts([*base, *noted]) if one.found is not None} == {"undecided"}
    said = [entry("spreid", seed, 0.9, recipe="bb", differs="its own learning rate") for seed in (1, 2, 3)]
    assert [one.verdict for one in contrasts([*base, *said]) if one.found is not None] == ["better"]


def test_two_readings_of_the_same_trainings_are_compared_seed_by_seed() -> None:
    levels, rng = [(1, 0.3), (2, 0.5), (3, 0.7)], np.random.default_rng(5)

    def rows(method: str, more: float, weights: str) -> list[Entry]:
        made = [entry(method, seed, level, more={"weights_sha256": f"{weights}{seed}"}) for seed, level in levels]
        return [replace(one, scores={"clean": better(one.scores["clean"], more)}) for one in made]

    def better(scores: dict[str, Any], more: float) -> dict[str, Any]:
        return {**scores, "ap_sums": [one + 4 * more + rng.normal(0, 0.001) for one in scores["ap_sums"]]}

    whole = rows("one-pass-global", 0.0, "a")
    for weights, verdict in (("a", "better"), ("b", "undecided")):
        told = contrasts([*whole, *rows("one-pass", 0.02, weights)])
        assert [one.verdict for one in told if one.found is not None] == [verdict]


def test_queries_hidden_behind_different_things_are_not_compared() -> None:
    def hidden(method: str, level: float, by: str) -> list[Entry]:
        rows = [entry(method, seed, level, more={"occlusions": by} if by else {}) for seed in (1, 2, 3)]
        return [replace(one, scores={**one.scores, "occluded-40": one.scores["clean"]}) for one in rows]

    def found(first: str, second: str) -> dict[str, str]:
        told = contrasts([*hidden("visible-parts", 0.6, first), *hidden("baseline", 0.5, second)])
        return {one.condition: one.verdict for one in told if (one.first[0], one.second[0]) == PAIR}

    assert found("aa", "bb") == {"clean": "better", "occluded-40": "not measured", "other-view": "not measured"}
    for one, other in (("aa", "aa"), ("aa", ""), ("", "")):  # rows of before do not say
        assert found(one, other)["occluded-40"] == "better"


def test_what_rows_say_of_themselves_is_told_where_the_other_does_not_say_it() -> None:
    rows = [*(entry("visible-parts", seed, 0.6) for seed in (1, 2)), *(entry("baseline", seed, 0.5) for seed in (1, 2))]
    rows[2] = replace(rows[2], differs="pasted blindly")
    told = [one for one in contrasts(rows) if (one.first[0], one.second[0]) == PAIR and one.condition == "clean"]
    assert [one.differs for one in told] == ["baseline 1: pasted blindly"]
    rows[2] = replace(rows[2], differs="", note="pasted blindly")
    rows.append(entry("baseline", 3, 0.5))
    told = [one for one in contrasts(rows) if (one.first[0], one.second[0]) == PAIR and one.condition == "clean"]
    assert [one.differs for one in told] == ["baseline 1: pasted blindly"]
    both = [replace(one, differs="shorter", note="") for one in rows]
    told = [one for one in contrasts(both) if (one.first[0], one.second[0]) == PAIR and one.condition == "clean"]
    assert [one.differs for one in told] == [""]


def test_seeds_that_spread_widen_the_interval_and_equal_ones_leave_the_persons_alone() -> None:
    counts = np.full(PERSONS, 4.0)
    base = np.random.default_rng(0).uniform(1, 3, PERSONS)
    equal = over_seeds_and_persons([np.stack([base] * 3)], counts, rng=np.random.default_rng(0))
    assert (equal.low, equal.high) == pytest.approx((equal.persons_low, equal.persons_high))
    spread = np.stack([base - 0.3, base, base + 0.3])
    wide = over_seeds_and_persons([spread], counts, rng=np.random.default_rng(0))
    assert wide.mean == pytest.approx(equal.mean)
    assert wide.low < equal.low
    assert wide.high > equal.high
    # Student's t over three means that lie 0.075 apart, beside the persons' half width
    half = 4.302653 * 0.075 / 3**0.5
    assert wide.high - wide.mean == pytest.approx(np.hypot(half, wide.persons_high - wide.mean), rel=1e-4)


def test_a_row_scored_once_may_hold_its_interval_alone_and_is_compared_with_nothing(tmp_path: Path) -> None:
    once = {"clean": {"mean_ap": 0.7, "rank1": 0.9, "ci95": {"mean_ap": [0.68, 0.72]}}}
    write_entry(tmp_path, replace(entry("baseline", 1, 0.5), scores=once))
    write_entry(tmp_path, entry("visible-parts", 1, 0.6))
    rows = {one.method: one for one in read_entries(tmp_path)}
    found = summary([rows["baseline"]], "clean")
    assert found is not None
    assert (found.mean, found.persons_low, found.persons_high, found.seeds) == (0.7, 0.68, 0.72, 1)
    assert all(one.verdict == "not measured" for one in contrasts(list(rows.values())))
    write_entry(tmp_path, replace(entry("baseline", 2, 0.5), scores={"clean": {"mean_ap": 0.7, "rank1": 0.9}}))
    with pytest.raises(BadFeatures, match="no row of the leaderboard"):
        read_entries(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[1]", '{"method": "baseline"}', "no JSON"])
def test_files_that_are_no_rows_are_named_in_one_plain_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(BadFeatures, match=r"^\S+x.json is no row of the leaderboard; [^()]*\.$"):
        read_entries(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path, capsys) -> None:
    assert main(["leaderboard", "--results", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{tmp_path} holds no results" in said.err


def test_the_table_names_recipes_and_what_they_start_from_and_fits_into_120_signs(tmp_path: Path, capsys) -> None:
    for method, seed, recipe, seconds in (
        ("baseline", 1, "baseline-lite", 600),
        ("baseline", 2, "baseline-pasted", 600),
        ("one-pass", 1, "one-pass-more", 300),
        ("visible-parts-global", 1, "my own", None),
    ):
        write_entry(tmp_path, replace(entry(method, seed, 0.5, training_seconds=seconds), recipe=recipe))
    for words in (["--results", str(tmp_path)], []):
        assert main(["leaderboard", *words]) == 0
        printed = capsys.readouterr().out
        assert max(map(len, printed.splitlines())) <= 120
        if words:
            lines = [line.split() for line in printed.splitlines()]
            place = next(number for number, line in enumerate(lines) if line[:3] == ["baseline", "baseline-lite", "1"])
            assert lines[place][-1] == "10"
            assert lines[place + 1] == ["baseline-pasted"]
            (late,) = [line for line in lines if line[:2] == ["one-pass", "one-pass-more"]]
            assert late[-3:] == ["5", "+", "start"]
            assert "+ start: without" in printed


def test_an_interval_of_seeds_that_lie_apart_stays_within_what_a_score_can_be(tmp_path: Path, capsys) -> None:
    for seed, level in ((1, 0.2), (2, 0.8)):
        write_entry(tmp_path, entry("baseline", seed, level))
    assert main(["leaderboard", "--results", str(tmp_path)]) == 0
    assert "(0.0-100.0)" in capsys.readouterr().out


def test_the_table_says_what_a_method_costs(tmp_path: Path, capsys) -> None:
    facts = {"parameters": 3_373_569, "multiply_adds": 124_337_664, "pictures_per_second": 91.3}
    write_entry(tmp_path, entry("baseline", 1, 0.5, recipe="98ab", hardware="AMD EPYC", **facts))
    write_entry(tmp_path, entry("baseline", 2, 0.5, recipe="98ab", hardware="Intel(R) Xeon(R) @ 2.50GHz"))
    assert main(["leaderboard", "--results", str(tmp_path)]) == 0
    found = [line.split() for line in capsys.readouterr().out.splitlines() if " 98ab " in line]
    assert found == [["baseline", LIGHT, *["3.4", "M", "124.3", "M", "91", "98ab", "AMD", "EPYC,", "Intel"]]]


def test_rows_that_were_not_run_are_printed_as_not_measured(tmp_path: Path, capsys) -> None:
    write_entry(tmp_path, replace(entry("mgcam", 1, 0.5), backbone="mscan"))
    assert main(["leaderboard", "--results", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert all(row.method in printed for row in ROWS)
    assert "not measured, since it is two nets" in printed
    for seed in (1, 2, 3):
        write_entry(tmp_path, entry("baseline", seed, 0.5, parameters=3_400_000))
        write_entry(tmp_path, entry("spreid", seed, 0.7))
    assert main(["leaderboard", "--results", str(tmp_path), "--protocol", "validation"]) == 0
    printed = capsys.readouterr().out
    assert "spreid - baseline (efficientnet-lite0, clean): +" in printed
    assert ", better" in printed
    assert main(["leaderboard", "--results", str(tmp_path), "--protocol", "validation", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["validation"]
    assert found["recipe hashes of contrasted rows"] == ["aa"]
    assert len(found["rows"]) == len(ROWS)
    (measured,) = [one for one in found["contrasts"] if one["found"] is not None]
    assert measured["verdict"] == "better"
    assert main(["leaderboard", "--results", str(tmp_path / "none")]) == 2
