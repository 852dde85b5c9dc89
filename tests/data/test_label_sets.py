from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from resight.data.label_sets import (
    ATR18,
    CCP59,
    CIHP20,
    LABEL_SETS,
    LIP20,
    PARTS7,
    PARTS8,
    PPP7,
    LabelSet,
    find_labels,
    load_label_set,
)
from resight.errors import BadLabels, UnknownName


def test_sets_have_the_published_number_of_classes() -> None:
    sizes = {"lip20": 20, "atr18": 18, "ppp7": 7, "cihp20": 20, "ccp59": 59, "parts7": 7, "parts8": 8}
    assert {name: len(LABEL_SETS[name].classes) for name in sizes} == sizes
    assert all(name == labels.name for name, labels in LABEL_SETS.items())


def test_flip_pairs_follow_the_active_table() -> None:
    def pairs(labels: LabelSet) -> list[tuple[int, int]]:
        return [(one, int(other)) for one, other in enumerate(labels.swap()) if one < other]

    assert pairs(LIP20) == [(14, 15), (16, 17), (18, 19)]
    assert pairs(ATR18) == [(9, 10), (12, 13), (14, 15)]
    assert pairs(CIHP20) == pairs(LIP20)
    assert pairs(PARTS7) == [(3, 4), (5, 6)]
    assert pairs(PARTS8) == [(4, 5), (6, 7)]
    assert pairs(PPP7) == pairs(CCP59) == []


def test_the_table_of_clothing_co_parsing_is_the_one_on_disk(shared_data: Path) -> None:
    path = shared_data / "ccp" / "labels.json"
    if not path.exists():
        pytest.skip("no Clothing Co-Parsing here")
    assert json.loads(path.read_text()) == list(CCP59.classes)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("background", "head", "head"), "names `head` twice"),
        (("background", "left arm"), "has `left arm` and no `right arm`"),
        ((), "0 classes"),
        (tuple(map(str, range(256))), "256 classes"),
    ],
)
def test_a_table_that_cannot_be_one_is_refused(classes: tuple[str, ...], expected: str) -> None:
    with pytest.raises(BadLabels, match=expected):
        LabelSet("mine", classes)


def test_a_table_of_ones_own_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nclasses = ["background", "left hand", "right hand"]\n')
    assert load_label_set(path).swap().tolist() == [0, 2, 1]
    assert find_labels(str(path)) == load_label_set(path)
    for text, expected in (
        ('name = "mine"\nclasses = ["background", "left hand"]\n', "no `right hand`"),
        ('name = "mine"\nclasses = ["background", 3]\n', "Class 1 in"),
        ('name = "mine"\n', "needs the key `classes`"),
        ('name = "mine"\nclasses = ["a"]\ncolours = 3\n', "has the key `colours`"),
        ("name = ", "cannot be read"),
    ):
        path.write_text(text)
        with pytest.raises(BadLabels, match=expected) as caught:
            load_label_set(path)
        assert str(path) in str(caught.value)


def test_an_unknown_class_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean `left arm`"):
        LIP20.number("leftarm")
    assert LIP20.number("left arm") == 14


def test_the_background_of_every_set_is_class_0() -> None:
    assert {labels.classes[0] for labels in LABEL_SETS.values()} == {"background", "null"}
    assert np.array(LIP20.palette())[:3].tolist() == [0, 0, 0]
