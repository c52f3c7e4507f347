"""How the proposal network learns: its recipe, and going on after a kill.

Focal loss for what is a face (Lin et al. 2017, arXiv 1708.02002: nearly all cells are easily told to be none), and
the distance of a face's edges in shares of its size. Importing this file imports torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from chueok.errors import OperationFailed, UnreadablePhoto, UsageError
from chueok.lab.checkpoint import alone_in, load_state, save_state
from chueok.lab.crops import load_crops
from chueok.lab.proposals.network import ProposalNet
from chueok.lab.proposals.scenery import scenery
from chueok.lab.proposals.scenes import FACE, NO_FACE, Faces, Lesson, lesson
from chueok.vision.decode import decode, resize
from chueok.vision.proposals import UNIT_PIXELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.vision.base import Detector

_ROOM = 36  # pixels around a crop when MTCNN looks at it: it overlooks faces that fill their picture
_LEAST_FACE = 40.0  # pixels of a crop
_OFF_CENTRE = 20.0  # pixels: a face further from its usual place in a crop is somebody else's
_PHOTO_SIDE, _LEAST_SIDE = 1000, 180  # pixels of a photo: its long side, and the least of the other
_FALSE_ALARMS = 1e-3  # of cells without a face


@dataclass(frozen=True, slots=True)
class Config:
    """What a run depends on. Where no other reason stands, a value worked at once and others were not tried."""

    crops: Path  # what lab/crops.py reads
    photos: tuple[Path, ...]  # folders of pictures; those without faces become scenery
    out: Path
    steps: int = 7_000  # a quarter of an hour on two cores; the loss still falls, slowly
    batch: int = 48  # scenes a step
    rate: float = 4e-3  # of AdamW
    warm_up: int = 200  # steps
    fall: float = 0.6  # of the steps, at the end: the rate falls to nothing, as in lab/distill.py
    decay: float = 1e-3
    focus: float = 1.5  # the exponent of focal loss
    scenery: int = 2_000  # pieces: 0.9 GB, made in two minutes
    held_out: int = 500  # crops, and a twentieth of the scenery
    check_every: int = 500  # steps
    workers: int = 1  # processes that lay out scenes, beside the one that learns
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """The rate of a step: up, level, down."""
        down = (self.steps - step) / (self.steps * self.fall)
        return self.rate * min(1.0, (step + 1) / self.warm_up, down)


@dataclass(frozen=True, slots=True)
class Check:
    """How far a run is."""

    step: int
    loss: float  # mean since the check before
    found: float  # of held-out cells with a face, when one cell in a thousand without is taken for one


def learn(config: Config, detector: Detector) -> Generator[Check]:
    """Train, or go on where the last checkpoint stands; `finished` has the result.

    detector: says where in each crop the face is. The same config gives the same weights however often it is stopped,
    on the same kind of CPU. Raises UsageError, LibraryLocked, OperationFailed.
    """
    torch.set_num_threads(1)
    with alone_in(config.out):
        faces = _located(config, load_crops(config.crops), detector)
        if len(faces.crops) < 2 * config.held_out:
            raise UsageError(
                f"{config.crops} holds {len(faces.crops)} faces; {2 * config.held_out} are needed"
            )
        photos = list(_without_faces(config.photos, detector))
        pieces = scenery(config.scenery, faces.crops, photos, np.random.default_rng(config.seed))
        seen, kept = len(pieces) - len(pieces) // 20, len(faces.crops) - config.held_out
        test = lesson(
            Faces(faces.crops[kept:], faces.boxes[kept:]),
            pieces[seen:],
            512,
            np.random.default_rng(config.seed),
        )
        lessons = _Lessons(config, Faces(faces.crops[:kept], faces.boxes[:kept]), pieces[:seen])
        yield from _Run(config).learn(lessons, test)


def finished(config: Config) -> ProposalNet:
    """The network of a run that has come to its end. Raises UsageError, OperationFailed."""
    state = load_state(_checkpoint(config), lambda state: state)
    if state is None or state["step"] < config.steps:
        raise UsageError(f"the run in {config.out} has not come to its end")
    net = ProposalNet()
    net.load_state_dict(state["net"])
    return net.eval()


class _Lessons(Dataset[Lesson]):
    """A step's number -> its lesson, which depends on nothing else."""

    def __init__(self, config: Config, faces: Faces, pieces: NDArray[np.uint8]) -> None:
        self._config, self._faces, self._pieces = config, faces, pieces

    def __getitem__(self, step: int) -> Lesson:
        chance = np.random.default_rng((self._config.seed, step))
        return lesson(self._faces, self._pieces, self._config.batch, chance)


