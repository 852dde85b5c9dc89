"""The packaged sample holds what its script asks for, and exercises the protocol."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import resight
from resight.data.check import check_set
from resight.data.condition_names import condition_name
from resight.data.images import read_picture
from resight.data.labels import LIP20, read_map
from resight.data.reid_sets import find_set

PACKAGED = Path(resight.__file__).parent / "sample"
SCRIPT = Path(__file__).parents[1] / "scripts" / "make_sample.py"


@pytest.fixture(scope="module")
def sample() -> Path:
    return find_set("sample").root


@pytest.fixture(scope="module")
def script() -> dict[str, object]:
    """The names of scripts/make_sample.py, without drawing anything."""
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def rows(sample: Path) -> list[dict[str, str]]:
    with (sample / "people.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.jpg"))


def test_the_sample_has_the_persons_cameras_junk_and_distractors_that_its_script_says(sample, script):
    counts = check_set(find_set("sample"), pixels=False).counts
    plan, testers = script["PLAN"], len(script["testers"]()) - script["DISTRACTORS"]
    assert counts["train"].persons == plan.persons - len(script["testers"]()) >= 16
    assert counts["query"].persons == counts["gallery"].persons == testers
    assert counts["gallery"].junk == script["JUNK"]
    assert counts["gallery"].distractors == script["DISTRACTORS"] * plan.cameras * plan.pictures
    assert {counts[split].cameras for split in counts} == {plan.cameras}
    assert counts["query"].pictures == testers * plan.cameras


def test_the_sample_has_no_problem_and_every_class_of_its_label_maps_has_pixels():
    checked = check_set(find_set("sample"))
    assert checked.problems == 0
    (lip,) = (counts for counts in checked.truth.counts if counts.name == "lip")
    assert lip.missing == ()


def test_every_kind_of_cause_is_planted_in_some_three_of_ten_pictures(rows, script):
    usable = [row for row in rows if row["person"] != "-1"]
    assert {condition_name(row["cause"]) for row in usable} == {"", *script["PLAN"].causes}
    assert 0.22 < sum(row["cause"] != "" for row in usable) / len(usable) < 0.38


def test_every_picture_with_a_cause_has_a_twin_that_differs_from_it(sample, rows):
    planted = {Path(row["file"]).name: sample / row["file"] for row in rows if row["cause"]}
    assert names(sample / "twins") == sorted(planted)
    for name, path in planted.items():
        assert np.abs(read_picture(path).astype(float) - read_picture(sample / "twins" / name)).mean() > 1, name


def test_lip_s_layout_shows_the_same_pictures_with_their_maps(sample):
    for half, splits in {"train": ["bounding_box_train"], "val": ["query", "bounding_box_test"]}.items():
        listed = (sample / "lip" / f"{half}_id.txt").read_text().split()
        assert sorted(listed) == sorted(Path(name).stem for split in splits for name in names(sample / split))
        for name in listed:
            picture = read_picture(sample / "lip" / f"{half}_images" / f"{name}.jpg")
            read_map(sample / "lip" / f"{half}_segmentations" / f"{name}.png", LIP20, size=picture.shape[:2])


def test_the_sample_is_small_free_and_one_file():
    assert sorted(path.name for path in PACKAGED.iterdir()) == ["LICENSE", "README.md", "sample.zip"]
    assert (PACKAGED / "sample.zip").stat().st_size <= 4_000_000
    assert "CC0" in (PACKAGED / "LICENSE").read_text(encoding="utf-8")


def test_its_readme_says_what_it_holds(rows):
    readme = (PACKAGED / "README.md").read_text(encoding="utf-8")
    assert f"`sample.zip` holds {len(rows)} rendered pictures" in readme


def test_the_script_packs_the_same_bytes_for_the_same_files(script, sample, tmp_path):
    content = [(path.name, path.read_bytes()) for path in sorted((sample / "query").iterdir())[:5]]
    script["pack"].__globals__["packed"] = lambda folder, rows: content
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    script["pack"](sample, [], first)
    script["pack"](sample, [], second)
    assert first.read_bytes() == second.read_bytes()


def test_plain_colours_find_the_right_person_more_often_than_chance_but_not_always(sample):
    def features(folder: str) -> tuple[np.ndarray, list[str]]:
        paths = sorted(path for path in (sample / folder).glob("*.jpg") if not path.name.startswith("-1"))
        small = [Image.fromarray(read_picture(path)).resize((8, 16), Image.Resampling.BOX) for path in paths]
        return np.stack([np.asarray(one, float)[2:-1, 2:6].ravel() for one in small]), [path.name for path in paths]

    (queries, asked), (gallery, found) = features("query"), features("bounding_box_test")
    right = 0
    for row, name in zip(queries, asked, strict=True):
        person, camera = name[:4], name.split("_c")[1][0]
        kept = [i for i, other in enumerate(found) if not (other[:4] == person and other.split("_c")[1][0] == camera)]
        nearest = min(kept, key=lambda i: float(np.square(gallery[i] - row).sum()))
        right += found[nearest][:4] == person
    assert 0.1 < right / len(asked) < 0.9
