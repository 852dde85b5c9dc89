"""The settings of a parser's training run: the only home of their defaults. Recipe files change some of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final, Literal

from resight.data.parsing_batches import Spoiling
from resight.errors import BadRecipe
from resight.train.recipe import check_numbers

LITE: Final = "efficientnet-lite0"
"""Backbone of the parser `lite`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shares:
    """How much of a batch comes from each kind of source; kinds without data are left out and the rest fills up."""

    full: float = 1.0
    """Sets with whole label maps of a crop (LIP, CIHP, ATR, Pascal-Person-Part layouts)."""
    rendered: float = 1.0
    """Rendered people: exact, with sides and other persons."""
    ccp: float = 1.0
    """Clothing Co-Parsing: real photos, sides unknown."""
    pennfudan: float = 0.3
    """Penn-Fudan: outlines of persons."""
    market: float = 0.3
    """Keypoints of Market-1501's training crops."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParserRecipe:
    """How a parser is built and trained."""

    parser: str = "lite"
    """Which network; `lite`, `ce2p`, `attention-ssl` or `cocnn`."""
    labels: str = "lip20"
    """Label set or regrouping that the network answers in."""
    backbone: str = LITE
    """What turns a picture into maps of features."""
    backbone_weights: str = "imagenet"
    """`imagenet`, `none`, or a file of backbone weights."""
    start: str = ""
    """Run folder or weights file of a parser of the same kind to go on from, instead of new weights."""
    height: int = 128
    """Height of training pictures in pixels."""
    width: int = 64
    """Width of training pictures in pixels."""
    batch: int = 64
    """Pictures in a batch, over all processes."""
    steps: int = 6000
    """Batches of the whole run."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    """Which optimiser; `momentum` belongs to sgd."""
    learning_rate: float = 2e-3
    """Peak of the schedule; ImageNet-initialised layers take `backbone_rate` of it."""
    backbone_rate: float = 1.0
    """Share of the learning rate that the backbone takes."""
    schedule: Literal["cosine", "poly"] = "cosine"
    """How the rate falls, per step."""
    power: float = 0.9
    """Of the poly schedule."""
    warmup: int = 0
    """Steps of linear warm-up."""
    last_rate: float = 0.005
    """Share of the peak that the cosine ends at."""
    momentum: float = 0.9
    """Of sgd."""
    weight_decay: float = 0.02
    """Not on biases and norms with adamw, on everything with sgd (as the papers' code does)."""
    crop: Literal["box", "random", "whole"] = "box"
    """`box`: the person's box, loosely; `random`: a window of the scaled photo; `whole`: the photo, stretched."""
    scale: tuple[float, float] = (0.8, 1.35)
    """Smallest and largest random scale: of the view around the box, or of the photo."""
    shift: float = 0.12
    """Largest shift of the box, as a share of its sides."""
    mirror: float = 0.5
    """Chance of a mirrored picture, 0..1; the sides of the labels change with it."""
    spoiling: Spoiling = field(default_factory=Spoiling)
    """Other random changes (crop = "box" alone)."""
    shares: Shares = field(default_factory=Shares)
    """Of the sources in a batch."""
    balance: float = 0.35
    """Weight of a label is its pixels' share to the power of minus this, within 0.3 and 4; 0 = all labels weigh 1."""
    point_weight: float = 3.0
    """How much more a label weighs that key points alone name (parser-lite)."""
    edge_weight: float = 0.5
    """How much more a pixel beside another label weighs (parser-lite)."""
    second_weight: float = 0.3
    """Weight of finding another person's pixels (parser-lite)."""
    side_weight: float = 0.3
    """Weight of telling left from right where the truth has a side (parser-lite)."""
    view_weight: float = 1.0
    """Weight of telling from where the person is seen (parser-lite)."""
    hidden_weight: float = 0.3
    """Weight of telling whether something hides a part of the person (parser-lite)."""
    company_weight: float = 0.3
    """Weight of telling whether a part of another person shows (parser-lite)."""
    sure_weight: float = 0.05
    """Weight of foreseeing the map's quality (parser-lite)."""
    average: float = 0.999
    """Decay of the moving average of the weights, which is what is saved; 0 = none."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the forward pass; bf16 and fp16 pay on a GPU only."""
    workers: int = 2
    """Threads that read photos ahead (crop = "random" and "whole")."""
    validate_every: int = 1000
    """Steps between scorings of what is held out; 0 = at the end alone."""
    seed: int = 1
    """Of weights, order and changes."""

    def check(self) -> ParserRecipe:
        """Raise BadRecipe for numbers that make no run; returns itself."""
        check_numbers(self, LEAST, SHARES)
        if not self.scale[0] > 0:
            raise BadRecipe(f"`scale` is {self.scale}; it must be two numbers above 0, the smaller one first.")
        if self.parser == "lite" and self.backbone != LITE:
            raise BadRecipe(f"`backbone` is {self.backbone}; the parser `lite` stands on {LITE} alone.")
        return self


LEAST: Final = {
    **{"height": 16, "width": 8, "batch": 1, "steps": 1, "workers": 1, "validate-every": 0, "warmup": 0},
    **{"scale": 0, "shift": 0, "power": 0, "weight-decay": 0, "backbone-rate": 0, "balance": 0},
    **{field.name.replace("_", "-"): 0 for field in fields(ParserRecipe) if field.name.endswith("_weight")},
    **{f"shares.{field.name}": 0 for field in fields(Shares)},
    **{f"spoiling.{name}": 0 for name in ("turn", "stretch", "light", "colour", "noise")},
    "spoiling.low-height": 1,
}
"""The smallest value that a number of a parser's recipe may have."""
SHARES: Final = (
    *("mirror", "average", "last-rate", "momentum"),
    *(f"spoiling.{name}" for name in ("grey", "low", "compress", "second", "erase")),
)
"""Its chances and shares, 0 to 1."""
