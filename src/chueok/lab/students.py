"""Small networks that learn from a large one: plain 3x3 convolutions, which quantise and run well on any processor.

Importing this file imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from chueok.vision.align import TEMPLATE_PIXELS


@dataclass(frozen=True, slots=True)
class Shape:
    """How wide and deep a student is."""

    stem: int  # channels at 56 x 56
    widths: tuple[int, ...]  # channels at 28 x 28, 14 x 14, 7 x 7
    depths: tuple[int, ...]  # residual blocks there
    head: int  # channels before the 7 x 7 places become one
    # Channels between the two convolutions of the blocks there; none given: as many as outside. Not shown, so that runs
    # begun before there was any go on: lab/training.py, _origin
    inner: tuple[int, ...] = field(default=(), repr=False)


# What each costs and learns in the same 12,800 views: docs/lab.md
SHAPES = {
    "lite": Shape(16, (48, 112, 160), (1, 4, 1), 384),  # the packaged model's
    "small": Shape(16, (48, 96, 160), (2, 3, 1), 384),
    "medium": Shape(32, (64, 112, 160), (2, 4, 1), 384),
}


class Student(nn.Module):
    """(n, 3, 112, 112) float32 RGB 0..255 -> (n, dimension) float32, unit rows."""

    def __init__(self, shape: Shape, dimension: int) -> None:
        super().__init__()
        self.shape, self.dimension = shape, dimension
        first = shape.widths[0]
        inner = shape.inner or shape.widths
        layers: list[nn.Module] = [
            _convolution(3, shape.stem, stride=2),
            _convolution(shape.stem, first, stride=2),
        ]
        layers += [Residual(first, inner[0]) for _ in range(shape.depths[0])]
        for (narrow, wide), within, depth in zip(
            pairwise(shape.widths), inner[1:], shape.depths[1:], strict=True
        ):
            layers += [_convolution(narrow, wide, stride=2), *(Residual(wide, within) for _ in range(depth))]
        self.body = nn.Sequential(*layers)
        self.expand = _convolution(shape.widths[-1], shape.head, kernel=1)
        # every place of the face has weights of its own: MobileFaceNets, Chen et al. 2018, arXiv 1804.07573, 3.1
        places = TEMPLATE_PIXELS >> len(shape.widths) + 1
        self.gather = nn.Conv2d(shape.head, shape.head, places, groups=shape.head, bias=False)
        self.gather_norm = _norm(shape.head)
        self.embed = nn.Conv2d(shape.head, dimension, 1, bias=False)
        self.embed_norm = _norm(dimension)

    def forward(self, images: Tensor) -> Tensor:
        scaled = (images - 127.5) / 64  # about zero mean, unit spread
        gathered = self.gather_norm(self.gather(self.expand(self.body(scaled))))
        return functional.normalize(self.embed_norm(self.embed(gathered)).flatten(1).float())


class Residual(nn.Module):
    """Two convolutions beside a shortcut. He et al. 2015, arXiv 1512.03385."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.first = _convolution(channels, inner)
        self.second = nn.Conv2d(inner, channels, 3, padding=1, bias=False)
        self.norm = _norm(channels)
        # a block begins as its shortcut alone: Goyal et al. 2017, arXiv 1706.02677, 5.1
        nn.init.zeros_(self.norm.weight)

    def forward(self, images: Tensor) -> Tensor:
        return functional.relu(images + cast("Tensor", self.norm(self.second(self.first(images)))))


def _norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm whose statistics for inference come from the last hundred steps, as batches are small."""
    return nn.BatchNorm2d(channels, momentum=0.02)


def _convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, _norm(outputs), nn.ReLU())
