"""A GPU is taken where there is one, by every command that looks at pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import resight
from resight.commands.conditions import open_parser
from resight.nn.device import best_device


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, name in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert best_device() == torch.device(name)


def test_conditions_are_measured_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(name: str, *, device: object) -> None:
        asked.append(device)
        raise InterruptedError

    monkeypatch.setattr("resight.parsing.load_parser", load)
    with pytest.raises(InterruptedError):
        open_parser(None)
    assert asked == [best_device()]


def test_no_command_chooses_for_itself() -> None:
    for path in (Path(resight.__file__).parent / "commands").rglob("*.py"):
        assert not re.search(r"cuda\.is_available|\"cuda\"", path.read_text(encoding="utf-8")), path
