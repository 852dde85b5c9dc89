"""Rows for a rented GPU: what goes out, what would run, what comes home; nothing is trained here."""

from __future__ import annotations

import json
import sys
import tarfile
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resight.config import load_toml
from resight.evaluate.leaderboard import ROWS
from resight.train.recipe import EmbedderRecipe, recipe_hash
from small_parser import untrained
from small_sets import MARKET, put

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu_rows.py"


@pytest.fixture(scope="module")
def rows() -> dict[str, Any]:
    patch = pytest.MonkeyPatch()
    made: dict[str, Any] = {}
    try:
        import types

        module = types.ModuleType("gpu_rows")
        patch.setitem(sys.modules, "gpu_rows", module)  # dataclasses look their module up
        module.__file__ = str(SCRIPT)
        exec(compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec"), module.__dict__)
        made = module.__dict__
        yield made
    finally:
        patch.undo()


def unpacked(tmp_path: Path, rows: dict[str, Any]) -> Path:
    market = put(tmp_path / "market", *MARKET)
    xy = np.zeros((2, 14, 2), np.float32)
    np.savez(market / "keypoints14.npz", train_xy=xy, train_name=np.array(["a", "b"]), query_xy=xy)
    for number in range(6):
        path = tmp_path / "objects" / "boxes" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
    for number in range(45, 49):
        for folder, ending in (("images", "jpg"), ("instances", "png")):
            path = tmp_path / "pennfudan" / folder / f"PennPed{number:05d}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"pixels")
    parser = untrained(tmp_path / "parser.safetensors")
    folders = {"objects": tmp_path / "objects", "people": tmp_path / "pennfudan"}
    rows["pack"](market, tmp_path / "rows.tar", parser=parser, **folders)
    with tarfile.open(tmp_path / "rows.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "rows"


def test_a_pack_holds_code_and_training_pictures_and_nothing_of_the_test(tmp_path: Path, rows: dict[str, Any]) -> None:
    root = unpacked(tmp_path, rows)
    assert (root / "src" / "resight" / "cli.py").exists()
    names = {path.relative_to(root / "data").as_posix() for path in (root / "data").rglob("*.jpg")}
    assert names == {name for name in MARKET if name.startswith("bounding_box_train/")}
    with np.load(root / "data" / "keypoints14.npz") as file:
        assert {*file.files} == {"train_xy", "train_name"}
    sizes = {path.name: path.stat().st_size for path in (root / "objects" / "boxes").iterdir()}
    assert [name for name, size in sorted(sizes.items()) if size == 0] == ["4.png", "5.png"]
    for folder in ("images", "instances"):
        kept = sorted(path.stem for path in (root / "people" / folder).iterdir())
        assert kept == ["PennPed00045", "PennPed00046"]


def test_a_pack_can_be_installed(tmp_path: Path, rows: dict[str, Any]) -> None:
    """Every file that pyproject.toml names is there."""
    root = unpacked(tmp_path, rows)
    facts = tomllib.loads((root / "pyproject.toml").read_text())
    assert all((root / path).exists() for path in facts["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"])
    assert (root / facts["project"]["readme"]).exists()
    assert not [*root.glob("src/resight/weights/*/model.safetensors")]


def test_a_pack_that_is_too_large_does_not_stay(
    tmp_path: Path, rows: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rows, "LARGEST_PACK", 1000)
    with pytest.raises(SystemExit, match="at most 0 MiB"):
        unpacked(tmp_path, rows)
    assert not (tmp_path / "rows.tar").exists()


def test_the_jobs_are_the_rows_of_the_leaderboard(rows: dict[str, Any]) -> None:
    jobs = {(job.method, job.backbone) for job in rows["JOBS"]}
    assert {(row.method, row.backbone) for row in ROWS} - jobs == {
        ("one-pass-global", "efficientnet-lite0"),
        ("one-pass-rendered", "efficientnet-lite0"),
    }


def test_a_dry_run_names_every_command_and_rows_that_cannot_be_trained(
    tmp_path: Path, rows: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = unpacked(tmp_path, rows)
    monkeypatch.setattr(sys, "argv", ["gpu_rows.py", "train", str(root), "--dry-run"])
    assert rows["main"]() == 0
    said = capsys.readouterr()
    commands = [json.loads(line) for line in said.out.splitlines()]
    light = [job for job in rows["JOBS"] if job.backbone != "resnet50"]
    assert len(commands) == 3 * len(light)
    pasting = {word for words in commands for word in words if "--people" in words}
    assert str(root / "recipes" / "visible-parts.toml") in pasting
    assert str(root / "recipes" / "baseline-unpasted.toml") not in pasting
    assert said.err.count("no ImageNet weights of ResNet-50") == len(rows["JOBS"]) - len(light)
    assert not (root / "runs").exists()
    recipes = {job.name: load_toml(EmbedderRecipe, root / "recipes" / f"{job.name}.toml") for job in light}
    hashes = {name: recipe_hash(recipe) for name, recipe in recipes.items()}
    alike = ("baseline", "spatial-attention", "spreid", "visible-parts", "maskreid", "maskreid-softmax", "two-stream")
    assert len({hashes[name] for name in alike}) == 1
    assert hashes["baseline-unpasted"] != hashes["baseline"]
    assert len({hashes[job.name] for job in light if job.recipe == "mgcam"}) == 1
    large = [job for job in rows["JOBS"] if job.backbone == "resnet50"]
    weights = tmp_path / "resnet50.pth"
    found = [load_toml(EmbedderRecipe, rows["write_recipe"](job, tmp_path / "large", weights)) for job in large]
    assert len({recipe_hash(recipe) for recipe in found}) == 1


def test_large_files_travel_in_pieces_and_are_joined(tmp_path: Path, rows: dict[str, Any]) -> None:
    content = bytes(range(256)) * 10
    (tmp_path / "state.pt").write_bytes(content)
    target = tmp_path / "home" / "last" / "state.pt"
    pieces = rows["split"](tmp_path / "state.pt", target, largest=1000)
    assert [path.name for path in pieces] == ["state.pt.00", "state.pt.01", "state.pt.02"]
    (tmp_path / "run.json").write_text("{}")
    rows["split"](tmp_path / "run.json", tmp_path / "home" / "run.json")
    assert rows["join"](tmp_path / "home", tmp_path / "run") == []
    assert sorted(path.name for path in (tmp_path / "run").rglob("*") if path.is_file()) == ["run.json", "state.pt"]
    assert (tmp_path / "run" / "last" / "state.pt").read_bytes() == content
    assert (tmp_path / "run" / "run.json").read_text() == "{}"
    rows["split"](tmp_path / "home" / "run.json", target, largest=1000)  # smaller now: the pieces are gone
    assert sorted(path.name for path in target.parent.iterdir()) == ["state.pt", "state.pt.sha256"]


def test_what_was_half_copied_is_neither_finished_nor_joined(tmp_path: Path, rows: dict[str, Any]) -> None:
    home, source = tmp_path / "home", tmp_path / "weights"
    source.write_bytes(bytes(range(250)) * 10)
    target = home / "model.safetensors"
    for spoil in (
        lambda pieces: pieces[1].unlink(),
        lambda pieces: pieces[2].write_bytes(b"half"),
        lambda pieces: (home / "model.safetensors.sha256").unlink(),
    ):
        pieces = rows["split"](source, target, largest=1000)
        assert rows["is_whole"](target)
        spoil(pieces)
        assert not rows["is_whole"](target)
        assert rows["join"](home, tmp_path / "run") == [target]
        assert not (tmp_path / "run").exists()


def test_a_row_is_trained_again_where_only_a_half_of_its_weights_came_home(
    tmp_path: Path, rows: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, job, asked = tmp_path / "home", next(job for job in rows["JOBS"] if job.name == "baseline-unpasted"), []
    (tmp_path / "weights").write_bytes(bytes(1000))
    rows["split"](tmp_path / "weights", home / "baseline-unpasted-1" / "model.safetensors", largest=300)
    monkeypatch.setitem(rows, "run_until", lambda words, end: asked.append(words) or 0)

    def step() -> int:
        return rows["train"](tmp_path / "root", home, minutes=10, jobs=[(job, 1)], resnet50=None)

    assert step() == 0
    assert not asked
    (home / "baseline-unpasted-1" / "model.safetensors.02").unlink()
    assert step() == 0
    assert len(asked) == 1


def test_a_step_ends_in_time_and_asks_the_training_to_save(tmp_path: Path, rows: dict[str, Any]) -> None:
    mark = tmp_path / "saved"
    code = (
        "import pathlib, time\n"
        "try:\n    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    pathlib.Path({str(mark)!r}).touch()\n"
    )
    started = time.monotonic()
    assert rows["run_until"]([sys.executable, "-c", code], started + rows["MARGIN_S"] + 5) is None
    assert mark.exists()
    assert rows["run_until"]([sys.executable, "-c", ""], time.monotonic() + 120) == 0
