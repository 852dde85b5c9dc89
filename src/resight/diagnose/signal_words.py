"""What a signal is called and how its values are said to people, by its unit.

Proof: tests/diagnose/test_signal_words.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from resight.diagnose.signals import SIGNALS
from resight.diagnose.thresholds import Ramp
from resight.report.words import Both, say

UNITS: Final = {one.name: one.unit for one in SIGNALS} | {
    **dict.fromkeys(("hidden", "company", "hidden_frac", "visible_frac"), "0..1"),
    "cast": "a*b*",
}
"""Units of all signals, also of those that a parser tells or that a picture has beside its set."""


@dataclass(frozen=True, slots=True)
class _Spoken:
    """How values of one unit are said: the words' name, digits, and by how much they are multiplied."""

    word: str
    digits: str = ".0f"
    times: float = 1.0


_SPOKEN: Final = {
    "px": _Spoken("px"),
    "0..1": _Spoken("share", times=100.0),
    "L*": _Spoken("lightness"),
    "L*, signed": _Spoken("lighter", "+.0f"),
    "a*b*": _Spoken("colour", ".1f"),
    "log power": _Spoken("log", ".2f"),
    "log power a log frequency": _Spoken("log", ".2f"),
}


def signal_name(signal: str) -> Both:
    """A signal in words."""
    return say(f"signal_{signal}")


def signal_value(signal: str, value: float) -> Both:
    """A value with its unit, such as `31 px`, `28%` or `23 of 100`."""
    how = _SPOKEN[UNITS[signal]]
    return say(f"value_{how.word}", value=format(value * how.times, how.digits).replace("-", "−"))


def axis_of(signal: str) -> tuple[Both, float]:
    """What an axis of the signal is called, with the unit, and by how much values are multiplied on it."""
    how = _SPOKEN[UNITS[signal]]
    return say(f"axis_{how.word}", signal=signal_name(signal)), how.times


def plainest(ramps: Sequence[Ramp]) -> Ramp:
    """Of the signals that tell a condition the first in a unit that needs no explanation, else the first."""
    return min(ramps, key=lambda one: _SPOKEN[UNITS[one.signal]].word == "log")


def part_of(share: float) -> str:
    """A share of pictures in whole percent; one that rounds to none, though there are some, is said so."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"
