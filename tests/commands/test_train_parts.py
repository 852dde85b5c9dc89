"""Training and embedding with part maps and things to paste, from the shell's side, on a few toy people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.cli import main
from resight.data.files import checksum
from resight.data.part_maps import PartMapsWriter, PartStamp, read_stamp
from resight.search.features import load_features
from small_parser import untrained
from toy_people import ToyCounts, write_market

STAMP = PartStamp(parser="toy", weights="abc", labels="lip20", classes=20, height=16, width=8)


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    counts = ToyCounts(train_persons=6, persons=3, cameras=2, per_camera=2, junk=1, distractors=1)
    return write_market(tmp_path / "people", counts)


def write_maps(people: Path, folder: Path, stamp: PartStamp = STAMP, *, seed: int = 0) -> Path:
    files = sorted(people.rglob("*.jpg"))
    maps = np.random.default_rng(seed).dirichlet(np.full(20, 0.3), (len(files), 16, 8)).transpose(0, 3, 1, 2) * 255
    names = [path.relative_to(people).as_posix() for path in files]
    ones = np.ones(len(files), np.float32)
    PartMapsWriter(folder, stamp).add(names, maps.astype(np.uint8), ones, ones * 0, [checksum(path) for path in files])
    return folder


def write_objects(folder: Path) -> Path:
    for number in range(3):
        (folder / "boxes").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((30, 20, 4), 50 * number + 100, np.uint8)).save(folder / "boxes" / f"{number}.png")
    return folder


def recipe(tmp_path: Path, name: str, more: str = "") -> str:
    path = tmp_path / f"{name}.toml"
    path.write_text(
        f'embedder = "{name}"\nbackbone-weights = "none"\npersons = 4\npictures = 2\nwarmup-epochs = 0.5\n'
        f"stages = [{{ epochs = 1, height = 32, width = 16 }}]\n{more}"
    )
    return str(path)


def train(people: Path, chosen: str, run: Path, *more: str) -> int:
    return main(["train", "embedder", "--recipe", chosen, "--data", str(people), "--out", str(run), *more])


def test_visible_parts_learn_from_maps_and_pasting_and_then_embed_without_either(people: Path, tmp_path: Path) -> None:
    maps, objects = write_maps(people, tmp_path / "parts"), write_objects(tmp_path / "objects")
    chosen, run = recipe(tmp_path, "visible-parts", "[covering]\npaste = 0.8\n"), tmp_path / "run"
    more = ("--parts", str(maps), "--occluders", str(objects), "--validation-persons", "2")
    assert train(people, chosen, run, *more) == 0
    out = tmp_path / "features.npz"
    assert main(["embed", str(people), "--model", str(run), "--out", str(out)]) == 0
    features = load_features(out)
    assert features.has_parts
    assert features.query.parts.shape[1:] == (6, 256)
    assert 0 < features.part_share < 1


def test_a_model_that_looks_at_maps_wants_them_and_those_of_its_own_parser(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, run = write_maps(people, tmp_path / "parts"), tmp_path / "run"
    assert train(people, recipe(tmp_path, "spreid"), run, "--parts", str(maps), "--validation-persons", "2") == 0
    embed = ["embed", str(people), "--model", str(run), "--out", str(tmp_path / "f.npz")]
    assert main(embed) == 2
    assert "needs part maps beside the pictures" in capsys.readouterr().err
    assert main([*embed, "--parts", str(maps)]) == 0
    from dataclasses import replace

    other = write_maps(people, tmp_path / "others", replace(STAMP, weights="xyz"))
    assert main([*embed, "--parts", str(other)]) == 2
    assert "parser with the weights xyz" in capsys.readouterr().err


def test_a_run_goes_on_with_the_maps_that_it_learned_from_alone(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, others, run = write_maps(people, tmp_path / "a"), write_maps(people, tmp_path / "b", seed=1), tmp_path / "run"
    chosen = recipe(tmp_path, "spreid")
    assert train(people, chosen, run, "--parts", str(maps)) == 0
    assert train(people, chosen, run, "--parts", str(maps.rename(tmp_path / "c"))) == 0
    assert train(people, chosen, run, "--parts", str(others)) == 2
    assert "other pictures, persons, part maps" in capsys.readouterr().err


def test_a_recipe_that_needs_what_is_not_given_says_which_option_brings_it_before_a_picture_is_read(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for picture in people.rglob("*.jpg"):
        picture.write_bytes(b"no picture")
    assert train(people, recipe(tmp_path, "spreid"), tmp_path / "a") == 2
    assert "--parts" in capsys.readouterr().err
    assert train(people, recipe(tmp_path, "baseline", "[covering]\npaste = 0.5\n"), tmp_path / "b") == 2
    assert "--occluders" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["spreid", "one-pass"])
def test_a_plain_folder_is_embedded_with_maps_where_they_are_looked_at(
    name: str, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """one-pass needs no maps any more, and says parts and visibility of every picture."""
    maps, run, out = write_maps(people, tmp_path / "parts"), tmp_path / "run", tmp_path / "f.npz"
    assert train(people, recipe(tmp_path, name), run, "--parts", str(maps)) == 0
    plain = people / "query"
    embed = ["embed", str(plain), "--model", str(run), "--out", str(out)]
    if name == "spreid":
        assert main(embed) == 2
        assert "needs part maps beside the pictures" in capsys.readouterr().err
        assert main([*embed, "--parts", str(maps)]) == 2
        assert "have no part map" in capsys.readouterr().err
        kept = PartMapsWriter(tmp_path / "plain", STAMP)
        names = sorted(path.name for path in plain.iterdir())
        ones, count = np.ones(len(names), np.float32), len(names)
        kept.add(names, np.full((count, 20, 16, 8), 12, np.uint8), ones, ones, [checksum(plain / n) for n in names])
        assert main([*embed, "--parts", str(tmp_path / "plain")]) == 0
    else:
        assert main(embed) == 0
    with np.load(out) as found:
        assert ("parts" in found.files and found["visible"].shape == (len(found["files"]), 6)) == (name == "one-pass")


def test_parts_of_truth_train_and_evaluate_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rendered set: its own label maps, a tiny one-pass from them, and a score."""
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    maps, run = tmp_path / "parts", tmp_path / "run"
    assert main(["parts", "sample", "--truth", "--out", str(maps), "--height", "16", "--width", "8"]) == 0
    stamp = read_stamp(maps)
    assert (stamp.parser, stamp.labels, stamp.classes) == ("truth", "lip20", 20)
    chosen = recipe(tmp_path, "one-pass")
    assert (
        main(["train", "embedder", "--recipe", chosen, "--data", "sample", "--out", str(run), "--parts", str(maps)])
        == 0
    )
    assert main(["evaluate", "sample", "--model", str(run), "--resamples", "100"]) == 0


