"""The recipe of the packaged model: a small student learns to answer as a large teacher does, without labels.

Beyer et al. 2022, arXiv 2106.05237, "Knowledge distillation: a good teacher is patient and consistent": teacher and
student see the same view of a crop, strongly varied, for as many views as patience allows. The rate of learning stays
level at first (Hägele et al. 2024, arXiv 2405.18392), so a run can be made longer afterwards: it goes on from where its
rate began to fall. While it falls the views are calmer: the student ends on what it will meet.

Importing this file imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from chueok.errors import UsageError
from chueok.lab.curve import check_matplotlib, refuse_foreign_curve, write_curve
from chueok.lab.delivery import Maker, delivery
from chueok.lab.graduate import graduate
from chueok.lab.students import SHAPES, Shape
from chueok.lab.training import LATEST, finished_student, learn
from chueok.lab.views import CALM, Variety
from chueok.library import cores
from chueok.measures import Counted, DistillSummary, LearningPoint, ModelEvaluated
from chueok.records import Note
from chueok.vision.models.card import embedding_key
from chueok.vision.models.manifest import read_manifest

if TYPE_CHECKING:
    from chueok.lab.datasets import Dataset
    from chueok.lab.models import LabModel
    from chueok.settings import Settings
    from chueok.vision.base import Embedder

Event = Note | LearningPoint | ModelEvaluated | DistillSummary


@dataclass(frozen=True, slots=True)
class Config:
    """What a run depends on. The reasons are short runs on 2 cores with the crops of the packaged model.

    Rate, decay and relations are those of the pilot that went before it; others were not tried.
    """

    crops: Path  # what lab/crops.py reads
    out: Path  # the checkpoints
    teacher: str = ""  # whose answers these are: part of what a run that goes on must share
    views: int = 1_000_000  # the loss still falls after a million; 25 times the crops
    batch: int = 32  # views a step: after as many views, 32 had learnt what 128 had after three times as many
    lanes: int = 2  # share a step, each with its own part of the batch and of the cores
    shape: Shape = field(default_factory=lambda: SHAPES["lite"])
    rate: float = 3e-3  # of AdamW, for a batch
    warm_up: int = 200  # steps until the full rate: the batch norms settle first
    # Of all steps, at the end, those in which the rate falls to nothing: a straight line for most of a run is best
    # (Bergsma et al. 2025, arXiv 2502.15938), and level before it, a run can still be made longer
    fall: float = 0.6
    decay: float = 0.02  # of weights, a step, times the rate
    relations: float = 2.0  # weight of the second loss, see `loss`
    held_out: int = 1000  # crops never learnt from: the mean of their similarities is known to 0.003
    check_every: int = 500  # steps between checkpoints: what a kill may lose, some two minutes
    seed: int = 0
    variety: Variety = field(default_factory=Variety)  # of the views while the rate is level
    calmer: Variety = CALM  # and while it falls

    @property
    def steps(self) -> int:
        return max(1, self.views // self.batch)

    @property
    def fall_begins(self) -> int:
        """The step from which the rate falls."""
        return round(self.steps * (1 - self.fall))

    def rate_at(self, step: int) -> float:
        """The rate of a step: up, level, down."""
        up = (step + 1) / self.warm_up
        down = (self.steps - step) / max(1, self.steps - self.fall_begins)
        return self.rate * min(1.0, up, down)


def distill(
    config: Config,
    teacher: LabModel,
    name: str,
    settings: Settings,
    datasets: Sequence[Dataset] = (),
    device: str = "auto",
    progress: Counted = lambda views, all_views: None,
    reading: Counted = lambda pictures, all_pictures: None,
) -> Iterator[Event]:
    """Train a student, write it to `config.out` as a model of that name, and measure it; a summary comes last.

    The same config gives the same student however often the run is stopped, on the same kind of CPU with as many
    cores. Raises UsageError, LibraryLocked, ModelMissing, ModelInvalid, OperationFailed.
    """
    teacher.check_crops()
    check_matplotlib()
    config, embedder, where = on_this_machine(config, teacher, settings, device)
    with delivery(config.out, name, Maker.DISTILL, teacher) as delivered:
        if not (config.out / LATEST).exists():
            refuse_foreign_curve(config.out)
        yield Note(
            f"reading the crops of {config.crops}; then learning from {config.views:,} views, with a checkpoint after "
            f"every {config.check_every * config.batch:,}"
        )
        for curve in learn(config, embedder, where, progress):
            write_curve(curve, config.out)
            yield curve[-1]
        student = finished_student(config)
        yield from graduate(student, teacher.card, delivered, datasets, settings, progress=reading)
    last = curve[-1]
    yield DistillSummary(
        name,
        delivered.manifest,
        config.out / "curve.png",
        last.views,
        last.similarity,
        last.seconds,
        has_thresholds=bool(read_manifest(delivered.manifest).thresholds),
    )


def on_this_machine(
    config: Config, teacher: LabModel, settings: Settings, device: str
) -> tuple[Config, Embedder, torch.device]:
    """The config with its teacher and as many lanes as the device has, the teacher's answers, and the device.

    Raises UsageError, ModelMissing, ModelInvalid, OperationFailed.
    """
    # not the mirrored sum: twice the work for the same lesson
    plain = replace(teacher.card, recipe=replace(teacher.card.recipe, mirror=False))
    config = replace(config, teacher=embedding_key(plain))
    where = find_device(device)
    if where.type != "cpu":
        config = replace(config, lanes=1)  # one GPU
    threads = max(1, cores() // config.lanes)  # of every lane
    torch.set_num_threads(threads)
    return config, replace(teacher, card=plain).embedder(settings, threads), where


def find_device(name: str) -> torch.device:
    """The device of that name; "auto": a GPU where torch can use one. Raises UsageError."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {name}: it takes auto, cpu or cuda")
    gpu = torch.cuda.is_available()
    if name == "cuda" and not gpu:
        raise UsageError("torch sees no GPU on this machine; leave --device out to train on the processor")
    return torch.device("cuda" if gpu and name != "cpu" else "cpu")
