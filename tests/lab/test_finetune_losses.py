"""What a network learns by, compared with the papers' formulas written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from chueok.lab.finetune.domain import DomainClassifier, strength_at
from chueok.lab.finetune.heads import ArcFace, Triplet, keeping

CLASSES, DIMENSION = 5, 16


@pytest.fixture
def rows() -> Tensor:
    """Four embeddings of each class, unit rows, float64."""
    chance = torch.Generator().manual_seed(3)
    classes = torch.randn(CLASSES, DIMENSION, generator=chance, dtype=torch.float64)
    noise = torch.randn(4, CLASSES, DIMENSION, generator=chance, dtype=torch.float64)
    return functional.normalize((classes + 0.7 * noise).flatten(0, 1))


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(CLASSES).repeat(4)


def arcface_by_hand(
    answers: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64], s: float, m: float
) -> float:
    """Deng et al. 2019, eq. 3: -log of exp(s cos(theta_y + m)) over itself and all exp(s cos(theta_j)), j not y."""
    losses = []
    for answer, own in zip(answers, labels, strict=True):
        cosines = [
            float(answer @ weight / np.linalg.norm(answer) / np.linalg.norm(weight)) for weight in weights.T
        ]
        logits = np.array([s * cosine for cosine in cosines])
        logits[own] = s * np.cos(np.arccos(cosines[own]) + m)
        losses.append(np.log(np.exp(logits - logits.max()).sum()) - (logits[own] - logits.max()))
    return float(np.mean(losses))


@pytest.mark.parametrize(("scale", "margin"), [(64.0, 0.5), (30.0, 0.2), (16.0, 0.0)])
def test_arcface_is_the_papers_formula_in_float64(
    rows: Tensor, labels: Tensor, scale: float, margin: float
) -> None:
    head = ArcFace(rows, labels, scale, margin).double()
    chance = torch.Generator().manual_seed(4)
    weights = torch.randn(DIMENSION, CLASSES, generator=chance, dtype=torch.float64)
    head._loss.W.data = weights
    given = 3 * rows  # any length
    expected = arcface_by_hand(given.numpy(), labels.numpy(), weights.numpy(), scale, margin)
    assert head(given, labels).item() == pytest.approx(expected, rel=1e-9)
    assert expected > 0.1


def test_classes_begin_as_the_mean_of_their_people(rows: Tensor, labels: Tensor) -> None:
    head = ArcFace(rows.float(), labels, 64.0, 0.5)
    means = functional.normalize(torch.stack([rows[labels == one].mean(0) for one in range(CLASSES)]))
    torch.testing.assert_close(head._loss.W.data.T, means.float())


def test_an_embedding_that_is_its_class_has_a_slope(labels: Tensor) -> None:
    rows = torch.eye(CLASSES, DIMENSION).repeat(4, 1).requires_grad_()
    ArcFace(rows.detach(), labels, 64.0, 0.5)(rows, labels).backward()
    assert rows.grad is not None and bool(rows.grad.isfinite().all())


def test_triplets_are_the_semi_hard_ones(rows: Tensor, labels: Tensor) -> None:
    rows = functional.normalize(rows + 0.5)  # nearer to each other
    squared = torch.cdist(rows, rows).square().numpy()
    losses = [
        squared[a, p] - squared[a, n] + 0.2
        for a in range(len(rows))
        for p in range(len(rows))
        for n in range(len(rows))
        if a != p
        and labels[a] == labels[p]
        and labels[a] != labels[n]
        and squared[a, p] < squared[a, n] <= squared[a, p] + 0.2
    ]
    assert len(losses) > 3
    assert Triplet(0.2)(rows, labels).item() == pytest.approx(np.mean(losses), rel=1e-6)


def test_a_batch_without_triplets_teaches_nothing() -> None:
    rows = torch.eye(2, DIMENSION).repeat_interleave(2, 0).requires_grad_()
    assert Triplet(0.2)(rows, torch.tensor([0, 0, 1, 1])).item() == 0


def test_the_domain_classifier_learns_and_the_embeddings_get_its_gradient_turned_round() -> None:
    known = torch.randn(6, DIMENSION, generator=torch.Generator().manual_seed(1)).requires_grad_()
    unknown = torch.randn(6, DIMENSION, generator=torch.Generator().manual_seed(2)).requires_grad_()
    classifier = DomainClassifier(DIMENSION, torch.Generator().manual_seed(3))
    classifier(known, unknown, 0.25).backward()
    weight = next(classifier.parameters())
    turned = known.grad, unknown.grad, weight.grad
    scores = classifier._layers(torch.cat([known, unknown])).squeeze(1)
    sides = torch.cat([torch.zeros(6), torch.ones(6)])
    plain = functional.binary_cross_entropy_with_logits(scores, sides)
    straight = torch.autograd.grad(plain, [known, unknown, weight])
    for given, expected, factor in zip(turned, straight, (-0.25, -0.25, 1.0), strict=True):
        assert given is not None
        torch.testing.assert_close(given, factor * expected)


def test_adapting_begins_with_nothing_and_ends_in_full() -> None:
    assert strength_at(0) == 0
    assert strength_at(0.5) == pytest.approx(np.tanh(2.5))  # 2 / (1 + exp(-10 p)) - 1
    assert strength_at(1) > 0.999


def test_keeping_by_hand() -> None:
    answers, former = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 0.0]])
    assert keeping(answers, former).item() == 0.5
