"""The features file: what an embedder says of the queries and of the gallery, with the facts that protocols need.

Any program that writes these keys with `numpy.savez` can be scored: query_features N D, query_persons N, query_cameras
N, query_files N (may be missing), the same with gallery_, and `metric` ("cosine" when missing). A plain folder gives
`features` and `files`. A model that knows parts adds query_parts N P D and query_visible N P (how visible each part is,
0..1), the same with gallery_ or without a side, and may add `part_share`, the part distance's share of the whole, 0..1.
Proof: tests/search/test_features.py.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Shaped
from numpy.typing import NDArray

from resight.data.arrays import write_npz
from resight.errors import BadFeatures
from resight.types import NO_CAMERA, Side

Metric = Literal["cosine", "euclidean"]
METRICS: Final[tuple[Metric, ...]] = ("cosine", "euclidean")
SIDES: Final = ("query", "gallery")
REQUIRED: Final = tuple(f"{side}_{what}" for side in SIDES for what in ("features", "persons", "cameras"))
UNREADABLE: Final = (
    *(OSError, EOFError, ValueError, KeyError, MemoryError, OverflowError, NotImplementedError, RuntimeError),
    *(SyntaxError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What numpy and zipfile raise on damaged archives."""
PART_SHARE: Final = 0.5
"""The part distance's share of the whole where neither the file nor the user says one."""
LARGEST: Final = 1e15
"""No feature is longer than this; much longer ones have squares that do not fit into float32."""


@dataclass(frozen=True, slots=True)
class Features:
    """Both sides of one re-identification run, and how two features are compared."""

    query: Side
    gallery: Side
    metric: Metric = "cosine"
    part_share: float = 0.0
    """0 compares whole bodies, 1 only the parts that both crops show, between the two blends."""

    @property
    def has_parts(self) -> bool:  # on both sides
        return self.query.parts is not None and self.gallery.parts is not None


def load_features(path: Path | str) -> Features:
    """Read and check a features file of a data set.

    Raises BadFeatures, in one sentence, for anything that cannot be scored: no such file, not an .npz, cut short,
    pickled objects, missing keys, unequal lengths or widths, NaN or infinite values.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    missing = [key for key in REQUIRED if key not in arrays]
    if "features" in arrays and missing:
        raise BadFeatures(
            f"{path} holds features of a plain folder, without query and gallery sides or persons, so there is "
            "nothing to score; run `resight embed` on a data set instead."
        )
    if missing:
        raise BadFeatures(
            f"{path} has no `{'`, `'.join(missing)}` (found: {', '.join(sorted(arrays)) or 'nothing'}); "
            "`resight embed DATASET` writes all of them."
        )
    try:
        features = Features(_side(arrays, "query"), _side(arrays, "gallery"), _metric(arrays), _part_share(arrays))
        check_features(features)
    except BadFeatures as error:
        raise BadFeatures(f"{path}: {error}") from error
    return features


def save_features(path: Path | str, features: Features, *, root: Path | None = None) -> None:
    """Write the features file that `load_features` reads; an older file stays until the new one is complete.

    `root` is the folder that file names are relative to; a report finds the pictures by it.
    """
    check_features(features)
    arrays: dict[str, NDArray[np.generic]] = {"metric": np.array(features.metric)}
    if root is not None:
        arrays["root"] = np.array(str(root.absolute()))
    for name, side in zip(SIDES, (features.query, features.gallery), strict=True):
        arrays |= {f"{name}_{what}": getattr(side, what) for what in ("features", "persons", "cameras", "files")}
        if side.parts is not None and side.visible is not None:
            arrays |= {f"{name}_parts": side.parts, f"{name}_visible": side.visible}
    if features.has_parts:
        arrays["part_share"] = np.array(features.part_share)
    write_npz(Path(path), arrays)


def save_plain_features(
    path: Path | str, features: NDArray[np.float32], files: Shaped[np.ndarray, " N"], **more: NDArray[np.float32]
) -> None:
    """Write the features of a plain folder: features N D, the N file names, and `parts` and `visible` if given."""
    _check_values(features, "features", files)
    write_npz(Path(path), {"features": features, "files": files, **more})


def side(
    features: NDArray[np.generic],
    persons: NDArray[np.generic],
    cameras: NDArray[np.generic] | None = None,
    files: NDArray[np.generic] | None = None,
    *,
    parts: NDArray[np.generic] | None = None,
    visible: NDArray[np.generic] | None = None,
    name: str = "query",
) -> Side:
    """One side from anybody's arrays: ids become int64 or text, features float32; `cameras` None means unknown."""
    values = _floats(features, f"{name}_features")
    if cameras is None:
        cameras = np.full(len(values), NO_CAMERA, np.int64)
    return Side(
        values,
        _ids(np.asarray(persons), f"{name}_persons"),
        _ids(np.asarray(cameras), f"{name}_cameras"),
        _files(files, len(values), name),
        None if parts is None else _floats(parts, f"{name}_parts"),
        None if visible is None else _floats(visible.astype(np.float32), f"{name}_visible"),
    )


