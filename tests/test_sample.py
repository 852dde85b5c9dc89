"""The packaged sample and the toy people it is drawn from."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import resight
from resight.data.images import read_picture
from toy_people import HEIGHT, TROUBLES, WIDTH, ToyCounts, draw_market, draw_person, make_cameras, make_person
from toy_people import write_market as write

SAMPLE = Path(resight.__file__).parent / "sample"
SCRIPT = Path(__file__).parents[1] / "scripts" / "make_sample.py"


@pytest.fixture(scope="module")
def recipe() -> dict[str, object]:
    """The names of scripts/make_sample.py, without writing anything."""
    names: dict[str, object] = {"__name__": "make_sample", "__file__": str(SCRIPT)}
    exec(compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec"), names)
    return names


def persons(folder: str) -> set[str]:
    return {path.name.split("_")[0] for path in (SAMPLE / folder).glob("*.jpg")}


def test_the_sample_has_the_persons_cameras_junk_and_distractors_that_its_recipe_says(recipe):
    counts = recipe["COUNTS"]
    assert len(persons("bounding_box_train")) == counts.train_persons
    assert len(persons("query")) == counts.persons
    assert persons("bounding_box_test") == persons("query") | {"-1", "0000"}
    assert not persons("bounding_box_train") & persons("query")
    gallery = [path.name for path in (SAMPLE / "bounding_box_test").glob("*.jpg")]
    assert sum(name.startswith("-1_") for name in gallery) == counts.junk
    assert sum(name.startswith("0000_") for name in gallery) == counts.distractors
    assert {name.split("_c")[1][0] for name in gallery} == {"1", "2", "3", "4"}


def test_every_query_of_the_sample_has_a_match_in_another_camera():
    gallery = {
        (name[:4], name.split("_c")[1][0]) for name in (p.name for p in (SAMPLE / "bounding_box_test").iterdir())
    }
    for path in (SAMPLE / "query").glob("*.jpg"):
        camera = path.name.split("_c")[1][0]
        assert any(person == path.name[:4] and other != camera for person, other in gallery), path.name


def test_the_sample_is_small_free_and_made_of_crops():
    pictures = sorted(SAMPLE.rglob("*.jpg"))
    assert sum(path.stat().st_size for path in pictures) <= 600_000
    assert {read_picture(path).shape for path in pictures} == {(HEIGHT, WIDTH, 3)}
    assert "CC0" in (SAMPLE / "LICENSE").read_text(encoding="utf-8")
    assert f"{len(pictures)} drawn pictures" in (SAMPLE / "README.md").read_text(encoding="utf-8")


def test_the_packaged_pictures_are_what_the_recipe_draws(recipe):
    drawn = draw_market(recipe["COUNTS"], seed=recipe["SEED"])
    for name, pixels in itertools.islice(drawn, 24):
        packaged = read_picture(SAMPLE / name).astype(np.float32)
        assert np.abs(packaged - pixels).mean() < 6, name  # what JPEG and another Pillow may change


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path):
    counts = ToyCounts(train_persons=1, persons=1, cameras=2, junk=1, distractors=1)
    first, again, other = (write(tmp_path / str(place), counts, seed=seed) for place, seed in enumerate((5, 5, 6)))

    def contents(root: Path) -> dict[str, bytes]:
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.jpg"))}

    assert contents(first) == contents(again)
    assert contents(first) != contents(other)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_changes_the_picture(trouble):
    rng = np.random.default_rng(3)
    person, (camera, *_) = make_person(rng), make_cameras(2, rng)
    clear, spoilt = (
        draw_person(person, camera, np.random.default_rng(9), view="front", trouble=kind) for kind in ("none", trouble)
    )
    assert clear.shape == spoilt.shape == (HEIGHT, WIDTH, 3)
    assert clear.dtype == np.uint8
    assert np.abs(clear.astype(float) - spoilt).mean() > 2


def test_plain_colours_find_the_right_person_more_often_than_chance_but_not_always():
    def features(folder: str) -> tuple[np.ndarray, list[str]]:
        paths = sorted(path for path in (SAMPLE / folder).glob("*.jpg") if not path.name.startswith("-1"))
        rows = [
            np.asarray(Image.fromarray(read_picture(path)).resize((8, 16), Image.Resampling.BOX), float)[
                2:-1, 2:6
            ].ravel()
            for path in paths
        ]
        return np.stack(rows), [path.name for path in paths]

    (queries, asked), (gallery, found) = features("query"), features("bounding_box_test")
    right = 0
    for row, name in zip(queries, asked, strict=True):
        person, camera = name[:4], name.split("_c")[1][0]
        kept = [i for i, other in enumerate(found) if not (other[:4] == person and other.split("_c")[1][0] == camera)]
        nearest = min(kept, key=lambda i: float(np.square(gallery[i] - row).sum()))
        right += found[nearest][:4] == person
    assert 0.1 < right / len(asked) < 0.9
