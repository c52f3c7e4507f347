"""Batches and steps of a fine-tuning: what a network sees, and what it is to minimise.

Chance depends on seed and step alone, so no state of a generator need be kept. Importing this file imports torch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor, nn

from chueok.lab.finetune.domain import DomainClassifier, strength_at
from chueok.lab.finetune.heads import ArcFace, Triplet, keeping
from chueok.lab.finetune.networks import Learner, answers_of, embed, prepared
from chueok.lab.views import CALM, Variety, Views

if TYPE_CHECKING:
    from chueok.lab.finetune.config import Config
    from chueok.lab.finetune.material import Material

# As distillation ends on, but no two faces in one: every crop has one name
VARIETY = replace(CALM, mixed=0.0)
MIRRORED = Variety(**dict.fromkeys(Variety.__slots__, 0.0))  # and nothing else
_ALIKE = 4  # pictures of each person in a batch for triplets: Hermans et al. 2017, arXiv 1703.07737, 3


class Teaching(nn.Module):
    """All that learns beside the network: classes, and the classifier of domains."""

    def __init__(self, config: Config, learner: Learner, material: Material, device: torch.device) -> None:
        super().__init__()
        chance = Generator().manual_seed(config.seed)
        embeddings = torch.from_numpy(embed(learner, material.crops, device))
        self._head: ArcFace | Triplet = Triplet(config.chosen_margin)
        if config.loss == "arcface":
            labels = torch.from_numpy(material.labels)
            self._head = ArcFace(embeddings, labels, config.scale, config.chosen_margin)
        self._domain = None
        if material.album is not None:
            self._domain = DomainClassifier(embeddings.shape[1], chance)

    def forward(self, answers: Tensor, labels: Tensor, album: Tensor | None, strength: float) -> Tensor:
        """answers: (n, d) unit rows; album: (m, d) likewise, of faces without names -> the loss."""
        loss: Tensor = self._head(answers, labels)
        if self._domain is not None and album is not None:
            loss = loss + self._domain(answers, album, strength)
        return loss


class Steps:
    """Gives the loss of any step of a run."""

    def __init__(self, config: Config, learner: Learner, material: Material, device: torch.device) -> None:
        self._config, self._learner, self._material, self._device = config, learner, material, device
        self._former = copy.deepcopy(learner.network).eval() if config.keep else None
        side = learner.card.recipe.pixels
        self._views = Views(VARIETY if config.augment else MIRRORED, torch.device("cpu"), side)
        self.of_epoch = max(1, len(material.crops) // config.batch)

    def loss(self, teaching: Teaching, step: int) -> Tensor:
        """What the network is to minimise in a step of the whole run."""
        chance = Generator().manual_seed(self._config.seed * 1_000_003 + step)
        chosen = self._chosen(step)
        answers, former = self._answers(self._material.crops[chosen.numpy()], chance)
        labels = torch.from_numpy(self._material.labels[chosen.numpy()]).to(self._device)
        album, album_former = None, None
        if self._material.album is not None:
            faces = torch.randint(len(self._material.album), (len(chosen),), generator=chance)
            album, album_former = self._answers(self._material.album[faces.numpy()], chance)
        strength = strength_at(step / (self.of_epoch * self._config.epochs))
        loss: Tensor = teaching(answers, labels, album, strength)
        for given, before in ((answers, former), (album, album_former)):
            if given is not None and before is not None:
                loss = loss + self._config.keep * keeping(given, before)
        return loss

    def _answers(self, crops: np.ndarray, chance: Generator) -> tuple[Tensor, Tensor | None]:
        """The network's answers to a view of each crop, and those it gave before it learnt; unit rows."""
        alpha = np.full((*crops.shape[:3], 1), 255, np.uint8)
        views = self._views(torch.from_numpy(np.concatenate([crops, alpha], 3)), chance)
        images = prepared(views, self._learner.card.recipe).to(self._device)
        former = None
        if self._former is not None:
            with torch.inference_mode():
                former = answers_of(self._former, images)
            former = former.clone()  # a tensor of inference mode takes no part in a loss
        return answers_of(self._learner.network, images), former

    def _chosen(self, step: int) -> Tensor:
        """Numbers of the crops of a step: (batch,)."""
        epoch, place = divmod(step, self.of_epoch)
        chance = Generator().manual_seed((self._config.seed + 1) * 1_000_003 + epoch)
        labels = torch.from_numpy(self._material.labels)
        order = torch.randperm(len(labels), generator=chance)
        if self._config.loss == "triplet":
            order = torch.tensor(list(_by_people(labels, order)))
        return order[place * self._config.batch : (place + 1) * self._config.batch]


def _by_people(labels: Tensor, order: Tensor) -> Iterator[int]:
    """The crops of an order in groups of four of one person, so that a batch has pairs; groups as chance has them."""
    queues: dict[int, list[int]] = {}
    groups: list[list[int]] = []
    for number in order.tolist():
        queue = queues.setdefault(int(labels[number]), [])
        if not queue or len(queue) == _ALIKE:
            queues[int(labels[number])] = queue = []
            groups.append(queue)
        queue.append(number)
    for group in groups:
        yield from group
