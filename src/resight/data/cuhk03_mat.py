"""Read CUHK03 from the MATLAB file in which it was published, without unpacking it.

Source: Li et al., "DeepReID", CVPR 2014 (`cuhk-03.mat`, five camera pairs, ten pictures a person: 1-5 from view 1,
6-10 from view 2); new protocol: Zhong et al., CVPR 2017 (`cuhk03_new_protocol_config_{labeled,detected}.mat`).
A set is named as if the file were a folder, `cuhk-03.mat/labeled` or `cuhk-03.mat/detected`, and so are its pictures
(`cuhk-03.mat/labeled/1_001_1_01.png`: pair, person, view, slot): `images.read_picture` reads them, nothing else can.
Cameras are the views 1 and 2, as in the folders of CUHK03-NP. Needs the extra `matlab`.
Proof: tests/data/test_cuhk03_mat.py, on a small file of the same layout; the published file was not at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from resight.data.mat_pictures import open_mat, slot_of
from resight.data.reid_layouts import Own, seen
from resight.errors import DatasetNotFound
from resight.types import Crop, Split

if TYPE_CHECKING:
    import h5py

KINDS: Final = ("labeled", "detected")


def is_inside(root: Path) -> bool:
    """Say whether a path names the labeled or the detected pictures of a MATLAB file."""
    return root.name in KINDS and root.parent.suffix == ".mat" and root.parent.is_file()


def config_of(root: Path) -> Path | None:
    """File of the new protocol, beside the MATLAB file or one folder above; None where there is none."""
    name = f"cuhk03_new_protocol_config_{root.name}.mat"
    places = (root.parent.parent / name, root.parent.parent.parent / name)
    return next((place for place in places if place.is_file()), None)


def new_protocol(root: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield the crops of the new protocol (767 persons train, 700 test) as its configuration file lists them."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    config = config_of(root)
    if config is None:
        raise DatasetNotFound(
            f"No cuhk03_new_protocol_config_{root.name}.mat beside {root.parent} (found: {seen(root.parent.parent)}). "
            "Put it there, or take the old protocol with the layout `cuhk03-classic`."
        )
    try:
        table = loadmat(config)
        places = table[{"train": "train_idx", "query": "query_idx", "gallery": "gallery_idx"}[split]].ravel()
        names, persons = table["filelist"].ravel(), table["labels"].ravel()
        rows = sorted((str(names[place - 1].item()), int(persons[place - 1])) for place in places)
    except (MatReadError, KeyError, IndexError, ValueError, NotImplementedError, OSError) as error:
        raise DatasetNotFound(f"{config} is not the configuration of CUHK03's new protocol: {error}.") from error
    for name, person in rows:
        yield Crop(root / name, person, int(slot_of(root / name)[3]))


def classic(root: Path, split: Split, own: Own) -> Iterator[Crop]:
    """Yield the crops of the first of the 20 published splits; every test picture both asks and answers.

    Persons are named by camera pair and number, such as `1_001`. Score them by the protocol `cuhk03`.
    """
    with open_mat(root.parent) as file:
        tests = {(int(pair), int(person)) for pair, person in file[file["testsets"][()].ravel()[0]][()].T}
        names = [
            name for pair, person, name in _names(file, root.name) if ((pair, person) in tests) != (split == "train")
        ]
    for name in names:
        match = slot_of(root / name)
        yield Crop(root / name, f"{match[1]}_{match[2]}", int(match[3]))


def _names(file: h5py.File, kind: str) -> Iterator[tuple[int, int, str]]:
    """Pair, person and name of each picture that is there, in order; empty slots are left out."""
    for pair, reference in enumerate(file[kind][()].ravel(), start=1):
        for person, slots in enumerate(file[reference][()].T, start=1):
            for slot, picture in enumerate(slots, start=1):
                if file[picture].ndim == 3:
                    yield pair, person, f"{pair}_{person:03d}_{1 if slot <= 5 else 2}_{slot:02d}.png"
