"""What a network learns by: ArcFace or semi-hard triplets, as pytorch-metric-learning has them.

Importing this file imports torch and pytorch-metric-learning.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from pytorch_metric_learning.losses import ArcFaceLoss, TripletMarginLoss
from pytorch_metric_learning.miners import TripletMarginMiner
from torch import Tensor, nn
from torch.nn import functional

_NEARLY_ONE = 1 - 1e-6


class ArcFace(nn.Module):
    """Deng et al. 2019, arXiv 1801.07698, eq. 3: the angle to one's own class is made larger by a margin.

    Classes begin as the mean of their people's embeddings, not as chance has it, so that low rates of learning do:
    Qi et al. 2018, arXiv 1712.07136, "Low-Shot Learning with Imprinted Weights".
    """

    def __init__(self, embeddings: Tensor, labels: Tensor, scale: float, margin: float) -> None:
        """embeddings: (n, d) unit rows; labels: (n,) int64, 0..classes - 1, each there; margin: radians."""
        super().__init__()
        classes = int(labels.max()) + 1
        self._loss = _ArcFaceLoss(classes, embeddings.shape[1], math.degrees(margin), scale)
        means = embeddings.new_zeros(classes, embeddings.shape[1]).index_add_(0, labels, embeddings)
        self._loss.W.data.copy_(functional.normalize(means).T)

    def forward(self, answers: Tensor, labels: Tensor) -> Tensor:
        """answers: (n, d); labels: (n,) -> the mean loss."""
        return cast("Tensor", self._loss(answers, labels))


class _ArcFaceLoss(ArcFaceLoss):  # type: ignore[misc]  # the library publishes no types
    """The library's, but where an embedding meets its class exactly: there the slope of the angle is infinite."""

    def get_angles(self, cosine_of_target_classes: Tensor) -> Tensor:
        return torch.acos(cosine_of_target_classes.clamp(-_NEARLY_ONE, _NEARLY_ONE))


class Triplet(nn.Module):
    """Schroff et al. 2015, arXiv 1503.03832, 3: a person's pictures nearer to each other than to a stranger's.

    Learns by semi-hard triplets: the stranger is farther away already, but by less than the margin. A batch without
    any teaches nothing.
    """

    def __init__(self, margin: float) -> None:
        super().__init__()
        self._mine = TripletMarginMiner(margin, type_of_triplets="semihard", distance=_distance())
        self._loss = TripletMarginLoss(margin, distance=_distance())

    def forward(self, answers: Tensor, labels: Tensor) -> Tensor:
        """answers: (n, d); labels: (n,) -> the mean loss over triplets that violate the margin."""
        return cast("Tensor", self._loss(answers, labels, self._mine(answers, labels)))


def _distance() -> nn.Module:
    """Squared Euclidean distance of unit vectors, as in the paper."""
    from pytorch_metric_learning.distances import LpDistance

    return cast("nn.Module", LpDistance(power=2))


def keeping(answers: Tensor, former: Tensor) -> Tensor:
    """How far answers are from those the network gave before it learnt: one minus their cosine, the mean.

    Learning without Forgetting (Li and Hoiem 2016, arXiv 1606.09282), with embeddings for class scores.
    """
    return (1 - functional.cosine_similarity(answers, former)).mean()
