"""OSNet x1.0 from its paper, for timing alone: what one-pass's speed is compared with.

Source: Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019, arXiv:1905.00953: table 1
and figures 3 and 4. It gives 2.2 M parameters and 978.9 M multiply-adds at 256 × 128 (tests/test_one_pass_speed.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _conv(inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, active: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if active else []))


def _lite(channels: int) -> nn.Sequential:
    """Pointwise, then depthwise 3 × 3: the paper's Lite 3 × 3."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class OmniScaleBlock(nn.Module):
    """Four streams of one to four Lite 3 × 3, weighed channel by channel by one shared gate, and a residual."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // 4
        self.first = _conv(inputs, middle)
        self.streams = nn.ModuleList([nn.Sequential(*(_lite(middle) for _ in range(depth))) for depth in (1, 2, 3, 4)])
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(middle, middle // 16, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle // 16, middle, 1),
            nn.Sigmoid(),
        )
        self.last = _conv(middle, outputs, active=False)
        self.shortcut = None if inputs == outputs else _conv(inputs, outputs, active=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        found = [stream(y) for stream in self.streams]
        joined = torch.stack([self.gate(one) * one for one in found]).sum(0)
        return F.relu(self.last(joined) + (x if self.shortcut is None else self.shortcut(x)), inplace=True)


class OSNet(nn.Module):
    """Pictures B 3 H W -> features B 512, as it is used after training."""

    def __init__(self) -> None:
        super().__init__()
        block = OmniScaleBlock
        self.body = nn.Sequential(
            *(_conv(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, 1)),
            *(block(64, 256), block(256, 256), _conv(256, 256), nn.AvgPool2d(2)),
            *(block(256, 384), block(384, 384), _conv(384, 384), nn.AvgPool2d(2)),
            *(block(384, 512), block(512, 512), _conv(512, 512)),
        )
        self.features = nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(inplace=True))

    def forward(self, images: Tensor) -> Tensor:
        return torch.as_tensor(self.features(self.body(images).mean((2, 3))))
