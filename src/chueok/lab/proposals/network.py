"""The proposal network: every face of 12 to 24 pixels in a picture, in one pass of five convolutions.

P-Net (vision/pnet.py) judges windows of 12 pixels, two pixels apart, on levels of a pyramid that halve in area. This
one sees 31 pixels around each cell, so it can stand four pixels apart, on levels that halve in length: 1,700
multiplications a pixel of the finest level (which has a third more pixels than P-Net's) with all below it, where P-Net
takes 3,700. Channels come in whole blocks of 16, as ONNX Runtime's convolutions want them.

Importing this file imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from chueok.vision.means import HALF
from chueok.vision.models.compile import Blueprint

if TYPE_CHECKING:
    from collections.abc import Iterator

_RARE = -4.0  # the logit at first: one cell in fifty holds a face, and learning begins calmly


class ProposalNet(nn.Module):
    """Cells of four pixels: (n, 3, h, w) float32 RGB 0..255 -> (n, 5, ceil(h / 4), ceil(w / 4)).

    Channels: left, top, right and bottom of a face, from the cell's place in units of 16 pixels, and its logit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(3, 16, step=2),
            *_convolution(16, 32, step=2),
            *_convolution(32, 32),
            *_separable(32, 48),
            *_separable(48, 48),
        )
        self.head = nn.Conv2d(48, 5, 1)
        nn.init.constant_(self.head.bias[4:], _RARE)  # type: ignore[index]

    def forward(self, pictures: Tensor) -> Tensor:
        """As the class says."""
        cells: Tensor = self.head(self.layers((pictures - HALF) / HALF))
        return cells


class _Answering(nn.Module):
    """A trained network, its batch norms folded in, for pixels as they lie in memory."""

    def __init__(self, net: ProposalNet) -> None:
        super().__init__()
        self.layers, self.head = nn.Sequential(*_folded(list(net.layers))), net.head

    def forward(self, picture: Tensor) -> Tensor:
        """picture: (1, h, w, 3) uint8 RGB."""
        cells: Tensor = self.head(self.layers((picture.permute(0, 3, 1, 2).float() - HALF) / HALF))
        return cells


def blueprint(net: ProposalNet) -> Blueprint:
    """The network as vision/proposals.py runs it: (1, h, w, 3) uint8 RGB -> (1, 5, ceil(h / 4), ceil(w / 4))."""
    example = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)
    return Blueprint(_Answering(net.eval()), example, varying=(1, 2), outputs=("cells",))


def _convolution(inputs: int, outputs: int, step: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, step, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _separable(inputs: int, outputs: int) -> list[nn.Module]:
    """Each channel by itself, then all together (Howard et al. 2017, arXiv 1704.04861): a seventh of the work."""
    alone = nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False)
    together = nn.Conv2d(inputs, outputs, 1, bias=False)
    return [alone, nn.BatchNorm2d(inputs), together, nn.BatchNorm2d(outputs), nn.ReLU()]


def _folded(layers: list[nn.Module]) -> Iterator[nn.Module]:
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            yield fuse_conv_bn_eval(layer, following)
        elif not isinstance(layer, nn.BatchNorm2d):
            yield layer
