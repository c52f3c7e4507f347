"""A student without the smallest filters of its blocks: the work on the network. The recipe is prune.py's.

Whole filters go, because single weights set to nothing would make a network neither smaller nor faster: ONNX Runtime
stores and multiplies zeros as it does other numbers.

Importing this file imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from chueok.lab.students import Residual, Student

# Filters that stay are a multiple of it: ONNX Runtime's convolutions are computed for 8 (AVX2) or 16 (AVX-512) channels
# at a time, and the rest of a block costs what a whole one does (onnxruntime, core/mlas/lib/snchwc.cpp, MIT)
BLOCK = 8


def without_smallest(student: Student, amount: float) -> Student:
    """The student without that share of the filters inside its blocks, those with the smallest weights; for inference.

    A filter is an output of a block's first convolution and an input of its second, so the shortcuts stay as wide as
    they were. Its size is the L1 norm of its weights (Li et al. 2017, arXiv 1608.08710, 3.1), times what its batch norm
    multiplies them by. amount: 0..1; what stays is rounded to whole blocks of 8, one at least.
    """
    shape = student.shape
    inner = tuple(kept(width, amount) for width in shape.inner or shape.widths)
    thin = Student(replace(shape, inner=inner if inner != shape.widths else ()), student.dimension)
    state = student.state_dict()
    for (name, block), (_, narrow) in zip(_blocks(student), _blocks(thin), strict=True):
        stay = _largest(block, narrow.second.in_channels)
        for part in state:
            if part.startswith(f"{name}.first.") and state[part].ndim:  # but for the norm's count of batches
                state[part] = state[part][stay]
        state[f"{name}.second.weight"] = state[f"{name}.second.weight"][:, stay]
    thin.load_state_dict(state)
    return thin.eval()


def kept(width: int, amount: float) -> int:
    """How many of so many filters stay."""
    return min(width, max(BLOCK, BLOCK * round(width * (1 - amount) / BLOCK)))


def filters(student: Student) -> int:
    """How many filters a student has inside its blocks, all together."""
    return sum(block.second.in_channels for _, block in _blocks(student))


def _largest(block: Residual, count: int) -> Tensor:
    """Numbers of the filters with the largest weights, in their order: (count,) int64."""
    convolution, norm = cast("nn.Conv2d", block.first[0]), cast("nn.BatchNorm2d", block.first[1])
    gain = norm.weight / (cast("Tensor", norm.running_var) + norm.eps).sqrt()  # as it is folded
    size = convolution.weight.abs().sum((1, 2, 3)) * gain.abs()
    return torch.argsort(size, descending=True, stable=True)[:count].sort().values


def _blocks(student: Student) -> Iterator[tuple[str, Residual]]:
    """Every block with its name, in the order of work."""
    for name, part in student.named_modules():
        if isinstance(part, Residual):
            yield name, part
