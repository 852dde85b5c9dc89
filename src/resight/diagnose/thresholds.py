"""Thresholds: one TOML file says by which signals a condition is told, and from where on it counts as present.

Proof: tests/diagnose/test_conditions.py.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from resight.data.condition_names import CONDITIONS
from resight.diagnose.signals import SIGNALS
from resight.errors import BadRecipe, UnknownName

THRESHOLDS: Final = Path(__file__).parent / "thresholds.toml"
ISSUE: Final = CONDITIONS[:5]
"""Conditions that every table names first."""
BESIDE_SIGNALS: Final = ("about", "without_map", "unless")
"""Keys of a condition that are no signals."""
OF_A_PARSER: Final = ("hidden", "company")
"""What a parser says of a picture beyond its map."""
OF_A_SET: Final = ("hidden_frac", "cast")
"""What a picture is beside the others of its set."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """How one signal speaks for a condition."""

    signal: str
    present: float
    spread: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When each condition counts as present."""

    ramps: dict[str, tuple[Ramp, ...]]
    version: str
    """Twelve hex digits of the file: a table is only comparable with another of the same."""
    without_map: dict[str, tuple[Ramp, ...]]
    """What speaks for a condition where the signals of `ramps` need a map and there is none."""
    unless: dict[str, str]
    """By condition the one that explains its signals better."""

    def spoken(self, name: str, signals: Mapping[str, Float[np.ndarray, " N"]]) -> tuple[Ramp, ...]:
        """The ramps by which a condition was scored in a set with these signals."""
        ramps = self.ramps[name]
        unknown = any(np.isnan(signals[one.signal]).all() for one in ramps)
        return self.without_map.get(name, ramps) if unknown else ramps


def read_thresholds(path: Path | None = None) -> Thresholds:
    """Read a file of thresholds, else the shipped one; raises BadRecipe, or UnknownName for a signal that is none."""
    path = THRESHOLDS if path is None else path
    known = [*(one.name for one in SIGNALS), *OF_A_PARSER, *OF_A_SET]
    try:
        text = path.read_bytes()
        content: dict[str, dict[str, Any]] = tomllib.loads(text.decode())
        ramps: dict[str, tuple[Ramp, ...]] = {}
        without: dict[str, tuple[Ramp, ...]] = {}
        unless: dict[str, str] = {}
        for name, rows in content.items():
            kinds = {one: rows[one] for one in rows if one not in BESIDE_SIGNALS}
            if "unless" in rows:
                unless[name] = str(rows["unless"])
                if unless[name] not in content:
                    raise UnknownName("condition", unless[name], list(content))
            for found, mine in ((ramps, kinds), (without, rows.get("without_map", {}))):
                for signal in mine:
                    if signal not in known:
                        raise UnknownName("signal", signal, known)
                if mine:
                    each = [Ramp(one, float(row["present"]), float(row["spread"])) for one, row in mine.items()]
                    found[name] = tuple(each)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRecipe(f"{path} is no file of thresholds ({error}); start from {THRESHOLDS}.") from error
    missing = [name for name in ISSUE if not ramps.get(name)]
    flat = [one.signal for some in (*ramps.values(), *without.values()) for one in some if one.spread == 0]
    if missing or flat:
        raise BadRecipe(f"{path} lacks {', '.join(missing) or 'nothing'}; spreads of 0: {', '.join(flat) or 'none'}.")
    return Thresholds(ramps, hashlib.sha256(text).hexdigest()[:12], without, unless)
