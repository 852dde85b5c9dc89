"""Regroup the classes of a label set: maps by a look-up table, probabilities by sums, SPReID's regions by pooling.

Sources: papers by Gong et al. (LIP, CVPR 2017) and Ruan et al. (CE2P, AAAI 2019, arXiv:1809.05996) for the parts;
Kalayeh et al., CVPR 2018, for `POOLING`.
Differs from grouping by assignments one after another, which moves a class twice where numbers of both sets overlap.
A class in no group is never left as it is: a policy says what becomes of it, and scores depend on that policy.
Proof: tests/data/test_regrouping.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from resight.data.label_sets import (
    ATR18,
    CCP59,
    CIHP20,
    LIP20,
    PARTS6,
    PARTS7,
    PARTS8,
    STREET5,
    LabelSet,
    find_labels,
    mirrored_name,
    read_toml,
)
from resight.data.labels import check_map
from resight.errors import BadLabels
from resight.types import IGNORE

ABSORB: Final = "absorb "
POLICIES: Final = "`ignore`, `background` or `absorb GROUP`"


@dataclass(frozen=True, slots=True)
class Regrouping:
    """Each class of `source` in exactly one group of `target`, or under a policy; raises BadLabels otherwise.

    Policies: `ignore` (255: counted by no loss and no score), `background`, `absorb GROUP` (added to that group).
    """

    source: LabelSet
    target: LabelSet
    groups: Mapping[str, tuple[str, ...]]
    """Target class -> source classes."""
    policies: Mapping[str, str] = field(default_factory=dict)
    """Source class in no group -> its policy."""

    def __post_init__(self) -> None:
        title = f"The regrouping {self.source.name} -> {self.target.name}"
        unknown = sorted({*self.groups} - {*self.target.classes})
        if unknown:
            raise BadLabels(f"{title} fills `{unknown[0]}`, which is no class of {self.target.name}.")
        placed = Counter(name for names in self.groups.values() for name in names)
        placed.update(self.policies.keys())
        for name in (*self.source.classes, *sorted(placed)):
            if name not in self.source.classes:
                raise BadLabels(f"{title} places `{name}`, which is no class of {self.source.name}.")
            if placed[name] != 1:
                how = "in no group and under no policy" if placed[name] == 0 else f"placed {placed[name]} times"
                raise BadLabels(f"{title}: `{name}` is {how}; put it in one group or give it one policy ({POLICIES}).")
        for name, policy in self.policies.items():
            wanted = self.target.classes if policy.startswith(ABSORB) else ("ignore", "background")
            if policy.removeprefix(ABSORB) not in wanted:
                raise BadLabels(f"{title}: the policy of `{name}` is `{policy}`; use {POLICIES}.")

    def group_of(self, name: str) -> int:
        """Number of the target class that a source class becomes; 255 when it is ignored."""
        policy = self.policies.get(name)
        if policy is not None and policy.startswith(ABSORB):
            return self.target.classes.index(policy.removeprefix(ABSORB))
        if policy is not None:
            return IGNORE if policy == "ignore" else 0
        return next(self.target.classes.index(group) for group, names in self.groups.items() if name in names)

    def table(self) -> UInt8[np.ndarray, " 256"]:
        """Target value of each of the 256 values; 255 stays 255, and so does what the source set does not have."""
        values = np.full(256, IGNORE, np.uint8)
        values[: len(self.source.classes)] = [self.group_of(name) for name in self.source.classes]
        return values

    def matrix(self) -> Float32[np.ndarray, "G K"]:
        """1 where a source class (column) is part of a target class (row); an ignored class is part of none."""
        table = self.table()[: len(self.source.classes)]
        return np.asarray(np.arange(len(self.target.classes))[:, None] == table[None], np.float32)

    def about(self) -> dict[str, str]:
        """The policies by source class, for run files and score files: they change every mean."""
        return dict(self.policies)


def regroup_map(
    classes: UInt8[np.ndarray, "H W"], regrouping: Regrouping, name: str = "the map"
) -> UInt8[np.ndarray, "H W"]:
    """Regroup a map (after argmax); 255 stays. Raises BadLabels for a value that the source set does not have."""
    check_map(classes, regrouping.source, name, ignored=True)
    return np.asarray(regrouping.table()[classes])


def regroup_probabilities(probabilities: Float[Tensor, "B K H W"], regrouping: Regrouping) -> Float[Tensor, "B G H W"]:
    """Sum probabilities (0..1, never logits) within groups: merging before argmax.

    It is not the same as regrouping the argmax: three classes of one group with 0.2 each beat another with 0.4.
    What ignored classes held is in no group, so the sums may stay below 1.
    """
    matrix = torch.from_numpy(regrouping.matrix()).to(probabilities)
    return torch.einsum("gk,bkhw->bghw", matrix, probabilities)


_LIP_HEAD: Final = ("hat", "hair", "sunglasses", "face")
_SIDES: Final = {"left arm": ("left arm",), "right arm": ("right arm",)} | {
    f"{side} leg": (f"{side} leg", f"{side} shoe") for side in ("left", "right")
}
_BACKGROUND: Final = {"background": ("background",)}
_LIP_UPPER: Final = ("upper-clothes", "dress", "coat", "scarf")
LIP20_PARTS7: Final = Regrouping(
    LIP20,
    PARTS7,
    {**_BACKGROUND, "head": _LIP_HEAD, "clothes": (*_LIP_UPPER, "pants", "jumpsuits", "skirt"), **_SIDES},
    {"glove": "ignore", "socks": "ignore"},
)
LIP20_PARTS8: Final = Regrouping(
    LIP20,
    PARTS8,
    {
        **_BACKGROUND,
        "head": _LIP_HEAD,
        "upper": _LIP_UPPER,
        "lower": ("socks", "pants", "jumpsuits", "skirt"),  # the skirt's one owner: two groups would claim it
        **_SIDES,
    },
    {"glove": "ignore"},
)
LIP20_PARTS6: Final = Regrouping(
    LIP20,
    PARTS6,
    {
        **_BACKGROUND,
        "head": _LIP_HEAD,
        "upper": (*_LIP_UPPER, "jumpsuits"),
        "arms": ("left arm", "right arm", "glove"),
        "lower": ("pants", "skirt"),
        "legs": ("left leg", "right leg"),
        "shoes": ("left shoe", "right shoe", "socks"),
    },
)
CIHP20_PARTS7: Final = Regrouping(
    CIHP20,
    PARTS7,
    {**_BACKGROUND, "head": _LIP_HEAD, "clothes": (*_LIP_UPPER, "pants", "skirt"), **_SIDES},
    {"glove": "ignore", "socks": "ignore", "torso skin": "ignore"},  # neck and bare trunk: LIP labels them unevenly
)
CIHP20_PARTS8: Final = Regrouping(
    CIHP20,
    PARTS8,
    {**_BACKGROUND, "head": _LIP_HEAD, "upper": _LIP_UPPER, "lower": ("socks", "pants", "skirt"), **_SIDES},
    {"glove": "ignore", "torso skin": "ignore"},
)
_ATR_UPPER: Final = ("upper-clothes", "dress", "scarf")
ATR18_PARTS7: Final = Regrouping(
    ATR18,
    PARTS7,
    {**_BACKGROUND, "head": _LIP_HEAD, "clothes": (*_ATR_UPPER, "skirt", "pants", "belt"), **_SIDES},
    {"bag": "ignore"},
)
ATR18_PARTS8: Final = Regrouping(
    ATR18,
    PARTS8,
    {**_BACKGROUND, "head": _LIP_HEAD, "upper": _ATR_UPPER, "lower": ("skirt", "pants"), **_SIDES},
    {"bag": "ignore", "belt": "ignore"},  # a belt parts the two
)
LIP20_STREET5: Final = Regrouping(
    LIP20,
    STREET5,
    {
        **_BACKGROUND,
        "hair and hat": ("hat", "hair"),
        "skin": ("face", "sunglasses", "left arm", "right arm", "left leg", "right leg"),
        "clothes": (*_LIP_UPPER, "pants", "jumpsuits", "skirt", "socks", "glove"),
        "shoes": ("left shoe", "right shoe"),
    },
)
CCP59_STREET5: Final = Regrouping(
    CCP59,
    STREET5,
    {
        "background": ("null",),
        "hair and hat": ("hair", "hat"),
        "skin": ("skin", "sunglasses", "glasses"),
        "clothes": (
            *("blazer", "blouse", "bodysuit", "bra", "cape", "cardigan", "coat", "dress", "gloves", "hoodie"),
            *("intimate", "jacket", "jeans", "jumper", "leggings", "panties", "pants", "romper", "scarf", "shirt"),
            *("shorts", "skirt", "socks", "suit", "sweater", "sweatshirt", "swimwear", "t-shirt", "tie", "top", "vest"),
        ),
        "shoes": (*("boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "shoes", "sneakers", "wedges"),),
    },
    # Things that LIP does not label, and thin stockings, which it calls clothes or leg as they look.
    dict.fromkeys(
        (
            *("accessories", "bag", "belt", "bracelet", "earrings", "necklace", "purse", "ring", "wallet", "watch"),
            *("stockings", "tights"),
        ),
        "ignore",
    ),
)
REGROUPINGS: Final = {
    (regrouping.source.name, regrouping.target.name): regrouping
    for regrouping in (
        *(LIP20_PARTS6, LIP20_PARTS7, LIP20_PARTS8, CIHP20_PARTS7, CIHP20_PARTS8, ATR18_PARTS7, ATR18_PARTS8),
        *(LIP20_STREET5, CCP59_STREET5),
    )
}


def find_regrouping(source: LabelSet, target: LabelSet, policies: Mapping[str, str] | None = None) -> Regrouping:
    """Known regrouping of two sets, or the one that changes nothing; `policies` replace those of the table.

    Raises BadLabels where no table says how `source` becomes `target`.
    """
    if source == target:
        found = Regrouping(source, target, {name: (name,) for name in source.classes})
    elif (source.name, target.name) in REGROUPINGS:
        found = REGROUPINGS[source.name, target.name]
    else:
        raise BadLabels(
            f"No table says how {source.name} becomes {target.name}; it can become: {', '.join(targets(source))}."
        )
    if not policies:
        return found
    return Regrouping(source, target, found.groups, {**found.policies, **policies})


def targets(source: LabelSet) -> list[str]:
    """Label sets that maps of `source` can be asked for: itself and those that a table leads to."""
    return [source.name, *sorted(target for one, target in REGROUPINGS if one == source.name)]


def load_regrouping(path: Path) -> Regrouping:
    """Read a regrouping of the user's own in TOML: `source`, `target`, `[groups]`, and `[policies]` where needed.

    `source` and `target` are names of label sets or files with one, beside this file. Raises BadLabels naming file
    and class.
    """
    content = read_toml(path, {"source": str, "target": str, "groups": dict}, frozenset({"policies"}))
    for group, names in content["groups"].items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BadLabels(f"The group `{group}` in {path} is {names!r}; write a list of classes in quotes.")
    sets = []
    for key in ("source", "target"):
        beside = path.parent / content[key]
        sets.append(find_labels(str(beside) if beside.suffix == ".toml" else content[key]))
    groups = {group: tuple(names) for group, names in content["groups"].items()}
    policies = content.get("policies", {})
    if not isinstance(policies, dict) or not all(isinstance(policy, str) for policy in policies.values()):
        raise BadLabels(f"`[policies]` in {path} gives each class a policy in quotes: {POLICIES}.")
    try:
        return Regrouping(sets[0], sets[1], groups, policies)
    except BadLabels as error:
        raise BadLabels(f"{path}: {error}") from error


REGIONS: Final = ("foreground", "head", "upper", "lower", "shoes")
_REGION_CLASSES: Final = (
    tuple(range(1, 20)),
    (1, 2, 4, 13),
    (3, 5, 6, 7, 10, 11, 14, 15),
    (9, 12, 16, 17),
    (8, 18, 19),
)
POOLING: Final[Float32[np.ndarray, "5 20"]] = np.array(
    [[number in numbers for number in range(20)] for numbers in _REGION_CLASSES], np.float32
)
"""SPReID's five regions as sums of the probabilities of `lip20`, rows as in REGIONS. They overlap (the foreground holds
all others), so they are weights to pool with and no label set; no region has a side, so a mirror changes none."""
POOLING.setflags(write=False)


def mirrors(regrouping: Regrouping) -> bool:
    """Whether flipping a map and regrouping it can be done in either order."""
    for name in regrouping.source.classes:
        here, there = regrouping.group_of(name), regrouping.group_of(mirrored_name(name))
        if here != IGNORE and mirrored_name(regrouping.target.classes[here]) != regrouping.target.classes[there]:
            return False
        if (here == IGNORE) != (there == IGNORE):
            return False
    return True
