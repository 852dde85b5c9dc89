from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.config import from_table, load_toml, read_recipe, recipe_names, to_toml
from resight.errors import BadRecipe, ResightError, UnknownName


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimiser:
    rate: float = 0.1
    kind: Literal["sgd", "adam-w"] = "sgd"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    epochs: int
    frozen_blocks: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Toy:
    epochs: int
    label_smoothing: float = 0.1
    lambda_: float | None = None
    size: tuple[int, int] = (128, 64)
    seeds: tuple[int, ...] = ()
    stages: tuple[Stage, ...] = ()
    data: Path | None = None
    ema: bool = False
    note: str = ""
    weights: dict[str, float] = field(default_factory=dict)
    optimiser: Optimiser = field(default_factory=Optimiser)


@pytest.fixture
def recipe(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "toy.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_file_becomes_the_dataclass(recipe):
    text = (
        'epochs = 3\nlabel-smoothing = 1\nlambda = 0.5\nsize = [256, 128]\ndata = "x y"\n[optimiser]\nkind = "adam-w"'
    )
    expected = Toy(
        epochs=3,
        label_smoothing=1.0,
        lambda_=0.5,
        size=(256, 128),
        data=Path("x y"),
        optimiser=Optimiser(kind="adam-w"),
    )
    assert load_toml(Toy, recipe(text)) == expected


def test_a_list_of_tables_becomes_a_tuple_of_dataclasses(recipe):
    text = "epochs = 3\n[[stages]]\nepochs = 1\nfrozen-blocks = 2\n[[stages]]\nepochs = 4"
    assert load_toml(Toy, recipe(text)).stages == (Stage(epochs=1, frozen_blocks=2), Stage(epochs=4))


def test_hyphen_and_underscore_mean_the_same_key(recipe):
    assert load_toml(Toy, recipe("epochs = 1\nlabel_smoothing = 0.3")).label_smoothing == 0.3
    with pytest.raises(BadRecipe, match="twice"):
        load_toml(Toy, recipe("epochs = 1\nlabel_smoothing = 0.3\nlabel-smoothing = 0.2"))


def test_overrides_replace_what_the_file_says_and_reach_into_tables(recipe):
    path = recipe("epochs = 3\nlabel_smoothing = 0.3\n[optimiser]\nrate = 2")
    changed = load_toml(Toy, path, {"epochs": 5, "label-smoothing": 0, "optimiser.kind": "adam-w", "ema": True})
    assert changed == Toy(epochs=5, label_smoothing=0.0, ema=True, optimiser=Optimiser(rate=2.0, kind="adam-w"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parser = 1", ["no key `parser`. Known"]),
        ("epocs = 3", ["toy.toml", "no key `epocs`", "Did you mean `epochs`?"]),
        ("label-smoothing = 0.1", ["`epochs` must be given"]),
        ('epochs = "three"', ["`epochs` must be a whole number, but is 'three'"]),
        ("epochs = true", ["`epochs` must be a whole number, but is True"]),
        ("epochs = 2.5", ["`epochs` must be a whole number, but is 2.5"]),
        ("epochs = 1\nema = 1", ["`ema` must be true or false"]),
        ("epochs = 1\nsize = [1, 2, 3]", ["`size` must have 2 entries, but has 3"]),
        ("epochs = 1\n[[stages]]\nepoch = 3", ["stages entry 1", "no key `epoch`", "`epochs`"]),
        ("epochs = 1\nseeds = 7", ["`seeds` must be a list"]),
        ("epochs = 1\nseeds = [1, 'x']", ["`seeds` entry 2 must be a whole number"]),
        ("epochs = 1\nlambda = 'much'", ["`lambda` must be a number, but is 'much'"]),
        ("epochs = 1\noptimiser = 3", ["`optimiser` must be a table"]),
        ("epochs = 1\n[optimiser]\nrat = 3", ["optimiser", "no key `rat`", "`rate`"]),
        ("epochs = 1\n[optimiser]\nkind = 'adamw'", ["one of 'sgd', 'adam-w'", "Did you mean `adam-w`?"]),
        ("epochs = ", ["not valid TOML"]),
    ],
)
def test_a_mistake_is_named_with_what_was_seen_and_what_to_write(recipe, text, words):
    with pytest.raises(BadRecipe) as caught:
        load_toml(Toy, recipe(text))
    for word in words:
        assert word in str(caught.value)


def test_an_override_into_something_that_is_no_table_is_refused(recipe):
    with pytest.raises(BadRecipe, match="not a table"):
        load_toml(Toy, recipe("epochs = 1"), {"epochs.start": 1})


def test_a_name_that_is_no_recipe_is_answered_with_the_known_ones():
    with pytest.raises(UnknownName, match="no recipe called `nope`"):
        read_recipe("nope")


def test_files_that_cannot_be_read_are_user_errors(tmp_path):
    with pytest.raises(BadRecipe, match="Cannot read"):
        read_recipe(tmp_path / "missing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRecipe, match="not a text file"):
        read_recipe(tmp_path / "binary.toml")


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_starts_with_a_comment_that_says_what_it_is(name):
    assert read_recipe(name).startswith("# ")


texts = st.text(st.characters(codec="utf-8"), max_size=8)
finite = st.floats(allow_nan=False)
toys = st.builds(
    Toy,
    epochs=st.integers(),
    label_smoothing=finite,
    lambda_=st.none() | finite,
    size=st.tuples(st.integers(), st.integers()),
    seeds=st.lists(st.integers(), max_size=3).map(tuple),
    stages=st.lists(st.builds(Stage, epochs=st.integers(), frozen_blocks=st.none() | st.integers()), max_size=3).map(
        tuple
    ),
    data=st.none() | st.sampled_from([Path("a"), Path("a b/ü")]),
    ema=st.booleans(),
    note=texts,
    weights=st.dictionaries(texts, finite, max_size=3),
    optimiser=st.builds(Optimiser, rate=finite, kind=st.sampled_from(["sgd", "adam-w"])),
)


@given(toys)
def test_writing_and_reading_gives_back_an_equal_config(toy):
    import tomllib

    assert from_table(Toy, tomllib.loads(to_toml(toy)), where="here") == toy


def test_what_cannot_be_written_is_refused():
    @dataclass(frozen=True)
    class Odd:
        thing: object

    with pytest.raises(ResightError, match="cannot be written"):
        to_toml(Odd(object()))
