"""What a user typed, told from a config: which options are set, which of them do not fit, the command line itself.

Proof: tests/commands/test_options.py.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable
from typing import Any

from resight.commands.table import COMMANDS
from resight.errors import BadRecipe


def option(field: str) -> str:
    """How a config's field is typed: `lambda_` is `--lambda`, `blur_heads` is `--blur-heads`."""
    return f"--{field.strip('_').replace('_', '-')}"


def given(config: Any) -> dict[str, object]:
    """Fields of a config that are not what they are when left out."""
    fields = {field.name: field for field in dataclasses.fields(config)}
    values = {name: getattr(config, name) for name in fields}
    return {name: value for name, value in values.items() if value != _left_out(fields[name])}


def typed(config: Any, fields: Iterable[str]) -> str:
    """The options among these fields that are set, as they are typed; empty where none is."""
    return ", ".join(option(name) for name in given(config) if name in set(fields))


def refuse(config: Any, fields: Iterable[str], why: str) -> None:
    """Raise BadRecipe where one of these fields is set, so that no option is dropped without a word."""
    if seen := typed(config, fields):
        raise BadRecipe(f"{why}: leave {seen} out.")


def command_line(name: str, config: Any, **changes: object) -> str:
    """The command that gives a config with some fields changed, ready to be typed."""
    config = dataclasses.replace(config, **changes)
    positional = COMMANDS[name].positional
    words = ["resight", *name.split(), *(str(getattr(config, field)) for field in positional)]
    for field, value in given(config).items():
        if field in positional:
            continue
        if isinstance(value, bool):
            words.append(option(field) if value else option(f"no_{field}"))
        else:
            words += [option(field), *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)


def _left_out(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
