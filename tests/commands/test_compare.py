"""`resight compare` as a user types it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resight.cli import main
from resight.commands.compare import shown_conditions
from resight.search.features import Features, load_features, save_features, side


def run(
    path: Path, *, noise: float, seed: int = 0, reverse: bool = False, gallery: int = 300, persons: int = 30
) -> Path:
    """Write a features file; more noise is a worse model. `reverse` lists the same queries the other way round."""
    centres = np.random.default_rng(1).standard_normal((persons, 16))
    rng = np.random.default_rng(seed)
    sides = []
    for count in (90, gallery):
        who = np.arange(count) % persons
        values = centres[who] + noise * rng.standard_normal((count, 16))
        files = np.array([f"{row:04d}.jpg" for row in range(count)])
        order = np.arange(count)[::-1] if reverse else np.arange(count)
        sides.append(side(values[order], who[order], np.full(count, count), files[order]))
    path.parent.mkdir(exist_ok=True)
    save_features(path, Features(*sides))
    return path


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["compare", *map(str, words), "--resamples", "200"])
    out, err = capsys.readouterr()
    return code, out, err


def row(out: str, name: str) -> list[str]:
    return next(line.split() for line in out.splitlines() if line.split()[:1] == [name])


def test_a_better_run_is_found_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse, better = run(tmp_path / "a.npz", noise=1.6), run(tmp_path / "b.npz", noise=0.9, seed=1)
    code, out, err = said(capsys, worse, better)
    assert (code, err) == (0, "")
    for name in ("mAP", "Rank-1", "mINP"):
        assert " ".join(row(out, name)[-3:]) == "B is better"
    assert row(out, "mAP")[3].startswith("+")
    _, out, _ = said(capsys, better, worse)
    assert " ".join(row(out, "mAP")[-3:]) == "A is better"


def test_equal_runs_are_undecided_whatever_the_order_of_their_queries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, same = run(tmp_path / "a.npz", noise=1.2), run(tmp_path / "b.npz", noise=1.2, reverse=True)
    code, out, _ = said(capsys, one, same)
    assert code == 0
    assert row(out, "mAP")[3] in {"+0.00", "-0.00"}
    assert row(out, "mAP")[-2:] == ["1.0000", "undecided"]


def test_a_gain_below_the_bar_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse, better = run(tmp_path / "a.npz", noise=1.6), run(tmp_path / "b.npz", noise=0.9)
    assert said(capsys, worse, better, "--at-least", 0.01)[0] == 0
    code, out, _ = said(capsys, worse, better, "--at-least", 0.9)
    assert code == 1
    assert "below the bar of +90.00 points" in out
    assert said(capsys, better, worse, "--at-least", 0)[0] == 1
    assert said(capsys, worse, worse, "--at-least", 0)[0] == 0


def test_scores_files_and_folders_are_compared_like_their_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = run(tmp_path / "a" / "features.npz", noise=1.6), run(tmp_path / "b" / "features.npz", noise=1.2)
    _, plain, _ = said(capsys, first, second)
    for path in (first, second):
        assert main(["evaluate", str(path), "--json", str(path.parent / "scores.json"), "--resamples", "100"]) == 0
    capsys.readouterr()
    _, folders, _ = said(capsys, first.parent, second.parent)
    _, files, _ = said(capsys, first.parent / "scores.json", second.parent / "scores.json")
    first.unlink()
    _, mixed, _ = said(capsys, first.parent, second)
    assert row(plain, "mAP") == row(folders, "mAP") == row(files, "mAP") == row(mixed, "mAP")


def test_other_queries_persons_or_galleries_are_no_fair_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = run(tmp_path / "a.npz", noise=1)
    code, _, err = said(capsys, one, run(tmp_path / "b.npz", noise=1, gallery=200))
    assert code == 2
    assert "300 gallery pictures" in err
    code, _, err = said(capsys, one, run(tmp_path / "c.npz", noise=1, persons=20))
    assert code == 2
    assert "other persons" in err
    stranger = side(np.ones((2, 3)), np.array([1, 2]), np.array([1, 2]), np.array(["x.jpg", "0001.jpg"]))
    save_features(tmp_path / "d.npz", Features(stranger, stranger))
    code, _, err = said(capsys, one, tmp_path / "d.npz")
    assert code == 2
    assert "89 of the queries are in" in err


def test_garbage_gets_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = run(tmp_path / "a.npz", noise=1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no")
    (tmp_path / "bad.json").write_text("{}")
    for other, expected in (
        ("none.npz", "does not exist"),
        ("empty", "holds neither features.npz nor scores.json"),
        ("text.txt", "file of another kind"),
        ("bad.json", "has no 'queries'"),
    ):
        code, out, err = said(capsys, good, tmp_path / other)
        assert (code, out) == (2, "")
        assert expected in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("bar", ["nan", "5"])
def test_a_bar_that_no_gain_can_reach_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], bar: str) -> None:
    path = run(tmp_path / "a.npz", noise=1)
    code, _, err = said(capsys, path, path, "--at-least", bar)
    assert code == 2
    assert "between -1 and 1" in err


def test_another_protocol_than_the_scores_file_has_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(tmp_path / "a.npz", noise=1)
    words = ["evaluate", str(path), "--protocol", "occluded", "--json", str(tmp_path / "s.json"), "--resamples", "100"]
    assert main(words) == 0
    code, _, err = said(capsys, path, tmp_path / "s.json")
    assert code == 2
    assert "--protocol occluded" in err
    assert said(capsys, path, tmp_path / "s.json", "--protocol", "occluded")[0] == 0


def table(path: Path, columns: dict[str, list[object]]) -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_difference_is_told_by_what_queries_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse, better = run(tmp_path / "a.npz", noise=1.6), run(tmp_path / "b.npz", noise=1.6)
    features = load_features(better)
    dark = np.arange(90) % 2 == 0
    right = run(tmp_path / "c.npz", noise=0.1)
    values = np.where(dark[:, None], load_features(right).query.features, features.query.features)
    gallery = load_features(right).gallery
    mixed = replace(features, query=replace(features.query, features=values), gallery=gallery)
    save_features(better, mixed)
    save_features(worse, replace(load_features(worse), gallery=gallery))
    names = [f"query/{number:04d}.jpg" for number in range(90)]
    scores = {"file": names, "low_light": np.where(dark, 0.9, 0.1).tolist(), "occlusion": [0.9] * 4 + [0.1] * 86}
    scores |= {"low_res": [""] * 90, "mask": ["prior"] * 90}
    code, out, _ = said(capsys, worse, better, "--conditions", table(tmp_path / "images.csv", scores))
    assert code == 0
    found = row(out, "low_light")
    assert found[1] == found[6] == "45"
    assert float(found[2]) > 10
    assert found[7].lstrip("+-") == "0.0"
    assert "too few persons" in next(line for line in out.splitlines() if "occlusion" in line)
    assert "low_res" not in out


def test_tables_that_say_nothing_of_the_queries_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = run(tmp_path / "a.npz", noise=1.2)
    names = [f"{number:04d}.jpg" for number in range(90)]
    for columns, says in (
        ({"file": names[:5], "low_light": [0.2] * 5}, "says nothing of 85 of the queries"),
        ({"file": names, "colour": [1] * 90}, "no column of a condition"),
        ({"file": names, "low_light": ["dark"] * 90}, "other words than numbers"),
    ):
        code, _, err = said(capsys, one, one, "--conditions", table(tmp_path / "t.csv", columns))
        assert code == 2
        assert says in err
    assert said(capsys, one, one, "--conditions", tmp_path / "none.csv")[0] == 2


def named_run(path: Path, names: list[str]) -> Path:
    """Two pictures of each of twelve persons ask; half of the persons are found badly."""
    who = np.arange(24) // 2
    values = np.random.default_rng(0).standard_normal((12, 8))[who]
    gallery = side(values + np.random.default_rng(1).standard_normal(values.shape), who, np.full(24, 2))
    save_features(path, Features(side(values, who, np.full(24, 1), np.array(names)), gallery))
    return path


def test_conditions_are_looked_up_by_whole_names(tmp_path: Path) -> None:
    names = [f"person{who}/{number}.jpg" for who in range(12) for number in (1, 2)]
    scores = [number % 2 for number in range(24)]
    whole = table(tmp_path / "t.csv", {"file": [*names[::-1]], "low_light": scores[::-1]})
    assert shown_conditions(whole, names)["low_light"].tolist() == scores


def test_names_without_folders_serve_only_where_they_are_one_picture_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = [f"{number}.jpg" for number in range(24)]
    scores = [number % 2 for number in range(24)]
    other = table(tmp_path / "t.csv", {"file": [f"set/{name}" for name in alone], "low_light": scores})
    assert shown_conditions(other, [f"query/{name}" for name in alone])["low_light"].tolist() == scores
    names = [f"person{who}/{number}.jpg" for who in range(12) for number in (1, 2)]
    run = named_run(tmp_path / "a.npz", names)
    for files in ([f"set/{name}" for name in names], ["1.jpg", "2.jpg"]):  # twice in the table, twice in the queries
        conditions = table(tmp_path / "t.csv", {"file": files, "low_light": [1] * len(files)})
        code, _, err = said(capsys, run, run, "--conditions", conditions)
        assert code == 2
        assert "for the 12 queries called 1.jpg" in err
        assert err.count("\n") == 1


def test_one_re_ranked_run_beside_one_that_is_not_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, scores = run(tmp_path / "a.npz", noise=1.6), tmp_path / "s.json"
    assert main(["evaluate", str(path), "--rerank", "--json", str(scores), "--resamples", "100"]) == 0
    assert "B alone is re-ranked" in said(capsys, path, scores)[1]
    assert "re-ranked" not in said(capsys, scores, scores)[1]
