"""Label maps and the table of truth beside a set are counted, and what does not fit is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from resight.cli import main
from resight.data.check import check_set
from resight.data.labels import BODY10, LIP20, write_map
from resight.data.reid_sets import find_set
from small_sets import MARKET, market

HEIGHT, WIDTH = 32, 16


def labelled(root: Path) -> Path:
    """Market-1501's layout with LIP maps in which all classes occur, maps of body parts, and a table."""
    market(root)
    every = np.arange(HEIGHT * WIDTH, dtype=np.int64).reshape(HEIGHT, WIDTH)
    for name in MARKET:
        half = "train" if name.startswith("bounding_box_train") else "val"
        put_map(root / "lip" / f"{half}_segmentations", name, every % 20)
        put_map(root / "maps" / "body10", name, every % 11, BODY10)
    causes = ["occlusion", "low-light", "", "occlusion", *[""] * (len(MARKET) - 4)]
    table(root, [f"{name},{cause}" for name, cause in zip(MARKET, causes, strict=True)])
    return root


def put_map(folder: Path, name: str, classes: np.ndarray, labels=LIP20) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_map(folder / f"{Path(name).stem}.png", classes.astype(np.uint8), labels)


def table(root: Path, rows: list[str]) -> None:
    (root / "people.csv").write_text("file,cause\n" + "".join(f"{row}\n" for row in rows))


def found(root: Path, **options) -> dict[str, tuple[tuple[str, ...], ...]]:
    result = check_set(find_set(root), **options)
    return {finding.kind: finding.items for finding in result.findings if finding.kind != "other-set"}


@pytest.fixture
def root(tmp_path):
    return labelled(tmp_path / "set")


def test_a_sound_set_with_maps_says_which_classes_and_causes_it_holds(root, capsys):
    assert main(["data", "check", str(root)]) == 0
    out, err = capsys.readouterr()
    assert "10 label maps of lip20, classes with pixels: 20/20\n" in out
    assert "10 label maps of body10, classes with pixels: 11/11\n" in out
    assert "planted causes: low_light 1, occlusion 2" in out
    assert "looking at pictures: 40 of 40" in err


def test_classes_without_a_pixel_are_named(root, capsys):
    for path in (root / "lip").rglob("*.png"):
        write_map(path, np.minimum(np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 20, 17).astype(np.uint8), LIP20)
    assert main(["data", "check", str(root)]) == 0
    assert "classes with pixels: 18/20 (missing: left shoe, right shoe)" in capsys.readouterr().out


def test_pixels_and_maps_of_each_class_are_those_of_counting_slowly(root):
    put_map(root / "lip" / "val_segmentations", MARKET[4], np.full((HEIGHT, WIDTH), 7))
    (lip, _) = check_set(find_set(root)).truth.counts
    assert lip.pixels.sum() == lip.maps * HEIGHT * WIDTH
    assert lip.pixels[7] == HEIGHT * WIDTH + 9 * (np.arange(HEIGHT * WIDTH) % 20 == 7).sum()
    assert lip.pictures.tolist() == [10 if number == 7 else 9 for number in range(20)]


BREAKAGES = {
    "no-map": lambda root: (root / "lip" / "val_segmentations" / "0003_c2s1_000001_00.png").unlink(),
    "bad-map": lambda root: put_map(root / "lip" / "val_segmentations", MARKET[5], np.zeros((HEIGHT, WIDTH + 1))),
    "stray-map": lambda root: put_map(root / "maps" / "body10", "0009_c1s1_000001_00.jpg", np.zeros((4, 4)), BODY10),
    "no-picture": lambda root: table(root, [f"{name}," for name in (*MARKET, "query/0009_c1s1_000001_00.jpg")]),
    "no-row": lambda root: table(root, [f"{name}," for name in MARKET[:-1]]),
    "bad-table": lambda root: table(root, [f"{name}," for name in (*MARKET, MARKET[0])]),
}


@pytest.mark.parametrize("kind", BREAKAGES)
def test_what_was_broken_is_found_and_nothing_else(kind, root):
    BREAKAGES[kind](root)
    assert list(found(root)) == [kind]


def test_a_class_outside_the_table_and_a_file_that_is_no_map_are_found(root):
    folder = root / "lip" / "val_segmentations"
    put_map(folder, MARKET[5], np.full((HEIGHT, WIDTH), 10), BODY10)
    (folder / f"{Path(MARKET[4]).stem}.png").write_bytes(b"no PNG")
    unknown = np.full((HEIGHT, WIDTH), 10)
    unknown[3, 3] = 20
    put_map(folder, MARKET[6], unknown, type(LIP20)("lip21", (*LIP20.classes, "tail")))
    items = found(root)["bad-map"]
    assert [item[0] for item in items] == [f"lip/val_segmentations/{Path(MARKET[n]).stem}.png" for n in (4, 6)]
    assert "lip20 ends at 19" in items[1][1]


def test_a_set_without_maps_or_table_is_not_asked_for_any(tmp_path, capsys):
    assert main(["data", "check", str(market(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "classes with pixels" not in out
    assert "planted causes" not in out


def test_a_quick_look_compares_names_and_counts_causes_but_reads_no_map(root, capsys):
    (root / "lip" / "val_segmentations" / "0003_c2s1_000001_00.png").write_bytes(b"no PNG")
    (root / "maps" / "body10" / "0003_c2s1_000001_00.png").unlink()
    assert main(["data", "check", str(root), "--quick"]) == 1
    out = capsys.readouterr().out
    assert "PROBLEM pictures without their label map: 1" in out
    assert "planted causes: low_light 1, occlusion 2" in out
    assert "classes with pixels" not in out


def test_the_file_holds_the_pixels_of_every_class(root, tmp_path):
    assert main(["data", "check", str(root), "--json", str(tmp_path / "found.json")]) == 0
    written = json.loads((tmp_path / "found.json").read_text())
    assert set(written["label_maps"]) == {"lip", "body10"}
    assert list(written["label_maps"]["lip"]["pixels"]) == list(LIP20.classes)
    assert written["causes"] == {"low_light": 1, "occlusion": 2}
