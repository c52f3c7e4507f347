"""A student in training: steps, checkpoints, and going on after a kill. The recipe is distill.py's.

Importing this file imports torch.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from chueok.errors import OperationFailed, UsageError
from chueok.lab.checkpoint import Checkpoint, alone_in, load_checkpoint, save_checkpoint
from chueok.lab.crops import load_crops
from chueok.lab.students import Student
from chueok.lab.views import Views, plain
from chueok.measures import Counted, LearningPoint

if TYPE_CHECKING:
    from chueok.lab.distill import Config
    from chueok.vision.base import Embedder

LATEST = "checkpoint.pt"
LEVEL = "checkpoint-level.pt"  # the last before the rate began to fall
MOST_LANES = 64  # no two lanes of two steps may have the same chance


def learn(
    config: Config,
    teacher: Embedder,
    device: torch.device,
    progress: Counted = lambda views, all_views: None,
    start: Mapping[str, Tensor] | None = None,
) -> Generator[tuple[LearningPoint, ...]]:
    """Train, or go on where the last checkpoint in `config.out` stands; yields the curve after each checkpoint.

    A run that goes on yields first what was learnt before. teacher: answers (112, 112, 3) uint8 crops. start: weights
    to begin with instead of chance's, which teacher and shape decide. The same config gives the same weights however
    often it is stopped, on the same kind of CPU with as many threads. `finished_student` opens the result. Raises
    UsageError, LibraryLocked, OperationFailed.
    """
    if not 1 <= config.lanes <= MOST_LANES or config.batch % config.lanes:
        raise UsageError(f"{config.lanes} lanes cannot share a batch of {config.batch} evenly")
    with alone_in(config.out):
        run = _Run(config, teacher, device, start)
        if run.curve:
            yield run.curve
        while run.step < config.steps:
            until = min(
                stop for stop in (run.next_check, config.fall_begins, config.steps) if stop > run.step
            )
            losses = []
            while run.step < until:
                losses.append(run.learn())
                progress(run.step * config.batch, config.steps * config.batch)
            run.check(sum(losses) / len(losses))
            yield run.curve


def finished_student(config: Config) -> Student:
    """The student of a run that has come to its end, ready for inference. Raises UsageError, OperationFailed."""
    checkpoint = load_checkpoint(config.out / LATEST)
    if checkpoint is None or checkpoint.step < config.steps:
        raise UsageError(f"the run in {config.out} has not come to its end")
    student = Student(config.shape, len(checkpoint.student["embed_norm.weight"]))
    student.load_state_dict(checkpoint.student)
    return student.eval()


def dealt(count: int, config: Config) -> tuple[Tensor, Tensor]:
    """Which of so many crops are learnt from, and which are held out: numbers of crops, in the order they were drawn.

    Raises UsageError where they are too few.
    """
    if count < config.held_out + config.batch:
        raise UsageError(
            f"{config.crops} holds {count:,} crops; at least {config.held_out + config.batch:,} are "
            f"needed, of which {config.held_out:,} are held out to measure by"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(config.seed))
    return order[config.held_out :], order[: config.held_out]


def loss(answers: Tensor, lessons: Tensor, relations: float) -> tuple[Tensor, Tensor]:
    """How far the student's answers are from the teacher's, both (n, d) unit rows: to learn by, and to look at.

    One minus their cosine, and `relations` times the mean squared difference between how similar the views are to
    each other in the one's eyes and in the other's (Tung and Mori 2019, arXiv 1907.09682).
    """
    apart = (1 - (answers * lessons).sum(1)).mean()
    unlike = (answers @ answers.T - lessons @ lessons.T).square().mean()
    return apart + relations * unlike, apart


class _Lane:
    """One core's share of every step: views, lessons and gradients of its own."""

    def __init__(self, number: int, config: Config, school: _School, student: Student) -> None:
        self.student = student
        self._number, self._config, self._school = number, config, school
        self._level, self._falling = (Views(kind, school.device) for kind in (config.variety, config.calmer))

    def learn(self, step: int) -> float:
        """Leave the gradients of a step in the student; the part of its loss to look at."""
        config, school = self._config, self._school
        # views depend on seed, step and lane alone, so no state of a generator need be kept
        chance = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * MOST_LANES + self._number)
        chosen = torch.randint(len(school.taught), (config.batch // config.lanes,), generator=chance)
        make_views = self._level if step < config.fall_begins else self._falling
        views = make_views(school.crops[school.taught[chosen]], chance)
        total, apart = loss(school.answers(self.student, views), school.lessons(views), config.relations)
        self.student.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]  # torch publishes none for it
        return float(apart.detach())


class _School:
    """What all lanes share and nothing changes: the crops, the teacher, the device."""

    def __init__(self, config: Config, teacher: Embedder, device: torch.device) -> None:
        self.device, self._teacher = device, teacher
        self._bfloat16 = computes_bfloat16(device)
        self.crops = torch.from_numpy(load_crops(config.crops))
        self.taught, held_out = dealt(len(self.crops), config)
        self.held_out = plain(self.crops[held_out])

    def answers(self, student: Student, views: Tensor) -> Tensor:
        """The student's: (n, 3, 112, 112) uint8 -> (n, d) float32, unit rows."""
        images = views.to(self.device).float().contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            answers: Tensor = student(images)
        return answers

    def lessons(self, views: Tensor) -> Tensor:
        """The teacher's: (n, 3, 112, 112) uint8 -> (n, d) float32, unit rows."""
        vectors = self._teacher.embed(list(views.permute(0, 2, 3, 1).cpu().numpy()))
        return torch.from_numpy(vectors).to(self.device)


class _Run:
    """A student in training."""

    def __init__(
        self,
        config: Config,
        teacher: Embedder,
        device: torch.device,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._config = config
        self._school = _School(config, teacher, device)
        self._held_out_lessons = self._school.lessons(self._school.held_out)
        self._origin = _origin(config, self._school.crops)
        torch.manual_seed(config.seed)
        student = Student(config.shape, teacher.dimension)
        if start is not None:
            student.load_state_dict(start)
        student = student.to(device).to(memory_format=torch.channels_last)
        self._student = student
        self._lanes = [
            _Lane(number, config, self._school, _twin(student) if number else student)
            for number in range(config.lanes)
        ]
        self._optimizer = _optimizer(student, config)
        self._pool = ThreadPoolExecutor(config.lanes)
        self.step = 0
        self.curve: tuple[LearningPoint, ...] = ()
        self._spent, self._started = 0.0, time.monotonic()
        self._resume()

    @property
    def next_check(self) -> int:
        return (self.step // self._config.check_every + 1) * self._config.check_every

    def learn(self) -> float:
        """One step; the part of its loss to look at."""
        losses = list(self._pool.map(lambda lane: lane.learn(self.step), self._lanes))
        for mine, *others in zip(*(lane.student.parameters() for lane in self._lanes), strict=True):
            if mine.grad is not None:
                for other in others:
                    mine.grad += other.grad
                mine.grad /= len(self._lanes)
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.rate_at(self.step)
        self._optimizer.step()
        self.step += 1
        return float(sum(losses)) / len(losses)

    def check(self, mean_loss: float) -> None:
        """Add a point to the curve, measured on the held-out crops, and save. Raises OperationFailed."""
        self._student.eval()
        parts = torch.split(self._school.held_out, self._config.batch)
        with torch.inference_mode():
            answers = torch.cat([self._school.answers(self._student, part) for part in parts])
        self._student.train()
        similarity = (answers * self._held_out_lessons).sum(1).mean().item()
        seconds = self._spent + time.monotonic() - self._started
        point = LearningPoint(self.step * self._config.batch, mean_loss, similarity, seconds)
        if not (math.isfinite(mean_loss) and math.isfinite(similarity)):
            raise OperationFailed(
                f"after {point.views:,} views the student's answers are no numbers any more; the checkpoint before is "
                "kept. Begin again in another folder with another --seed"
            )
        self.curve = (*self.curve, point)
        self._save()

    def _save(self) -> None:
        checkpoint = Checkpoint(
            step=self.step,
            steps=self._config.steps,
            origin=self._origin,
            student=self._student.state_dict(),
            optimizer=self._optimizer.state_dict(),
            curve=self.curve,
        )
        save_checkpoint(checkpoint, self._config.out / LATEST)
        if self.step <= self._config.fall_begins:
            save_checkpoint(checkpoint, self._config.out / LEVEL)

    def _resume(self) -> None:
        """Go on from an earlier run's checkpoint, where there is one. Raises UsageError, OperationFailed."""
        config, found = self._config, self._earlier()
        if found is None:
            return
        if found.origin != self._origin:
            raise UsageError(
                f"{config.out} holds a run with another --student, --seed, --teacher or --device, another MODEL or "
                "--amount, with other crops, or of another version of chueok; give the same again, or another --out"
            )
        if found.steps != config.steps:
            self._check_length(found)
        self._student.load_state_dict(found.student)
        self._optimizer.load_state_dict(found.optimizer)
        self.step, self.curve = found.step, found.curve
        self._spent = found.curve[-1].seconds

    def _check_length(self, found: Checkpoint) -> None:
        """Raise UsageError where the rate of the run that was planned otherwise has fallen already."""
        config = self._config
        if found.step > round(found.steps * (1 - config.fall)):
            raise UsageError(
                f"{config.out / LEVEL} is missing, from which a run of another length could go on; give --views "
                f"{found.steps * config.batch}, or another --out"
            )
        if found.step > config.fall_begins:
            least = math.ceil(found.step / (1 - config.fall) + 1) * config.batch
            raise UsageError(
                f"the run in {config.out} has seen {found.step * config.batch:,} views before its rate fell; to go on "
                f"from there give --views {least} or more"
            )

    def _earlier(self) -> Checkpoint | None:
        """The last checkpoint; of a run that is made longer, the last before its rate fell."""
        latest = load_checkpoint(self._config.out / LATEST)
        if latest is not None and latest.steps == self._config.steps:
            return latest
        return load_checkpoint(self._config.out / LEVEL) or latest


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware. With AMX a step then took a third of the time."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def _twin(student: Student) -> Student:
    """Another student over the same weights, with gradients and batch statistics of its own."""
    twin = copy.deepcopy(student)
    for mine, its in zip(student.parameters(), twin.parameters(), strict=True):
        its.data = mine.data
    return twin


def _optimizer(student: Student, config: Config) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101); norms and their shifts do not decay."""
    weights = [parameter for parameter in student.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in student.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, config.rate, fused=True)


def _origin(config: Config, crops: Tensor) -> str:
    """What runs must share for one to go on with the other's weights: all but where they lie and how long they are."""
    recipe = dataclasses.replace(config, crops=Path(), out=Path(), views=0, check_every=0)
    digest = hashlib.sha256(repr(recipe).encode())
    if config.shape.inner:  # the recipe's repr leaves them out
        digest.update(repr(config.shape.inner).encode())
    digest.update(crops.numpy().data)
    return digest.hexdigest()