class _Run:
    """A network in training."""

    def __init__(self, config: Config) -> None:
        self._config = config
        torch.manual_seed(config.seed)
        self._net = ProposalNet().to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.AdamW(self._net.parameters(), config.rate, weight_decay=config.decay)
        self._step = 0
        recipe = dataclasses.replace(config, crops=Path(), photos=(), out=Path(), check_every=0, workers=0)
        self._origin = hashlib.sha256(repr(recipe).encode()).hexdigest()
        self._resume()

    def learn(self, lessons: _Lessons, test: Lesson) -> Iterator[Check]:
        config = self._config
        steps = range(self._step, config.steps)
        losses = []
        for learnt in DataLoader(lessons, None, sampler=steps, num_workers=config.workers):
            losses.append(self._learn(learnt))
            if self._step % config.check_every == 0 or self._step == config.steps:
                check = Check(self._step, sum(losses) / len(losses), _found(self._net, test))
                if not np.isfinite(check.loss):
                    raise OperationFailed(
                        "the answers are no numbers any more; begin again with another seed"
                    )
                self._save()
                losses = []
                yield check

    def _learn(self, learnt: Lesson) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.rate_at(self._step)
        chance = torch.Generator().manual_seed(self._config.seed * 1_000_003 + self._step)
        loss = _loss(self._net(_lit(_tensor(learnt.scenes), chance)), learnt, self._config.focus)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch publishes none for it
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), 5.0)
        self._optimizer.step()
        self._step += 1
        return loss.item()

    def _save(self) -> None:
        state = {"step": self._step, "origin": self._origin, "net": self._net.state_dict()}
        save_state({**state, "optimizer": self._optimizer.state_dict()}, _checkpoint(self._config))

    def _resume(self) -> None:
        state = load_state(_checkpoint(self._config), lambda state: state)
        if state is None:
            return
        if state["origin"] != self._origin:
            raise UsageError(f"{self._config.out} holds a run of another recipe; choose another folder")
        self._net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._step = state["step"]


def _located(config: Config, crops: NDArray[np.uint8], detector: Detector) -> Faces:
    """The crops in which the detector sees a face where it belongs, in an order of chance; asked once and kept."""
    path = config.out / "faces.pt"
    state: dict[str, Any] | None = load_state(path, lambda state: state)
    if state is None:
        found = [_face(crop, detector) for crop in crops]
        state = {"boxes": torch.from_numpy(np.array([box or (0, 0, 0, 0) for box in found], np.float32))}
        save_state(state, path)
    boxes = state["boxes"].numpy()
    if len(boxes) != len(crops):
        raise UsageError(f"{path} is of other crops; choose another folder")
    there = np.flatnonzero(boxes[:, 2] > 0)
    there = there[np.random.default_rng(config.seed).permutation(len(there))]
    return Faces(crops[there], boxes[there])


def _face(crop: NDArray[np.uint8], detector: Detector) -> tuple[float, float, float, float] | None:
    """Left, top, width and height of a crop's face, (112, 112, 4) uint8 RGBA; None where MTCNN sees none."""
    picture = np.pad(crop[..., :3], ((_ROOM, _ROOM), (_ROOM, _ROOM), (0, 0)), mode="edge")
    for face in detector.detect(picture, _LEAST_FACE)[:1]:
        box = face.moved(-_ROOM, -_ROOM).box
        middle = box.x + box.width / 2 - 56, box.y + box.height / 2 - 60
        if max(map(abs, middle)) < _OFF_CENTRE and box.height > 60:
            return box.x, box.y, box.width, box.height
    return None


