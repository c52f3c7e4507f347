"""A fine-tuning run: epochs, the best of them, checkpoints, and going on after a kill.

Importing this file imports torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from chueok.errors import OperationFailed, UsageError
from chueok.lab.checkpoint import alone_in, load_state, save_state
from chueok.lab.comparisons import Comparisons, numbered
from chueok.lab.finetune.freeze import freeze, set_training
from chueok.lab.finetune.networks import embed, settle_on
from chueok.lab.finetune.steps import Steps, Teaching
from chueok.lab.verification import equal_error_rate, rank1, recognised
from chueok.measures import Counted, TuningPoint

if TYPE_CHECKING:
    from chueok.lab.finetune.config import Config
    from chueok.lab.finetune.material import Material
    from chueok.lab.finetune.networks import Learner

CHECKPOINT = "checkpoint.pt"
_RECIPE = 1  # raise it when the same options would learn something else: older checkpoints are then refused
_MOMENTUM = 0.9  # of SGD, as Deng et al. 2019 have it, 4.1
_DECAY = 5e-4  # of AdamW's weights, likewise
# The classes' rate, times the network's: they are new, and a hundred of them learn less than a million weights
_HEAD_RATE = 10.0


class Diverged(OperationFailed):
    """The loss is no number any more: the options were too much for the network."""


Curve = tuple[TuningPoint, ...]


def learn(
    config: Config,
    learner: Learner,
    material: Material,
    device: torch.device,
    progress: Counted = lambda pictures, all_pictures: None,
) -> Generator[Curve]:
    """Train, or go on where the checkpoint in `config.out` stands; yields the curve after every epoch.

    A run that goes on yields first what was learnt before. In the end the learner's network has the weights of the best
    epoch, which may be the start. The same config, material and network give the same weights however often it is
    stopped, on the same kind of CPU with as many threads. Raises UsageError, LibraryLocked, OperationFailed.
    """
    with alone_in(config.out):
        run = _Run(config, learner, material, device)
        yield run.curve
        while not run.ended:
            run.learn_epoch(progress)
            yield run.curve
        run.take_best()


class _Run:
    """A network in training."""

    def __init__(self, config: Config, learner: Learner, material: Material, device: torch.device) -> None:
        self._config, self._learner, self._material, self._device = config, learner, material, device
        network = learner.network
        self._origin = _origin(config, learner, material)
        order = torch.randperm(len(material.crops), generator=torch.Generator().manual_seed(0))
        settle_on(learner, material.crops[order.numpy()])
        network.to(device).to(memory_format=torch.channels_last)
        self._steps = Steps(config, learner, material, device)
        self._teaching = Teaching(config, learner, material, device).to(device)
        freeze(network, config.freeze, learner.head)
        self._optimizer = _optimizer(config, learner, self._teaching)
        self._best = _copied(network.state_dict())
        self._started, self._spent = time.monotonic(), 0.0
        self.curve: Curve = ()
        if not self._resume():
            self._check(0, None)

    @property
    def ended(self) -> bool:
        """Whether all epochs are learnt, or too many in a row were no better."""
        since = self.curve[-1].epoch - best_of(self.curve).epoch
        return self.curve[-1].epoch >= self._config.epochs or since >= self._config.patience

    def learn_epoch(self, progress: Counted) -> None:
        """See every picture once, measure, and save. Raises OperationFailed."""
        config, epoch = self._config, self.curve[-1].epoch + 1
        of_epoch = self._steps.of_epoch
        torch.manual_seed(
            config.seed * 1_000_003 + epoch
        )  # of what drops out in a network that has such a layer
        set_training(self._learner.network, config.freeze, self._learner.head)
        losses = []
        for step in range((epoch - 1) * of_epoch, epoch * of_epoch):
            losses.append(self._learn(step, of_epoch * config.epochs))
            progress((step + 1) * config.batch, of_epoch * config.epochs * config.batch)
        self._check(epoch, sum(losses) / len(losses))
        self._save()

    def take_best(self) -> None:
        """Give the network the weights of its best epoch."""
        self._learner.network.load_state_dict(self._best)
        self._learner.network.eval()

    def _learn(self, step: int, steps: int) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.rate_at(step / steps) * group["times"]
        loss = self._steps.loss(self._teaching, step)
        if not math.isfinite(value := float(loss.detach())):
            raise Diverged(self._broken(step))
        self._optimizer.zero_grad()
        if loss.requires_grad:  # a batch without triplets teaches nothing
            loss.backward()  # type: ignore[no-untyped-call]  # torch publishes none for it
            self._optimizer.step()
        return value

    def _check(self, epoch: int, loss: float | None) -> None:
        """Add a point to the curve, measured on the validation people. Raises OperationFailed."""
        vectors = embed(self._learner, self._material.validation, self._device)
        comparisons = Comparisons(vectors, numbered(self._material.validation_people))
        eer = equal_error_rate(comparisons.similarities())
        share, _ = rank1(recognised(comparisons))
        if eer is None or share is None or not math.isfinite(float(vectors.sum())):
            raise Diverged(self._broken(epoch * self._steps.of_epoch))
        best = not self.curve or eer < best_of(self.curve).eer
        rate = self._config.rate_at(epoch / self._config.epochs)
        seconds = self._spent + time.monotonic() - self._started
        point = TuningPoint(epoch, self._config.epochs, loss, eer, share, rate, seconds, best)
        self.curve = (*self.curve, point)
        if best:
            self._best = _copied(self._learner.network.state_dict())

    def _broken(self, step: int) -> str:
        kept = self.curve[-1].epoch if self.curve else 0
        return (
            f"in step {step + 1:,} the loss is no number any more; what was learnt until epoch {kept} is kept, and the "
            f"model you have is as it was. Begin again in another --out with a lower --lr than {self._config.lr:g}"
        )

    # ---- checkpoints --------------------------------------------------------------------------------

    def _save(self) -> None:
        state = {
            "origin": self._origin,
            "network": self._learner.network.state_dict(),
            "teaching": self._teaching.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "curve": [dataclasses.astuple(point) for point in self.curve],
        }
        save_state(state, self._config.out / CHECKPOINT)

    def _resume(self) -> bool:
        """Go on from an earlier run's checkpoint; whether there is one. Raises UsageError, OperationFailed."""
        path = self._config.out / CHECKPOINT
        return load_state(path, self._take_up) is not None

    def _take_up(self, state: dict[str, Any]) -> bool:
        if state["origin"] != self._origin:
            raise UsageError(
                f"{self._config.out} holds a run with other options, another data set or another model; give the same "
                "again, or another --out"
            )
        self._learner.network.load_state_dict(state["network"])
        self._teaching.load_state_dict(state["teaching"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._best = state["best"]
        self.curve = tuple(TuningPoint(*point) for point in state["curve"])
        self._spent = self.curve[-1].seconds
        return True


def best_of(curve: Curve) -> TuningPoint:
    """The point with the lowest EER; of equal ones the first, since the start is known to be good."""
    return [point for point in curve if point.best][-1]


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def _optimizer(config: Config, learner: Learner, teaching: Teaching) -> torch.optim.Optimizer:
    """Over what is not frozen; norms, shifts and classes do not decay. AdamW: arXiv 1711.05101; Adam: 1412.6980."""
    free = [parameter for parameter in learner.network.parameters() if parameter.requires_grad]
    decay = _DECAY if config.optimizer == "adamw" else 0.0
    groups: list[dict[str, Any]] = [
        {"params": [one for one in free if one.ndim > 1], "weight_decay": decay, "times": 1.0},
        {"params": [one for one in free if one.ndim <= 1], "weight_decay": 0.0, "times": 1.0},
        {"params": list(teaching.parameters()), "weight_decay": 0.0, "times": _HEAD_RATE},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, config.lr, momentum=_MOMENTUM)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, config.lr)


def _origin(config: Config, learner: Learner, material: Material) -> str:
    """What runs must share for one to go on with the other's weights: all but where they lie and when they stop."""
    recipe = dataclasses.replace(config, out=Path(), adapt=None, patience=1)
    digest = hashlib.sha256(repr((_RECIPE, recipe, learner.card.sha256, learner.card.recipe)).encode())
    digest.update(material.digest.encode())
    return digest.hexdigest()
