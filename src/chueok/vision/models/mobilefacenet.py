"""MobileFaceNet as a torch module. Importing this file imports torch: only the compiler and the lab do.

MobileFaceNets, Chen et al. 2018, arXiv 1804.07573, with ReLU6 for PReLU and a last layer with bias and batch
norm. Layers are named as in the weights of github.com/foamliu/MobileFaceNet (Apache-2.0).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

from torch import Tensor, nn

# The paper's table 1, its bottlenecks: expansion, channels, how many, stride of the first
_BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class MobileFaceNet(nn.Sequential):
    """(n, 3, 112, 112) float32 -> (n, 128) float32, not of unit length."""

    def __init__(self) -> None:
        stem, width, dimension = 64, 512, 128
        bottlenecks = _bottlenecks(stem)
        super().__init__(
            OrderedDict(
                conv1=_convolution(3, stem, kernel=3, stride=2),
                dw_conv=_separable(stem),
                features=nn.Sequential(*bottlenecks),
                conv2=_convolution(bottlenecks[-1].channels, width),
                gdconv=_named(
                    depthwise=nn.Conv2d(width, width, 7, groups=width, bias=False), bn=nn.BatchNorm2d(width)
                ),
                conv3=nn.Conv2d(width, dimension, 1),
                bn=nn.BatchNorm2d(dimension),
                flatten=nn.Flatten(),
            )
        )


class _Bottleneck(nn.Module):
    """Inverted residual: expand, filter each channel, project without activation; skip where shapes agree."""

    def __init__(self, inputs: int, channels: int, expansion: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self._skip = stride == 1 and inputs == channels
        width = inputs * expansion
        self.conv = nn.Sequential(
            _convolution(inputs, width),
            _convolution(width, width, kernel=3, stride=stride, groups=width),
            nn.Conv2d(width, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        filtered = cast("Tensor", self.conv(images))
        return images + filtered if self._skip else filtered


def _bottlenecks(inputs: int) -> list[_Bottleneck]:
    blocks: list[_Bottleneck] = []
    for expansion, channels, count, first_stride in _BOTTLENECKS:
        for stride in [first_stride] + [1] * (count - 1):
            blocks.append(_Bottleneck(inputs, channels, expansion, stride))
            inputs = channels
    return blocks


def _convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU6; the size is kept but for the stride."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


def _separable(channels: int) -> nn.Sequential:
    """Depthwise 3x3, then pointwise 1x1, each with batch norm and ReLU."""
    return _named(
        depthwise=nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        bn1=nn.BatchNorm2d(channels),
        relu1=nn.ReLU(),
        pointwise=nn.Conv2d(channels, channels, 1, bias=False),
        bn2=nn.BatchNorm2d(channels),
        relu2=nn.ReLU(),
    )


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
