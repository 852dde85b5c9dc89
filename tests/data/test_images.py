"""Any picture file becomes H W 3 RGB, upright; any other file becomes one sentence."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resight.data import images
from resight.data.images import decode_picture, is_picture, read_picture, read_resized, resize
from resight.errors import BadPicture
from small_sets import picture


def _save(path, image, **options):
    image.save(path, **options)
    return path


def _bytes(image, kind, **options):
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


@pytest.fixture
def _pillow_only(monkeypatch):
    monkeypatch.setattr(images, "simplejpeg", None)


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_fast_path_and_pillow_agree_within_two_grey_levels(
    quality, subsampling, progressive, monkeypatch, tmp_path
):
    pytest.importorskip("simplejpeg")
    noisy = np.random.default_rng(quality).integers(0, 256, (129, 63, 3), dtype=np.uint8)
    path = tmp_path / "crop.jpg"
    _save(path, Image.fromarray(noisy), quality=quality, subsampling=subsampling, progressive=progressive)
    assert images._decode_jpeg(path.read_bytes()) is not None
    fast = read_picture(path).astype(int)
    monkeypatch.setattr(images, "simplejpeg", None)
    assert np.abs(fast - read_picture(path)).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".ppm", ".gif"])
def test_lossless_files_give_back_their_pixels(suffix, tmp_path):
    image = picture(1).quantize(64).convert("RGB")
    options = {"lossless": True} if suffix == ".webp" else {}
    read = read_picture(_save(tmp_path / f"crop{suffix}", image, **options))
    assert np.array_equal(read, np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_rotated_picture_is_turned_upright(orientation, kind, tmp_path):
    upright = Image.fromarray(np.repeat(np.arange(0, 240, 5, dtype=np.uint8), 32 * 3).reshape(48, 32, 3))
    upright.paste((255, 0, 0), (0, 0, 16, 12))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the turn that Exif's number undoes
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "jpg" else {}
    read = read_picture(_save(tmp_path / f"crop.{kind}", stored, exif=exif, **options)).astype(int)
    assert read.shape == (48, 32, 3)
    assert np.abs(read - np.asarray(upright)).mean() < 3


def test_a_broken_exif_note_does_not_cost_the_picture(tmp_path):
    path = _save(tmp_path / "crop.jpg", picture(2), exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff broken")
    assert read_picture(path).shape == (32, 16, 3)


def test_greys_become_three_equal_channels(tmp_path):
    grey = picture(3).convert("L")
    for name, image in {"l.png": grey, "l.jpg": grey, "one.png": grey.convert("1")}.items():
        read = read_picture(_save(tmp_path / name, image))
        assert (read == read[..., :1]).all()
        assert read.std() > 10


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bit_greys_keep_their_upper_byte(kind, tmp_path):
    deep = np.linspace(0, 65_535, 32 * 16).round().astype(np.uint16).reshape(32, 16)
    read = read_picture(_save(tmp_path / f"deep.{kind}", Image.fromarray(deep)))
    assert np.array_equal(read[..., 0], deep >> 8)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_fractions_reach_from_black_to_white(scale, tmp_path):
    ramp = np.linspace(0, scale, 32 * 16, dtype=np.float32).reshape(32, 16)
    read = read_picture(_save(tmp_path / "ramp.tif", Image.fromarray(ramp)))
    assert read.min() == 0
    assert read.max() == 255


def test_cmyk_keeps_its_colours(tmp_path):
    image = picture(4)
    read = read_picture(_save(tmp_path / "print.jpg", image.convert("CMYK"), quality=98, subsampling=0)).astype(int)
    assert np.abs(read - np.asarray(image)).mean() < 6


def test_transparent_pixels_become_white_whatever_hides_them(tmp_path):
    image = picture(5).convert("RGBA")
    image.putalpha(Image.fromarray(np.repeat(np.uint8([0, 255]), 256).reshape(32, 16)))
    palette = picture(5).quantize(16)
    files = {"rgba.png": (image, {}), "la.png": (image.convert("LA"), {}), "p.png": (palette, {"transparency": 0})}
    for name, (stored, options) in files.items():
        read = read_picture(_save(tmp_path / name, stored, **options))
        hidden = np.asarray(palette) == 0 if name == "p.png" else np.arange(32)[:, None] < np.full(16, 16)
        assert (read[hidden] == 255).all()
        assert (read[~hidden] < 255).any()


def _jpeg(seed=6):
    return _bytes(picture(seed, 128, 64), "JPEG", quality=90)


BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"this is no picture, it is a letter", "no picture"),
    "html": (b"<!DOCTYPE html><html>404</html>", "no picture"),
    "cut in half": (_jpeg()[: len(_jpeg()) // 2], "damaged"),
    "cut near the start": (_jpeg()[:30], "damaged|no picture"),
    "cut PNG": (_bytes(picture(6), "PNG")[:200], "damaged"),
    "cut TIFF": (_bytes(picture(6), "TIFF")[:200], "damaged|no picture"),
    "cut WebP": (_bytes(picture(6), "WEBP")[:100], "damaged|no picture"),
    "cut Exif JPEG": (_bytes(picture(6), "JPEG", exif=Image.Exif().tobytes())[:400], "damaged"),
}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_one_sentence_that_names_it(kind, fast, tmp_path, monkeypatch):
    if not fast:
        monkeypatch.setattr(images, "simplejpeg", None)
    data, says = BROKEN[kind]
    path = tmp_path / "0001_c1s1_000001_00.jpg"
    path.write_bytes(data)
    with pytest.raises(BadPicture, match=says) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_bad_pictures(tmp_path):
    with pytest.raises(BadPicture, match="No such file"):
        read_picture(tmp_path / "nobody.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(BadPicture, match=r"folder\.jpg"):
        read_picture(tmp_path / "folder.jpg")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_huge_picture_is_refused_before_it_is_decoded(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 32 * 16 - 1)
    path = tmp_path / "huge.img"
    path.write_bytes(_bytes(picture(7), kind))
    with pytest.raises(BadPicture, match="million pixels"):
        read_picture(path)


def test_a_decompression_bomb_is_refused_without_a_warning(tmp_path):
    header = b"P4 30000 30000\n"  # one bit a pixel: 112 MB if it were whole
    path = tmp_path / "bomb.pbm"
    path.write_bytes(header + bytes(1000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadPicture, match="million pixels"):
            read_picture(path)


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"BM", b"GIF89a"])
)
def test_no_bytes_make_the_reader_fail_in_another_way(data, start):
    try:
        read = decode_picture(start + data, images.Path("any.jpg"))
    except BadPicture:
        return
    assert read.dtype == np.uint8
    assert read.shape[2] == 3


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_a_damaged_jpeg_is_read_or_refused(place, change):
    data = bytearray(_jpeg())
    place %= len(data)
    data[place : place + len(change)] = change
    try:
        read = decode_picture(bytes(data), images.Path("any.jpg"))
    except BadPicture:
        return
    assert read.shape[2] == 3


def test_resizing_a_constant_picture_returns_the_constant():
    pixels = np.full((97, 41, 3), (10, 200, 77), np.uint8)
    for size in [(256, 128), (16, 8), (3, 200)]:
        assert (resize(pixels, *size) == (10, 200, 77)).all()


def test_resizing_to_the_same_size_changes_nothing(tmp_path):
    path = _save(tmp_path / "crop.png", picture(8))
    assert np.array_equal(read_resized(path, 32, 16), read_picture(path))


def test_shrinking_does_not_alias():
    stripes = np.zeros((256, 128, 3), np.uint8)
    stripes[::2] = 255
    shrunk = resize(stripes, 32, 16)[2:-2]  # the filter is one-sided at the borders
    assert np.abs(shrunk.astype(int) - 127).max() <= 2


def test_only_pictures_are_taken_for_pictures():
    names = {"a.jpg": True, "a.JPEG": True, "a.jpg.jpg": True, "Thumbs.db": False, "._a.jpg": False, "a.txt": False}
    assert {name: is_picture(images.Path(name)) for name in names} == names


@pytest.mark.usefixtures("_pillow_only")
def test_pictures_are_read_without_the_fast_path(tmp_path):
    assert read_picture(_save(tmp_path / "crop.jpg", picture(9))).shape == (32, 16, 3)
