"""parser-lite: sizes, what it sees of places, and losses that agree with slow counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.nn.backbones import EfficientNetLite
from resight.nn.parsing import Parsing
from resight.parsers.lite import AnyPlace, FromView, LiteBackbone, ParserLite, with_places
from resight.parsers.lite_losses import borders, foreground_iou, lite_objective, thinned
from resight.parsing import ParserSettings, parser_from_state

SETS = torch.tensor([[True, False, False], [False, True, False], [False, False, True], [False, True, True]])

WEIGHTS: dict[str, Any] = dict(
    sets=SETS,
    mirrored=torch.cat([torch.tensor([0, 2, 1]), torch.arange(3, 256)]),
    weights=torch.ones(4),
    second_weight=1.0,
    sure_weight=1.0,
    edge_weight=0.5,
    company_weight=1.0,
    side_weight=1.0,
    view_weight=1.0,
    hidden_weight=1.0,
)
UNKNOWN = torch.full((2,), torch.nan)


@pytest.fixture(scope="module")
def network() -> ParserLite:
    torch.manual_seed(0)
    return ParserLite(classes=20).eval()


def test_it_has_at_most_three_million_parameters(network: ParserLite) -> None:
    assert sum(value.numel() for value in network.parameters()) <= 3_000_000


@pytest.mark.parametrize(("high", "wide"), [(128, 64), (256, 128), (384, 128), (64, 32), (16, 16)])
def test_a_high_picture_stays_high_and_the_map_has_half_its_size(network: ParserLite, high: int, wide: int) -> None:
    with torch.inference_mode():
        found = network(torch.zeros(2, 3, high, wide))
    assert found.logits.shape == (2, 20, high // 2, wide // 2)
    assert found.second.shape == (2, 1, high // 2, wide // 2)
    assert found.sure.shape == (2,)
    assert bool(((found.sure >= 0) & (found.sure <= 1)).all())


def test_sides_that_do_not_divide_are_stretched_to_the_next_multiple(network: ParserLite) -> None:
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 130, 47)).logits.shape == (1, 20, 72, 24)


def test_a_picture_is_parsed_the_same_alone_and_in_a_batch(network: ParserLite) -> None:
    images = torch.randn(3, 3, 64, 32)
    with torch.inference_mode():
        together, alone = network(images), network(images[1:2])
    assert torch.allclose(together.logits[1:2], alone.logits, atol=1e-4)


def test_the_backbone_is_the_beginning_of_the_whole_one() -> None:
    torch.manual_seed(1)
    whole, part = EfficientNetLite().eval(), LiteBackbone().eval()
    part.load_whole(whole.state_dict())
    images = torch.randn(1, 3, 64, 32)
    with torch.inference_mode():
        expected = torch.nn.functional.relu6(whole.bn0(whole.conv_stem(images)))
        for block in list(whole.blocks)[:11]:
            expected = block(expected)
        assert torch.allclose(part(images)[-1], expected, atol=1e-5)


def test_places_run_from_minus_one_to_one_and_mirror_into_each_other() -> None:
    places = with_places(torch.zeros(1, 0, 4, 3))
    assert torch.allclose(places[0, 0, :, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    assert torch.allclose(places[0, 1], -places[0, 1].flip(1))


@given(st.integers(0, 2**20))
@settings(max_examples=20, deadline=None)
def test_borders_are_where_a_slow_look_at_the_neighbours_finds_them(seed: int) -> None:
    labels = np.random.default_rng(seed).choice([0, 1, 2, 255], (1, 5, 4)).astype(np.uint8)
    found = borders(torch.from_numpy(labels))[0]
    for row in range(5):
        for column in range(4):
            here = labels[0, row, column]
            near = [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
            others = [labels[0, r, c] for r, c in near if 0 <= r < 5 and 0 <= c < 4]
            assert bool(found[row, column]) == (here != 255 and any(o not in (255, here) for o in others))


def test_quality_counts_a_class_of_the_set_as_right_and_nothing_where_nothing_is_known() -> None:
    ids = torch.tensor([[[3, 3], [0, 1]], [[255, 255], [255, 1]]])
    classes = torch.tensor([[[1, 2], [1, 1]], [[1, 2], [0, 1]]])
    quality, counts = foreground_iou(classes, ids, SETS)
    assert quality[0] == pytest.approx(3 / 4)  # three right, one background pixel called 1
    assert counts.tolist() == [1.0, 0.0]


def test_the_losses_fall_when_the_answer_is_right_and_ignored_pixels_cost_nothing(network: ParserLite) -> None:
    ids = torch.randint(0, 3, (2, 32, 16), dtype=torch.uint8)
    others = torch.zeros(2, 32, 16, dtype=torch.uint8)
    right = torch.nn.functional.one_hot(ids.long(), 3).permute(0, 3, 1, 2).float() * 20

    def losses(logits: torch.Tensor, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        found = Parsing(logits=logits, second=torch.full((2, 1, 32, 16), -20.0), sure=torch.full((2,), 0.5))
        return lite_objective(found, ids, others, torch.full((2, 2), torch.nan), UNKNOWN, UNKNOWN, **WEIGHTS)

    assert losses(right, ids)["parts"] < 1e-3 < losses(-right, ids)["parts"]
    assert losses(right, ids)["second"] < 1e-6
    assert losses(-right, torch.full_like(ids, 255))["parts"] == 0


def test_the_side_is_asked_once_more_where_the_truth_has_one_and_nowhere_else() -> None:
    ids = torch.tensor([[[1, 2], [0, 3]]], dtype=torch.uint8)[:, :, :, None].expand(-1, -1, -1, 3).reshape(1, 2, 6)
    ids = ids[..., :5]  # an odd side: no pixel is thinned out
    logits = torch.randn(1, 3, 2, 5, generator=torch.Generator().manual_seed(0))
    found = lite_objective(
        Parsing(logits=logits), ids, torch.zeros_like(ids), torch.zeros(1, 2), UNKNOWN[:1], UNKNOWN[:1], **WEIGHTS
    )
    p = logits.softmax(1)[0]
    expected = []
    for row, column in np.ndindex(2, 5):
        own = int(ids[0, row, column])
        if own in (1, 2):  # the mirrored class is the other one
            expected.append(-torch.log(p[own, row, column] / (p[1, row, column] + p[2, row, column])))
    assert torch.allclose(found["sides"], torch.stack(expected).mean(), atol=1e-5)
    plain = lite_objective(
        Parsing(logits=logits),
        torch.full_like(ids, 3),
        torch.zeros_like(ids),
        torch.zeros(1, 2),
        UNKNOWN[:1],
        UNKNOWN[:1],
        **WEIGHTS,
    )
    assert plain["sides"] == 0


def test_the_view_is_learned_where_it_is_known(network: ParserLite) -> None:
    ids = torch.zeros(2, 16, 16, dtype=torch.uint8)
    views = torch.tensor([[0.5, torch.nan], [torch.nan, torch.nan]])
    said = Parsing(logits=torch.zeros(2, 3, 16, 16), view=torch.tensor([[0.0, 9.0], [9.0, 9.0]]))
    assert lite_objective(said, ids, ids, views, UNKNOWN, UNKNOWN, **WEIGHTS)["view"] == pytest.approx(0.25)


def test_what_is_hidden_is_learned_where_it_is_known() -> None:
    ids = torch.zeros(2, 16, 16, dtype=torch.uint8)
    said = Parsing(logits=torch.zeros(2, 3, 16, 16), hidden=torch.tensor([0.4, 9.0]))
    expected = {0.3: math.log1p(math.exp(-0.4)), 0.01: math.log1p(math.exp(0.4)), 0.1: 0.0}
    for share, loss in expected.items():
        hidden = torch.tensor([share, torch.nan])
        found = lite_objective(said, ids, ids, torch.zeros(2, 2), hidden, UNKNOWN, **WEIGHTS)["hidden"]
        assert found == pytest.approx(loss)


def test_company_is_learned_where_it_is_known() -> None:
    ids = torch.zeros(3, 16, 16, dtype=torch.uint8)
    said = Parsing(logits=torch.zeros(3, 3, 16, 16), company=torch.tensor([0.4, 0.4, 9.0]))
    company, unknown = torch.tensor([1.0, 0.0, torch.nan]), torch.full((3,), torch.nan)
    found = lite_objective(said, ids, ids, torch.zeros(3, 2), unknown, company, **WEIGHTS)["company"]
    assert found == pytest.approx((math.log1p(math.exp(-0.4)) + math.log1p(math.exp(0.4))) / 2)


def test_company_is_told_by_the_place_that_shows_it_and_not_by_the_size_of_the_crop() -> None:
    torch.manual_seed(0)
    company = AnyPlace(8).eval()
    company.look = torch.nn.Identity()
    company.answer = torch.nn.Conv2d(10, 1, 1, bias=False)
    company.answer.weight.data = torch.eye(1, 10)[..., None, None]
    company.requires_grad_(False)
    small, large = torch.full((1, 8, 8, 4), -9.0), torch.full((1, 8, 16, 8), -9.0)
    assert float(company(small)) == pytest.approx(-9)
    small[..., 3, 0] = large[..., 7, 0] = 9.0  # one place sees somebody
    assert float(company(small)) == pytest.approx(9, abs=1e-3)
    assert float(company(large)) == pytest.approx(9, abs=1e-3)


def test_a_parser_of_before_it_could_tell_still_parses(network: ParserLite) -> None:
    told = ("head.hides.", "head.company.")
    state = {name: value for name, value in network.state_dict().items() if not name.startswith(told)}
    settings = ParserSettings(parser="lite", labels="lip20", height=32, width=16)
    old, new = (parser_from_state(one, settings) for one in (state, network.state_dict()))
    picture = np.full((32, 16, 3), 90, np.uint8)
    [before], [after] = old.parse([picture]), new.parse([picture])
    assert np.array_equal(before.labels, after.labels)
    assert math.isnan(before.hidden)
    assert math.isnan(before.company)
    assert 0 <= after.hidden <= 1
    assert 0 <= after.company <= 1


def test_the_view_can_turn_every_answer(network: ParserLite) -> None:
    torch.manual_seed(0)
    changed = FromView(4)
    torch.nn.init.normal_(changed.change.weight)
    maps = torch.randn(1, 4, 3, 2)
    front, behind = changed(maps, torch.tensor([[1.0, 0.0]])), changed(maps, torch.tensor([[-1.0, 0.0]]))
    assert torch.allclose(front + behind, 2 * maps, atol=1e-5)
    assert not torch.allclose(front[..., 0] - maps[..., 0], front[..., 1] - maps[..., 1])  # left is not right


def test_thinning_takes_one_pixel_of_each_block_and_a_batch_takes_all_four_in_turn() -> None:
    maps = torch.arange(4 * 2 * 4 * 6).reshape(4, 2, 4, 6)
    found = thinned(maps)
    for row, (down, right) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        assert torch.equal(found[row], maps[row, :, down::2, right::2])
    assert torch.equal(thinned(maps[..., :5]), maps[..., :5])