def _without_faces(folders: Iterable[Path], detector: Detector) -> Iterator[NDArray[np.uint8]]:
    """The pictures below some folders in which the detector sees nobody; what cannot be read is passed over."""
    for path in (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()):
        try:
            photo = resize(decode(path.read_bytes(), _PHOTO_SIDE).pixels, _PHOTO_SIDE)
        except UnreadablePhoto:
            continue
        if min(photo.shape[:2]) >= _LEAST_SIDE and not detector.detect(photo):
            yield photo


def _loss(cells: Tensor, learnt: Lesson, focus: float) -> Tensor:
    """cells: (n, 5, 24, 24), the network's answers."""
    truth = torch.from_numpy(learnt.faces)
    is_face, is_none = (truth == FACE).float(), (truth == NO_FACE).float()
    logits = cells[:, 4]
    surprise = functional.binary_cross_entropy_with_logits(logits, is_face, reduction="none")
    wrong = 1 - torch.exp(-surprise)  # of the right answer's probability
    total = is_face.sum().clamp(min=1)
    told = (wrong**focus * surprise * (0.75 * is_face + 0.25 * is_none)).sum()
    off = functional.smooth_l1_loss(cells[:, :4], torch.from_numpy(learnt.boxes), reduction="none", beta=0.1)
    share = off.sum(1) * UNIT_PIXELS / torch.from_numpy(learnt.sizes)
    return (told + (share * is_face).sum()) / total


def _found(net: ProposalNet, test: Lesson) -> float:
    """`Check.found`."""
    net.eval()
    with torch.inference_mode():
        parts = torch.split(_tensor(test.scenes).float(), 64)
        logits = torch.cat([net(part)[:, 4] for part in parts]).numpy()
    net.train()
    limit = np.quantile(logits[test.faces == NO_FACE], 1 - _FALSE_ALARMS)
    return float((logits[test.faces == FACE] > limit).mean())


def _lit(scenes: Tensor, chance: torch.Generator) -> Tensor:
    """Other light: colour or none, exposure, contrast; some dark, blurred, noisy. (n, 3, h, w) uint8 -> float32."""
    n = len(scenes)

    def normal(*shape: int) -> Tensor:
        return torch.randn((n, *shape), generator=chance)

    def few(share: float) -> Tensor:
        return torch.rand((n, 1, 1, 1), generator=chance) < share

    pictures = scenes.float()
    grey = pictures.mean(1, keepdim=True)
    colour = (1 + 0.25 * normal(1, 1, 1)).clamp(0, 1.6) * ~few(0.12)
    pictures = grey + (pictures - grey) * colour
    pictures = pictures * (0.3 * normal(1, 1, 1) + 0.07 * normal(3, 1, 1)).exp() + 10 * normal(1, 1, 1)
    pictures = torch.where(
        few(0.15), pictures * (-2.0 * torch.rand((n, 1, 1, 1), generator=chance)).exp(), pictures
    )
    pictures = 127 + (pictures - 127) * (0.2 * normal(1, 1, 1)).exp()
    edged = functional.pad(pictures, (1, 1, 1, 1), mode="replicate")
    pictures = torch.where(few(0.25), torch.lerp(pictures, functional.avg_pool2d(edged, 3, 1), 0.6), pictures)
    noise = 8 * torch.rand((n, 1, 1, 1), generator=chance) * few(0.25)
    pictures = pictures + noise * normal(*pictures.shape[1:])
    return pictures.clamp(0, 255).round().contiguous(memory_format=torch.channels_last)


def _tensor(scenes: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(scenes).permute(0, 3, 1, 2)


def _checkpoint(config: Config) -> Path:
    return config.out / "checkpoint.pt"
