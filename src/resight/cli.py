"""The command line: a table from words to a config and a function.

Nothing heavy is imported before a command is chosen, so that `resight --help` answers at once. A command's options are
the fields of its config, explained by the docstrings under them; every command can be called from Python as well.
Proof: tests/test_cli.py.
"""

from __future__ import annotations

import ast
import dataclasses
import errno
import importlib
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, get_type_hints

from resight import __version__
from resight.allocator import keep_freed_memory
from resight.commands.options import option
from resight.commands.table import COMMANDS, Command
from resight.errors import ResightError, UnknownName

FINE: Final = 0
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
NOBODY_READS: Final = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 findings, 2 bad input, 130 stopped by Ctrl-C."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads cost 3-39× beside a neighbour
    keep_freed_memory()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(words)
        sys.stdout.flush()
    except ResightError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        _refuse("Stopped by Ctrl-C; files that were already written are whole.")
        return INTERRUPTED
    except BrokenPipeError:  # `resight ... | head`: nobody reads on, so the rest goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except OSError as error:
        if error.errno is None:
            raise
        return _refuse(_about_files(error))
    except MemoryError as error:
        return _refuse(f"Not enough memory ({error or 'no details'}). Try a smaller batch or fewer pictures at once.")
    return code


def _run(words: list[str]) -> int:
    if not words or words[0] in {"--help", "-h"}:
        print(_top_help())
        return FINE
    if words[0] == "--version":
        print(f"resight {__version__}")
        return FINE
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return _run_command(name, words[length:])
    group = {name: row for name, row in COMMANDS.items() if name.startswith(f"{words[0]} ")}
    if group and (len(words) == 1 or words[1] in {"--help", "-h"}):
        print(_table(group))
        return FINE
    raise UnknownName("command", " ".join(words[: 2 if group else 1]), COMMANDS)


def _run_command(name: str, words: list[str]) -> int:
    import cyclopts

    row = COMMANDS[name]
    module_name, config_name, function_name = row.target.split(":")
    module = importlib.import_module(module_name)
    config: type[Any] = getattr(module, config_name)
    function: Callable[[Any], int] = getattr(module, function_name)

    def call(*positional: object, **named: object) -> int:
        return function(config(**dict(zip(row.positional, positional, strict=False)), **named))

    call.__signature__ = _signature(config, row.positional)  # type: ignore[attr-defined]
    app = cyclopts.App(
        name=f"resight {name}",
        help=_unwrap(config.__doc__ or row.help),
        usage=f"Usage: resight {name} {_usage(config, row.positional)}[OPTIONS]",
        help_format="plaintext",
        help_flags=("--help", "-h"),
        version_flags=(),
        group_parameters=cyclopts.Group("Options"),
    )
    app["--help"].group = "Options"
    app.default(call)
    if not {"--help", "-h"}.isdisjoint(words):
        app.help_print([])
        print("\nExamples:", *row.examples, sep="\n  ")  # not by cyclopts, which would break long lines
        return FINE
    try:
        command, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        return _refuse(f"{_say(error)} `resight {name} --help` explains every option.")
    return int(command(*bound.args, **bound.kwargs) or FINE)


def _signature(config: type[Any], positional: tuple[str, ...]) -> inspect.Signature:
    """Say the fields of a config as arguments, as `option` spells them."""
    from cyclopts import Parameter

    hints = get_type_hints(config, include_extras=True)
    docs = field_docs(config)
    fields = {field.name: field for field in dataclasses.fields(config)}
    arguments = []
    own_first = sorted(fields, key=lambda name: name not in config.__annotations__)
    for name in (*positional, *(name for name in own_first if name not in positional)):
        default, make = fields[name].default, fields[name].default_factory
        if default is dataclasses.MISSING:
            default = inspect.Parameter.empty if make is dataclasses.MISSING else make()
        kind = inspect.Parameter.POSITIONAL_ONLY if name in positional else inspect.Parameter.KEYWORD_ONLY
        how = Parameter(
            name=None if name in positional else option(name),
            help=docs.get(name, ""),
            negative_bool=None if default is True else (),
            negative_iterable=(),
            consume_multiple=True,
        )
        arguments.append(inspect.Parameter(name, kind, default=default, annotation=Annotated[hints[name], how]))
    return inspect.Signature(arguments)


def _usage(config: type[Any], positional: tuple[str, ...]) -> str:
    fields = {field.name: field for field in dataclasses.fields(config)}
    needed = [fields[name].default is dataclasses.MISSING for name in positional]
    return "".join(f"{n.upper()} " if must else f"[{n.upper()}] " for n, must in zip(positional, needed, strict=True))


def field_docs(config: type[Any]) -> dict[str, str]:
    """Read the docstring under each field of a config and of what it inherits, from the source."""
    inherited = [field_docs(base) for base in config.__bases__ if dataclasses.is_dataclass(base)]
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    docs = {name: text for docs in inherited for name, text in docs.items()}
    for field, text in zip(body.body, body.body[1:], strict=False) if isinstance(body, ast.ClassDef) else ():
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
            docs[field.target.id] = _unwrap(text.value.value)
    return docs


def _say(error: Exception) -> str:
    """Say a usage error of cyclopts in a plain sentence."""
    message = " ".join(str(error).split()).rstrip("?.")
    spare = getattr(error, "unused_tokens", None)
    if spare:
        return f"{', '.join(f'`{word}`' for word in spare)}: not expected here."
    return f"{message}?" if "Did you mean" in message else f"{message}."


def _unwrap(text: str) -> str:
    """Join the lines of each paragraph, so that the terminal's width decides where they break."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _about_files(error: OSError) -> str:
    reason = error.strerror or str(error)
    place = f" {error.filename}" if error.filename else ""
    advice = {
        errno.ENOSPC: "Free some space or choose another place; what was written before is whole.",
        errno.EACCES: "Check who may read and write there, or choose another place.",
        errno.ENOENT: "Check the path.",
    }.get(error.errno or 0, "Check the path and the disk.")
    return f"The system refused{place}: {reason}. {advice}"


def _refuse(message: str) -> int:
    print(f"resight: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


def _table(rows: dict[str, Command]) -> str:
    width = max(map(len, COMMANDS)) + 2
    return "\n".join(f"  {name:<{width}}{row.help}" for name, row in rows.items())


def _top_help() -> str:
    return f"""resight {__version__}: find the same person in other cameras, and say exactly how well that works.

Usage: resight COMMAND [ARGUMENTS] [OPTIONS]

{_table(COMMANDS)}

Start here:
  resight report sample --out report.html    the main job on the sample that comes with resight
  resight data check FOLDER                  is my data in order?

DATASET is a folder in any known layout, or the word `sample`. `resight COMMAND --help` explains one command,
`resight --version` names the version. Exit codes: 0 fine, 1 findings, 2 bad input."""
