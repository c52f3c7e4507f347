"""P-Net, R-Net and O-Net of MTCNN for compile.py, rearranged to run faster without changing what they compute.

Imports torch: only export.py, in its child process, imports this file.

ONNX Runtime's convolutions use the whole vector unit, as long as numbers stay in its layout: blocks of 16 channels.
PRelu, Max and Split leave it, and took half of P-Net's time (measured with 1.27 on AVX-512). So a PReLU becomes what
stays in it: a Relu, and a convolution that adds to it. All networks answer with one tensor, the logit of "face" last:
a softmax over two classes is a sigmoid of their difference.
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
    """Proposals: (n, 3, h, w) -> (n, 5, h', w'), h' = (h - 9) // 2: four offsets and the logit of a face."""
    net = _loaded(PNet(pretrained=False), state)
    first = Opening(net.conv1, net.prelu1, net.pool1)
    second = Bend(net.prelu2)
    weight = torch.cat([net.conv4_2.weight, _face(net.conv4_1.weight)])
    heads = _conv(weight, torch.cat([_bias(net.conv4_2), _face(_bias(net.conv4_1))]))
    module = nn.Sequential(
        *(first, _after(first.scale, net.conv2), second, _after(second.scale, net.conv3)),
        Heads(net.prelu3, heads),
    )
    return Blueprint(module, torch.zeros(2, 3, 24, 32), varying=(0, 2, 3), outputs=("cells",))


def rnet(state: StateDict) -> Blueprint:
    """Refinement: (n, 3, 24, 24) -> (n, 5): four offsets and the logit of a face."""
    net = _loaded(RNet(pretrained=False), state)
    first = Opening(net.conv1, net.prelu1, net.pool1)
    second, third = Bend(net.prelu2), Bend(net.prelu3)
    module = nn.Sequential(
        *(first, _after(first.scale, net.conv2), second, net.pool2, _after(second.scale, net.conv3), third),
        Judge(third.scale, net.dense4, net.prelu4, [net.dense5_2], net.dense5_1),
    )
    return Blueprint(module, torch.zeros(2, 3, 24, 24), outputs=("verdicts",))


def onet(state: StateDict) -> Blueprint:
    """Output: (n, 3, 48, 48) -> (n, 15): four offsets, ten landmarks and the logit of a face.

    Landmarks are five x, then five y, as shares of the box.
    """
    net = _loaded(ONet(pretrained=False), state)
    first = Opening(net.conv1, net.prelu1, net.pool1)
    second, third, fourth = Bend(net.prelu2), Bend(net.prelu3), Bend(net.prelu4)
    module = nn.Sequential(
        *(first, _after(first.scale, net.conv2), second, net.pool2, _after(second.scale, net.conv3), third),
        *(net.pool3, _after(third.scale, net.conv4), fourth),
        Judge(fourth.scale, net.dense5, net.prelu5, [net.dense6_2, net.dense6_3], net.dense6_1),
    )
    return Blueprint(module, torch.zeros(2, 3, 48, 48), outputs=("verdicts",))


class Bend(nn.Module):
    """A PReLU of slope s over (1 - s), which whatever comes next multiplies back: relu(x) + s / (1 - s) * x."""

    def __init__(self, prelu: nn.PReLU) -> None:
        super().__init__()
        slopes = prelu.weight.detach()
        if bool((slopes >= 1).any()):
            raise ValueError(
                "a slope of 1 or more would need a factor that a maximum pooling does not let through"
            )
        self.scale = 1 - slopes  # (channels,)
        share = _padded(slopes / self.scale, _blocks(len(slopes))).reshape(-1, 1, 1, 1)
        self.share = _conv(share, torch.zeros(len(share)), groups=len(share))

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, channels, h, w)."""
        bent: Tensor = torch.relu(x) + self.share(x)
        return bent


class Heads(nn.Module):
    """A PReLU of slope s and a convolution of few outputs: that of relu(x) by (1 - s), and that of x by s."""

    def __init__(self, prelu: nn.PReLU, conv: nn.Conv2d) -> None:
        super().__init__()
        slopes = prelu.weight.detach().reshape(1, -1, 1, 1)
        self.bent = _conv(conv.weight * (1 - slopes), _bias(conv))
        self.straight = _conv(conv.weight * slopes, torch.zeros(conv.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, channels, h, w)."""
        numbers: Tensor = self.bent(torch.relu(x)) + self.straight(x)
        return numbers


