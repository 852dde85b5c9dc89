"""Small folders in the layouts of parsing sets, made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (12, 6)


def draw_picture(path: Path, *, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)


def draw_map(path: Path, value: int | np.ndarray = 5, *, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = value if isinstance(value, np.ndarray) else np.full(size, value, np.uint8)
    Image.fromarray(values).save(path)


def pairs(images: Path, labels: Path, names: list[str]) -> None:
    for name in names:
        draw_picture(images / f"{name}.jpg")
        draw_map(labels / f"{name}.png")


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


HALVES = {"train": ["100_2", "100_1"], "val": ["200_1"]}


def lip_download(root: Path, *, nested: bool = False) -> None:
    more = ("TrainVal_images",) if nested else ()
    images = root.joinpath("TrainVal_images", *more)
    labels = root.joinpath("TrainVal_parsing_annotations", *("TrainVal_parsing_annotations",) * nested)
    for half, names in HALVES.items():
        pairs(images / f"{half}_images", labels / f"{half}_segmentations", names)
        write_lines(images / f"{half}_id.txt", names)


def lip_folders(root: Path) -> None:
    for half, names in HALVES.items():
        pairs(root / f"{half}_images", root / f"{half}_segmentations", names)
        write_lines(root / f"{half}_id.txt", names)


def lip_lists(root: Path) -> None:
    for half, names in HALVES.items():
        pairs(root / f"{half}_images", root / f"{half}_labels", names)
        places = ("{0}_images/{1}.jpg", "{0}_labels/{1}.png", "{0}_labels_rev/{1}.png", "{0}_edges/{1}.png")
        write_lines(root / "list" / f"{half}.txt", [" ".join(places).format(half, name) for name in names])


def people(root: Path) -> None:
    lip_folders(root / "lip")
    write_lines(root / "people.csv", ["file"])
    for names in HALVES.values():
        for name in names:
            draw_map(root / "maps" / "persons" / f"{name}.png", 1)


def atr(root: Path) -> None:
    pairs(root / "humanparsing" / "JPEGImages", root / "humanparsing" / "SegmentationClassAug", ["dp_2", "dp_1"])


def pascal_person_part(root: Path) -> None:
    pairs(root / "JPEGImages", root / "pascal_person_part_gt", ["2008_000002", "2008_000001", "2008_000003"])
    lists = root / "pascal_person_part_trainval_list"
    write_lines(lists / "train.txt", ["/JPEGImages/2008_000002.jpg /pascal_person_part_gt/2008_000002.png"])
    write_lines(lists / "val.txt", ["2008_000003"])


def cihp(root: Path) -> None:
    for half, folder in (("train", "Training"), ("val", "Validation")):
        names = ["0000002", "0000001"] if half == "train" else ["0000003"]
        pairs(root / folder / "Images", root / folder / "Category_ids", names)
        write_lines(root / folder / f"{half}_id.txt", names)
        for name in names:
            draw_map(root / folder / "Human_ids" / f"{name}.png", np.repeat(np.array([[1], [2]], np.uint8), 6, 0))


def clothing_co_parsing(root: Path) -> None:
    pairs(root / "images", root / "labels", ["0800", "0001", "0801"])
    write_lines(root / "labels.json", ["[]"])


def penn_fudan(root: Path) -> None:
    values = np.zeros((30, 20), np.uint8)
    values[5:15, 3:6] = 1
    values[20:30, 15:20] = 2
    for name in ("FudanPed00074", "PennPed00046", "PennPed00047", "PennPed00096"):
        draw_picture(root / "images" / f"{name}.jpg", size=(30, 20))
        draw_map(root / "instances" / f"{name}.png", values)


def market_keypoints(root: Path, persons: int = 103) -> None:
    names = [f"{person:04d}_c1s1_000151_01.jpg" for person in range(2, persons + 2)]
    for folder in ("bounding_box_train", "query", "bounding_box_test"):
        for name in names:
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / name).write_bytes(b"")
    points = np.tile(np.arange(1, 15, dtype=np.float32)[None, :, None], (persons, 1, 2))
    secret = np.array([{"never": "opened"}] * persons)  # raises when it is opened without pickles
    np.savez(
        root / "keypoints14.npz",
        train_xy=points,
        train_name=np.array(names),
        query_xy=secret,
        query_name=secret,
        gallery_xy=secret,
        gallery_name=secret,
    )


LAYOUTS = {
    "lip": lip_download,
    "people": people,
    "lip-folders": lip_folders,
    "lip-lists": lip_lists,
    "cihp": cihp,
    "pascal-person-part": pascal_person_part,
    "atr": atr,
    "ccp": clothing_co_parsing,
    "penn-fudan": penn_fudan,
    "market-keypoints": market_keypoints,
}
