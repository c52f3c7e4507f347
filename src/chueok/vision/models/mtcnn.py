"""P-Net, R-Net and O-Net of MTCNN for compile.py, rearranged to run faster without changing what they compute.

Imports torch: only export.py, in its child process, imports this file.

ONNX Runtime's convolutions use the whole vector unit; its PRelu takes 3 ns an element, which is half of
P-Net's time (measured with 1.27 on AVX-512). So activations become elementwise maxima, and the first and largest
one is applied after the pooling, where a quarter of the numbers are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import Tensor, nn

from chueok.vision.models.compile import Blueprint

if TYPE_CHECKING:
    from chueok.vision.models.compile import StateDict

Net = TypeVar("Net", PNet, RNet, ONet)

_BLOCK = 16  # channels: NchwcBlockSize of ONNX Runtime's kernels with AVX-512; 8 with AVX2, 4 on ARM


def pnet(state: StateDict) -> Blueprint:
    """Proposals: (n, 3, h, w) -> offsets (n, 4, h', w') and probability (n, 1, h', w'), h' = (h - 9) // 2."""
    net = _rearranged(PNet(pretrained=False), state)
    # a softmax over two classes is a sigmoid of their difference
    weight, bias = net.conv4_1.weight, net.conv4_1.bias
    net.conv4_1 = _conv(weight[1:] - weight[:1], bias[1:] - bias[:1])
    net.softmax4_1 = nn.Sigmoid()
    outputs = ("offsets", "probability")
    return Blueprint(net, torch.zeros(2, 3, 24, 32), varying=(0, 2, 3), outputs=outputs)


def rnet(state: StateDict) -> Blueprint:
    """Refinement: (n, 3, 24, 24) -> offsets (n, 4) and [no face, face] (n, 2)."""
    net = _rearranged(RNet(pretrained=False), state)
    return Blueprint(net, torch.zeros(2, 3, 24, 24), outputs=("offsets", "probabilities"))


def onet(state: StateDict) -> Blueprint:
    """Output: (n, 3, 48, 48) -> offsets (n, 4), landmarks (n, 10), [no face, face] (n, 2).

    Landmarks are five x, then five y, as shares of the box.
    """
    net = _rearranged(ONet(pretrained=False), state)
    return Blueprint(net, torch.zeros(2, 3, 48, 48), outputs=("offsets", "landmarks", "probabilities"))


def _rearranged(net: Net, state: StateDict) -> Net:
    """The network with these weights, its first layers an Opening and its activations Slopes."""
    net.load_state_dict(state)
    opening = Opening(net.conv1, net.prelu1, net.pool1)
    net.conv2 = _conv(net.conv2.weight[:, opening.order], net.conv2.bias)
    net.conv1, net.prelu1, net.pool1 = opening, nn.Identity(), nn.Identity()
    for name, child in net.named_children():
        if isinstance(child, nn.PReLU):
            setattr(net, name, Slopes(child.weight.detach()))
    return net


class Slopes(nn.Module):
    """PReLU as max(x, slope * x); that holds for slopes up to 1, and steeper ones take two more steps."""

    def __init__(self, slopes: Tensor) -> None:
        """slopes: (channels,)."""
        super().__init__()
        self.register_buffer("slopes", slopes)
        self.steep = bool((slopes > 1).any())

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, channels, ...)."""
        slopes = self.get_buffer("slopes").reshape(-1, *[1] * (x.dim() - 2))
        if self.steep:
            return x * slopes + torch.relu(x) * (1 - slopes)
        return torch.maximum(x, x * slopes)


class Opening(nn.Module):
    """Convolution, PReLU and maximum pooling, with the PReLU last.

    A PReLU that rises commutes with a maximum. One with a negative slope s is max(x, s * x), whose maximum over
    a window is max(pool(x), pool(s * x)); further channels of the convolution, with weights s * w, provide
    s * x. ONNX Runtime computes in blocks of 16 channels: P-Net's 10 + 6 cost what 10 do, and where they do
    not fill a block, channels of zeros do, since it pools twice as fast when nothing has to be repacked.
    """

    def __init__(self, conv: nn.Conv2d, prelu: nn.PReLU, pool: nn.MaxPool2d) -> None:
        super().__init__()
        slopes = prelu.weight.detach()
        self.order = torch.argsort(slopes, stable=True)  # of the output's channels: the falling ones first
        self.falling = int((slopes < 0).sum())
        slopes, weight, bias = slopes[self.order], conv.weight[self.order], _bias(conv)[self.order]
        falls = slopes[: self.falling]
        scaled = falls.reshape(-1, 1, 1, 1) * weight[: self.falling]
        self.spare = -(len(slopes) + self.falling) % _BLOCK
        self.conv = _conv(
            torch.cat([weight, scaled, weight.new_zeros(self.spare, *weight.shape[1:])]),
            torch.cat([bias, falls * bias[: self.falling], bias.new_zeros(self.spare)]),
        )
        self.pool = pool
        self.slopes = Slopes(slopes[self.falling :])

    def forward(self, image: Tensor) -> Tensor:
        """image: (n, 3, h, w). Returns (n, channels, h', w'), channels in `order`."""
        pooled = self.pool(self.conv(image))
        rising = len(self.order) - self.falling
        sizes = [self.falling, rising, self.falling, self.spare]
        falling, risen, scaled, _ = torch.split_with_sizes(pooled, sizes, dim=1)
        return torch.cat([torch.maximum(falling, scaled), self.slopes(risen)], dim=1)


def _conv(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution with these numbers: weight (out, in, k, k), bias (out,)."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2])
    conv.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return conv


def _bias(conv: nn.Conv2d) -> Tensor:
    """The bias, which all of MTCNN's convolutions have."""
    if conv.bias is None:
        raise ValueError("a convolution without bias is not MTCNN's")
    return conv.bias
