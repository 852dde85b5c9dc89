"""Turn a picture file into pixels: always H W 3 RGB uint8, upright, whatever the file holds.

JPEG files of three channels take the fast path through simplejpeg where it is installed; everything else goes
through Pillow. Where both can read a file they agree within 2 grey levels (both rest on libjpeg-turbo).
Choices: transparent pixels become white, 16-bit greys keep their upper byte, of several frames the first counts.
Proof: tests/data/test_images.py.
"""

from __future__ import annotations

import struct
import warnings
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from resight.data.mat_pictures import read_inside
from resight.errors import BadPicture

try:
    import simplejpeg
except ImportError:  # the extra is not installed: Pillow reads everything
    simplejpeg = None

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif"})
"""Endings by which a file is taken for a picture, in small letters."""

MOST_PIXELS: Final = 64_000_000
"""Larger pictures are refused before they are decoded: a crop of one person has some thousand pixels."""

_HEADER: Final = Lock()
"""Held while warnings are silenced: Python's warning filters belong to all threads at once."""

_JPEG: Final = b"\xff\xd8\xff"
_ORIENTATION: Final = 0x0112  # the Exif tag that says how the camera was held
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def is_picture(path: Path) -> bool:
    """Say by its name whether a file is a picture; hidden files (`._0001.jpg` of macOS) and Thumbs.db are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def real_file(path: Path) -> Path:
    """File on disk that holds a picture: the picture's own, or the MATLAB file that the path leads into."""
    return next((parent for parent in path.parents if parent.suffix == ".mat"), path)


def read_picture(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Read any picture file as RGB, turned upright as its Exif note says.

    A path inside a MATLAB file (`cuhk-03.mat/labeled/1_001_1_01.png`, as the CUHK03 reader yields) is read from there.
    Raises BadPicture when the file is missing, empty, cut off, too large or no picture at all.
    """
    if real_file(path) != path:
        return read_inside(path)
    return decode_picture(read_file(path), path)


def read_resized(path: Path, height: int, width: int) -> UInt8[np.ndarray, "H W 3"]:
    """Read a picture and bring it to `height` × `width` by a bilinear filter that does not alias when it shrinks."""
    return resize(read_picture(path), height, width)


def resize(pixels: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> UInt8[np.ndarray, "H W 3"]:
    """Bring RGB pixels to `height` × `width`; pixels that already have this size come back as they are."""
    if pixels.shape[:2] == (height, width):
        return pixels
    picture = Image.fromarray(pixels)
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0))


def read_file(path: Path) -> bytes:
    """Read the bytes of a file; raises BadPicture when it is missing, cannot be opened or is empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadPicture(f"Cannot open the picture {path}: {reason}. Check the path and its permissions.") from error
    if not data:
        raise BadPicture(f"The picture {path} is empty (0 bytes): copy it again from its source, or remove it.")
    return data


def decode_picture(data: bytes, path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Turn the bytes of a picture file into pixels; `path` only names the file in errors."""
    fast = _decode_jpeg(data) if simplejpeg is not None and data.startswith(_JPEG) else None
    return _decode_any(data, path) if fast is None else fast


def _decode_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """Decode a plain colour JPEG; None leaves it to Pillow (damaged, huge, grey, CMYK or with an Exif note)."""
    if b"Exif\x00" in data[:65_536]:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        if colours not in {"YCbCr", "RGB"} or height * width > MOST_PIXELS:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB", fastdct=False, fastupsample=False)
    except ValueError:
        return None
    return pixels


def _decode_any(data: bytes, path: Path) -> NDArray[np.uint8]:
    try:
        with _HEADER, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size and of odd metadata; both are judged here
            picture = Image.open(BytesIO(data))
            if picture.width * picture.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            turn = _turn_upright(picture)
        picture.load()
        return np.array(_to_rgb(picture if turn is None else picture.transpose(turn)))
    except Image.DecompressionBombError as error:
        raise BadPicture(
            f"The picture {path} has more than {MOST_PIXELS // 1_000_000} million pixels: "
            "cut the person out or shrink it first."
        ) from error
    except UnidentifiedImageError as error:
        raise BadPicture(
            f"The file {path} is no picture that can be read (it begins with {data[:12]!r}): remove or replace it."
        ) from error
    except MemoryError as error:
        raise BadPicture(f"The picture {path} does not fit into memory: shrink it first.") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error) as error:
        raise BadPicture(
            f"The picture {path} is damaged ({_reason(error)}; {len(data)} bytes): "
            "copy it again from its source, or remove it."
        ) from error


def _reason(error: Exception) -> str:
    """First sentence of what a decoder said, in one line."""
    return (str(error).split("\n")[0].rstrip(". ") or type(error).__name__)[:120]


def _turn_upright(picture: Image.Image) -> Image.Transpose | None:
    try:
        return _UPRIGHT.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken Exif note must not cost a sound picture; Pillow raises many kinds
        return None


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in {"I;16", "I;16L", "I;16B", "I;16N", "I", "F"}:
        picture = Image.fromarray(_to_bytes(np.asarray(picture)))
    if "transparency" in picture.info or picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"}:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _to_bytes(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Bring deep greys to 0..255: whole numbers by their upper byte, fractions by 0..1 or 0..255 as they reach."""
    values = np.nan_to_num(grey.astype(np.float64))
    top = float(values.max(initial=0))
    if grey.dtype.kind == "f":
        values = values * 255 if top <= 1 else values
    elif grey.dtype.itemsize == 2 or top > 255:
        values = np.floor(values / 256)
    return np.clip(values, 0, 255).astype(np.uint8)
