"""VGG-16 as DeepLab-LargeFOV cut it: an eighth of the picture's size, with a wide view.

Source: Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556; Chen et al., "DeepLab", ICLR 2015, arXiv:1412.7062.
Differs from VGG-16: pools of 3 × 3, the last two without stride, the last three convolutions dilated by 2. The
convolutions keep torchvision's names and shapes, so that its ImageNet weights fit (the classifier left out).
Proof: tests/parsers/test_attention_ssl.py.
"""

from __future__ import annotations

from typing import Final

from jaxtyping import Float
from torch import Tensor, nn

from resight.nn.freezable import FreezableBackbone

STAGES: Final = (  # convolutions, channels, dilation, stride of the pool behind them
    (2, 64, 1, 2),
    (2, 128, 1, 2),
    (3, 256, 1, 2),
    (3, 512, 1, 1),
    (3, 512, 2, 1),
)


class VGG16(FreezableBackbone):
    """Pictures B 3 H W -> maps B 512 H/8 W/8, rounded up."""

    channels = 512

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for convolutions, channels, dilation, stride in STAGES:
            for _ in range(convolutions):
                layers += [nn.Conv2d(inputs, channels, 3, 1, dilation, dilation), nn.ReLU(inplace=True)]
                inputs = channels
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.features = nn.Sequential(*layers)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def _in_order(self) -> tuple[list[nn.Module], list[nn.Module]]:
        convolutions: list[nn.Module] = [layer for layer in self.features if isinstance(layer, nn.Conv2d)]
        return convolutions[:1], convolutions[1:]

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        maps: Tensor = self.features(images)
        return maps
