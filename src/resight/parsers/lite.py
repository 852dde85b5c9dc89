"""parser-lite: a light parser for crops of 256 × 128 pixels and below, which parses the wanted person of two.

An own design: the first stages of EfficientNet-Lite0 (ImageNet weights; Tan and Le, ICML 2019), a context block at
stride 16, and a decoder of depthwise convolutions that adds the finer maps up to stride 2. The wanted person is the
one that the box was made for, so every level sees where it looks: two channels hold the place in the crop, -1..1.
Left and right are the person's own: a foot in the left half is the right one from the front and the left one from
behind. So the context block says from where the person is seen, and every level reads it (`FromView`).
Differs from usual parsers: it also says which pixels are another person's, whether anybody else shows at all, the
view, whether something hides a part of the person, and how good it expects its map to be.
Proof: tests/parsers/test_lite.py; benchmarks/parser_speed.py.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from resight.nn.backbones import (
    DECODED_BLOCKS,
    DECODED_CHANNELS,
    DECODED_STRIDE,
    EfficientNetLite,
    in_multiples,
)
from resight.nn.freezable import FreezableBackbone
from resight.nn.normed import NormedConv, normed
from resight.nn.parsing import Parsing

KEPT_BLOCKS: Final = 11
"""Of EfficientNet-Lite0: up to 112 channels at stride 16."""
FIELDS: Final = (4, 2)
TELLS: Final = ("hides", "company")
"""Parts of the head that tell something of the whole crop; networks of before lack them."""


class LiteBackbone(FreezableBackbone):
    """The first blocks of EfficientNet-Lite0 under their names; pictures B 3 H W -> maps at strides 2, 4, 8, 16."""

    channels = DECODED_CHANNELS[-1]

    def __init__(self) -> None:
        super().__init__()
        whole = EfficientNetLite()
        self.conv_stem, self.bn0 = whole.conv_stem, whole.bn0
        self.blocks = nn.ModuleList(list(whole.blocks)[:KEPT_BLOCKS])

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        return [self.conv_stem, self.bn0], list(self.blocks)

    def load_whole(self, state: dict[str, Tensor]) -> None:
        """Take what belongs here from the weights of a whole EfficientNet-Lite0."""
        self.load_state_dict({name: state[name] for name in self.state_dict()})

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        x = F.relu6(normed(self.conv_stem, self.bn0, images), inplace=True)
        taps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in DECODED_BLOCKS:
                taps.append(x)
        return tuple(taps)


def _pointwise(inputs: int, outputs: int) -> NormedConv:
    return NormedConv(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


class Separable(nn.Module):
    """Depthwise k × k, then 1 × 1, each with batch norm; the input is added when asked."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        pad = dilation * (kernel // 2)
        self.depthwise = nn.Conv2d(inputs, inputs, kernel, 1, pad, dilation, groups=inputs, bias=False)
        self.norm = nn.BatchNorm2d(inputs)
        self.point = _pointwise(inputs, outputs)
        self.shortcut = inputs == outputs

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        y = F.relu(normed(self.depthwise, self.norm, x), inplace=True)
        y = self.point(y)
        return F.relu(x + y if self.shortcut else y, inplace=True)


class Context(nn.Module):
    """Gather what is far away, by wide depthwise kernels and the mean of the whole crop, and tell the view from it."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.reduce = _pointwise(inputs + 2, channels)
        self.near = Separable(channels, channels, kernel=5)
        self.far = Separable(channels, channels, kernel=5, dilation=2)
        self.whole = nn.Linear(channels, channels)
        self.view = nn.Linear(channels, 2)
        self.from_view = FromView(channels)
        self.join = Separable(channels, channels, kernel=5)

    def forward(self, x: Float[Tensor, "B C h w"]) -> tuple[Float[Tensor, "B D h w"], Float[Tensor, "B 2"]]:
        x = F.relu(self.reduce(with_places(x)), inplace=True)
        x = self.far(self.near(x))
        mean = x.mean((2, 3))
        view = self.view(mean)
        x = x + self.whole(mean)[:, :, None, None]
        return self.join(self.from_view(x, view)), view


def with_places(maps: Float[Tensor, "B C h w"]) -> Float[Tensor, "B E h w"]:
    """Append two channels: how far down and how far right a cell's centre lies, -1..1."""
    return torch.cat([maps, _places(maps)[None].expand(maps.shape[0], -1, -1, -1)], 1)


def _places(maps: Float[Tensor, "B C h w"]) -> Float[Tensor, "2 h w"]:
    high, wide = maps.shape[2:]
    down = (torch.arange(high, device=maps.device, dtype=maps.dtype) * 2 + 1) / high - 1
    right = (torch.arange(wide, device=maps.device, dtype=maps.dtype) * 2 + 1) / wide - 1
    return torch.stack([down[:, None].expand(high, wide), right[None].expand(high, wide)])


