"""Part maps on disk: by file name, resumable, refused when they are not what is asked for."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resight.data.part_maps import PartMapsWriter, PartStamp, as_levels, load_part_maps, read_stamp
from resight.errors import BadLabels

STAMP = PartStamp(parser="lite at 64x32", weights="0123456789ab", labels="lip20", classes=3, height=4, width=2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))


def a_set(root: Path, count: int) -> list[Path]:
    files = [root / "query" / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (number + 1))
    return files


def content(number: int) -> int:
    return (number + 1) << 32 | zlib.crc32(b"x" * (number + 1))


def map_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (3, 4, 2), dtype=np.uint8)


def write(folder: Path, numbers: list[int], stamp: PartStamp = STAMP) -> PartMapsWriter:
    writer = PartMapsWriter(folder, stamp)
    quality = np.array(numbers, dtype=np.float32) / 10
    names = [f"query/{number}.jpg" for number in numbers]
    maps, contents = np.stack([map_of(number) for number in numbers]), [content(number) for number in numbers]
    writer.add(names, maps, quality, quality / 2, contents)
    return writer


def test_maps_come_back_by_name_in_any_order_from_any_chunk(tmp_path: Path) -> None:
    files = a_set(tmp_path / "set", 7)
    write(tmp_path / "parts", [0, 1, 2])
    writer = write(tmp_path / "parts", [5, 4, 3, 6])
    assert len(writer) == 7
    assert all(writer.has(f"query/{number}.jpg", content(number)) for number in range(7))
    assert not writer.has("query/3.jpg", 99)  # changed since: a new map is needed
    order = [4, 0, 6, 2]
    wanted = [files[number] for number in order]
    for _ in range(2):  # decoded, then from the cache
        found = load_part_maps(tmp_path / "parts", wanted, root=tmp_path / "set")
        assert np.array_equal(found.maps, np.stack([map_of(number) for number in order]))
        assert found.quality == pytest.approx(np.array(order) / 10)
        assert found.second == pytest.approx(np.array(order) / 20)
    assert isinstance(found.maps, np.memmap)
    assert len(list((tmp_path / "cache").glob("parts-*.npy"))) == 1


def test_pictures_without_maps_and_changed_pictures_are_named(tmp_path: Path) -> None:
    files = a_set(tmp_path / "set", 4)
    write(tmp_path / "parts", [0, 2])
    with pytest.raises(BadLabels, match=r"2 pictures have no part map .*query/1.jpg, query/3.jpg"):
        load_part_maps(tmp_path / "parts", files, root=tmp_path / "set")
    files[2].write_bytes(b"y" * 3)  # as long as it was
    with pytest.raises(BadLabels, match=r"1 pictures have changed .*query/2.jpg"):
        load_part_maps(tmp_path / "parts", [files[0], files[2]], root=tmp_path / "set")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"labels": "parts8"}, "label set lip20"),
        ({"size": (8, 4)}, r"size \(4, 2\)"),
        ({"weights": "ff"}, "weights 0123"),
    ],
)
def test_maps_of_another_label_set_size_or_parser_are_refused(tmp_path: Path, asked: dict, message: str) -> None:
    files = a_set(tmp_path / "set", 1)
    write(tmp_path / "parts", [0])
    with pytest.raises(BadLabels, match=message):
        load_part_maps(tmp_path / "parts", files, root=tmp_path / "set", **asked)


def test_a_folder_never_mixes_maps_of_two_parsers(tmp_path: Path) -> None:
    write(tmp_path / "parts", [0])
    with pytest.raises(BadLabels, match="weights 0123456789ab and not ffff"):
        PartMapsWriter(tmp_path / "parts", replace(STAMP, weights="ffff"))
    with pytest.raises(BadLabels, match="are \\(3, 4, 1\\)"):
        PartMapsWriter(tmp_path / "parts", STAMP).add(
            ["a"], np.zeros((1, 3, 4, 1), np.uint8), np.zeros(1, np.float32), np.zeros(1, np.float32), [1]
        )


def test_new_maps_of_the_same_pictures_are_decoded_anew(tmp_path: Path) -> None:
    files = a_set(tmp_path / "set", 1)
    write(tmp_path / "a", [0])
    load_part_maps(tmp_path / "a", files, root=tmp_path / "set")
    write(tmp_path / "b", [0], replace(STAMP, weights="other"))
    load_part_maps(tmp_path / "b", files, root=tmp_path / "set")
    assert len(list((tmp_path / "cache").glob("parts-*.npy"))) == 2


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    files = a_set(tmp_path / "set", 1)
    with pytest.raises(BadLabels, match="holds no part maps"):
        load_part_maps(tmp_path / "none", files, root=tmp_path / "set")
    write(tmp_path / "parts", [0])
    chunk = tmp_path / "parts" / "maps-00000.npz"
    chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(BadLabels, match=r"maps-00000.npz is damaged"):
        load_part_maps(tmp_path / "parts", files, root=tmp_path / "set")
    (tmp_path / "parts" / "parts.json").write_text("{")
    with pytest.raises(BadLabels, match=r"parts.json cannot be read"):
        read_stamp(tmp_path / "parts")


def test_levels_hold_probabilities_to_a_five_hundredth() -> None:
    values = np.linspace(0, 1, 1001)
    assert as_levels(values) / 255 == pytest.approx(values, abs=0.5 / 255 + 1e-9)
