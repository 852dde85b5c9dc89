"""`resight report` on features files, on data sets, and on what is neither."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.cli import main
from resight.commands.report import HEADS_NOTE, Report, report
from resight.data.images import read_picture
from resight.errors import BadFeatures, BadRecipe, CannotWrite, DatasetNotFound
from resight.model import Embedded
from resight.search.features import Features, save_features, side
from small_sets import put
from toy_people import ToyCounts, write_market


def colours(paths: list[Path]) -> np.ndarray:
    """A poor man's embedder: mean colours of a few fields."""
    rows = [
        np.asarray(Image.fromarray(read_picture(path)).resize((4, 8), Image.Resampling.BOX), np.float32).ravel()
        for path in paths
    ]
    return np.stack(rows) / 128 - 1


class ColourModel:
    needs_maps = False

    def embed_files(self, paths, *, told=None, **_):
        return Embedded(colours(list(paths)))


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Path:
    counts = ToyCounts(train_persons=1, persons=4, cameras=3, junk=1, distractors=2)
    return write_market(tmp_path_factory.mktemp("report") / "toys", counts, seed=2)


@pytest.fixture(scope="module")
def features(market) -> Features:
    def one(folder: str) -> object:
        paths = sorted((market / folder).glob("*.jpg"))
        persons = np.array([int(path.name.split("_")[0]) for path in paths])
        cameras = np.array([int(path.name.split("_c")[1][0]) for path in paths])
        return side(colours(paths), persons, cameras, np.array([f"{folder}/{path.name}" for path in paths]))

    return Features(one("query"), one("bounding_box_test"))


@pytest.fixture
def file(features, tmp_path) -> Path:
    path = tmp_path / "features.npz"
    save_features(path, features)
    return path


def test_a_features_file_and_its_pictures_become_a_page_and_strips(file, market, tmp_path, capsys):
    out, png = tmp_path / "out" / "report.html", tmp_path / "png"
    assert report(Report(x=str(file), out=out, images=market, png=png)) == 0
    page = out.read_text(encoding="utf-8")
    assert page.count('class="strip"') == 4
    assert "could not be read" not in page
    assert "data:image/" in page
    assert len(list(png.glob("*.png"))) == 4
    printed = capsys.readouterr().out
    assert str(out) in printed
    assert "mAP" in printed


def test_the_search_is_counted_and_scored_in_the_words_of_evaluate(file, tmp_path, capsys):
    assert main(["evaluate", str(file), "--resamples", "100"]) == 0
    said = capsys.readouterr().out
    report(Report(x=str(file), out=tmp_path / "r.html"))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    (gallery,) = re.findall(r"4 queries × \d+ gallery pictures \(and \d+ junk\)", said)
    assert gallery in page
    (mean_ap,) = re.findall(r"mAP +(\d+\.\d%) ", said)
    assert f"<strong>mAP {mean_ap}</strong>" in page
    assert f"mAP {mean_ap}," in capsys.readouterr().out


def test_a_features_file_that_names_its_root_needs_no_images(file, market, tmp_path):
    with np.load(file) as arrays:
        np.savez(tmp_path / "rooted.npz", root=str(market), **arrays)
    report(Report(x=str(tmp_path / "rooted.npz"), out=tmp_path / "r.html"))
    assert "data:image/" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_pictures_are_also_found_beside_the_features_file(features, market, tmp_path):
    (tmp_path / "query").symlink_to(market / "query")
    save_features(tmp_path / "f.npz", features)
    report(Report(x=str(tmp_path / "f.npz"), out=tmp_path / "r.html"))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("data:image/") == 4
    assert "pictures could not be read" in page


def test_without_pictures_names_are_shown(file, tmp_path):
    report(Report(x=str(file), out=tmp_path / "r.html", worst=1))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No picture was found" in page
    assert page.count('class="strip"') == 1


