"""Label sets as checked tables: the published ones, this project's regroupings, and the user's own in TOML.

Sources: LIP (Gong et al., CVPR 2017, arXiv:1703.05446); ATR (Liang et al., TPAMI 2015, arXiv:1503.02391);
Pascal-Person-Part (Chen et al., CVPR 2014; Xia et al., CVPR 2017); CIHP (Gong et al., ECCV 2018, arXiv:1808.00157);
Clothing Co-Parsing (Yang, Luo and Lin, CVPR 2014, arXiv:1502.00739).
Left and right are the person's own. Proof: tests/data/test_label_sets.py.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from resight.errors import BadLabels, UnknownName
from resight.types import IGNORE


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Classes of a label map, by number; 0 is the background. Raises BadLabels for a table that cannot be one."""

    name: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= IGNORE:
            raise BadLabels(f"The label set {self.name} has {len(self.classes)} classes; a map holds 1 to {IGNORE}.")
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            raise BadLabels(f"The label set {self.name} names `{twice[0]}` twice; give each class its own name.")
        for name in self.classes:
            other = mirrored_name(name)
            if other not in self.classes:
                raise BadLabels(f"The label set {self.name} has `{name}` and no `{other}`; a mirror needs both sides.")

    def swap(self) -> UInt8[np.ndarray, " C"]:
        """Class that each class becomes in a mirror: `left x` and `right x` change places."""
        return np.array([self.classes.index(mirrored_name(name)) for name in self.classes], np.uint8)

    def number(self, name: str) -> int:
        """Number of a class; an unknown one is answered with the nearest known one (UnknownName)."""
        if name not in self.classes:
            raise UnknownName(f"class of {self.name}", name, self.classes)
        return self.classes.index(name)

    def palette(self) -> list[int]:
        """256 colours, red green blue in a row, of which neighbours differ well; 0 is black (Pascal VOC's own)."""
        return list(_palette())


def mirrored_name(name: str) -> str:
    """What a class is called in a mirror: `left x` for `right x`, all else as it is."""
    for here, there in (("left ", "right "), ("right ", "left ")):
        if name.startswith(here):
            return there + name.removeprefix(here)
    return name


@functools.cache
def _palette() -> tuple[int, ...]:
    """Three bits of each number in turn, the lowest ones as the brightest bits of red, green and blue."""
    colours = np.zeros((256, 3), np.uint8)
    for number in range(256):
        bits = number
        for shift in range(7, -1, -1):
            for channel in range(3):
                colours[number, channel] |= (bits >> channel & 1) << shift
            bits >>= 3
    return tuple(int(value) for value in colours.ravel())