def check_features(features: Features) -> None:
    """Raise BadFeatures unless both sides have rows, one width, equal lengths, like ids and finite values."""
    for name, one in zip(SIDES, (features.query, features.gallery), strict=True):
        _check_values(one.features, f"{name}_features", one.files)
        rows = len(one.features)
        for what, count in (("persons", len(one.persons)), ("cameras", len(one.cameras)), ("files", len(one.files))):
            if count != rows:
                said = f"{name}_features has {rows} rows but {name}_{what} has {count}"
                raise BadFeatures(f"{said}; write one entry for each picture.")
    wide, other = features.query.features.shape[1], features.gallery.features.shape[1]
    if wide != other:
        raise BadFeatures(f"query_features are {wide} wide and gallery_features {other}; embed both with one model.")
    _check_parts(features)
    check_ids(features.query, features.gallery)


def check_ids(query: Any, gallery: Any) -> None:
    """Raise BadFeatures where one side writes its persons or cameras as text and the other as numbers."""
    for what in ("persons", "cameras"):
        kinds = {name: getattr(one, what).dtype.kind == "U" for name, one in zip(SIDES, (query, gallery), strict=True)}
        if kinds["query"] != kinds["gallery"]:
            seen = ", ".join(f"{name}_{what} are {'text' if text else 'numbers'}" for name, text in kinds.items())
            raise BadFeatures(f"{seen}: no query could match; write both the same way.")


def _check_parts(features: Features) -> None:
    """Raise BadFeatures unless parts and visibility come together, on both sides, finite and of one shape."""
    sides = dict(zip(SIDES, (features.query, features.gallery), strict=True))
    given = {f"{name}_{what}": getattr(one, what) for name, one in sides.items() for what in ("parts", "visible")}
    missing = "`, `".join(name for name, values in given.items() if values is None)
    if missing:
        if features.part_share or any(values is not None for values in given.values()):
            raise BadFeatures(f"There is no `{missing}`: embed both sides with one model that knows parts.")
        return
    if not 0 <= features.part_share <= 1:
        raise BadFeatures(f"part_share is {features.part_share:g}; it is a share of the distance, 0 to 1.")
    first = features.query.parts
    for name, one in sides.items():
        parts, visible = given[f"{name}_parts"], given[f"{name}_visible"]
        if parts.ndim != 3 or 0 in parts.shape or visible.shape != parts.shape[:2] or len(parts) != len(one.features):
            raise BadFeatures(
                f"{name}_parts has the shape {parts.shape} and {name}_visible {visible.shape}; for "
                f"{len(one.features)} pictures they need pictures × parts × width and pictures × parts."
            )
        _check_values(parts.reshape(len(parts), -1), f"{name}_parts", one.files)
        outside = ~((visible >= 0) & (visible <= 1)).all(axis=1)
        if outside.any():
            row = int(outside.argmax())
            raise BadFeatures(f"{name}_visible row {row} ({one.files[row]}) holds {visible[row]}; it needs 0 to 1.")
        if first is not None and first.shape[1:] != parts.shape[1:]:
            (many, wide), (more, wider) = first.shape[1:], parts.shape[1:]
            raise BadFeatures(f"Queries have {many} parts of width {wide}, the gallery {more} of {wider}.")