class FromView(nn.Module):
    """Let the view change maps: each channel's strength, its level, and its slope from left to right."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Linear(2, 3 * channels)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(self, x: Float[Tensor, "B C h w"], view: Float[Tensor, "B 2"]) -> Float[Tensor, "B C h w"]:
        strength, level, slope = self.change(view)[:, :, None, None].chunk(3, 1)
        return torch.as_tensor(x * (1 + strength) + level + slope * _places(x)[1])


class Hides(nn.Module):
    """Whether something hides a part of the person: context maps B C h w, seen in 4 × 2 fields -> logits B.

    Linear, so that a few hundred labels by eye can teach it (`scripts/teach_by_eye.py`).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Linear(FIELDS[0] * FIELDS[1] * channels, 1)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, " B"]:
        return torch.as_tensor(self.look(fields(x)).squeeze(1))


def fields(x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B E"]:
    """Means of context maps over 4 × 2 fields of the crop, as one row a picture."""
    return F.adaptive_avg_pool2d(x, FIELDS).flatten(1)


class AnyPlace(nn.Module):
    """Whether any place of a map shows something: maps B C h w -> logits B.

    Every place answers; the answers are weighed by their own softmax, so that one strip of an arm at a border is enough
    and the size of the crop does not matter.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = Separable(channels + 2, 96, kernel=5)
        self.answer = nn.Conv2d(96, 1, 1)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, " B"]:
        answers = self.answer(self.look(with_places(x))).flatten(1)
        return torch.as_tensor((answers * answers.softmax(1)).sum(1))


class Company(nn.Module):
    """Whether a part of another person shows: bodies are told from context, hands at a border from finer maps."""

    def __init__(self, context: int, fine: int) -> None:
        super().__init__()
        self.bodies, self.hands = AnyPlace(context), AnyPlace(fine)

    def forward(self, context: Float[Tensor, "B C h w"], fine: Float[Tensor, "B D H W"]) -> Float[Tensor, " B"]:
        return torch.as_tensor(self.bodies(context) + self.hands(fine))


class LiteHead(nn.Module):
    """Decoder from the maps at strides 2, 4, 8, 16 to a Parsing at stride 2."""

    def __init__(self, *, classes: int, width: int = 160, tells: bool = False) -> None:
        super().__init__()
        self.hides = Hides(width) if tells else None
        self.company = Company(width, 64) if tells else None
        fine, middle, coarse, deep = DECODED_CHANNELS
        self.context = Context(deep, width)
        self.skip8 = _pointwise(coarse, 96)
        self.up8 = _pointwise(width, 96)
        self.mix8, self.view8 = Separable(98, 96, kernel=5), FromView(96)
        self.refine8 = Separable(96, 96, kernel=3)
        self.skip4 = _pointwise(middle, 64)
        self.up4 = _pointwise(96, 64)
        self.mix4, self.view4 = Separable(66, 64, kernel=5), FromView(64)
        self.refine4 = Separable(64, 64, kernel=3)
        self.skip2 = _pointwise(fine, 32)
        self.up2 = _pointwise(64, 32)
        self.mix2 = Separable(32, 32, kernel=3)
        self.answer = nn.Conv2d(32, classes + 1, 1)
        self.coarse_answer = nn.Conv2d(64, classes + 1, 1)
        self.sure = nn.Sequential(nn.Linear(width + 64, 64), nn.ReLU(inplace=True), nn.Linear(64, 1))

    def decode(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Context at stride 16, view, maps at stride 4, and the answers at stride 2 (the last channel: others)."""
        fine, middle, coarse, deep = maps
        context, view = self.context(deep)
        x = self.mix8(with_places(F.relu(self.skip8(coarse) + _twice(self.up8(context)))))
        x = self.refine8(self.view8(x, view))
        x = self.mix4(with_places(F.relu(self.skip4(middle) + _twice(self.up4(x)))))
        middle4 = self.refine4(self.view4(x, view))
        x = self.mix2(F.relu(self.skip2(fine) + _twice(self.up2(middle4))))
        return context, view, middle4, self.answer(x) + _twice(self.coarse_answer(middle4))

    def forward(self, maps: tuple[Tensor, ...]) -> Parsing:
        context, view, middle4, found = self.decode(maps)
        seen = torch.cat([context.mean((2, 3)), middle4.mean((2, 3))], 1).detach()
        sure = torch.sigmoid(self.sure(seen).squeeze(1))
        hidden = None if self.hides is None else self.hides(context)
        company = None if self.company is None else self.company(context, middle4)
        second = found[:, -1:]
        return Parsing(logits=found[:, :-1], second=second, sure=sure, view=view, hidden=hidden, company=company)


def _twice(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


class ParserLite(nn.Module):
    """Backbone and head; images B 3 H W (normalised, any size) -> Parsing at half the size of the padded picture.

    Sides that are no multiple of 16 are stretched to the next one, so that the map covers the whole picture.
    """

    def __init__(self, *, classes: int = 20) -> None:
        super().__init__()
        self.backbone = LiteBackbone()
        self.head = LiteHead(classes=classes, tells=True)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Parsing:
        found: Parsing = self.head(self.backbone(in_multiples(images, DECODED_STRIDE)))
        return found
