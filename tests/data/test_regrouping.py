"""Laws of regroupings, and the mistakes of earlier tools that they make impossible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resight.data.label_sets import CCP59, LIP20, PARTS7, PARTS8, LabelSet
from resight.data.labels import flip_map
from resight.data.regrouping import (
    LIP20_PARTS7,
    LIP20_PARTS8,
    POOLING,
    REGIONS,
    REGROUPINGS,
    Regrouping,
    find_regrouping,
    load_regrouping,
    mirrors,
    regroup_map,
    regroup_probabilities,
)
from resight.errors import BadLabels

I = 255  # noqa: E741
V1 = [0, 1, 1, I, 1, 2, 2, 2, I, 2, 2, 2, 2, 1, 3, 4, 5, 6, 5, 6]
V2 = [0, 1, 1, I, 1, 2, 2, 2, 3, 3, 3, 2, 3, 1, 4, 5, 6, 7, 6, 7]


def some_map() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 20, (32, 16), dtype=np.uint8)


def test_the_tables_of_lip_are_those_of_the_plan() -> None:
    assert LIP20_PARTS7.table().tolist() == V1 + [255] * 236
    assert LIP20_PARTS8.table().tolist() == V2 + [255] * 236


def test_chained_assignments_in_place_would_give_another_map() -> None:
    chained = np.arange(20, dtype=np.uint8)
    for number, value in reversed(list(enumerate(V1))):  # 19 becomes 6, and 6 later becomes 2
        chained[chained == number] = value
    assert chained.tolist() != V1
    assert regroup_map(np.arange(20, dtype=np.uint8)[None], LIP20_PARTS7)[0].tolist() == V1


def test_a_glove_never_becomes_a_left_arm_and_socks_never_leave_the_table() -> None:
    glove, socks = LIP20.number("glove"), LIP20.number("socks")
    assert LIP20_PARTS7.table()[[glove, socks]].tolist() == [255, 255]
    assert LIP20_PARTS8.table()[[glove, socks]].tolist() == [255, PARTS8.number("lower")]


def test_policies_can_be_chosen_and_are_told() -> None:
    chosen = find_regrouping(LIP20, PARTS7, {"glove": "background", "socks": "absorb clothes"})
    assert chosen.table()[[3, 8]].tolist() == [0, 2]
    assert chosen.about() == {"glove": "background", "socks": "absorb clothes"}


@pytest.mark.parametrize(
    ("groups", "policies", "expected"),
    [
        ({"x": ("background", "a")}, {}, "`b` is in no group"),
        ({"x": ("background", "a", "b"), "y": ("b",)}, {}, "`b` is placed 2 times"),
        ({"x": ("background", "a", "b")}, {"b": "ignore"}, "`b` is placed 2 times"),
        ({"x": ("background", "a", "b", "c")}, {}, "places `c`, which is no class of mine"),
        ({"z": ("background", "a", "b")}, {}, "fills `z`, which is no class of its"),
        ({"x": ("background", "a")}, {"b": "drop"}, "the policy of `b` is `drop`"),
        ({"x": ("background", "a")}, {"b": "absorb z"}, "the policy of `b` is `absorb z`"),
    ],
)
def test_each_class_has_one_owner_or_the_table_is_refused(groups, policies, expected: str) -> None:
    mine, its = LabelSet("mine", ("background", "a", "b")), LabelSet("its", ("x", "y"))
    with pytest.raises(BadLabels, match=expected):
        Regrouping(mine, its, groups, policies)


def test_the_skirt_has_one_owner() -> None:
    assert [group for group, names in LIP20_PARTS8.groups.items() if "skirt" in names] == ["lower"]


def test_ignored_pixels_stay_ignored_and_unknown_values_are_refused() -> None:
    assert regroup_map(np.full((2, 2), 255, np.uint8), LIP20_PARTS7).tolist() == [[255, 255], [255, 255]]
    with pytest.raises(BadLabels, match=r"a\.png holds class 20"):
        regroup_map(np.full((2, 2), 20, np.uint8), LIP20_PARTS7, "a.png")


@pytest.mark.parametrize("regrouping", REGROUPINGS.values(), ids=lambda one: f"{one.source.name}-{one.target.name}")
def test_flipping_and_regrouping_commute(regrouping: Regrouping) -> None:
    values = some_map() % len(regrouping.source.classes)
    one = regroup_map(flip_map(values, regrouping.source), regrouping)
    assert np.array_equal(one, flip_map(regroup_map(values, regrouping), regrouping.target))
    assert mirrors(regrouping)


@given(st.integers(0, 2**31))
def test_regrouping_then_counting_equals_counting_then_summing(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 20, (8, 8), dtype=np.uint8)
    counted = np.bincount(values.ravel(), minlength=20) @ LIP20_PARTS7.matrix().T
    assert np.bincount(regroup_map(values, LIP20_PARTS7).ravel(), minlength=256)[:7].tolist() == counted.tolist()


def test_probabilities_are_summed_as_a_slow_loop_sums_them() -> None:
    p = torch.rand(2, 20, 3, 4).softmax(1)
    slow = torch.zeros(2, 7, 3, 4)
    for number, group in enumerate(V1):
        if group != 255:
            slow[:, group] += p[:, number]
    assert torch.allclose(regroup_probabilities(p, LIP20_PARTS7), slow, atol=1e-6)


def test_merging_before_and_after_argmax_differ() -> None:
    p = torch.zeros(1, 20, 1, 1)
    p[0, LIP20.number("left arm")] = 0.4
    for name in ("upper-clothes", "dress", "coat"):
        p[0, LIP20.number(name)] = 0.2
    before = regroup_probabilities(p, LIP20_PARTS7).argmax(1)
    after = regroup_map(p.argmax(1)[0].to(torch.uint8).numpy(), LIP20_PARTS7)
    assert before.item() == PARTS7.number("clothes")
    assert after.item() == PARTS7.number("left arm")


def test_a_regrouping_of_ones_own_is_read_from_toml_and_errors_name_file_and_class(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\nclasses = ["background", "person"]\n')
    path = tmp_path / "groups.toml"
    person = [name for name in LIP20.classes if name not in ("background", "glove")]
    head = 'source = "lip20"\ntarget = "mine.toml"\n[groups]\nbackground = ["background"]\n'
    path.write_text(f'{head}person = {person}\n[policies]\nglove = "absorb person"\n')
    assert load_regrouping(path).table()[:20].tolist() == [0] + [1] * 19
    for text, expected in (
        (f"{head}person = {person}\n", "`glove` is in no group"),
        (f"{head}person = {[*person, 'glvoe']}\n[policies]\nglove = 'ignore'\n", "`glvoe`, which is no class"),
        (f"{head}person = 3\n", "The group `person`"),
        (f"{head}person = {person}\n[policies]\nglove = 3\n", "gives each class a policy"),
    ):
        path.write_text(text)
        with pytest.raises(BadLabels, match=expected) as caught:
            load_regrouping(path)
        assert str(path) in str(caught.value)


def test_an_unknown_pair_of_sets_is_told() -> None:
    with pytest.raises(BadLabels, match="No table says how lip20 becomes ccp59; it can become: lip20, parts6, parts7"):
        find_regrouping(LIP20, CCP59)


def test_the_regions_of_spreid_overlap_and_have_no_side() -> None:
    assert len(REGIONS) == len(POOLING) == 5
    assert POOLING[0].tolist() == [0] + [1] * 19
    assert POOLING[1:].sum(0).tolist() == [0] + [1] * 19  # the other four share the foreground out
    assert np.array_equal(POOLING[:, LIP20.swap()], POOLING)
    assert [REGIONS[row] for row in np.flatnonzero(POOLING[:, LIP20.number("socks")])] == ["foreground", "shoes"]
