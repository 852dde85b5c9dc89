from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.degrade import blur, cast, compress, cover, cut, darken, expose, shrink, to_grey_levels, to_linear


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 32, 3), dtype=np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_grey_levels_survive_the_way_to_linear_light_and_back() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    assert np.array_equal(to_grey_levels(to_linear(every)), every)


def test_a_dose_of_nothing_changes_nothing() -> None:
    given_ = picture()
    for found in (
        darken(given_, stops=0, rng=rng()),
        shrink(given_, height=64),
        blur(given_, length=0),
        cast(given_),
        cut(given_, share=0),
        cover(given_, picture(1), np.zeros((64, 32), bool)),
    ):
        assert np.array_equal(found, given_)


def test_one_stop_halves_the_light() -> None:
    light = np.full((40, 40, 3), 0.5, np.float32)
    assert expose(light, stops=-1, rng=None) == pytest.approx(0.25, abs=1e-6)
    assert abs(expose(light, stops=-1, rng=rng()).mean() - 0.25) < 1e-3


@given(st.floats(0, 3), st.floats(0.3, 2))
def test_more_stops_make_it_darker(stops: float, more: float) -> None:
    lighter, darker = (darken(picture(), stops=dose, rng=rng()).mean() for dose in (stops, stops + more))
    assert darker < lighter


def test_less_light_makes_more_noise_beside_it() -> None:
    light = np.full((60, 60, 3), 0.5, np.float32)
    rough = [expose(light, stops=-stops, rng=rng()) for stops in (0, 2, 4)]
    shares = [float(one.std() / one.mean()) for one in rough]
    assert shares == sorted(shares)


def test_smaller_native_heights_keep_less_detail() -> None:
    detail = [float(np.diff(shrink(picture(), height=high).astype(float), axis=0).std()) for high in (64, 32, 16, 8)]
    assert detail == sorted(detail, reverse=True)
    assert shrink(picture(), height=16).shape == picture().shape


def test_a_longer_movement_keeps_less_detail_along_it() -> None:
    detail = [float(np.diff(blur(picture(), length=length).astype(float), axis=1).std()) for length in (0, 2, 5, 9)]
    assert detail == sorted(detail, reverse=True)


def test_warm_light_raises_red_over_blue_and_keeps_the_product() -> None:
    grey = np.full((8, 8, 3), 120, np.uint8)
    red, _, blue = cast(grey, warmth=1.0)[0, 0].astype(int)
    assert red > 120 > blue
    light = to_linear(cast(grey, warmth=0.6, tint=0.3))[0, 0]
    assert np.prod(light) == pytest.approx(np.prod(to_linear(grey)[0, 0]), rel=0.05)


def test_cutting_the_bottom_half_shows_the_upper_half_stretched() -> None:
    given_ = np.zeros((64, 32, 3), np.uint8)
    given_[:32] = 200
    assert (cut(given_, share=0.5, side="bottom")[:60] == 200).all()
    assert (cut(given_, share=0.5, side="top")[4:] == 0).all()


def test_a_cover_shows_the_patch_where_the_mask_says() -> None:
    mask = np.zeros((64, 32), bool)
    mask[10:20] = True
    found = cover(picture(), picture(1), mask)
    assert np.array_equal(found[10:20], picture(1)[10:20])
    assert np.array_equal(found[20:], picture()[20:])


def test_a_lower_quality_is_farther_from_the_picture() -> None:
    smooth = np.kron(picture()[:8, :4], np.ones((8, 8, 1), np.uint8)).astype(np.uint8)
    far = [float(np.abs(compress(smooth, quality=q).astype(int) - smooth).mean()) for q in (95, 50, 10)]
    assert far == sorted(far)


def test_impossible_doses_are_refused() -> None:
    for wrong in (
        lambda: darken(picture(), stops=-1, rng=rng()),
        lambda: shrink(picture(), height=0),
        lambda: cut(picture(), share=1.0),
    ):
        with pytest.raises(ValueError, match=r"is -?\d"):
            wrong()