def test_every_command_that_embeds_takes_maps_and_says_where_they_are_missing(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, run = write_maps(people, tmp_path / "parts"), tmp_path / "run"
    assert train(people, recipe(tmp_path, "spreid"), run, "--parts", str(maps), "--validation-persons", "2") == 0
    fast = {"evaluate": ["--resamples", "100"], "report": [], "diagnose": ["--resamples", "100", "--parser", "none"]}
    for command, more in fast.items():
        words = [command, str(people), "--model", str(run), *more]
        words += [] if command == "evaluate" else ["--out", str(tmp_path / f"{command}.out")]
        capsys.readouterr()
        assert main(words) == 2
        assert "needs part maps beside the pictures" in capsys.readouterr().err
        assert main([*words, "--parts", str(maps)]) == 0
    features = str(tmp_path / "f.npz")
    assert main(["embed", str(people), "--model", str(run), "--parts", str(maps), "--out", features]) == 0
    for command in fast:
        assert main([command, features, "--parts", str(maps)]) == 2
        assert "leave" in capsys.readouterr().err


def test_maps_of_another_size_or_of_pictures_that_changed_are_refused(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, run = write_maps(people, tmp_path / "parts"), tmp_path / "run"
    assert train(people, recipe(tmp_path, "spreid"), run, "--parts", str(maps)) == 0
    evaluate = ["evaluate", str(people), "--model", str(run), "--resamples", "100", "--parts"]
    from dataclasses import replace

    stamp = replace(STAMP, height=8, width=4)
    files = sorted(people.rglob("*.jpg"))
    ones, small = np.ones(len(files), np.float32), np.full((len(files), 20, 8, 4), 12, np.uint8)
    names, sizes = [path.relative_to(people).as_posix() for path in files], [checksum(path) for path in files]
    PartMapsWriter(tmp_path / "small", stamp).add(names, small, ones, ones, sizes)
    assert main([*evaluate, str(tmp_path / "small")]) == 2
    assert "size (8, 4), but (16, 8) is needed" in capsys.readouterr().err
    one = next(path for path in files if path.parent.name == "query")
    one.write_bytes(one.read_bytes() + b"\0")
    assert main([*evaluate, str(maps)]) == 2
    assert "have changed since" in capsys.readouterr().err


def test_a_dose_of_a_model_that_looks_at_maps_parses_the_spoilt_pictures_with_their_parser(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parsers = [str(untrained(tmp_path / f"{seed}.safetensors", seed=seed)) for seed in (0, 1)]
    maps, run = tmp_path / "parts", tmp_path / "run"
    size = ("--height", "16", "--width", "8")
    assert main(["parts", str(people), "--model", parsers[0], "--out", str(maps), *size]) == 0
    assert train(people, recipe(tmp_path, "spreid"), run, "--parts", str(maps)) == 0
    dose = ["dose", str(people), "--model", str(run), "--conditions", "low_light", "--resamples", "100"]
    dose += ["--out", str(tmp_path / "dose.csv"), "--any-queries"]
    assert main(dose) == 2
    assert "needs part maps beside the pictures" in capsys.readouterr().err
    assert main([*dose, "--parts", str(maps), "--parser", parsers[1]]) == 2
    assert "name the one that made them" in capsys.readouterr().err
    assert main([*dose, "--parts", str(maps), "--parser", parsers[0]]) == 0
    assert "low_light (stops)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "visible-parts"], "`visible-parts` learns from part maps"),
        (["--recipe", "maskreid"], "`maskreid` learns from part maps"),
        (["--recipe", "baseline-pasted"], "pastes things before 50% of the pictures"),
        (["--recipe", "visible-parts", "--parts", "nowhere"], "pastes things before 50% of the pictures"),
    ],
)
def test_what_a_recipe_needs_is_missed_before_a_picture_is_decoded_or_a_folder_made(
    people: Path, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "embedder", *words, "--data", str(people), "--out", str(run)]) == 2
    assert said in capsys.readouterr().err
    assert not run.exists()
    assert not (tmp_path / "cache").exists()