def _check_values(features: NDArray[np.float32], name: str, files: Shaped[np.ndarray, " N"]) -> None:
    if features.ndim != 2 or 0 in features.shape:
        raise BadFeatures(f"{name} has the shape {features.shape}; it needs one row of numbers for each picture.")
    with np.errstate(all="ignore"):
        squares = np.einsum("nd,nd->n", features, features)  # NaN, infinity and huge values survive: no copy is needed
    wrong = ~(squares <= LARGEST**2)
    if wrong.any():
        row = int(wrong.argmax())
        odd = features[row][~np.isfinite(features[row])]
        value = odd[0] if len(odd) else np.abs(features[row]).max()
        raise BadFeatures(
            f"{name} row {row} ({files[row] if row < len(files) else 'no name'}) holds the value {value:g}; "
            "leave this picture out or embed it again."
        )


def _read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Every array of an .npz; whatever the file turns out to be, the complaint is one BadFeatures."""
    if path.is_dir() or not path.exists():
        seen = "is a folder, not a features file" if path.is_dir() else "does not exist"
        raise BadFeatures(f"{path} {seen}; `resight embed DATASET --out FILE.npz` writes one.")
    try:
        with path.open("rb") as file:  # numpy leaves a damaged file open
            opened = np.load(file, allow_pickle=False)
            if not isinstance(opened, np.lib.npyio.NpzFile):
                raise BadFeatures(f"{path} holds one bare array; a features file is an .npz with named arrays.")
            with opened:
                return {name: opened[name] for name in opened.files}
    except UNREADABLE as error:
        if isinstance(error, ValueError) and "allow_pickle" in str(error) and zipfile.is_zipfile(path):
            raise BadFeatures(
                f"{path} holds pickled Python objects, which resight does not run; "
                "save numbers and text only (`array.astype(str)` for names)."
            ) from error
        raise BadFeatures(
            f"{path} cannot be read as a features file ({path.stat().st_size} bytes): it is cut short or not an .npz; "
            "write it again with `resight embed DATASET`."
        ) from error


def _side(arrays: dict[str, NDArray[np.generic]], name: str) -> Side:
    features, persons, cameras = (arrays[f"{name}_{what}"] for what in ("features", "persons", "cameras"))
    parts, visible = arrays.get(f"{name}_parts"), arrays.get(f"{name}_visible")
    return side(features, persons, cameras, arrays.get(f"{name}_files"), parts=parts, visible=visible, name=name)


def _part_share(arrays: dict[str, NDArray[np.generic]]) -> float:
    share = arrays.get("part_share", np.array(PART_SHARE if "query_parts" in arrays else 0.0))
    if share.shape != () or share.dtype.kind not in "fiu":
        raise BadFeatures("`part_share` is no number; write the part distance's share of the whole, 0 to 1.")
    return float(share)


def _metric(arrays: dict[str, NDArray[np.generic]]) -> Metric:
    written = str(arrays["metric"]) if "metric" in arrays else "cosine"
    for metric in METRICS:
        if written == metric:
            return metric
    raise BadFeatures(f"the metric `{written}` is not known; write one of: {', '.join(METRICS)}.")


def _floats(values: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    if values.dtype.kind not in "fiu":
        raise BadFeatures(f"{name} holds {values.dtype}, not numbers.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is named by the check
        return np.ascontiguousarray(values, dtype=np.float32)


def _ids(values: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    """Ids as int64 or as text, never relabelled."""
    if values.ndim != 1:
        raise BadFeatures(f"{name} has the shape {values.shape}; it needs one id for each picture.")
    if values.dtype.kind == "S":
        return np.char.decode(values.astype(np.bytes_), "utf-8", "replace")
    if values.dtype.kind == "U":
        return values
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64) if values.dtype.kind in "iuf" else None
    if whole is None or not np.array_equal(whole, values):
        raise BadFeatures(f"{name} holds {values.dtype} that are not ids; write whole numbers or text.")
    return whole


def _files(values: NDArray[np.generic] | None, count: int, name: str) -> Shaped[np.ndarray, " N"]:
    if values is None:
        return np.array([f"{name} {row}" for row in range(count)], dtype=np.str_)
    return np.asarray(values).reshape(-1).astype(np.str_)