def test_a_damaged_picture_in_the_middle_costs_its_tile_only(features, market, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    files = features.gallery.files.astype("U400")
    files[3] = str(bad)
    save_features(tmp_path / "f.npz", Features(features.query, replace(features.gallery, files=files)))
    assert report(Report(x=str(tmp_path / "f.npz"), out=tmp_path / "r.html", images=market)) == 0
    assert "1 of" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_blurred_heads_change_every_picture_and_nothing_else(file, market, tmp_path):
    pages = []
    for blur in (False, True):
        report(Report(x=str(file), out=tmp_path / "r.html", images=market, blur_heads=blur))
        pages.append((tmp_path / "r.html").read_text(encoding="utf-8"))
    clear, blurred = ({line for line in page.splitlines() if "data:image/" in line} for page in pages)
    assert not clear & blurred
    rest = [
        [line for line in page.splitlines() if "data:image/" not in line and HEADS_NOTE not in line] for page in pages
    ]
    assert rest[0] == rest[1]
    assert HEADS_NOTE in pages[1]


def test_a_data_set_is_embedded_first(market, tmp_path, monkeypatch):
    embed = pytest.importorskip("resight.commands.embed")
    monkeypatch.setattr(embed, "open_model", lambda *_, **__: ColourModel())
    assert report(Report(x=str(market), out=tmp_path / "r.html")) == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<h1>toys</h1>" in page
    assert "could not be read" not in page


@pytest.mark.parametrize("protocol", ["market", "cuhk03", "cuhk03-np", "occluded", "multi-query"])
def test_every_protocol_makes_a_page(file, market, tmp_path, protocol):
    assert report(Report(x=str(file), out=tmp_path / "r.html", images=market, protocol=protocol, worst=2)) == 0
    assert protocol in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_same_input_makes_the_same_bytes(file, market, tmp_path):
    for name in ("a", "b"):
        report(Report(x=str(file), out=tmp_path / name, images=market))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_neither_file_nor_data_set_is_said(tmp_path):
    with pytest.raises(DatasetNotFound, match="name a features file"):
        report(Report(x=str(tmp_path / "nowhere")))
    with pytest.raises(BadFeatures, match=r"gone\.npz"):
        report(Report(x=str(tmp_path / "gone.npz")))


def test_a_missing_image_folder_and_a_negative_number_are_said(file, tmp_path):
    with pytest.raises(DatasetNotFound, match="--images"):
        report(Report(x=str(file), images=tmp_path / "nowhere"))
    with pytest.raises(BadRecipe, match="--worst is -3"):
        report(Report(x=str(file), worst=-3))


def refused_before_embedding(monkeypatch, config: Report, error: type[Exception], says: str) -> None:
    embed = pytest.importorskip("resight.commands.embed")
    monkeypatch.setattr(embed, "open_model", lambda *_, **__: pytest.fail("the model was opened"))
    with pytest.raises(error, match=says):
        report(config)


def test_what_cannot_become_a_page_is_refused_before_anything_is_embedded(market, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for out in ("file/r.html", "folder"):
        refused_before_embedding(monkeypatch, Report(x=str(market), out=tmp_path / out), CannotWrite, out)
    page, png = tmp_path / "r.html", tmp_path / "file"
    refused_before_embedding(monkeypatch, Report(x=str(market), out=page, png=png), CannotWrite, "file")
    own = tmp_path / "own"
    for split in ("query", "gallery"):
        for person in ("a", "b"):
            (own / split / person).mkdir(parents=True)
            Image.new("RGB", (8, 16)).save(own / split / person / f"{split}.png")
    refused_before_embedding(monkeypatch, Report(x=str(own), out=page), BadFeatures, "camera")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "own"]


def test_a_search_without_any_answer_is_said(features, tmp_path):
    strangers = replace(features.gallery, persons=features.gallery.persons + 1000)
    save_features(tmp_path / "f.npz", Features(features.query, strangers))
    with pytest.raises(BadFeatures, match="None of the 4 queries"):
        report(Report(x=str(tmp_path / "f.npz"), out=tmp_path / "r.html"))
    assert not (tmp_path / "r.html").exists()


def test_what_cannot_work_is_told_before_pictures_are_embedded(file, market, tmp_path, monkeypatch):
    def never(_: object) -> None:
        raise AssertionError("embedding began")

    monkeypatch.setattr("resight.commands.embed.open_model", never)
    with pytest.raises(CannotWrite, match="it is a folder"):
        report(Report(x=str(market), out=tmp_path))
    with pytest.raises(BadRecipe, match="holds features already: leave --layout, --model out"):
        report(Report(x=str(file), out=tmp_path / "r.html", layout="market1501", model="baseline-lite"))
    own = put(tmp_path / "own", "ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "bob/2.jpg")
    with pytest.raises(BadFeatures, match=f"`resight report {own} --out {tmp_path}/r.html --protocol occluded`"):
        report(Report(x=str(own), out=tmp_path / "r.html"))
