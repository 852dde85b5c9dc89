"""TOML to frozen dataclasses and back: the one way in which recipes are read.

A key that is not a field, a value of another type or a missing key is an error that names the nearest right one. Keys
may be written with hyphens (`label-smoothing`) or as the field is (`label_smoothing`). A shipped recipe is found by its
name, any other by its path.
Proof: tests/test_config.py.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from resight.errors import BadRecipe, UnknownName, nearest

C = TypeVar("C")

_WORDS: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: 'a text in "quotes"',
    Path: 'a path in "quotes"',
    type(None): "nothing",
}


def recipe_names() -> list[str]:
    """Name the recipes that come with resight, sorted."""
    folder = resources.files("resight") / "recipes"
    if not folder.is_dir():
        return []
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_recipe(path_or_name: Path | str) -> str:
    """Return the text of a shipped recipe (by name) or of a file (by path, ending in `.toml`)."""
    if str(path_or_name) in recipe_names():
        return (resources.files("resight") / "recipes" / f"{path_or_name}.toml").read_text(encoding="utf-8")
    path = Path(path_or_name)
    if path.suffix != ".toml":
        raise UnknownName("recipe", str(path_or_name), recipe_names())
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadRecipe(f"{path} is not a text file (byte {error.start} is not UTF-8). Pass a TOML file.") from error
    except OSError as error:
        names = ", ".join(recipe_names()) or "none"
        raise BadRecipe(
            f"Cannot read {path}: {error.strerror}. Pass a TOML file or a shipped name ({names})."
        ) from error


def load_toml(cls: type[C], path_or_name: Path | str, overrides: Mapping[str, object] | None = None) -> C:
    """Read a recipe into the frozen dataclass `cls`.

    `overrides` replace what the file says; a dot reaches into a table: `{"epochs": 3, "optimiser.rate": 0.1}`.
    Raises BadRecipe (bad TOML, unknown key, wrong type, missing key) and UnknownName (no such recipe).
    """
    try:
        table = tomllib.loads(read_recipe(path_or_name))
    except tomllib.TOMLDecodeError as error:
        raise BadRecipe(f"{path_or_name} is not valid TOML: {error}.") from error
    for key, value in (overrides or {}).items():
        _place(table, key.split("."), value, str(path_or_name))
    return from_table(cls, table, where=str(path_or_name))


def from_table(cls: type[C], table: Mapping[str, object], *, where: str) -> C:
    """Turn one TOML table into the dataclass `cls`; `where` names the source in messages."""
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    hints = get_type_hints(cls)
    values: dict[str, object] = {}
    for key, value in table.items():
        name = _field_name(key, fields, where)
        if name in values:
            raise BadRecipe(f"{where}: `{key}` is there twice (with a hyphen and with an underscore). Keep one.")
        values[name] = _fit(value, hints[name], f"{where}: `{key}`")
    missing = [
        name
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise BadRecipe(f"{where}: {', '.join(f'`{_key(name)}`' for name in missing)} must be given and is missing.")
    return cls(**values)


def to_toml(config: object) -> str:
    """Write a dataclass as TOML that `load_toml` reads back to an equal one. What is None is left out."""
    plain: list[str] = []
    tables: list[tuple[str, Any]] = []
    _write(config, "", plain, tables)
    parts = ["\n".join(plain)]
    while tables:
        name, inner = tables.pop(0)
        lines: list[str] = [f"[{name}]"]
        _write(inner, f"{name}.", lines, tables)
        parts.append("\n".join(lines))
    return "\n\n".join(part for part in parts if part) + "\n"


def _write(config: Any, prefix: str, lines: list[str], tables: list[tuple[str, Any]]) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            tables.append((prefix + _key(field.name), value))
        elif value is not None:
            lines.append(f"{_key(field.name)} = {_literal(value)}")


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        present = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _literal({_key(name): inner for name, inner in present.items() if inner is not None})
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_literal(str(key))} = {_literal(inner)}' for key, inner in value.items())} }}"
    raise BadRecipe(f"{value!r} cannot be written as TOML.")


def _key(name: str) -> str:
    return name.strip("_").replace("_", "-")


def _field_name(key: str, fields: Mapping[str, object], where: str) -> str:
    named = {_key(name): name for name in fields}
    if _key(key) in named:
        return named[_key(key)]
    hint = nearest(_key(key), named)
    raise BadRecipe(f"{where}: there is no key `{key}`.{hint} Known: {', '.join(sorted(named))}.")


def _place(table: dict[str, Any], keys: list[str], value: object, where: str) -> None:
    """Put an override where its dotted key says, over whichever spelling the file used."""
    for key in [key for key in table if _key(key) == _key(keys[0])]:
        if len(keys) == 1:
            del table[key]
        else:
            table[keys[0]] = table.pop(key)
    if len(keys) == 1:
        table[keys[0]] = value
        return
    inner = table.setdefault(keys[0], {})
    if not isinstance(inner, dict):
        raise BadRecipe(f"{where}: `{keys[0]}` is not a table, so `{'.'.join(keys)}` cannot be set.")
    _place(inner, keys[1:], value, where)


def _fit(value: Any, hint: Any, where: str) -> Any:
    """Check one value against its type and turn TOML's few types into it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any or (hint is object):
        return value
    if origin in {Union, types.UnionType}:
        return _fit_any(value, arguments, where)
    if origin is Literal:
        return _fit_literal(value, arguments, where)
    if origin is tuple:
        return _fit_tuple(value, arguments, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise BadRecipe(f"{where} must be a table, but is {value!r}.")
        return from_table(hint, value, where=where.replace("`", ""))
    if origin in {dict, Mapping} and isinstance(value, Mapping):
        return {key: _fit(inner, arguments[1], f"{where} at `{key}`") for key, inner in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise BadRecipe(f"{where} must be {_say(hint)}, but is {value!r}.")


def _fit_any(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    for exact in (True, False):  # `int | float` keeps 1 an int: an exact type wins over one that must be turned
        for hint in hints:
            if exact and type(value) is not hint:
                continue
            try:
                return _fit(value, hint, where)
            except BadRecipe:
                if len([hint for hint in hints if hint is not type(None)]) == 1 and hint is not type(None):
                    raise
    raise BadRecipe(f"{where} must be {' or '.join(_say(hint) for hint in hints)}, but is {value!r}.")


def _fit_literal(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    hint = nearest(str(value), map(str, choices))
    raise BadRecipe(f"{where} must be one of {', '.join(map(repr, choices))}, but is {value!r}.{hint}")


def _fit_tuple(value: Any, hints: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise BadRecipe(f"{where} must be a list, but is {value!r}.")
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise BadRecipe(f"{where} must have {len(hints)} entries, but has {len(value)}: {value!r}.")
    pairs = enumerate(zip(value, hints, strict=True), start=1)
    return tuple(_fit(inner, hint, f"{where} entry {at}") for at, (inner, hint) in pairs)


def _say(hint: Any) -> str:
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
