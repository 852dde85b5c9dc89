"""`resight diagnose` and `resight conditions`: tables that sum, honest gaps, resumed stages, bad input."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from planted import planted
from resight.cli import main
from resight.commands.conditions import open_parser
from resight.commands.diagnose import Diagnose, _named
from resight.commands.diagnose_page import differences
from resight.commands.diagnose_text import cause_table
from resight.data.images import read_picture
from resight.diagnose import stages
from resight.diagnose.causes import loss_by_query, split_loss
from resight.diagnose.conditions import judge, measure
from resight.diagnose.ledger import ledger_of
from resight.diagnose.marks import cells_of
from resight.diagnose.page_charts import dose_curves, dose_look, dose_signs
from resight.diagnose.tables import write_table
from resight.diagnose.thresholds import read_thresholds
from resight.errors import BadRecipe
from resight.evaluate.ranking import score_features
from resight.parsing import load_parser, save_parser
from resight.search.features import Features, load_features, save_features, side
from toy_people import ToyCounts, write_market


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp("drawn"), ToyCounts(train_persons=0, persons=16, cameras=3), seed=3)


@pytest.fixture
def toy(drawn, tmp_path):
    """A toy set and features of it."""
    root = tmp_path / "toy"
    shutil.copytree(drawn, root)
    _colours(root)
    return root


def _colours(root):
    """Write features: small pictures as they are."""
    sides = []
    for folder in ("query", "bounding_box_test"):
        paths = sorted((root / folder).glob("*.jpg"))
        values = np.stack([read_picture(path)[::8, ::8].ravel() / 255.0 - 0.5 for path in paths])
        persons = np.array([int(path.name.split("_")[0]) for path in paths])
        cameras = np.array([int(path.name.split("_c")[1][0]) for path in paths])
        sides.append(side(values, persons, cameras, np.array([f"{folder}/{path.name}" for path in paths])))
    save_features(root / "features.npz", Features(*sides), root=root)
    return root / "features.npz"


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def total(path, column):
    return sum(float(row[column]) for row in rows(path))


def test_every_table_sums_to_what_evaluate_calls_lost(toy, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        main(["diagnose", str(toy / "features.npz"), "--parser", "none", "--out", str(out), "--resamples", "200"]) == 0
    )
    lost = 1 - score_features(load_features(toy / "features.npz")).mean_ap
    columns = {
        "queries": ("loss",),
        "gallery": ("loss_as_wrong", "loss_as_match"),
        "matches": ("loss",),
        "cameras": ("loss_by_wrong", "loss_by_match"),
        "persons": ("loss_as_query", "loss_as_wrong"),
        "shares": ("loss",),
    }
    for name, some in columns.items():
        for column in some:
            assert total(out / f"{name}.csv", column) == pytest.approx(lost, abs=1e-9), (name, column)
    run = json.loads((out / "run.json").read_text())
    assert run["mean_ap"] == pytest.approx(1 - lost)
    assert run["thresholds"]
    assert run["model"] == "features.npz"
    by_cause = {name: total(out / "queries.csv", name) for name in rows(out / "queries.csv")[0] if "loss_" in name}
    assert sum(by_cause.values()) == pytest.approx(lost, abs=1e-9)
    assert rows(out / "images.csv")[0]["mask"] == "prior"
    assert rows(out / "images.csv")[0]["occlusion"] == ""
    said = capsys.readouterr().out
    assert "unexplained" in said
    assert "not measured" in said


def test_measurements_are_kept_and_change_nothing(toy, tmp_path, monkeypatch):
    words = ["diagnose", str(toy / "features.npz"), "--resamples", "200", "--out"]
    assert main([*words, str(tmp_path / "a")]) == 0
    monkeypatch.setattr(stages, "measure", lambda *_, **__: pytest.fail("measured again"))
    assert main([*words, str(tmp_path / "b")]) == 0
    for name in ("shares", "causes", "images", "steps", "label_fixes"):
        assert (tmp_path / "a" / f"{name}.csv").read_bytes() == (tmp_path / "b" / f"{name}.csv").read_bytes()


def test_remedies_are_measured_on_the_spot_and_against_other_models(toy, tmp_path, capsys):
    mine = load_features(toy / "features.npz")
    better = [
        replace(
            one, features=one.features + 4 * np.eye(100, one.features.shape[1], dtype=np.float32)[one.persons % 100]
        )
        for one in (mine.query, mine.gallery)
    ]
    other = replace(mine, query=better[0], gallery=better[1])
    save_features(tmp_path / "better.npz", other)
    words = ["diagnose", str(toy / "features.npz"), "--parser", "none", "--resamples", "100"]
    assert main([*words, "--out", str(tmp_path / "out"), "--against", str(tmp_path / "better.npz")]) == 0
    found = rows(tmp_path / "out" / "remedies.csv")
    assert {row["remedy"] for row in found} == {"rerank", "better"}
    won = {row["cause"]: float(row["gain"]) for row in found if row["remedy"] == "better"}
    expected = score_features(load_features(tmp_path / "better.npz")).mean_ap - score_features(mine).mean_ap
    assert won.pop("all") == pytest.approx(expected, abs=1e-6)
    assert sum(won.values()) == pytest.approx(expected, abs=1e-6)
    assert "Remedy better: mAP +" in capsys.readouterr().out
    save_features(tmp_path / "fewer.npz", replace(mine, query=mine.query.take(slice(1, None))))
    assert main([*words, "--out", str(tmp_path / "out"), "--against", str(tmp_path / "fewer.npz")]) == 2
    assert "fewer: its query pictures are not those" in capsys.readouterr().err
    (tmp_path / "bad.npz").write_bytes(b"x")
    assert main(["diagnose", "nowhere", "--against", str(tmp_path / "bad.npz")]) == 2
    assert "bad.npz cannot be read" in capsys.readouterr().err


def dose_table(model: str | None, high: float = -0.01) -> dict[str, list[object]]:
    table: dict[str, list[object]] = {"condition": ["low_light"] * 3, "setting": ["query"] * 3, "unit": ["stops"] * 3}
    table |= {"level": [0.0, 1.0, 2.0], "difference": [0.0, -0.1, -0.2], "low": [0.0, -0.2, -0.3]}
    table |= {"high": [0, high, high], "d50": [9.0] * 3}
    return table if model is None else table | {"model": [model] * 3}


def test_a_dose_is_read_at_the_level_of_the_pictures_that_show_the_cause(tmp_path):
    write_table(tmp_path / "dose", dose_table("mine"), parquet=False)
    [curve] = dose_curves(tmp_path / "dose.csv", None)
    assert np.isnan(curve.own)
    assert dose_signs([curve]) == {}  # not known where this set's pictures lie
    for own, level, difference in ((2.4, "2", -0.2), (0.8, "1", -0.1), (0.1, "1", -0.1)):
        look = dose_look("low_light", [replace(curve, own=own)])
        assert look.value == difference
        assert f"at {level} stops" in look.note.en
    assert dose_signs([replace(curve, own=2.0)]) == {"low_light": 1}
    assert dose_signs([replace(curve, own=2.0, high=(0, 0.01, 0.01))]) == {"low_light": 0}
    assert dose_signs([replace(curve, own=2.0, low=(0, 0.1, 0.1), high=(0, 0.2, 0.2))]) == {"low_light": -1}


def test_the_own_level_is_the_median_of_the_marked_pictures(tmp_path):
    dark, light = np.full(10, 20.0), np.full(90, 60.0)
    paths = [tmp_path / f"{number}.png" for number in range(100)]
    lum = np.concatenate([dark, light])
    found = judge(measure([]), files=[], mask="prior")
    signals = {name: np.full(100, np.nan) for name in found.signals} | {"lum_mean": lum}
    scores = {"low_light": np.concatenate([np.ones(10), np.zeros(90)])}
    conditions = replace(found, files=tuple(map(str, paths)), signals=signals, scores=scores)
    write_table(tmp_path / "dose", dose_table("mine"), parquet=False)
    [curve] = dose_curves(tmp_path / "dose.csv", conditions)
    stops = np.log2(((60 + 16) / 116) ** 3 / ((20 + 16) / 116) ** 3)
    assert curve.own == pytest.approx(stops)
    assert curve.real == (0.9, 0.0, 0.1)


def test_a_dose_table_that_lacks_columns_is_refused(tmp_path):
    table = dose_table("mine")
    del table["setting"], table["d50"]
    write_table(tmp_path / "dose", table, parquet=False)
    with pytest.raises(BadRecipe, match="lacks the columns setting, d50"):
        dose_curves(tmp_path / "dose.csv", None)


def test_a_parser_is_named_with_its_weights_so_that_old_measurements_are_not_taken_for_its_own(tmp_path):
    model = load_parser("parser-lite")
    names = []
    for step in (0.0, 1.0):
        state = {
            name: value + step if name.endswith("bias") else value for name, value in model.network.state_dict().items()
        }
        save_parser(tmp_path / "own.safetensors", state, model.settings)
        names.append(open_parser(str(tmp_path / "own.safetensors"))[2])
    assert names[0] != names[1]


def test_without_pictures_the_ledger_stands_alone(toy, tmp_path, capsys):
    alone = tmp_path / "alone" / "features.npz"
    save_features(alone, load_features(toy / "features.npz"))
    assert main(["diagnose", str(alone), "--out", str(tmp_path / "out"), "--resamples", "200"]) == 0
    assert "No pictures were found" in capsys.readouterr().out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "No pictures were found" in page
    assert "data:image/" not in page
    assert not (tmp_path / "out" / "images.csv").exists()
    assert {row["cause"] for row in rows(tmp_path / "out" / "shares.csv")} <= {"unexplained", "gallery_distractor"}


def test_pictures_that_are_missing_in_the_middle_are_empty_cells(toy, tmp_path):
    gone = sorted((toy / "bounding_box_test").glob("*.jpg"))[5]
    gone.unlink()
    out = tmp_path / "out"
    assert main(["diagnose", str(toy / "features.npz"), "--out", str(out), "--resamples", "200"]) == 0
    row = next(row for row in rows(out / "images.csv") if row["file"].endswith(gone.name))
    assert (row["mask"], row["low_light"]) == ("unreadable", "")


def test_the_second_opinion_stands_beside_the_looks(tmp_path):
    root = write_market(tmp_path / "more", ToyCounts(train_persons=0, persons=60, cameras=3), seed=4)
    out = tmp_path / "out"
    words = ["diagnose", str(_colours(root)), "--images", str(root), "--parser", "none", "--resamples", "100"]
    assert main([*words, "--out", str(out)]) == 0
    found = rows(out / "regression.csv")
    assert {row["where"] for row in found} == {"query", "match"}
    assert all(float(row["low"]) <= float(row["effect"]) <= float(row["high"]) for row in found)
    parts = {row["cause"]: float(row["share"]) for row in found}
    assert sum(parts.values()) == pytest.approx(1)
    by_cause = {row["cause"]: row for row in rows(out / "causes.csv")}
    assert by_cause["low_light"]["regression_effect"] == next(
        row["effect"] for row in found if (row["cause"], row["where"]) == ("low_light", "query")
    )
    assert "fractional logit" in (out / "report.html").read_text(encoding="utf-8")


def test_a_search_that_loses_nothing_says_so(tmp_path, capsys):
    perfect = planted(0, noise=0.01).features
    save_features(tmp_path / "features.npz", perfect)
    words = ["diagnose", str(tmp_path / "features.npz"), "--out", str(tmp_path / "out"), "--resamples", "200"]
    assert main(words) == 0
    assert "Nothing was lost" in capsys.readouterr().out
    assert "nothing was lost" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_two_diagnoses_are_compared_by_cause(toy, tmp_path, capsys):
    for name in ("a", "b"):
        words = ["diagnose", str(toy / "features.npz"), "--out", str(tmp_path / name), "--resamples", "200"]
        assert main(words) == 0
    capsys.readouterr()
    both = tmp_path / "both"
    assert main(["diagnose", "--compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(both)]) == 0
    assert "A and B" in (both / "difference.html").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert "all that is lost" in said
    assert "In points of mAP lost" in said
    assert "%" not in said.replace("95 %", "")
    run = json.loads((tmp_path / "b" / "run.json").read_text())
    (tmp_path / "b" / "run.json").write_text(json.dumps(run | {"thresholds": "other"}))
    assert main(["diagnose", "--compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "differ in thresholds" in capsys.readouterr().err


def test_differences_by_cause_have_the_intervals_of_a_paired_bootstrap_and_sum_to_the_whole(tmp_path):
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(20), 3)
    lost = {"loss_low_light": rng.random((2, 60)) / 60, "loss_unexplained": rng.random((2, 60)) / 60}
    for number, folder in enumerate(("a", "b")):
        table = {"file": [f"{row}.jpg" for row in range(60)], "person": persons, "ap": [0.5] * 59 + [""]}
        table |= {name: np.append(values[number, :59], 0.0) for name, values in lost.items()}
        write_table(tmp_path / folder / "queries", table, parquet=False)
    *rows, whole = differences((tmp_path / "a", tmp_path / "b"), seed=1, resamples=4000)
    assert whole.more == pytest.approx(sum(one.more for one in rows))
    draws = []
    for _ in range(4000):
        drawn = [np.flatnonzero(persons[:59] == one) for one in rng.integers(0, 20, 20)]
        chosen = np.concatenate(drawn)
        apart = lost["loss_low_light"][1] - lost["loss_low_light"][0]
        draws.append(59 * apart[chosen].mean())
    found = next(one for one in rows if one.cause == "low_light")
    width = np.ptp(np.quantile(draws, (0.025, 0.975)))
    np.testing.assert_allclose([found.low, found.high], np.quantile(draws, (0.025, 0.975)), atol=0.06 * width)


def test_a_comparison_is_written_into_a_folder_of_its_own():
    assert Diagnose(compare=(Path("diagnosis"), Path("other"))).folder == Path("difference")
    assert Diagnose(x="sample").folder == Path("diagnosis")
    assert Diagnose(x="sample", out=Path("here")).folder == Path("here")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs a data set"),
        (["--compare", "only"], "takes two folders"),
        (["{npz}", "--images", "nowhere"], "does not hold"),
        (["{npz}", "--protocol", "cuhk03"], "cuhk03-np"),
        (["{npz}", "--thresholds", "none.toml"], "no file of thresholds"),
    ],
)
def test_bad_input_is_one_sentence(toy, words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["diagnose", *(word.replace("{npz}", str(toy / "features.npz")) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_conditions_write_one_row_a_picture_with_the_five_scores_first(toy, tmp_path, capsys):
    folder = tmp_path / "crops"
    shutil.copytree(toy / "query", folder / "deep")
    out = tmp_path / "conditions.csv"
    assert main(["conditions", str(folder), "--out", str(out)]) == 0
    found = rows(out)
    assert list(found[0])[:6] == ["file", "low_light", "low_res", "multi_person", "occlusion", "truncation"]
    assert [row["file"] for row in found] == [f"deep/{path.name}" for path in sorted((toy / "query").glob("*.jpg"))]
    assert all(0 <= float(row["low_light"]) <= 1 for row in found)
    (folder / "broken.jpg").write_bytes(b"broken")
    capsys.readouterr()
    assert main(["conditions", str(folder), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()[:-1]] == list(read_thresholds().ramps)
    assert f"{folder / 'broken.jpg'} cannot be read" in said.err
    assert "carried_object: not measured (this parser does not tell it)" in said.out
    assert main(["conditions", str(tmp_path / "nothing"), "--out", str(out)]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_what_cannot_be_written_is_refused_before_a_picture_is_measured(toy, tmp_path, capsys, monkeypatch):
    for module in ("conditions", "diagnose"):
        monkeypatch.setattr(f"resight.commands.{module}.conditions_of", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "file").write_text("")
    npz, bad = str(toy / "features.npz"), str(tmp_path / "file" / "x.csv")
    for words in (["conditions", str(toy / "query")], ["diagnose", npz], ["dose", str(toy)]):
        assert main([*words, "--out", bad]) == 2
        assert "Could not write" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for words in (["conditions", "sample"], ["diagnose", npz]):
        assert main([*words, "--parquet", "--out", str(tmp_path / "x.csv")]) == 2
        assert "need pyarrow" in capsys.readouterr().err


def test_the_samples_crops_are_measured_by_its_name_and_a_folder_of_that_name_by_its_path(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["conditions", "sample", "--parser", "none", "--out", "x.csv"]) == 0
    assert len(rows(tmp_path / "x.csv")) > 300
    assert "occlusion: not measured (it needs a parser)" in capsys.readouterr().out
    assert main(["conditions", "./sample", "--parser", "none"]) == 2
    assert "sample is no folder" in capsys.readouterr().err


def test_a_protocol_that_does_not_fit_is_refused_before_pictures_are_embedded(toy, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("resight.commands.embed.embed_sides", lambda *_, **__: pytest.fail("embedded"))
    own = tmp_path / "own"
    for path in toy.rglob("0*.jpg"):
        (own / path.name[:4]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, own / path.name[:4])
    for words in ([str(own)], [str(own), "--protocol", "multi-query"], [str(toy), "--protocol", "cuhk03"]):
        assert main(["diagnose", *words, "--out", str(tmp_path / "out")]) == 2
        assert "--protocol" in capsys.readouterr().err


def test_the_page_opens_in_the_chosen_language_holds_its_pictures_and_sums(toy, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["diagnose", str(toy / "features.npz"), "--resamples", "200", "--language", "zh", "--blur-heads"]
    assert main([*words, "--out", str(out)]) == 0
    assert str(out / "report.html") in capsys.readouterr().out
    page = (out / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh">' in page
    assert "data:image/" in page
    assert len(page.encode()) < 8_000_000
    assert "已模糊" in page


def test_losses_by_query_sum_to_the_ledgers_and_the_splits(toy):
    features = load_features(toy / "features.npz")
    marks = stages.marks_of(features, None, rng=np.random.default_rng(0)).with_shams(
        count=2, share=0.4, rng=np.random.default_rng(1)
    )
    cells = cells_of(features, marks)
    split = split_loss(cells, rng=np.random.default_rng(0))
    blamed = replace(split, effects=tuple(replace(one, log_ratio=0.3, blamed=True) for one in split.effects))
    found = loss_by_query(cells, blamed)
    assert sum(found.values()) == pytest.approx(ledger_of(features).by_query, abs=1e-12)
    for name, loss in split.by_cause().items():
        assert loss_by_query(cells, split)[name].sum() == pytest.approx(loss)


def test_the_table_of_causes_fits_into_80_signs():
    table = cause_table()
    cells = ["gallery_distractor", "21.2", "18.4 - 24.1", "-25.3", "-35.9 … -13.2", "-12.1?", "+13.3", "A"]
    table.add_row(*cells)
    shown = io.StringIO()
    Console(file=shown, width=80, soft_wrap=True).print(table)
    assert all(cell in shown.getvalue() for cell in cells)


def test_the_record_names_the_default_model():
    assert _named(Diagnose(x="sample")) == "one-pass"
    assert _named(Diagnose(x="sample", model="runs/mine")) == "runs/mine"
    assert _named(Diagnose(x="sample", features=Path("theirs.npz"))) == "theirs.npz"
