from __future__ import annotations

import dataclasses
import errno
import importlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from resight import __version__, cli
from resight.cli import COMMANDS, Command, field_docs, main
from resight.errors import BadFeatures, nearest


@dataclass(frozen=True, kw_only=True, slots=True)
class Toy:
    """Do a toy thing.

    A second paragraph
    that is wrapped.
    """

    x: Path
    """What to
    read."""
    lambda_: float = 0.3
    """Share of the original distance, 0..1."""
    blur_heads: bool = False
    """Blur the top sixth."""
    seeds: tuple[int, ...] = (1,)
    """Seeds."""
    protocol: Literal["market", "cuhk03-np"] = "market"
    """Which protocol."""


def toy(config: Toy) -> int:
    failures = {
        "findings": lambda: 1,
        "bad": lambda: _fail(BadFeatures("Row 3 of\nquery is NaN. Embed again.")),
        "stop": lambda: _fail(KeyboardInterrupt()),
        "full": lambda: _fail(OSError(errno.ENOSPC, "No space left on device", "scores.json")),
        "closed": lambda: _fail(OSError("no errno: a bug")),
        "memory": lambda: _fail(MemoryError("cannot hold 90 GiB")),
    }
    if config.x.name in failures:
        return failures[config.x.name]()
    print(config)
    return 0


def _fail(error: BaseException) -> int:
    raise error


@pytest.fixture
def run(monkeypatch, capsys):
    row = Command(f"{__name__}:Toy:toy", "Do a toy thing.", ("x",), ("resight toy there",))
    monkeypatch.setitem(cli.COMMANDS, "toy", row)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["toy", *words])
        return code, *capsys.readouterr()

    return call


def test_options_are_the_fields_of_the_config(run):
    code, out, err = run("there", "--lambda", "0.5", "--blur-heads", "--seeds", "1", "2", "--protocol", "cuhk03-np")
    expected = Toy(x=Path("there"), lambda_=0.5, blur_heads=True, seeds=(1, 2), protocol="cuhk03-np")
    assert (code, out, err) == (0, f"{expected}\n", "")


def test_help_teaches_with_field_docstrings_and_examples(run):
    code, out, _ = run("--help")
    assert code == 0
    for words in (
        "Usage: resight toy X [OPTIONS]",
        "A second paragraph that is wrapped.",
        "What to read.",
        "--lambda",
        "Share of the original distance, 0..1.",
        "[default: 0.3]",
        "cuhk03-np",
        "resight toy there",
    ):
        assert words in out
    assert "lambda-" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "X"),
        (["there", "--lamda", "1"], "Did you mean --lambda?"),
        (["there", "--lambda", "much"], '"much"'),
        (["there", "and", "more"], "`and`, `more`: not expected here."),
        (["there", "--protocol", "cuhk03"], 'Did you mean "cuhk03-np"?'),
        (["bad"], "Row 3 of query is NaN. Embed again."),
        (["full"], "scores.json: No space left on device. Free some space"),
        (["memory"], "Not enough memory (cannot hold 90 GiB)."),
    ],
)
def test_what_a_user_can_mend_is_one_line_on_stderr_and_exit_2(run, words, said):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("resight: ")
    assert err.count("\n") == 1
    assert said in err


def test_findings_exit_1_and_ctrl_c_exits_130(run):
    assert run("findings") == (1, "", "")
    assert run("stop") == (130, "", "resight: Stopped by Ctrl-C; files that were already written are whole.\n")


def test_a_bug_is_not_dressed_up_as_a_user_error(run):
    with pytest.raises(OSError, match="a bug"):
        run("closed")


@pytest.mark.parametrize(
    ("words", "nearest"),
    [(["evalute", "x"], "evaluate"), (["data", "chek", "x"], "data check"), (["datacheck"], "data")],
)
def test_an_unknown_command_is_answered_with_the_nearest_known_one(capsys, words, nearest):
    assert main(words) == 2
    assert f"Did you mean `{nearest}" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["foo", "search", "osnet", "market", "test", "x", "resnet50"])
def test_what_is_near_no_name_gets_no_guess(capsys, word):
    assert main([word]) == 2
    assert "Did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "known", "guess"),
    [
        ("eval", ["compare", "evaluate"], "evaluate"),
        ("market", ["maskreid", "market1501"], "market1501"),
        ("resnet50", ["street5", "lip20"], None),
        ("osnet", ["one-pass", "dose"], None),
        ("persn", ["path", "person"], "person"),
        ("a", ["ab"], None),
    ],
)
def test_a_guess_is_a_spelling_or_an_ending_away(word, known, guess):
    assert nearest(word, known) == ("" if guess is None else f" Did you mean `{guess}`?")


def test_a_group_alone_lists_its_commands(capsys):
    assert main(["data"]) == 0
    out = capsys.readouterr().out
    assert "data check" in out
    assert "evaluate" not in out


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"resight {__version__}\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_top_help_names_every_command(capsys, words):
    assert main(words) == 0
    out = capsys.readouterr().out
    for name, row in COMMANDS.items():
        assert f"  {name}  " in out
        assert row.help in out
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_a_frozen_config_and_a_function(name):
    module_name, config_name, function_name = COMMANDS[name].target.split(":")
    module = importlib.import_module(module_name)
    config = getattr(module, config_name)
    assert callable(getattr(module, function_name))
    fields = {field.name: field for field in dataclasses.fields(config)}
    assert config.__dataclass_params__.frozen
    assert all(field.kw_only for field in fields.values())
    assert set(COMMANDS[name].positional) <= set(fields)
    assert set(field_docs(config)) == set(fields), "every field has a docstring under it"
    assert (config.__doc__ or "").strip(), "the config's docstring is the help text"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_itself(name, capsys):
    assert main([*name.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: resight {name}" in out
    assert COMMANDS[name].examples
    assert all(example in out for example in COMMANDS[name].examples)


def test_the_top_help_imports_nothing_heavy_and_is_quick():
    code = "import sys; from resight.cli import main; main(['--help']); print(sorted(sys.modules))"
    heavy = {"cyclopts", "rich", "numpy", "torch", "scipy", "matplotlib", "jinja2", "jaxtyping"}
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {name for name in heavy if f"'{name}'" in loaded}
    seconds = []
    for _ in range(5):  # the best of some: a neighbour on the same cores is not our slowness
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "resight", "--help"], capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


@pytest.mark.skipif(os.name != "posix", reason="pipes break in another way there")
def test_a_reader_that_goes_away_ends_the_command_quietly():
    code = "import sys; from resight import cli; cli._top_help = lambda: 'x' * 10**6; sys.exit(cli.main([]))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141


def test_openmp_is_told_to_wait_quietly_before_torch_is_there():
    code = "import os; from resight.cli import main; main(['--version']); print(os.environ['OMP_WAIT_POLICY'])"
    bare = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=bare).stdout
    assert out.splitlines()[-1] == "PASSIVE"


def test_freed_memory_is_kept_and_not_asked_for_again():
    if sys.platform != "linux":
        pytest.skip("glibc's allocator alone is asked")
    script = (
        "import resource, numpy as np\n"
        "from resight.allocator import keep_freed_memory\n"
        "if not keep_freed_memory(): raise SystemExit(3)\n"
        "np.ones(2**24)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(5): np.ones(2**24)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("this C library has no such option")
    assert int(done.stdout) < 1000, done.stderr  # each array alone has 32,768 pages
