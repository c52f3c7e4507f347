"""Which parts of a network learn. Importing this file imports torch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def freeze(network: nn.Module, what: str, head: Sequence[str]) -> None:
    """Fix a part of a network; head: names of the layers that make the embedding, which always learn but for norms.

    "none": everything learns. "bn": batch norms keep gain, shift and statistics. "conv": convolutions are fixed, norms
    and the head learn. "all-but-head": the head learns.
    """
    for name, part in network.named_modules():
        in_head = any(name == layer or name.startswith(f"{layer}.") for layer in head)
        learns = _learns(part, what, in_head=in_head)
        for parameter in part.parameters(recurse=False):
            parameter.requires_grad_(learns)


def set_training(network: nn.Module, what: str, head: Sequence[str]) -> None:
    """Training mode, except that norms which are fixed keep to their statistics, too."""
    network.train()
    for name, part in network.named_modules():
        fixed = isinstance(part, _NORMS) and not _learns(part, what, in_head=name in head)
        dropped = isinstance(part, nn.Dropout) and what == "all-but-head"
        if fixed or dropped:
            part.eval()


def _learns(part: nn.Module, what: str, *, in_head: bool) -> bool:
    if what == "bn":
        return not isinstance(part, _NORMS)
    if what == "conv":
        return in_head or not isinstance(part, nn.Conv2d)
    return what == "none" or in_head
