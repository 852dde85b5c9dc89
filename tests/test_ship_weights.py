"""The terms of shipped weights follow the whole chain of what they started from."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import ship_weights as ship

from resight.parsing import is_parser
from resight.weight_files import find_weights, shipped_names
from small_parser import untrained


def run(folder: Path, *, seed: int, start: str) -> Path:
    folder.mkdir()
    untrained(folder / "model.safetensors", seed=seed)
    (folder / "config.toml").write_text(f'steps = 1\nlearning-rate = 0.1\nstart = "{start}"\n')
    (folder / "run.json").write_text(json.dumps({"pictures": {"people": 1}, "commit": "c", "seconds": 60.0}))
    return folder


def test_a_start_is_known_by_name_by_content_and_among_the_earlier_cycles_and_any_other_is_refused(
    tmp_path: Path,
) -> None:
    shutil.copy(find_weights("parser-lite"), tmp_path / "copy.safetensors")
    first = run(tmp_path / "first", seed=1, start=str(tmp_path / "copy.safetensors"))
    second = run(tmp_path / "second", seed=2, start=str(first))
    assert ship.facts_of(first)["started_from"] == ["parser-lite"]
    assert ship.facts_of(second, [first])["started_from"] == []
    with pytest.raises(SystemExit, match=r"first, whose terms are not known.*--before"):
        ship.facts_of(second)
    shutil.rmtree(first)
    with pytest.raises(SystemExit, match="not there any more"):
        ship.facts_of(second)


def test_terms_of_what_an_earlier_cycle_started_from_hold_too() -> None:
    first = {"started_from": ["baseline-lite", "parser-lite"], "pictures": 1}
    last = {"started_from": [], "pictures": 1, "before": first, "learned_from": "people"}
    licence = ship.licence_of(last, parser=False)
    for name in first["started_from"]:
        assert f"weights `{name}`, whose terms hold for them too" in licence
        assert (ship.WEIGHTS / name / "LICENSE").read_text() in licence
    assert ship.started(last) == "the shipped `baseline-lite` and the shipped `parser-lite`"
    assert ship.told_of(last)["terms"].endswith("but for the terms of what it started from")
    parser = {"started_from": [], "pictures": {"ccp": 1}, "before": {"started_from": ["parser-lite"], "pictures": {}}}
    assert (ship.WEIGHTS / "parser-lite" / "LICENSE").read_text() in ship.licence_of(parser, parser=True)


@pytest.mark.parametrize("name", shipped_names())
def test_the_licence_and_the_start_of_shipped_weights_are_those_of_their_chain(name: str) -> None:
    facts = json.loads((ship.WEIGHTS / name / "run.json").read_text())
    assert (ship.WEIGHTS / name / "LICENSE").read_text() == ship.licence_of(facts, parser=is_parser(name))
    assert f"| started from | {ship.started(facts)} |" in (ship.WEIGHTS / name / "card.md").read_text()
