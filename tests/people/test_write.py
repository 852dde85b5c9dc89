"""Writing a set, with a stand-in for the renderer: the same bytes always, also after a kill in the middle."""

from __future__ import annotations

import csv
import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resight.cli import main
from resight.data.labels import BODY10, LIP20, read_map
from resight.data.parsing_sets import find_parsing_set, picture_list
from resight.data.reid_sets import find_set
from resight.errors import BadRecipe, CannotWrite
from resight.people.plan import Plan, Shot, generator
from resight.people.shoot import Picture
from resight.people.write import write_people

PLAN = Plan(persons=4, cameras=2, pictures=2, seed=3, height=32, width=16, causes=("low_light",), twins=True)


def drawn(plan: Plan, shot: Shot) -> Picture:
    rng = generator(plan, 13, shot.person, shot.camera, shot.number)
    pixels = rng.integers(0, 256, (plan.height, plan.width, 3), dtype=np.uint8)
    maps = [rng.integers(0, top, (plan.height, plan.width), dtype=np.uint8) for top in (20, 11, 2)]
    truth = {"file": f"{shot.split}/{shot.name}.jpg", "person": shot.person, "cause": shot.cause and shot.cause.name}
    twin = None if shot.cause is None else pixels // 2
    return Picture(pixels, 90, *maps, truth, twin, None if twin is None else maps[2])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people") / "set"
    write_people(folder, PLAN, shooter=drawn)
    return folder


def test_a_set_is_read_as_market_1501(written: Path) -> None:
    found = find_set(written)
    counts = [sum(1 for _ in found.crops(split)) for split in ("train", "query", "gallery")]
    assert counts == [8, 4, 4]


def test_the_check_of_data_sets_finds_nothing_wrong_with_it(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(written)]) == 0
    out = capsys.readouterr().out
    assert "16 label maps of lip20, classes with pixels: 20/20" in out
    assert "No problem found" in out


def test_more_than_nine_cameras_are_read_as_market_1501_too(tmp_path: Path) -> None:
    write_people(tmp_path / "set", replace(PLAN, persons=2, cameras=11, pictures=1), shooter=drawn)
    found = find_set(tmp_path / "set")
    assert found.name == "market1501"
    assert {crop.camera for crop in found.crops("train")} == set(range(1, 12))


def test_pictures_and_maps_stand_in_lip_layout_without_a_second_copy(written: Path) -> None:
    for half, count in (("train", 8), ("val", 8)):
        names = (written / "lip" / f"{half}_id.txt").read_text().split()
        assert len(names) == count
        for name in names:
            label = read_map(written / "lip" / f"{half}_segmentations" / f"{name}.png", LIP20, size=(32, 16))
            assert label.shape == (32, 16)
            assert (written / "lip" / f"{half}_images" / f"{name}.jpg").stat().st_nlink == 2
            read_map(written / "maps" / "body10" / f"{name}.png", BODY10)


def test_a_set_is_read_as_a_parsing_set_with_maps_of_persons(written: Path) -> None:
    found = find_parsing_set(written)
    records = [list(found.pictures(half)) for half in ("train", "val")]
    assert [len(part) for part in records] == [8, 8]
    assert {(one.source, one.wanted) for part in records for one in part} == {("lip20", 1)}
    assert picture_list(records[0], half="train")[0].persons == records[0][0].persons
    picture_list(records[1], half="val")  # drawn queries are no test pictures


def test_the_table_has_a_row_for_each_picture_and_twins_where_there_is_a_cause(written: Path) -> None:
    with (written / "people.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == PLAN.total
    assert all((written / row["file"]).exists() for row in rows)
    planted = {Path(row["file"]).name for row in rows if row["cause"]}
    assert {path.name for path in (written / "twins").iterdir()} == planted


def test_a_killed_run_goes_on_to_the_same_bytes(written: Path, tmp_path: Path) -> None:
    def until_the_third(plan: Plan, shot: Shot) -> Picture:
        if (shot.person, shot.number) == (3, 2):
            raise KeyboardInterrupt
        return drawn(plan, shot)

    with pytest.raises(KeyboardInterrupt):
        write_people(tmp_path / "set", PLAN, shooter=until_the_third)
    assert not (tmp_path / "set" / "people.csv").exists()
    seen: list[int] = []

    def counting(plan: Plan, shot: Shot) -> Picture:
        seen.append(shot.person)
        return drawn(plan, shot)

    write_people(tmp_path / "set", PLAN, shooter=counting)
    assert set(seen) == {3, 4}
    assert tree(tmp_path / "set") == tree(written)


@pytest.mark.parametrize("where", [".jpg", ".png", ".json"])
def test_a_full_disk_is_one_clear_sentence_and_leaves_nothing_half_written(
    where: str, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file = Path.replace
    left = 25 if where == ".json" else 3

    def full(self: Path, target: Path) -> Path:
        nonlocal left
        left -= Path(target).suffix == where or where == ".json"
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace_file(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(CannotWrite, match=r"Could not write .*: No space left on device\. Free some space"):
            write_people(tmp_path / "set", PLAN, shooter=drawn)
    left_behind = tree(tmp_path / "set")
    assert not [name for name in left_behind if name.endswith(".partial")]
    assert all(left_behind[name] == tree(written)[name] for name in left_behind if not name.startswith(".unfinished"))
    write_people(tmp_path / "set", PLAN, shooter=drawn)
    assert tree(tmp_path / "set") == tree(written)


def test_a_disk_that_is_full_from_the_start_is_a_clear_sentence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(CannotWrite, match="No space left on device"):
        write_people(tmp_path / "set", PLAN, shooter=drawn)


KILLED = """
import os, signal, sys
from pathlib import Path
from resight.people.write import write_people
from test_write import PLAN, drawn

if __name__ == "__main__":
    replace, left = Path.replace, int(sys.argv[2])

    def killing(self, target):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = killing
    write_people(Path(sys.argv[1]), PLAN, shooter=drawn)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
@pytest.mark.parametrize("files", [1, 7, 33])
def test_after_kill_9_while_a_file_is_written_a_rerun_completes_and_leaves_no_half_file(
    files: int, written: Path, tmp_path: Path
) -> None:
    folders = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    words = [sys.executable, "-c", KILLED, str(tmp_path / "set"), str(files)]
    ran = subprocess.run(words, env={**os.environ, "PYTHONPATH": folders}, capture_output=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert [name for name in tree(tmp_path / "set") if name.endswith(".partial")]
    write_people(tmp_path / "set", PLAN, shooter=drawn)
    assert tree(tmp_path / "set") == tree(written)


def test_more_persons_leave_the_first_ones_as_they_are(written: Path, tmp_path: Path) -> None:
    write_people(tmp_path / "more", replace(PLAN, persons=6), shooter=drawn)
    more = tree(tmp_path / "more")
    for name, content in tree(written).items():
        if name.endswith((".jpg", ".png")):
            assert more[name] == content


def test_a_finished_set_is_left_alone(written: Path) -> None:
    before = tree(written)
    write_people(written, PLAN, shooter=lambda plan, shot: pytest.fail("drawn again"))
    assert tree(written) == before


def test_a_folder_of_something_else_is_never_written_into(written: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="another plan"):
        write_people(written, replace(PLAN, seed=4), shooter=drawn)
    (tmp_path / "plan.json").write_text("no plan of ours")
    with pytest.raises(BadRecipe, match="another plan"):
        write_people(tmp_path, PLAN, shooter=drawn)
    (tmp_path / "plan.json").unlink()
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(BadRecipe, match="nothing was written"):
        write_people(tmp_path, PLAN, shooter=drawn)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