LIP20: Final = LabelSet(
    "lip20",
    (
        *("background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat", "socks", "pants"),
        *("jumpsuits", "scarf", "skirt", "face", "left arm", "right arm", "left leg", "right leg"),
        *("left shoe", "right shoe"),
    ),
)
ATR18: Final = LabelSet(
    "atr18",
    (
        *("background", "hat", "hair", "sunglasses", "upper-clothes", "skirt", "pants", "dress", "belt"),
        *("left shoe", "right shoe", "face", "left leg", "right leg", "left arm", "right arm", "bag", "scarf"),
    ),
)
PPP7: Final = LabelSet("ppp7", ("background", "head", "torso", "upper arms", "lower arms", "upper legs", "lower legs"))
CIHP20: Final = LabelSet("cihp20", tuple("torso skin" if name == "jumpsuits" else name for name in LIP20.classes))
"""LIP's table but for class 10: the bare neck and trunk, where LIP has jumpsuits."""
CCP59: Final = LabelSet(
    "ccp59",
    (
        *("null", "accessories", "bag", "belt", "blazer", "blouse", "bodysuit", "boots", "bra", "bracelet", "cape"),
        *("cardigan", "clogs", "coat", "dress", "earrings", "flats", "glasses", "gloves", "hair", "hat", "heels"),
        *("hoodie", "intimate", "jacket", "jeans", "jumper", "leggings", "loafers", "necklace", "panties", "pants"),
        *("pumps", "purse", "ring", "romper", "sandals", "scarf", "shirt", "shoes", "shorts", "skin", "skirt"),
        *("sneakers", "socks", "stockings", "suit", "sunglasses", "sweater", "sweatshirt", "swimwear", "t-shirt"),
        *("tie", "tights", "top", "vest", "wallet", "watch", "wedges"),
    ),
)
PARTS7: Final = LabelSet("parts7", ("background", "head", "clothes", "left arm", "right arm", "left leg", "right leg"))
PARTS8: Final = LabelSet(
    "parts8", ("background", "head", "upper", "lower", "left arm", "right arm", "left leg", "right leg")
)
PARTS6: Final = LabelSet("parts6", ("background", "head", "upper", "arms", "lower", "legs", "shoes"))
"""Six parts without sides, which visible-part embedders compare: clothes apart from bare skin, so that a colour is not
averaged with a hem. A part that clothes hide (legs in trousers) is one that cannot be compared."""
STREET5: Final = LabelSet("street5", ("background", "hair and hat", "skin", "clothes", "shoes"))
"""What LIP and Clothing Co-Parsing both label: a parser of one is scored on photos of the other."""
WANTED3: Final = LabelSet("wanted3", ("background", "the person", "another person"))
"""What a crop of a photo with person instances says: which pixels are the wanted person's."""
BODY10: Final = LabelSet(
    "body10",
    (
        *("background", "head", "torso", "left upper arm", "right upper arm", "left lower arm", "right lower arm"),
        *("left upper leg", "right upper leg", "left lower leg", "right lower leg"),
    ),
)
PERSONS: Final = LabelSet("persons", ("nobody", "the person", *(f"other {number}" for number in range(1, 254))))
"""Whose each pixel is, in rendered people: 1 the person of the crop, 2 and on others."""
CAUSE: Final = LabelSet("cause", ("nothing", "cause", "its shadow"))
"""Where a planted cause lies."""
LABEL_SETS: Final = {
    "lip20": LIP20,  # Gong et al., CVPR 2017, arXiv:1703.05446
    "atr18": ATR18,  # Liang et al., TPAMI 2015, arXiv:1503.02391
    "ppp7": PPP7,  # Chen et al., CVPR 2014; grouped as Xia et al., CVPR 2017
    "cihp20": CIHP20,  # Gong et al., ECCV 2018, arXiv:1808.00157
    "ccp59": CCP59,  # Yang, Luo and Lin, CVPR 2014, arXiv:1502.00739
    "parts7": PARTS7,  # head, clothes, arms, legs with shoes
    "parts8": PARTS8,  # as parts7, clothes split at the waist
    "parts6": PARTS6,  # six parts without sides, to compare people by
    "street5": STREET5,  # what lip20 and ccp59 have in common
    "wanted3": WANTED3,  # from person instances
    "body10": BODY10,  # parts of the body under the clothes, of rendered people
}


def find_labels(name: str) -> LabelSet:
    """Label set of a name, or of a TOML file; an unknown name is answered with the nearest known one."""
    if name.endswith(".toml"):
        return load_label_set(Path(name))
    if name not in LABEL_SETS:
        raise UnknownName("label set", name, LABEL_SETS)
    return LABEL_SETS[name]


def load_label_set(path: Path) -> LabelSet:
    """Read a table of the user's own: `name = "…"` and `classes = ["background", …]` in a TOML file.

    Raises BadLabels, naming the file and the class, for a table that cannot be one.
    """
    content = read_toml(path, {"name": str, "classes": list})
    classes = content["classes"]
    for number, name in enumerate(classes):
        if not isinstance(name, str) or not name.strip():
            raise BadLabels(f"Class {number} in {path} is {name!r}; write its name in quotes.")
    try:
        return LabelSet(content["name"], tuple(classes))
    except BadLabels as error:
        raise BadLabels(f"{path}: {error}") from error


def read_toml(path: Path, wanted: dict[str, type], allowed: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Read a table file that must hold the `wanted` keys; raises BadLabels for any other content."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadLabels(f"{path} cannot be read as a table in TOML ({error}).") from error
    for key, kind in wanted.items():
        if not isinstance(content.get(key), kind):
            raise BadLabels(f"{path} needs the key `{key}` ({'a list' if kind is list else 'text'}).")
    for key in content:
        if key not in wanted and key not in allowed:
            raise BadLabels(f"{path} has the key `{key}`; known: {', '.join(sorted({*wanted, *allowed}))}.")
    return content
