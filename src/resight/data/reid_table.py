"""The table of re-id sets that resight can read: how each is told from the others, read, and counted.

The first row that fits a folder wins, so a row that asks for more stands before one that asks for less. Adding a set:
one reader in reid_layouts.py, one row here, one test.
Official counts: the papers in the rows and the authors' pages; persons without junk and distractors.
Proof: tests/data/test_reid_sets.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from resight.data import cuhk03_mat, reid_layouts
from resight.data import reid_signs as signs
from resight.data.reid_layouts import Reader, named_folders
from resight.data.reid_lists import csv_list, has_splits
from resight.data.reid_signs import Fits
from resight.types import Split

Overlap = Literal["none", "numbers", "pictures"]
"""What train and test share: nobody; only person numbers, which start again; or the very pictures, by design."""

Asked = Literal["cameras", "columns"]
"""What the owner of a set of own pictures may say: how paths tell cameras, which columns a list has."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a split holds; None where nobody has said. Persons are counted without junk and distractors."""

    pictures: int
    persons: int
    cameras: int | None = None
    junk: int | None = None
    distractors: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One way in which a re-id set lies on a disk."""

    expects: str
    """What must be there, for error messages."""
    fits: Fits
    read: Reader
    paper: str
    official: Mapping[Split, Counts] | None = None
    overlap: Overlap = "none"
    own: tuple[Asked, ...] = ()
    """What its owner may say of it; all else of that kind is refused."""
    notes: tuple[str, ...] = ()
    """What its owner should know before quoting a number, one sentence each."""


def official(train: tuple[int, int], query: tuple[int, int], gallery: tuple[int, int]) -> dict[Split, Counts]:
    """Pictures and persons of each split, as a paper prints them."""
    return {"train": Counts(*train), "query": Counts(*query), "gallery": Counts(*gallery)}


TRAIN_IS_ALL: Final = (
    "nobody has split these pictures: the first picture (by name) of each person with two or more is the query, all "
    "others are gallery, and all are train as well, so a model trained here must be judged elsewhere"
)
WITHDRAWN: Final = "DukeMTMC was withdrawn by its authors; say so beside numbers on it"

PUBLISHED: Final = (
    "Market-1501, DukeMTMC-reID, Occluded-Duke, CUHK03, CUHK03-NP, MSMT17, VIPeR, P-DukeMTMC, Occluded-REID, "
    "Partial-REID, P-ETHZ"
)
DUKE_EXPECTS: Final = "the same three folders with names like 0005_c2_f0046985.jpg (DukeMTMC-reID, Occluded-Duke)"
CUHK03_EXPECTS: Final = "the same three folders with names like 0001_c1_2.png (CUHK03-NP, labeled or detected)"
BODIES_EXPECTS: Final = (
    "occluded_body_images or partial_body_images beside whole_body_images (Occluded-REID, Partial-REID, P-ETHZ)"
)
MAT_EXPECTS: Final = "cuhk-03.mat/labeled or cuhk-03.mat/detected (CUHK03 as published; needs the extra `matlab`)"
CSV_EXPECTS: Final = "a list that ends in .csv with the columns path and person"

LAYOUTS: Final[dict[str, Layout]] = {
    "market1501": Layout(
        expects="bounding_box_train, bounding_box_test and query with names like 0002_c1s1_000451_03.jpg (Market-1501)",
        fits=signs.named(reid_layouts.MARKET_NAME),
        read=named_folders(reid_layouts.MARKET_NAME, "0002_c1s1_000451_03.jpg", distractors=True),
        paper="Zheng et al., ICCV 2015",
        official={
            "train": Counts(12_936, 751, 6, 0, 0),
            "query": Counts(3_368, 750, 6, 0, 0),
            "gallery": Counts(19_732, 750, 6, 3_819, 2_798),
        },
    ),
    "occluded-duke": Layout(
        expects=DUKE_EXPECTS,
        fits=signs.named(reid_layouts.DUKE_NAME, signs.occluded_duke),
        read=named_folders(reid_layouts.DUKE_NAME, "0005_c2_f0046985.jpg"),
        paper="Miao et al., ICCV 2019",
        official=official((15_618, 702), (2_210, 519), (17_661, 1_110)),
        notes=(WITHDRAWN,),
    ),
    "dukemtmc-reid": Layout(
        expects=DUKE_EXPECTS,
        fits=signs.named(reid_layouts.DUKE_NAME),
        read=named_folders(reid_layouts.DUKE_NAME, "0005_c2_f0046985.jpg"),
        paper="Zheng et al., ICCV 2017",
        official=official((16_522, 702), (2_228, 702), (17_661, 1_110)),
        notes=(WITHDRAWN,),
    ),
    "cuhk03-np-labeled": Layout(
        expects=CUHK03_EXPECTS,
        fits=signs.named(reid_layouts.PLAIN_NAME, signs.cuhk03("label")),
        read=named_folders(reid_layouts.PLAIN_NAME, "0001_c1_2.png"),
        paper="Zhong et al., CVPR 2017",
        official=official((7_368, 767), (1_400, 700), (5_328, 700)),
    ),
    "cuhk03-np-detected": Layout(
        expects=CUHK03_EXPECTS,
        fits=signs.named(reid_layouts.PLAIN_NAME, signs.cuhk03("detect")),
        read=named_folders(reid_layouts.PLAIN_NAME, "0001_c1_2.png"),
        paper="Zhong et al., CVPR 2017",
        official=official((7_365, 767), (1_400, 700), (5_332, 700)),
    ),
    "cuhk03-np": Layout(
        expects=CUHK03_EXPECTS,
        fits=signs.named(reid_layouts.PLAIN_NAME, signs.cuhk03("")),
        read=named_folders(reid_layouts.PLAIN_NAME, "0001_c1_2.png"),
        paper="Zhong et al., CVPR 2017",
        notes=("the folder's name does not say whether these are the labeled or the detected pictures",),
    ),
    "msmt17-market": Layout(
        expects="the same three folders with names like 0000_c14_0032.jpg (MSMT17 in Market-1501's folders)",
        fits=signs.named(reid_layouts.MSMT_MARKET_NAME, signs.msmt17_in_market),
        read=named_folders(reid_layouts.MSMT_MARKET_NAME, "0000_c14_0032.jpg"),
        paper="Wei et al., CVPR 2018",
        official=official((32_621, 1_041), (11_659, 3_060), (82_161, 3_060)),
        overlap="numbers",
        notes=("persons of train and test have the same numbers but are other people",),
    ),
    "market-style": Layout(
        expects="the same three folders with names like PERSON_cCAMERA_anything.jpg",
        fits=signs.named(reid_layouts.PLAIN_NAME),
        read=named_folders(reid_layouts.PLAIN_NAME, "0001_c1_anything.jpg"),
        paper="own data",
        notes=("person -1 is taken for junk, person 0 for a person like any other",),
    ),
    "msmt17": Layout(
        expects="list_train.txt, list_query.txt and list_gallery.txt beside train and test, or mask_train_v2 and "
        "mask_test_v2 (MSMT17)",
        fits=signs.has("list_query.txt", "list_gallery.txt"),
        read=reid_layouts.msmt17,
        paper="Wei et al., CVPR 2018",
        official=official((32_621, 1_041), (11_659, 3_060), (82_161, 3_060)),
        overlap="numbers",
        notes=(
            "persons of train and test have the same numbers but are other people",
            "train is list_train.txt and list_val.txt together, as the published count has it",
        ),
    ),
    "viper": Layout(
        expects="cam_a and cam_b (VIPeR)",
        fits=signs.has("cam_a", "cam_b"),
        read=reid_layouts.viper,
        paper="Gray et al., PETS 2007",
        official=official((0, 0), (632, 632), (632, 632)),
        notes=(
            "VIPeR has no fixed split: all of view a asks and all of view b answers, nothing is train; published "
            "numbers are means over ten random halves, so these are not comparable",
        ),
    ),
    "p-dukemtmc": Layout(
        expects="train and test with occluded_body_images and whole_body_images in each (P-DukeMTMC)",
        fits=signs.has("train/whole_body_images", "test/whole_body_images"),
        read=reid_layouts.p_dukemtmc,
        paper="Zhuo et al., ICME 2018",
        official=official((12_927, 665), (2_163, 634), (9_053, 634)),
        notes=(WITHDRAWN,),
    ),
    "p-ethz": Layout(
        expects=BODIES_EXPECTS,
        fits=signs.bodies("occluded_body_images", "ethz"),
        read=reid_layouts.occluded_folders,
        paper="Zhuo et al., ICME 2018",
    ),
    "occluded-reid": Layout(
        expects=BODIES_EXPECTS,
        fits=signs.bodies("occluded_body_images"),
        read=reid_layouts.occluded_folders,
        paper="Zhuo et al., ICME 2018",
        official=official((0, 0), (1_000, 200), (1_000, 200)),
    ),
    "partial-reid": Layout(
        expects=BODIES_EXPECTS,
        fits=signs.bodies("partial_body_images"),
        read=reid_layouts.occluded_folders,
        paper="Zheng et al., ICCV 2015",
        official=official((0, 0), (300, 60), (300, 60)),
    ),
    "cuhk03-mat": Layout(
        expects=MAT_EXPECTS,
        fits=lambda root, own: cuhk03_mat.is_inside(root) and cuhk03_mat.config_of(root) is not None,
        read=cuhk03_mat.new_protocol,
        paper="Li et al., CVPR 2014; split by Zhong et al., CVPR 2017",
    ),
    "cuhk03-classic": Layout(
        expects=MAT_EXPECTS,
        fits=lambda root, own: cuhk03_mat.is_inside(root),
        read=cuhk03_mat.classic,
        paper="Li et al., CVPR 2014",
        notes=(
            "this is the first of the 20 splits of the old protocol (no configuration of the new one lies beside); "
            "score it by the protocol `cuhk03` and never beside numbers of the new protocol",
        ),
    ),
    "csv": Layout(
        expects=CSV_EXPECTS,
        fits=lambda root, own: root.suffix.lower() == ".csv" and has_splits(root, own),
        read=csv_list,
        paper="own data",
        own=("cameras", "columns"),
    ),
    "csv-unsplit": Layout(
        expects=CSV_EXPECTS,
        fits=lambda root, own: root.suffix.lower() == ".csv",
        read=csv_list,
        paper="own data",
        own=("cameras", "columns"),
        overlap="pictures",
        notes=(TRAIN_IS_ALL,),
    ),
    "identity-splits": Layout(
        expects="train, query and gallery (or train and test) with one folder per person in each",
        fits=signs.split_people,
        read=reid_layouts.identity_splits,
        paper="own data",
        own=("cameras",),
        notes=("where there is no folder `query`, the first picture of each person in `test` asks",),
    ),
    "identity-folders": Layout(
        expects="one folder per person",
        fits=signs.people,
        read=reid_layouts.identity_folders,
        paper="own data",
        own=("cameras",),
        overlap="pictures",
        notes=(TRAIN_IS_ALL,),
    ),
}
