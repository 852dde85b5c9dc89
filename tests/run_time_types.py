"""The checker of argument types in tests: beartype, where an int serves as a float, as type checkers have it."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
