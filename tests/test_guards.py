"""What keeps the house in order: names, layers, light imports, honest documents."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest
import torch

import resight
from resight.cli import COMMANDS

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = sorted((REPOSITORY / "src").rglob("*.py"))
SCRIPTS = sorted(path for folder in ("scripts", "benchmarks") for path in (REPOSITORY / folder).glob("*.py"))
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(document: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(document.read_text(encoding="utf-8")) if kind == language]


def _commands(document: Path) -> list[list[str]]:
    """Every `resight ...` line of the document's shell blocks, as words, without what is piped on."""
    text = "\n".join(_blocks(document, "sh")).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("resight ")]
    found = [shlex.split(line, comments=True)[1:] for line in lines]
    return [words[: next((at for at, word in enumerate(words) if word in {"|", ">"}), None)] for words in found]


def test_public_names_equal_the_checked_in_list():
    """Removing a name breaks somebody's code: change tests/public_names.txt and CHANGELOG.md in the same commit."""
    listed = (REPOSITORY / "tests" / "public_names.txt").read_text().split()
    assert sorted(resight.__all__) == sorted(listed)


@pytest.mark.parametrize("name", resight.__all__)
def test_every_public_name_is_there_and_explained(name):
    thing = getattr(resight, name)
    assert name == "__version__" or (thing.__doc__ or "").strip()


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        resight.evaluat  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, resight; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not [name for name in ("numpy", "torch", "cyclopts", "rich") if f"'{name}'" in loaded]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_commands_and_options_are_real(document):
    for words in _commands(document):
        if words[0].startswith("-"):
            continue
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
        assert name, f"{document.name} shows `resight {' '.join(words)}`, which is no command"
        module, config, _ = COMMANDS[name].target.split(":")
        fields = dataclasses.fields(getattr(importlib.import_module(module), config))
        known = {f"--{field.name.strip('_').replace('_', '-')}" for field in fields} | {"--help"}
        used = {word.split("=")[0].split(".")[0] for word in words if word.startswith("--")}
        assert used <= known, f"{document.name}: `resight {name}` has no {sorted(used - known)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_block_runs_and_prints_what_the_document_shows(document, tmp_path, monkeypatch):
    """The blocks of one document run after each other in one namespace; a ```text block behind one is its output."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = FENCE.findall(document.read_text(encoding="utf-8"))
    for (kind, text), (next_kind, shown) in zip_longest(blocks, blocks[1:], fillvalue=("", "")):
        if kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, str(document), "exec"), names)
            if next_kind == "text":
                assert printed.getvalue() == shown, "run `make readme`"


def test_the_tables_of_the_pages_are_those_of_the_benchmarks():
    script = runpy.run_path(str(REPOSITORY / "scripts" / "readme_tables.py"))
    for page in script["PAGES"]:
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        filled = script["fill"](text, REPOSITORY / "benchmarks" / "results", page=page)
        assert filled == text, f"{page}: run `make readme`"


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command as check; check()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-logo", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_point_down_and_a_planted_upward_import_is_found(tmp_path):
    shutil.copytree(REPOSITORY / "src", tmp_path / "src", ignore=shutil.ignore_patterns("sample", "weights", "*.pyc"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    kept = _lint_imports(tmp_path)
    assert kept.returncode == 0, kept.stdout
    with (tmp_path / "src" / "resight" / "errors.py").open("a") as file:
        file.write("\n\ndef late() -> None:\n    import resight.cli\n")
    broken = _lint_imports(tmp_path)
    assert broken.returncode == 1, broken.stdout
    assert "resight.errors -> resight.cli" in broken.stdout


def test_training_and_evaluation_import_without_the_command_line_and_web_packages():
    rooms = ["train", "model", "config", "embedders", "evaluate", "search", "nn", "losses", "data", "types", "errors"]
    folder = REPOSITORY / "src" / "resight"
    paths = [
        path.relative_to(folder.parent)
        for room in rooms
        for path in [folder / f"{room}.py", *(folder / room).rglob("*.py")]
    ]
    names = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in paths
        if (folder.parent / path).exists()
    ]
    absent = [
        "cyclopts",
        "rich",
        "jinja2",
        "matplotlib",
        "simplejpeg",
        "h5py",
        "pyarrow",
        "fastapi",
        "torchvision",
        "sklearn",
    ]
    code = (
        f"import sys, importlib; sys.modules.update(dict.fromkeys({absent!r}));"  # None: as if it were not installed
        f"[importlib.import_module(name) for name in {names!r}]"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert len(names) > len(rooms)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY / "src" / "resight")))
def test_a_source_file_says_what_it_is_and_stays_readable(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "the first lines say what the file is"


def test_no_picture_of_a_research_set_is_tracked():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    market = re.compile(r"^(.*/)?-?\d{1,4}_c\ds\d_\d{6}_\d\d\.(jpg|png)", re.MULTILINE)
    assert not [hit.group(0) for hit in market.finditer(listed)]


def test_tests_run_on_one_torch_thread():
    assert torch.get_num_threads() == 1
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.skipif(not os.environ.get("CI"), reason="asked of CI's machine, which has no GPU")
def test_no_cuda_build_of_torch_crept_in():
    assert torch.version.cuda is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_proof_that_a_module_names_is_there(source):
    named = re.findall(r"\b(?:tests|benchmarks)/[\w/]+\.py\b", source.read_text(encoding="utf-8"))
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


def _taken(tree: ast.Module) -> set[tuple[str, str]]:
    """Modules that a script imports, each with a name that it takes from there, or "" for the module itself."""
    taken, modules = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            taken |= {(str(node.module), one.name) for one in node.names}
        elif isinstance(node, ast.Import):
            taken |= {(one.name, "") for one in node.names}
            modules |= {one.asname or one.name: one.name for one in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            taken.add((modules[node.value.id], node.attr))
    return taken


def _is_there(module: str, name: str, folders: list[Path]) -> bool:
    """Whether a module of resight or of these folders has a name; what belongs to others is not looked at."""
    if module.split(".")[0] == "resight":
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            return False
        return not name or hasattr(found, name) or _is_there(f"{module}.{name}", "", folders)
    file = next((folder / f"{module}.py" for folder in folders if (folder / f"{module}.py").is_file()), None)
    if file is None or not name:
        return file is not None or module not in {path.stem for path in SCRIPTS}
    held: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        held |= (
            {one.asname or one.name for one in node.names} if isinstance(node, ast.Import | ast.ImportFrom) else set()
        )
        held |= {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()
        held |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return name in held


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_takes_from_resight_or_from_its_neighbours_is_there(path):
    taken = _taken(ast.parse(path.read_text(encoding="utf-8")))
    folders = [path.parent, REPOSITORY / "tests"]
    assert [f"{module}.{name}" for module, name in sorted(taken) if not _is_there(module, name, folders)] == []


def test_a_name_that_is_gone_is_found_missing():
    tree = ast.parse(
        "import measuring\nfrom resight.errors import Gone\nimport resight.gone\nmeasuring.gone()\nimport os\n"
    )
    folders = [REPOSITORY / "benchmarks"]
    gone = {("measuring", "gone"), ("resight.errors", "Gone"), ("resight.gone", "")}
    assert {one for one in _taken(tree) if not _is_there(*one, folders)} == gone