class Opening(nn.Module):
    """Convolution, PReLU over (1 - slope) and maximum pooling, with the PReLU last, where a quarter is left.

    A PReLU that rises commutes with a maximum. One with a negative slope s is max(x, s * x), whose maximum over a
    window is max(pool(x), pool(s * x)) = pool(x) + relu(pool(s * x) - pool(x)); further channels of the convolution,
    with weights s * w, provide s * x. P-Net's 10 + 6 channels fill one block.
    """

    def __init__(self, conv: nn.Conv2d, prelu: nn.PReLU, pool: nn.MaxPool2d) -> None:
        super().__init__()
        slopes = prelu.weight.detach()
        falling = torch.nonzero(slopes < 0).flatten()
        rising = torch.nonzero(slopes >= 0).flatten()
        inner, outer = _blocks(len(slopes) + len(falling)), _blocks(len(slopes))
        steeper = slopes[falling].reshape(-1, 1, 1, 1) * conv.weight[falling]
        bias = torch.cat([_bias(conv), slopes[falling] * _bias(conv)[falling]])
        self.conv = _conv(_padded(torch.cat([conv.weight, steeper]), inner), _padded(bias, inner))
        self.pool = pool
        bent, share = torch.zeros(2, outer, inner)
        bent[rising, rising] = 1.0
        bent[falling, falling] = -1.0
        bent[falling, len(slopes) + torch.arange(len(falling))] = 1.0
        share[rising, rising] = slopes[rising] / (1 - slopes[rising])
        share[falling, falling] = 1.0
        self.bent, self.share = (
            _conv(matrix[..., None, None], torch.zeros(outer)) for matrix in (bent, share)
        )
        self.scale = torch.where(slopes < 0, 1.0, 1 - slopes)  # (channels,)

    def forward(self, image: Tensor) -> Tensor:
        """image: (n, 3, h, w). Returns (n, channels, h', w'), padded to whole blocks."""
        pooled = self.pool(self.conv(image))
        opened: Tensor = torch.relu(self.bent(pooled)) + self.share(pooled)
        return opened


class Judge(nn.Module):
    """The dense layers: what was seen of each candidate -> its numbers, the logit of a face last."""

    def __init__(
        self, scale: Tensor, dense: nn.Linear, prelu: nn.PReLU, places: list[nn.Linear], faces: nn.Linear
    ) -> None:
        super().__init__()
        # MTCNN's columns run over (x, y, channel), a tensor's values over (channel, y, x)
        side = round((dense.in_features / len(scale)) ** 0.5)
        columns = dense.weight.reshape(-1, side, side, len(scale)).permute(0, 3, 2, 1)
        self.dense = _linear((columns * scale.reshape(-1, 1, 1)).flatten(1), dense.bias)
        if bool((prelu.weight > 1).any()):
            raise ValueError("a slope above 1 makes a PReLU no maximum")
        self.slopes = nn.Parameter(prelu.weight.detach())
        self.heads = _linear(
            torch.cat([*(head.weight for head in places), _face(faces.weight)]),
            torch.cat([*(head.bias for head in places), _face(faces.bias)]),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, channels, side, side)."""
        x = self.dense(x.flatten(1))
        numbers: Tensor = self.heads(torch.maximum(x, x * self.slopes))
        return numbers


def _loaded(net: Net, state: StateDict) -> Net:
    net.load_state_dict(state)
    return net


def _after(scale: Tensor, conv: nn.Conv2d) -> nn.Conv2d:
    """The convolution for inputs that still want this factor; inputs, and outputs it hands on, in whole blocks."""
    inputs = _blocks(len(scale))
    weight = (conv.weight * scale.reshape(1, -1, 1, 1)).transpose(0, 1)
    outputs = _blocks(conv.out_channels)
    weight = _padded(_padded(weight, inputs).transpose(0, 1), outputs)
    return _conv(weight, _padded(_bias(conv), outputs))


def _blocks(channels: int) -> int:
    """The channels, and as many more as fill the last block."""
    return channels + -channels % _BLOCK


def _padded(rows: Tensor, count: int) -> Tensor:
    """The rows, and zeros below them until there are `count`."""
    return torch.cat([rows, rows.new_zeros(count - len(rows), *rows.shape[1:])])


def _face(rows: Tensor) -> Tensor:
    """Of weights for [no face, face], (2, ...): those of the logit of a face, (1, ...)."""
    return rows[1:] - rows[:1]


def _conv(weight: Tensor, bias: Tensor, groups: int = 1) -> nn.Conv2d:
    """A convolution with these numbers: weight (out, in / groups, k, k), bias (out,)."""
    conv = nn.Conv2d(weight.shape[1] * groups, weight.shape[0], weight.shape[2], groups=groups)
    conv.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return conv


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A dense layer with these numbers: weight (out, in), bias (out,)."""
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return linear


def _bias(conv: nn.Conv2d) -> Tensor:
    """The bias, which all of MTCNN's convolutions have."""
    if conv.bias is None:
        raise ValueError("a convolution without bias is not MTCNN's")
    return conv.bias
