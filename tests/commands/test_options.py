"""What a config says of what was typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from resight.cli import _run_command
from resight.commands import options, table
from resight.commands.options import command_line, given, refuse
from resight.errors import BadRecipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Typed:
    """Do a thing."""

    x: str
    """What to look at."""
    out: Path = Path("out")
    """Where to."""
    sizes: tuple[int, ...] = (1,)
    """Sizes."""
    overlays: bool = True
    """Draw."""
    blur: bool = False
    """Blur."""
    lambda_: float = 0.3
    """Share."""


seen: list[Typed] = []


def keep(config: Typed) -> int:
    seen.append(config)
    return 0


@pytest.fixture
def typed(monkeypatch):
    row = table.Command(f"{__name__}:Typed:keep", "Do a thing.", ("x",))
    monkeypatch.setitem(options.COMMANDS, "typed", row)


def test_a_command_line_gives_the_config_that_it_was_made_from(typed):
    config = Typed(x="my people", out=Path("a b"), sizes=(2, 3), overlays=False, blur=True, lambda_=0.5)
    line = command_line("typed", config, sizes=(4,))
    assert line == "resight typed 'my people' --out 'a b' --sizes 4 --no-overlays --blur --lambda 0.5"
    assert _run_command("typed", ["my people", "--out", "a b", "--sizes", "4", "--no-overlays", "--blur"]) == 0
    assert seen.pop() == Typed(x="my people", out=Path("a b"), sizes=(4,), overlays=False, blur=True)


def test_only_what_is_set_is_given_and_refused(typed):
    config = Typed(x="there", lambda_=0.5, blur=True)
    assert given(config) == {"x": "there", "blur": True, "lambda_": 0.5}
    refuse(config, ("out", "sizes"), "No word of it")
    with pytest.raises(BadRecipe, match=r"It is dark: leave --blur, --lambda out\."):
        refuse(config, ("lambda_", "blur", "out"), "It is dark")
