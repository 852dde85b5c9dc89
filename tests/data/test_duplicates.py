"""Copies of a picture are found, other pictures are not; all pairs are compared."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from resight.data import duplicates
from resight.data.duplicates import UNLIKE, Looks, alike, look_at
from small_sets import picture


def _again(image, quality):
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    return Image.open(held).convert("RGB")


COPIES = {
    "saved again at quality 50": lambda image: _again(image, 50),
    "half the size": lambda image: _again(image.resize((32, 64), Image.Resampling.BICUBIC), 85),
    "double the size": lambda image: image.resize((128, 256), Image.Resampling.BILINEAR),
    "a tenth brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
}


def _crop(seed):
    """A picture of natural contrast: noise over a gradient, without clipped pixels."""
    noise = np.asarray(picture(seed, 128, 64), float) * 0.5
    return Image.fromarray((noise + np.linspace(20, 90, 128)[:, None, None]).astype(np.uint8))


def _look(folder, images):
    paths = []
    for number, image in enumerate(images):
        paths.append(folder / f"{number}.png")
        image.save(paths[-1])
    return look_at(paths)


def _pairs(looks):
    return {(pair.first, pair.second) for pair in alike(looks)}


@pytest.mark.parametrize("how", COPIES)
def test_a_changed_copy_is_near_but_not_exact(how, tmp_path):
    pairs = alike(_look(tmp_path, [_crop(1), _crop(2), COPIES[how](_crop(1))]))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2)]
    assert 0 < pairs[0].unlike <= UNLIKE


def test_equal_pixels_are_exact_in_whatever_file(tmp_path):
    _crop(1).save(tmp_path / "a.png")
    _crop(1).save(tmp_path / "b.bmp")
    _crop(2).save(tmp_path / "c.png")
    pairs = alike(look_at([tmp_path / "a.png", tmp_path / "b.bmp", tmp_path / "c.png"]))
    assert [(pair.first, pair.second, pair.unlike) for pair in pairs] == [(0, 1, 0.0)]


def test_other_pictures_and_shifted_or_mirrored_ones_are_not_alike(tmp_path):
    image = _crop(1)
    others = [_crop(seed) for seed in range(2, 30)]
    shifted = image.crop((3, 3, 64, 128)).resize((64, 128))
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert not _pairs(_look(tmp_path, [image, shifted, mirrored, *others]))


def test_flat_pictures_are_told_apart_by_their_colour(tmp_path):
    colours = [(0, 0, 0), (255, 255, 255), (200, 0, 0), (0, 0, 200), (3, 3, 3)]
    assert _pairs(_look(tmp_path, [Image.new("RGB", (16, 32), colour) for colour in colours])) == {(0, 4)}


def _slowly(looks):
    """Correlate every pair, one at a time."""
    rows = looks.thumbs.reshape(len(looks.thumbs), -1).astype(float)
    near = set()
    for a, b in combinations(range(len(rows)), 2):
        if 1 - np.corrcoef(rows[a], rows[b])[0, 1] <= UNLIKE and np.abs(rows[a].mean() - rows[b].mean()) < 20:
            near.add((a, b))
    return near


def test_the_blocks_find_what_comparing_one_pair_at_a_time_finds(monkeypatch):
    rng = np.random.default_rng(0)
    first = np.stack([np.asarray(picture(seed)) for seed in range(40)])
    copies = np.clip(first[rng.permutation(40)] + rng.normal(0, 4, first.shape), 0, 255).astype(np.uint8)
    thumbs = np.concatenate([first, copies])
    looks = Looks([bytes([n]) for n in range(80)], thumbs, {})
    assert len(_slowly(looks)) == 40
    assert _pairs(looks) == _slowly(looks)
    rows = []
    monkeypatch.setattr(duplicates, "BLOCK", 80 * 7)  # seven rows at a time
    assert {(pair.first, pair.second) for pair in alike(looks, rows.append)} == _slowly(looks)
    assert sum(rows) == 80
    assert max(rows) == 7


def test_unreadable_pictures_are_kept_by_name_and_are_like_nothing(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text("no picture")
    looks = look_at([tmp_path / "a.jpg", tmp_path / "b.jpg"])
    assert set(looks.unreadable) == {0, 1}
    assert str(tmp_path / "b.jpg") in looks.unreadable[1]
    assert alike(looks) == []


def test_nothing_to_compare_is_fine():
    assert alike(look_at([])) == []


def test_the_search_ends_when_everything_is_alike(monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 10)
    thumbs = np.repeat(np.asarray(picture(0))[None], 50, axis=0)
    thumbs[:, 0, 0, 0] = np.arange(50)
    assert len(alike(Looks([bytes([n]) for n in range(50)], thumbs, {}))) == 10
