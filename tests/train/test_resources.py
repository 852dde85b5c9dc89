"""The commit that a number is told with: changed code marks it, what benchmarks wrote does not."""

from __future__ import annotations

import subprocess

import pytest

from resight.errors import BadRecipe
from resight.train import resources


@pytest.fixture
def tree(tmp_path, monkeypatch):
    code, written = tmp_path / "src" / "resources.py", tmp_path / "benchmarks" / "results" / "a.json"
    for path in (code, written):
        path.parent.mkdir(parents=True)
        path.write_text("1")

    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    monkeypatch.setattr(resources, "__file__", str(code))
    return code, written


def test_changed_code_is_told_and_changed_results_are_not(tree):
    code, written = tree
    clean = resources.commit()
    assert len(clean) == 12
    written.write_text("2")
    assert resources.commit() == clean
    code.write_text("2")
    assert resources.commit() == f"{clean}+changes"


def test_outside_of_a_repository_and_installed_into_that_of_another_project_the_version_is_told(
    tree, tmp_path_factory, monkeypatch
):
    code, _ = tree
    installed = code.parent / "site-packages" / "resources.py"
    installed.parent.mkdir()
    installed.write_text("1")
    for place in (installed, tmp_path_factory.mktemp("nowhere") / "resources.py"):
        monkeypatch.setattr(resources, "__file__", str(place))
        assert resources.commit() == f"version {resources.surroundings()['versions']['resight']}"


def test_what_differs_between_sittings_is_told_in_their_order_and_of_older_files_the_last():
    sittings = [{"commit": "a"}, {"commit": "b"}, {"commit": "a"}]
    assert resources.each_sitting({"commit": "a", "sittings": sittings}, lambda one: one["commit"]) == "a, then b"
    assert resources.each_sitting({"commit": "c"}, lambda one: one["commit"]) == "c"


@pytest.mark.parametrize("number", [0, -2])
def test_no_threads_are_refused_in_a_sentence(number):
    with pytest.raises(BadRecipe, match="threads can do nothing"), resources.torch_threads(number):
        pass
