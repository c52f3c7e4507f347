"""Learning for an album without names: its faces and the data set's shall not be told apart by their embeddings.

Ganin et al. 2016, arXiv 1505.07818, "Domain-Adversarial Training of Neural Networks" (DANN). Importing this file
imports torch.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTH = 64  # of the classifier's hidden layer; half an embedding: the domains differ in little


class DomainClassifier(nn.Module):
    """Tells from an embedding which of two sets of pictures it came from; the network learns that it cannot."""

    def __init__(self, dimension: int, chance: torch.Generator) -> None:
        super().__init__()
        self._layers = nn.Sequential(nn.Linear(dimension, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 1))
        for parameter in self.parameters():
            bound = dimension**-0.5
            parameter.data.uniform_(-bound, bound, generator=chance)

    def forward(self, known: Tensor, unknown: Tensor, strength: float) -> Tensor:
        """Embeddings of either set, (n, d) and (m, d) -> the loss, whose gradient reaches them turned round."""
        turned = cast("Tensor", _Reversed.apply(torch.cat([known, unknown]), strength))
        scores = self._layers(turned).squeeze(1)
        sides = torch.cat([torch.zeros(len(known)), torch.ones(len(unknown))]).to(scores.device)
        return functional.binary_cross_entropy_with_logits(scores, sides)


class _Reversed(torch.autograd.Function):
    """Gradient reversal, 4.2 there: nothing on the way forward, minus `strength` times the gradient on the way back."""

    @staticmethod
    def forward(context: Any, values: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradients[0], None


def strength_at(done: float) -> float:
    """How much of the turned gradient counts after a share of the run, 0..1: 5.2.2 there, with gamma 10."""
    return 2 / (1 + math.exp(-10 * done)) - 1
