"""Sources that are labelled differently teach one table, each what it knows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resight.data.label_meanings import (
    FOREGROUND,
    KEYPOINT_MEANS,
    KEYPOINTS14,
    MEANINGS,
    find_meaning,
    keypoint_means,
)
from resight.data.label_sets import ATR18, CCP59, LIP20, PARTS7, PPP7, LabelSet, mirrored_name
from resight.data.label_union import Meaning, SetTable, exact, set_table
from resight.data.labels import flip_map
from resight.errors import BadLabels, UnknownName
from resight.losses import set_loss


def all_sources() -> SetTable:
    return set_table(list(MEANINGS.values()), KEYPOINT_MEANS)


def classes_of(table: SetTable, number: int) -> set[str]:
    return {name for name, held in zip(LIP20.classes, table.sets[number].tolist(), strict=True) if held}


def test_the_first_sets_are_the_classes_themselves() -> None:
    table = all_sources()
    assert torch.equal(table.sets[:20], torch.eye(20, dtype=torch.bool))
    assert table.tables["lip20"].tolist() == [*range(20), *[255] * 236]
    assert len(table.sets) < 255
    assert bool(table.sets.any(1).all())


@pytest.mark.parametrize("source", MEANINGS)
def test_every_label_becomes_the_set_that_its_table_names(source: str) -> None:
    table, meaning = all_sources(), MEANINGS[source]
    for number, name in enumerate(meaning.source.classes):
        found = int(table.tables[source][number])
        assert (classes_of(table, found) if found != 255 else set()) == set(meaning.means[name])
    assert table.tables[source][255] == 255


def test_what_the_issue_of_sets_is_about() -> None:
    ccp, ppp = MEANINGS["ccp59"].means, MEANINGS["ppp7"].means
    assert set(ccp["skin"]) == {"face", "left arm", "right arm", "left leg", "right leg"}
    assert set(ccp["boots"]) == {"left shoe", "right shoe"}
    assert {"left arm", "right arm"} <= set(ppp["lower arms"])
    assert MEANINGS["wanted3"].means["the person"] == FOREGROUND


@pytest.mark.parametrize("source", [CCP59, PPP7], ids=lambda one: one.name)
def test_a_source_without_sides_never_prefers_one(source: LabelSet) -> None:
    for targets in MEANINGS[source.name].means.values():
        assert {mirrored_name(name) for name in targets} == set(targets)


def test_a_source_with_sides_keeps_them() -> None:
    for name in ("left shoe", "right arm"):
        assert MEANINGS["atr18"].means[name] == (name,)
    assert ATR18.number("left shoe") == 9
    assert all_sources().tables["atr18"][9] == LIP20.number("left shoe")


def test_flipping_the_map_and_flipping_its_sets_are_the_same() -> None:
    table = all_sources()
    for source, meaning in MEANINGS.items():
        size = len(meaning.source.classes)
        values = np.random.default_rng(0).integers(0, size, (8, 6), dtype=np.uint8)
        values[0, 0] = 255
        one = table.set_map(source, flip_map(values, meaning.source))
        assert np.array_equal(one, table.flip(table.set_map(source, values)))
        assert np.array_equal(table.flip(table.flip(one)), one)


def test_joints_mean_what_may_lie_under_them() -> None:
    means = dict(zip(KEYPOINTS14, KEYPOINT_MEANS, strict=True))
    assert means["left ankle"] == ("left leg", "left shoe")
    assert set(means["head"]) == {"hat", "hair", "sunglasses", "face"}
    assert set(FOREGROUND) - set(means["left wrist"]) == {"right arm"}
    assert means["right knee"] == FOREGROUND
    grouped = dict(zip(KEYPOINTS14, keypoint_means(PARTS7), strict=True))
    assert grouped["right ankle"] == ("right leg",)
    assert grouped["head"] == ("head",)


def test_a_source_can_teach_a_regrouped_target() -> None:
    meaning = find_meaning(CCP59, PARTS7)
    assert meaning.means["skin"] == ("head", "left arm", "right arm", "left leg", "right leg")
    assert meaning.means["boots"] == ("left leg", "right leg")
    assert meaning.means["gloves"] == ()  # parts7 ignores gloves
    assert set_table([meaning]).tables["ccp59"][CCP59.number("gloves")] == 255
    assert find_meaning(PARTS7, PARTS7) == exact(PARTS7)
    with pytest.raises(UnknownName, match="body10"):
        find_meaning(LabelSet("body10", ("background",)), LIP20)


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({"a": ("hat",)}, "leaves `b` out"),
        ({"a": (), "b": ("hut",)}, "`b` means `hut`, which is no class of lip20"),
        ({"a": (), "b": (), "c": ()}, "explains `c`"),
        ({"a": ("hat", "hat"), "b": ()}, "`a` names a class twice"),
    ],
)
def test_a_meaning_with_a_hole_is_refused(means: dict[str, tuple[str, ...]], expected: str) -> None:
    with pytest.raises(BadLabels, match=expected):
        Meaning(LabelSet("mine", ("a", "b")), LIP20, means)


def test_tables_that_cannot_be_joined_are_refused() -> None:
    with pytest.raises(BadLabels, match="given twice"):
        set_table([exact(LIP20), exact(LIP20)])
    with pytest.raises(BadLabels, match="regroup one"):
        set_table([exact(LIP20), exact(PARTS7)])
    with pytest.raises(BadLabels, match="at least one source"):
        set_table([])
    table = set_table([exact(LIP20)])
    with pytest.raises(BadLabels, match="knows no source `ccp59`"):
        table.set_map("ccp59", np.zeros((2, 2), np.uint8))
    with pytest.raises(BadLabels, match="no set \\(hat, hair\\)"):
        table.number(["hat", "hair"])
    assert set_table([exact(LIP20)], [("hat", "hair")]).number(["hair", "hat"]) == 20


def test_skin_teaches_no_side_and_a_wrong_class_is_punished() -> None:
    table = all_sources()
    skin = torch.full((1, 1, 1), int(table.tables["ccp59"][CCP59.number("skin")]), dtype=torch.uint8)
    logits = torch.zeros(1, 20, 1, 1, requires_grad=True)
    set_loss(logits, skin, table.sets).sum().backward()
    assert logits.grad is not None
    left, right, pants = (logits.grad[0, LIP20.number(name)].item() for name in ("left arm", "right arm", "pants"))
    assert left == pytest.approx(right)
    assert left < 0 < pants
