"""What a fine-tuning depends on, and that it can be. No torch here: the command line asks it first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chueok.errors import UsageError

if TYPE_CHECKING:
    from chueok.vision.models.card import ModelCard

CHOICES: Final = {
    "loss": ("arcface", "triplet"),
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("cosine", "step", "constant"),
    "freeze": ("none", "bn", "conv", "all-but-head"),
}
# Additive, in radians: Deng et al. 2019, 4.1. Of squared distances: Schroff et al. 2015, arXiv 1503.03832, 4
MARGINS: Final = {"arcface": 0.5, "triplet": 0.2}
SIZES: Final = (112, 160)  # pixels of a crop, where a network takes several: FaceNet's own is 160
MOST_HELD_OUT: Final = 0.7  # 15 % say when to stop: as many are left to learn from
_LEAST_BATCH = 2  # a batch norm needs a spread
_LEAST_TRIPLET_BATCH = 8  # two people with four pictures each


@dataclass(frozen=True, slots=True)
class Config:
    """The options of `chueok lab finetune`. The reasons are the sweeps of docs/lab.md, on 2 cores."""

    out: Path  # the checkpoints, the curve, the model
    loss: str = "triplet"
    scale: float = 64.0  # of ArcFace's cosines: Deng et al. 2019, arXiv 1801.07698, 4.1
    margin: float | None = None  # None: MARGINS
    optimizer: str = "adam"
    lr: float = 1e-4
    schedule: str = "cosine"
    epochs: int = 10
    batch: int = 32
    freeze: str = "bn"
    size: int | None = None  # pixels; None: the model's own
    adapt: Path | None = None  # an album whose faces have no names
    augment: bool = True
    keep: float = 3.0  # weight of staying near the former answers
    patience: int = 3  # epochs without a better EER until it stops
    seed: int = 0
    split_seed: int | None = None  # decides who is held out; None: `seed`
    validation: float = 0.15  # share of the people that decide when to stop
    held_out: float = 0.3  # share of the people that decide whether the model is offered

    @property
    def chosen_margin(self) -> float:
        return MARGINS[self.loss] if self.margin is None else self.margin

    def rate_at(self, done: float) -> float:
        """The rate of learning after a share of the run, 0..1."""
        if self.schedule == "cosine":  # Loshchilov and Hutter 2016, arXiv 1608.03983, without restarts
            return self.lr * (1 + math.cos(math.pi * done)) / 2
        if self.schedule == "step":  # a tenth after each third, about as Deng et al. 2019, 4.1 have it
            return self.lr * 0.1 ** int(3 * done)
        return self.lr


def check(config: Config) -> None:
    """Raise UsageError for what no run can be made of."""
    for name, allowed in CHOICES.items():
        if (given := getattr(config, name)) not in allowed:
            raise UsageError(f"--{name} {given}: it takes {', '.join(allowed)}")
    for name, low, high in (("lr", 0.0, 10.0), ("scale", 0.0, 1000.0), ("margin", 0.0, math.pi)):
        given = getattr(config, name)
        if given is not None and not low < given <= high:
            raise UsageError(f"--{name} {given:g}: it takes a number above {low:g} and up to {high:.4g}")
    for name in ("epochs", "batch", "patience"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name} {getattr(config, name)}: it takes 1 or more")
    if config.loss == "triplet" and config.batch < _LEAST_TRIPLET_BATCH:
        raise UsageError(f"--batch {config.batch}: triplets need {_LEAST_TRIPLET_BATCH} or more")
    if not 0 < config.held_out <= MOST_HELD_OUT:
        raise UsageError(
            f"--held-out {config.held_out:g}: it takes a number above 0 and up to {MOST_HELD_OUT:g}"
        )
    if not 0 <= config.keep < math.inf:
        raise UsageError(f"--keep {config.keep:g}: it takes 0 or more")
    if config.batch < _LEAST_BATCH:
        raise UsageError(f"--batch {config.batch}: it takes {_LEAST_BATCH} or more")
    if not 0 <= config.seed < 2**31:
        raise UsageError(f"--seed {config.seed}: it takes a whole number from 0 to {2**31 - 1}")


def check_size(card: ModelCard, size: int | None) -> int:
    """The size to learn at, None being the model's own. Raises UsageError where its layers do not allow it."""
    own = card.recipe.pixels
    if size is None or size == own:
        return own
    if card.architecture != "inception_resnet_v1":
        raise UsageError(
            f"--size {size}: the last layer of {card.name!r} takes the features of {own} x {own} pixels, no others; "
            f"leave --size out, or give --model facenet, which takes {' or '.join(map(str, SIZES))}"
        )
    if size not in SIZES:
        raise UsageError(f"--size {size}: it takes {' or '.join(map(str, SIZES))}")
    return size
