"""Small pictures and strips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resight.data.images import read_picture
from resight.errors import CannotWrite
from resight.report import pictures
from resight.report.facts import Strip, Tile
from resight.report.pictures import blur_head, draw_strip, encode, matches_title, shrink, write_strips


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


crops = st.builds(noise, st.integers(1, 90), st.integers(1, 60), st.integers(0, 9))


def tile(number: int, *, right: bool | None, person: str = "12") -> Tile:
    return Tile(f"gallery/{number}.jpg", person, "3", rank=number, distance=number / 10, right=right)


def strip(*, right: bool = False, count: int = 10) -> Strip:
    top = tuple(tile(number, right=right) for number in range(1, count + 1))
    return Strip(Tile("query/a b<c>.jpg", "12", "1"), 0.25, top, (tile(40, right=True), tile(31, right=True)), 5, 31)


@settings(max_examples=50)
@given(crops)
def test_blurring_a_head_leaves_the_rest_and_the_input_alone(crop):
    before = crop.copy()
    hidden = blur_head(crop)
    rows = int(np.ceil(len(crop) / 6))
    assert np.array_equal(crop, before)
    assert np.array_equal(hidden[rows:], crop[rows:])


def test_a_blurred_head_keeps_three_squares_at_most_where_a_head_was():
    crop = np.random.default_rng(0).integers(0, 256, (128, 64, 3), dtype=np.uint8)
    head = blur_head(crop)[:21]
    assert len(np.unique(head.reshape(-1, 3), axis=0)) <= 8 * 3
    assert len(np.unique(head[:, 22:42].reshape(-1, 3), axis=0)) <= 4 * 3
    assert head.mean() == pytest.approx(crop[:21].mean(), abs=3)


@settings(max_examples=50)
@given(crops, st.integers(4, 80), st.integers(4, 80))
def test_shrinking_fits_keeps_the_shape_and_never_enlarges(crop, width, height):
    small = shrink(crop, width=width, height=height)
    assert small.shape[0] <= max(height, 1)
    assert small.shape[1] <= max(width, 1)
    if crop.shape[0] <= height and crop.shape[1] <= width:
        assert small is crop
    elif min(small.shape[:2]) > 8:
        assert small.shape[0] / small.shape[1] == pytest.approx(crop.shape[0] / crop.shape[1], rel=0.2)


def test_a_coded_picture_can_be_read_and_a_lower_quality_is_smaller():
    import io

    crop = np.random.default_rng(0).integers(0, 256, (128, 64, 3), dtype=np.uint8)
    kind, fine = encode(crop, quality=90)
    _, coarse = encode(crop, quality=30)
    assert kind in ("image/webp", "image/jpeg")
    assert len(coarse) < len(fine)
    assert Image.open(io.BytesIO(fine)).size == (64, 128)


def test_right_and_wrong_differ_even_when_their_colours_are_the_same(monkeypatch):
    monkeypatch.setattr(pictures, "WRONG", pictures.RIGHT)
    frames = [np.asarray(draw_strip(strip(right=right), {})) for right in (True, False)]
    badge = frames[0][:, :400].astype(int) - frames[1][:, :400]
    assert (np.abs(badge).max(axis=2) > 60).sum() > 50


def test_right_and_wrong_have_their_colours():
    right, wrong = (np.asarray(draw_strip(strip(right=right), {})).reshape(-1, 3) for right in (True, False))
    for colour, more, less in ((pictures.RIGHT, right, wrong), (pictures.WRONG, wrong, right)):
        assert (more == colour).all(axis=1).sum() > (less == colour).all(axis=1).sum()


def test_the_pixels_of_a_picture_are_in_its_strip():
    pink = np.full((128, 64, 3), (250, 20, 200), np.uint8)
    drawn = np.asarray(draw_strip(strip(), {"gallery/3.jpg": pink})).reshape(-1, 3)
    assert (np.abs(drawn.astype(int) - (250, 20, 200)).max(axis=1) < 8).sum() > 100 * 200


@pytest.mark.parametrize("count", [0, 1, 10])
def test_a_short_gallery_still_makes_a_strip(count):
    assert draw_strip(strip(count=count), {}).width >= 760


def test_long_and_foreign_names_fit(tmp_path):
    odd = Strip(Tile("näme/" * 60 + "?.jpg", "Ана Müller" * 9, "north entrance" * 5), 0.5, (), (), 0, 1)
    assert draw_strip(odd, {}).width < 2000


def test_strips_are_written_under_safe_names_in_their_order(tmp_path):
    written = list(write_strips(tmp_path / "new", (strip(), strip(right=True)), {}))
    assert [path.name for path in written] == ["001-ap0.250-a-b-c-.png", "002-ap0.250-a-b-c-.png"]
    assert sorted(tmp_path.glob("new/*")) == written
    assert all(read_picture(path).shape[1] > 1000 for path in written)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "001-ap0.250-a-b-c-.png").mkdir()
    with pytest.raises(CannotWrite, match="001-ap"):
        list(write_strips(tmp_path, (strip(),), {}))


def test_the_second_row_says_how_much_it_leaves_out():
    assert matches_title(strip()) == "true matches, farthest first (2 of 5)"
