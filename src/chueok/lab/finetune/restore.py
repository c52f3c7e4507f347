"""The embedded model back in torch: a student's ONNX file, in eight bits or float, as the network it was made from.

Importing this file imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from chueok.errors import UsageError
from chueok.lab.students import Shape, Student

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A convolution as the file has it, its batch norm folded in."""

    weight: NDArray[np.float32]  # (outputs, inputs, k, k)
    bias: NDArray[np.float32]  # (outputs,)
    stride: int


_ADVICE = (
    "none that can learn here; give --model lite, mobilefacenet or facenet, or a model that was fine-tuned "
    "from lite"
)


def restored(network: bytes, name: str, advice: str = _ADVICE) -> Student:
    """The student an ONNX file holds, ready for inference; name, advice: for the sentence of an error.

    A rounded weight becomes its whole number times its channel's scale (Jacob et al. 2018, arXiv 1712.05877, eq. 1);
    activations are rounded no more. The file has no batch norms: they were folded into the convolutions. Here each
    stands for its convolution's shift alone, until `settle` gives it statistics. Raises UsageError for another network.
    """
    import onnx

    try:
        layers = list(_layers(onnx.load_from_string(network).graph))
        shape = _shape(layers)
        student = Student(shape, len(layers[-1].bias))
        norms = [part for part in student.modules() if isinstance(part, nn.BatchNorm2d)]
        for convolution, norm, layer in zip(_convolutions(student), norms, layers, strict=True):
            convolution.weight.data.copy_(torch.from_numpy(layer.weight))
            _stand_for_shift(norm, torch.from_numpy(layer.bias))
    except (LookupError, ValueError, RuntimeError) as error:
        raise UsageError(f"the network of {name!r} is {advice}") from error
    return student.eval()


def settle(student: Student, batches: Iterable[Tensor]) -> None:
    """Give the batch norms of a restored student the statistics they have on crops; its answers stay as they are.

    Without them the first step in training mode would be another network's: batches' own statistics would replace
    mean 0 and variance 1. batches: (n, 3, s, s) float32.
    """
    norms = [part for part in student.modules() if isinstance(part, nn.BatchNorm2d)]
    sums = [_Moments() for _ in norms]
    hooks = [norm.register_forward_pre_hook(moments) for norm, moments in zip(norms, sums, strict=True)]
    with torch.inference_mode():
        for batch in batches:
            student(batch)
    for hook in hooks:
        hook.remove()
    for norm, moments in zip(norms, sums, strict=True):
        _keep_answer(norm, *moments.mean_and_variance())


class _Moments:
    """Sums of what passes a layer, a channel each, in float64."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = 0, torch.zeros(1), torch.zeros(1)

    def __call__(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].double().transpose(0, 1).flatten(1)
        self._count += values.shape[1]
        self._sum = self._sum + values.sum(1)
        self._squares = self._squares + values.square().sum(1)

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        mean = self._sum / self._count
        return mean, (self._squares / self._count - mean.square()).clamp(min=0)


def _keep_answer(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Change a norm's statistics, and its gain and shift so that what it says at inference stays."""
    running_mean, running_var = _statistics(norm)
    with torch.no_grad():
        before = norm.weight.double() / (running_var.double() + norm.eps).sqrt()
        norm.bias.copy_(norm.bias.double() + before * (mean - running_mean.double()))
        norm.weight.copy_(before * (variance + norm.eps).sqrt())
        running_mean.copy_(mean)
        running_var.copy_(variance)


def _stand_for_shift(norm: nn.BatchNorm2d, shift: Tensor) -> None:
    """A norm that adds a shift and does nothing else: mean 0, variance and its epsilon together 1."""
    running_mean, running_var = _statistics(norm)
    with torch.no_grad():
        running_mean.zero_()
        running_var.fill_(1 - norm.eps)
        norm.weight.fill_(1)
        norm.bias.copy_(shift)


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Where a norm keeps mean and variance: (channels,) each. torch calls them optional; a student has them."""
    return cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)


def _convolutions(student: Student) -> list[nn.Conv2d]:
    return [part for part in student.modules() if isinstance(part, nn.Conv2d)]


# ---- reading the file ------------------------------------------------------------------------------


def _layers(graph: GraphProto) -> Iterator[_Layer]:
    """Every convolution in the order of work. Raises LookupError for one without weights of its own."""
    from onnx import numpy_helper

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            values[node.output[0]] = _unrounded(*(values[name] for name in node.input))
    for node in graph.node:
        if node.op_type == "Conv":
            _, name, *shift = node.input
            weight = np.array(values[name])
            bias = np.array(values[shift[0]]) if shift else np.zeros(len(weight), np.float32)
            yield _Layer(weight, bias, _strides(node)[0])


def _unrounded(rounded: NDArray[Any], scale: NDArray[np.float32], zero: NDArray[Any]) -> NDArray[np.float32]:
    """Whole numbers times their channel's scale; channels are the first axis, as lab/eight_bit.py writes them."""
    axes = (-1, *(1,) * (rounded.ndim - 1))
    steps = rounded.astype(np.float32) - np.broadcast_to(zero, scale.shape).astype(np.float32).reshape(axes)
    return np.asarray(steps * scale.reshape(axes), np.float32)


def _strides(node: NodeProto) -> list[int]:
    (strides,) = (attribute.ints for attribute in node.attribute if attribute.name == "strides")
    return list(strides)


def _shape(layers: Sequence[_Layer]) -> Shape:
    """How wide and deep a student has these layers: a stride of 2 begins each part of its body."""
    *body, expand, _, _ = layers
    begins = [number for number, layer in enumerate(body) if layer.stride == 2]
    ends = [*begins[2:], len(body)]
    stem, *widths = (len(body[number].bias) for number in begins)
    depths = tuple((end - begin - 1) // 2 for begin, end in zip(begins[1:], ends, strict=True))
    inner = tuple(
        len(body[begin + 1].bias) if depth else width
        for begin, depth, width in zip(begins[1:], depths, widths, strict=True)
    )
    return Shape(stem, tuple(widths), depths, len(expand.bias), inner if inner != tuple(widths) else ())
