"""What the labels of each known set may mean in LIP's 20 classes; doubtful ones say why.

Two questions decide every row: which classes would LIP's annotators have used, and can the pixel be skin beneath?
A label that may be several classes gets them all: a set that is too wide teaches little, one that is too narrow
teaches wrong. Sources: see `label_sets`. Proof: tests/data/test_label_union.py.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from resight.data.label_sets import ATR18, CCP59, CIHP20, LIP20, PPP7, WANTED3, LabelSet
from resight.data.label_union import Meaning, exact
from resight.data.regrouping import find_regrouping
from resight.errors import UnknownName

FOREGROUND: Final = LIP20.classes[1:]
ARMS: Final = ("left arm", "right arm")
LEGS: Final = ("left leg", "right leg")
SHOES: Final = ("left shoe", "right shoe")
HEAD: Final = ("hat", "hair", "sunglasses", "face")
TOPS: Final = ("upper-clothes", "coat")
"""A jacket is LIP's coat when it is the outermost of two layers, and its upper-clothes otherwise."""
TRUNK: Final = ("upper-clothes", "dress", "coat", "jumpsuits", "scarf")
BOTTOMS: Final = ("pants", "skirt", "dress", "jumpsuits")
NOT_WORN: Final = ("background",)
BESIDE: Final = ("background", *TRUNK, *BOTTOMS[:2])
"""A bag or a belt: LIP has no such class. Its annotators gave a bag beside the body to the background, a strap or a
belt on it often to the clothes; so either is right, and skin, hair and shoes are not."""

ATR_MEANS: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in ATR18.classes if name in LIP20.classes},
    "upper-clothes": TOPS,  # no class for coats
    "pants": ("pants", "jumpsuits"),  # no class for jumpsuits: their lower half may be called pants
    "dress": ("dress", "jumpsuits"),
    "belt": BESIDE,
    "bag": BESIDE,
    **{name: (name, "socks") for name in LEGS},  # no class for socks
}
CIHP_MEANS: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in CIHP20.classes if name in LIP20.classes},
    "torso skin": ("face", "upper-clothes", "dress"),  # neck and neckline: LIP gives them to the face or the garment
    "upper-clothes": ("upper-clothes", "jumpsuits"),  # no class for jumpsuits: they may be either half
    "pants": ("pants", "jumpsuits"),
}
PPP_MEANS: Final[Mapping[str, tuple[str, ...]]] = {
    # Body parts under the clothes, without sides: an arm may be a sleeve, a leg a trouser or a skirt.
    "background": NOT_WORN,
    "head": (*HEAD, "scarf"),
    "torso": (*TRUNK, "skirt", "pants", *ARMS),  # trousers begin at the waist; a bare trunk has no class of its own
    "upper arms": (*ARMS, *TRUNK),
    "lower arms": (*ARMS, *TRUNK, "glove"),
    "upper legs": (*LEGS, *BOTTOMS, "coat", "upper-clothes"),  # long coats and shirts reach down
    "lower legs": (*LEGS, *BOTTOMS, "coat", "socks", *SHOES),
}
WANTED_MEANS: Final[Mapping[str, tuple[str, ...]]] = {
    "background": NOT_WORN,
    "the person": FOREGROUND,
    "another person": NOT_WORN,  # a crop parses the wanted person alone
}


def _each(means: tuple[str, ...], *names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, means)


