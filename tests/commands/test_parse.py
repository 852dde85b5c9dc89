"""`resight parse` and the trained parser: sizes, resuming, garbage, names; from the shell's side."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resight.cli import field_docs, main
from resight.commands.parse import Parse
from resight.commands.parse_folder import ParsingJob
from resight.commands.parts import Parts
from resight.data.files import checksum
from resight.data.label_sets import LIP20, PARTS7
from resight.data.labels import read_map
from resight.data.regrouping import LIP20_PARTS7, find_regrouping, targets
from resight.errors import BadRecipe, BadWeights
from resight.parsing import load_parser, save_parser
from small_parser import RECIPE, untrained, write_people

SIZES = {"a.jpg": (96, 40), "sub/a.png": (384, 128), "one.png": (1, 1), "wide.bmp": (50, 300)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("weights") / "lite.safetensors")


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        path = tmp_path / "crops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return tmp_path / "crops"


def parse(crops: Path, out: Path, weights: Path, *more: str) -> int:
    return main(["parse", str(crops), "--out", str(out), "--model", str(weights), *more])


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "parsed.csv").open(newline="") as table:
        return list(csv.DictReader(table))


def test_each_map_has_its_pictures_size_and_name_and_the_table_says_what_it_holds(
    crops: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "parsed"
    assert parse(crops, out, weights, "--labels", "parts7") == 0
    for name, size in SIZES.items():
        values = read_map(out / Path(name).with_suffix(".png"), PARTS7, size=size)
        row = next(row for row in rows(out) if row["file"] == name)
        assert float(row["clothes"]) == pytest.approx((values == 2).mean(), abs=1e-4)
        assert 0 <= float(row["sure"]) <= 1
        assert 0 <= float(row["second_share"]) <= 1
        with Image.open(out / "overlays" / Path(name).with_suffix(".jpg")) as shown:
            assert (shown.height, shown.width) == size
    assert [row["file"] for row in rows(out)] == sorted(SIZES)
    assert (out / "contact-sheet.png").exists()
    assert "network" in capsys.readouterr().err


def test_files_that_cannot_be_read_are_named_and_the_rest_is_parsed(
    crops: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (crops / "bad.jpg").write_bytes(b"no picture")
    (crops / "empty.png").touch()
    assert parse(crops, tmp_path / "parsed", weights, "--no-overlays") == 1
    said = capsys.readouterr().err
    assert said.count("bad.jpg") == 1
    assert said.count("empty.png") == 1
    assert "2 could not be read" in said
    assert len(rows(tmp_path / "parsed")) == len(SIZES)
    assert not (tmp_path / "parsed" / "overlays").exists()


def test_a_stopped_job_goes_on_and_ends_as_an_unbroken_one(crops: Path, tmp_path: Path, weights: Path) -> None:
    model = load_parser(weights)

    def job(out: Path) -> ParsingJob:
        return ParsingJob(crops, out, model, LIP20_PARTS7, overlays=False, flip=False, batch=1)

    def stop(n: int, **_: int) -> None:
        raise KeyboardInterrupt

    broken = job(tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        list(broken.run(stop))
    with (tmp_path / "broken" / "parsed.csv").open("a") as table:
        table.write("sub/a.p")  # a torn line
    mended = job(tmp_path / "broken")
    assert 0 < mended.done < len(SIZES)
    list(mended.run(lambda *_, **__: None))
    list(job(tmp_path / "whole").run(lambda *_, **__: None))
    assert (tmp_path / "broken" / "parsed.csv").read_bytes() == (tmp_path / "whole" / "parsed.csv").read_bytes()
    again = job(tmp_path / "broken")
    assert again.done == len(SIZES)
    (tmp_path / "broken" / "one.png").unlink()
    assert job(tmp_path / "broken").done == len(SIZES) - 1  # a map that vanished is made again


def test_overlays_that_an_earlier_run_left_out_are_drawn_from_its_maps(
    crops: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late, whole = tmp_path / "late", tmp_path / "whole"
    assert parse(crops, late, weights, "--no-overlays") == 0
    made = {path: path.stat().st_mtime_ns for path in late.rglob("*.png")}
    capsys.readouterr()
    assert parse(crops, late, weights) == 0
    said = capsys.readouterr().err
    assert f"0 crops parsed. {len(SIZES)} were done before. {len(SIZES)} overlays were added." in said
    assert parse(crops, whole, weights) == 0
    for name in SIZES:
        overlay = Path("overlays", name).with_suffix(".jpg")
        assert (late / overlay).read_bytes() == (whole / overlay).read_bytes()
        assert (late / name).with_suffix(".png").stat().st_mtime_ns == made[(late / name).with_suffix(".png")]
    assert parse(crops, late, weights) == 0
    assert "added" not in capsys.readouterr().err.splitlines()[-1]


def test_pictures_parsed_one_by_one_into_a_folder_all_stand_in_its_table(
    crops: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (crops / "sub" / "a.png").rename(crops / "sub" / "b.png")
    single, whole = tmp_path / "single", tmp_path / "whole"
    for name in ("wide.bmp", "a.jpg", "sub/b.png"):
        assert parse(crops / name, single, weights) == 0
    assert [row["file"] for row in rows(single)] == ["a.jpg", "b.png", "wide.bmp"]
    assert parse(crops, whole, weights) == 0
    wanted = {Path(row["file"]).name: row for row in rows(whole)}
    assert [{**wanted[row["file"]], "file": row["file"]} for row in rows(single)] == rows(single)
    (single / "b.png").unlink()
    Image.new("RGB", (40, 90)).save(crops / "wide.png")
    assert parse(crops / "a.jpg", single, weights) == 0
    assert [row["file"] for row in rows(single)] == ["a.jpg", "wide.bmp"]
    capsys.readouterr()
    assert parse(crops / "wide.png", single, weights) == 2
    assert "is the map of wide.bmp" in capsys.readouterr().err


def test_a_picture_that_holds_something_else_gets_a_new_map_however_old_it_is(
    crops: Path, tmp_path: Path, weights: Path
) -> None:
    model, out = load_parser(weights), tmp_path / "parsed"

    def job() -> ParsingJob:
        return ParsingJob(crops, out, model, LIP20_PARTS7, overlays=False, flip=False, batch=1)

    list(job().run(lambda *_, **__: None))
    for picture in crops.rglob("*.png"):
        os.utime(picture)
    assert job().done == len(SIZES)
    Image.new("RGB", (40, 90)).save(crops / "one.png")
    os.utime(crops / "one.png", (0, 0))
    again = job()
    assert again.done == len(SIZES) - 1
    list(again.run(lambda *_, **__: None))
    with Image.open(out / "one.png") as made_anew:
        assert made_anew.size == (40, 90)


def test_one_more_picture_reads_no_more_of_a_full_folder_than_the_sheet_shows(
    crops: Path, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "parsed"
    assert parse(crops, out, weights) == 0
    read: list[Path] = []
    monkeypatch.setattr("resight.data.cache.checksum", lambda path: read.append(path) or checksum(path))
    monkeypatch.setattr("resight.commands.parse_folder.SHOWN", 1)
    Image.new("RGB", (40, 90)).save(crops / "zz.png")
    assert parse(crops / "zz.png", out, weights) == 0
    assert len(set(read)) <= 2


def test_maps_of_another_model_or_labels_are_not_mixed(
    crops: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "parsed"
    assert parse(crops, out, weights, "--labels", "parts7") == 0
    assert parse(crops, out, weights, "--labels", "lip20") == 2
    assert "other labels" in capsys.readouterr().err
    assert parse(crops, out, weights, "--labels", "parts7", "--input-size", "64x48") == 2
    for torn in ("{", "[]", ""):
        (out / "parse.json").write_text(torn)
        assert parse(crops, out, weights, "--labels", "parts7") == 2
        assert "Choose a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--labels", "parts9"), "Did you mean `parts"),
        (("--input-size", "64"), "height x width"),
        (("--batch", "0"), "--batch is 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    crops: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    assert parse(crops, tmp_path / "parsed", weights, *more) == 2
    assert said in capsys.readouterr().err


def test_two_files_for_one_map_and_maps_over_the_photos_are_refused(
    crops: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse(crops, crops, weights) == 2
    assert "maps would replace pictures" in capsys.readouterr().err
    Image.new("RGB", (4, 8)).save(crops / "a.bmp")
    assert parse(crops, tmp_path / "parsed", weights) == 2
    assert "a.png" in capsys.readouterr().err
    assert parse(tmp_path / "nowhere", tmp_path / "parsed", weights) == 2


def test_a_mirrored_crop_gives_the_mirrored_probabilities_with_sides_swapped(weights: Path) -> None:
    model = load_parser(weights)
    pixels = np.random.default_rng(1).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    [here], [there] = (model.parse([one], flip=True) for one in (pixels, pixels[:, ::-1].copy()))
    swapped = there.probabilities[LIP20.swap()][:, :, ::-1]
    assert np.allclose(here.probabilities, swapped, atol=1e-4)
    assert here.sure == pytest.approx(there.sure, abs=1e-4)


def test_groups_are_sums_of_probabilities(weights: Path) -> None:
    model = load_parser(weights)
    pixels = np.random.default_rng(1).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    [fine] = model.parse([pixels])
    [grouped] = model.parse([pixels], regrouping=find_regrouping(LIP20, PARTS7))
    assert np.allclose(grouped.probabilities[1], fine.probabilities[[1, 2, 4, 13]].sum(0), atol=1e-5)
    assert fine.probabilities.sum(0) == pytest.approx(1, abs=1e-4)


def test_a_parser_saved_in_half_precision_loads_and_an_embedder_is_refused(tmp_path: Path, weights: Path) -> None:
    model = load_parser(weights)
    save_parser(tmp_path / "half.safetensors", model.network.state_dict(), model.settings, half=True)
    half = load_parser(tmp_path / "half.safetensors")
    images = torch.randn(1, 3, 64, 32)
    with torch.inference_mode():
        assert torch.allclose(half.network(images).logits, model.network(images).logits, atol=0.2)
    from resight.weight_files import WEIGHTS

    if (WEIGHTS / "baseline-lite" / "model.safetensors").exists():
        with pytest.raises(BadWeights, match="embedder's"):
            load_parser(WEIGHTS / "baseline-lite" / "model.safetensors")
    assert load_parser(weights, size=(128, 48)).size == (128, 48)


def test_training_from_the_shell_leaves_a_run_that_parses(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    people, recipe, run = write_people(tmp_path / "people"), tmp_path / "tiny.toml", tmp_path / "run"
    recipe.write_text(RECIPE)
    words = ["train", "parser", "--recipe", str(recipe), "--data", str(people), "--out", str(run), "--threads", "1"]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(run / "model.safetensors")
    lines = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    more = write_people(tmp_path / "more")  # a second folder of the same kind
    again = [*words[:5], str(people), str(more), "--out", str(tmp_path / "both"), "--threads", "1", "--steps", "3"]
    assert main(again) == 0
    both = json.loads((tmp_path / "both" / "validation.jsonl").read_text())
    assert set(both) == {"step", "people", "people 2"}
    assert 0 <= lines[-1]["people"]["mean_iou"] <= 1
    assert parse(crops, tmp_path / "parsed", run, "--no-overlays") == 0
    assert main([*words, "--steps", "9"]) == 2  # another recipe in the same folder
    assert main(["train", "parser", "--recipe", str(recipe), "--data", str(crops), "--out", str(tmp_path / "x")]) == 2


def test_a_job_without_pictures_says_so(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "none").mkdir()
    assert parse(tmp_path / "none", tmp_path / "parsed", weights) == 2
    with pytest.raises(BadRecipe):
        ParsingJob(tmp_path, tmp_path, load_parser(weights), LIP20_PARTS7, overlays=False, flip=False, batch=1)


@pytest.mark.parametrize("config", [Parse, Parts])
def test_the_help_of_labels_names_every_set_that_the_shipped_parser_s_maps_become(config: type) -> None:
    told = field_docs(config)["labels"]
    assert [name for name in targets(LIP20) if name not in told] == []


def test_a_label_set_that_no_table_leads_to_is_answered_with_those_that_there_are(
    crops: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse(crops, tmp_path / "parsed", weights, "--labels", "ccp59") == 2
    said = capsys.readouterr().err
    assert "No table says how lip20 becomes ccp59; it can become: lip20, parts6, parts7, parts8, street5." in said