CCP_MEANS: Final[Mapping[str, tuple[str, ...]]] = {
    "null": NOT_WORN,
    # No side and no place: skin may be a face, an arm or a leg. A neck is skin here and face or garment in LIP.
    "skin": ("face", *ARMS, *LEGS),
    "hair": ("hair",),
    "hat": ("hat",),
    "sunglasses": ("sunglasses",),
    "glasses": ("sunglasses", "face"),  # clear ones: LIP mostly calls the pixels face
    "scarf": ("scarf",),
    "gloves": ("glove",),
    "tie": ("upper-clothes", "scarf"),  # lies on the shirt; some annotators took it for neckwear
    **_each(TOPS, "blazer", "cardigan", "hoodie", "jacket", "vest", "cape", "suit"),
    "coat": ("coat", "upper-clothes"),
    **_each(("upper-clothes",), "blouse", "shirt", "t-shirt", "top"),
    # Knitwear and sweatshirts are upper-clothes, yet over a shirt LIP may call them coat.
    **_each(TOPS, "jumper", "sweater", "sweatshirt"),
    "dress": ("dress",),
    "skirt": ("skirt",),
    **_each(("pants",), "pants", "jeans", "shorts"),
    "leggings": ("pants",),
    # Thin ones show the leg: LIP has them as pants, socks or, where skin shines through, as the leg.
    **_each(("pants", "socks", *LEGS), "tights", "stockings"),
    "socks": ("socks",),
    "romper": ("jumpsuits", "dress"),
    "bodysuit": ("jumpsuits", "upper-clothes", "dress"),
    "swimwear": ("upper-clothes", "pants", "jumpsuits", "dress"),
    **_each(("upper-clothes", "dress"), "bra"),
    **_each(("upper-clothes", "dress", "pants"), "intimate"),
    "panties": ("pants", "dress"),
    **_each(SHOES, "boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "shoes", "sneakers", "wedges"),
    **_each(BESIDE, "bag", "belt", "purse", "wallet"),
    # Small things on skin or cloth, which LIP does not label apart.
    "accessories": (),  # hair bands, brooches, umbrellas: nothing can be said
    **_each((*ARMS, *TOPS, "dress"), "bracelet", "watch"),
    "ring": ARMS,
    "earrings": ("face", "hair"),
    "necklace": ("face", *TRUNK),
}

MEANINGS: Final[dict[str, Meaning]] = {
    "lip20": exact(LIP20),
    "atr18": Meaning(ATR18, LIP20, ATR_MEANS),
    "cihp20": Meaning(CIHP20, LIP20, CIHP_MEANS),
    "ppp7": Meaning(PPP7, LIP20, PPP_MEANS),
    "ccp59": Meaning(CCP59, LIP20, CCP_MEANS),
    "wanted3": Meaning(WANTED3, LIP20, WANTED_MEANS),
}

KEYPOINTS14: Final = (
    *("head", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist"),
    *("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"),
)
"""Order of Market-1501's keypoints14, the person's own sides."""


def _joint(name: str) -> tuple[str, ...]:
    side, _, joint = name.rpartition(" ")
    other = "left" if side == "right" else "right"
    if joint == "head":
        return HEAD
    if joint == "ankle":
        return (f"{side} leg", f"{side} shoe")
    if joint == "wrist":  # under a sleeve or a bag anything; where skin shows, it is this side's arm
        return tuple(name for name in FOREGROUND if name != f"{other} arm")
    return FOREGROUND  # a trouser has no side


KEYPOINT_MEANS: Final = tuple(_joint(name) for name in KEYPOINTS14)
"""LIP classes that the pixel under each of the 14 joints may have. Some joints are wrong: weigh them low."""


def find_meaning(source: LabelSet, target: LabelSet) -> Meaning:
    """What a source's labels mean in a target: `lip20` by the tables above, its regroupings by theirs.

    Raises UnknownName where no table says it.
    """
    if source == target:
        return exact(target)
    if source.name not in MEANINGS:
        raise UnknownName("meaning for the label set", source.name, MEANINGS)
    found = MEANINGS[source.name]
    return found if target == LIP20 else found.regrouped(find_regrouping(LIP20, target))


@functools.cache
def keypoint_means(target: LabelSet) -> tuple[tuple[str, ...], ...]:
    """Classes of a target (`lip20` or a regrouping of it) under each of the 14 joints."""
    regrouping = find_regrouping(LIP20, target)
    groups = [{regrouping.group_of(name) for name in names} - {255} for names in KEYPOINT_MEANS]
    return tuple(tuple(target.classes[number] for number in sorted(found)) for found in groups)
