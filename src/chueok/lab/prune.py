"""The recipe that makes a model smaller and faster by taking filters away: what is left learns the original's answers.

Magnitude pruning in one step and learning again (Li et al. 2017, arXiv 1608.08710, "Pruning filters for efficient
ConvNets"); the teacher is the model as it was, so no names are needed, and learning is distill.py's.

Importing this file imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from chueok.errors import UsageError
from chueok.lab.backgrounds import BLACK, on_any_background, on_background
from chueok.lab.crops import load_crops
from chueok.lab.delivery import Maker, delivery
from chueok.lab.distill import Config as Learning
from chueok.lab.distill import on_this_machine
from chueok.lab.eight_bit import eight_bit
from chueok.lab.filters import filters, kept, without_smallest
from chueok.lab.finetune.restore import restored, settle
from chueok.lab.forms import Form, compared
from chueok.lab.graduate import as_onnx, measured_and_put
from chueok.lab.training import dealt, finished_student, learn
from chueok.measures import Counted, LearningPoint, ModelEvaluated, NetworkMeasured, PruneSummary
from chueok.records import Note
from chueok.vision.align import TEMPLATE_PIXELS
from chueok.vision.embed import OnnxEmbedder
from chueok.vision.models.card import Recipe
from chueok.vision.models.manifest import read_manifest
from chueok.vision.models.registry import read_weights
from chueok.vision.reader import NETWORKS, ReaderSource
from chueok.vision.runtime import open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from chueok.lab.datasets import Dataset
    from chueok.lab.models import LabModel
    from chueok.lab.students import Student
    from chueok.settings import Settings
    from chueok.vision.models.card import ModelCard

Event = Note | LearningPoint | NetworkMeasured | ModelEvaluated | PruneSummary

MOST = 0.9  # of the filters; with fewer than a tenth of them the rest would have to be learnt anew
_ADVICE = "none that can be pruned; give lite, or a model made from it or by `chueok lab distill`"


@dataclass(frozen=True, slots=True)
class Config:
    """What a run depends on."""

    name: str  # of the new model
    learning: Learning  # how what is left learns; its shape and teacher come from the model
    amount: float = 0.3  # of the filters inside the blocks, taken away
    calibration: int = 400  # crops the eight-bit form finds its ranges with, as lab/quantize.py has it
    rounds: int = 40  # of timing, as there


def recovery(crops: Path, out: Path, views: int, seed: int) -> Learning:
    """How a pruned model learns: as a student does, but for less long, from weights that know most of it."""
    return Learning(
        crops,
        out,
        views=views,
        # Of `lite`, --amount 0.3, after 9,600 views: mean similarity 0.968 at 2.5e-4, 0.959 at 1e-3, 0.937 at 2e-3.
        # With the calmer views from the beginning 0.961 at 1e-3, and 0.969 at 5e-4
        rate=5e-4,
        warm_up=50,  # steps: the norms after the cut have others' statistics
        check_every=100,  # a kill may lose some twenty seconds of a run of minutes
        seed=seed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Original:
    """The model as it is: the teacher of what becomes of it."""

    model: LabModel
    network: bytes  # its ONNX file
    student: Student  # the same in torch

    @property
    def eight_bit(self) -> bool:
        """Whether it was rounded, and the new one shall be."""
        return b"DequantizeLinear" in self.network


def prune(
    model: LabModel,
    config: Config,
    settings: Settings,
    datasets: Sequence[Dataset] = (),
    device: str = "auto",
    progress: Counted = lambda views, all_views: None,
    reading: Counted = lambda pictures, all_pictures: None,
    source: ReaderSource = NETWORKS,
) -> Iterator[Event]:
    """Take filters away, let the rest learn, and write it to `config.learning.out` as a model; a summary comes last.

    In eight bits where the model was. As with `distill`, the same config gives the same model however often the run is
    stopped. Raises UsageError, LibraryLocked, ModelMissing, ModelInvalid, OperationFailed.
    """
    original = _opened(model)
    _check(original.student, config)
    learning, teacher, where = on_this_machine(config.learning, model, settings, device)
    with delivery(learning.out, config.name, Maker.PRUNE, model) as delivered:
        yield Note(
            f"reading the crops of {learning.crops}; then learning from {learning.views:,} views, with a checkpoint "
            f"after every {learning.check_every * learning.batch:,}"
        )
        calibration, held_out = _chosen(config)
        settle(original.student, torch.split(_images(calibration), learning.batch))
        thin = without_smallest(original.student, config.amount)
        learning = replace(learning, shape=thin.shape)
        for curve in learn(learning, teacher, where, progress, thin.state_dict()):
            yield curve[-1]
        made = _made(original, thin, finished_student(learning), config.name, calibration)
        networks = compared(_forms(original, made, settings), held_out, config.rounds)
        yield from networks
        yield from measured_and_put(
            made[config.name],
            _described(model.card, config),
            delivered,
            datasets,
            settings,
            f"from {model.card.name}, sha256 {model.card.sha256}.",
            beside=[model],
            source=source,
            progress=reading,
        )
    yield PruneSummary(
        model=config.name,
        manifest=delivered.manifest,
        filters_before=filters(original.student),
        filters=filters(thin),
        views=curve[-1].views,
        similarity=networks[-1].similarity or 0.0,
        seconds=curve[-1].seconds,
        has_thresholds=bool(read_manifest(delivered.manifest).thresholds),
    )


def _opened(model: LabModel) -> _Original:
    """Raises UsageError for a model that is no student, ModelMissing, ModelInvalid, OperationFailed."""
    card = model.card
    plain = Recipe("arcface", TEMPLATE_PIXELS, mirror=card.recipe.mirror)  # a student scales by itself
    if card.architecture != "onnx" or card.recipe != plain:
        raise UsageError(f"the network of {card.name!r} is {_ADVICE}")
    network = read_weights(card, model.folder)
    return _Original(model, network, restored(network, card.name, _ADVICE))


def _check(student: Student, config: Config) -> None:
    """Raise UsageError for an amount that cannot be, or that takes nothing away."""
    if not 0 <= config.amount <= MOST:
        raise UsageError(f"--amount {config.amount:g}: it takes a share from 0 to {MOST:g}")
    widths = student.shape.inner or student.shape.widths
    inside = [width for width, depth in zip(widths, student.shape.depths, strict=True) if depth]
    if all(kept(width, config.amount) == width for width in inside):
        raise UsageError(
            f"--amount {config.amount:g} takes nothing away: the blocks of this model have {_listed(inside)} "
            "filters, of which a multiple of 8 stays, at least 8; give more"
        )


def _listed(widths: Sequence[int]) -> str:
    return ", ".join(map(str, widths)) or "no"


def _chosen(config: Config) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Crops to calibrate with, of those that are learnt from, and the held-out: (n, 112, 112, 3) uint8 RGB.

    Raises UsageError.
    """
    crops = load_crops(config.learning.crops)
    taught, held_out = (numbers.numpy() for numbers in dealt(len(crops), config.learning))
    chance = np.random.default_rng(config.learning.seed)
    return (
        on_any_background(crops[taught[: config.calibration]], chance),
        on_background(crops[held_out], BLACK),
    )


def _images(crops: NDArray[np.uint8]) -> Tensor:
    """(n, 112, 112, 3) uint8 -> (n, 3, 112, 112) float32, as students take them."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float().contiguous()


def _made(
    original: _Original, thin: Student, student: Student, name: str, calibration: NDArray[np.uint8]
) -> dict[str, bytes]:
    """The ONNX files of every form by what a table calls it; the last is the new model."""
    before, learnt = (as_onnx(network, maker=Maker.PRUNE) for network in (thin, student))
    made = {f"{name}, before learning": before}
    if not original.eight_bit:
        return made | {name: learnt}
    rounded = eight_bit(learnt, _images(calibration).numpy(), Maker.PRUNE)
    return made | {f"{name}, in float": learnt, name: rounded}


def _forms(original: _Original, made: dict[str, bytes], settings: Settings) -> list[Form]:
    """The original and what became of it, ready to answer. Raises ModelInvalid."""
    card = original.model.card
    first = Form(card.name, len(original.network), original.model.embedder(settings))
    return [
        first,
        *(
            Form(name, len(network), OnnxEmbedder(card, open_session(network)))
            for name, network in made.items()
        ),
    ]


def _described(original: ModelCard, config: Config) -> ModelCard:
    """How a pruned model is used: as its original. That one's thresholds are not its own, and it has none yet."""
    return replace(
        original,
        description=f"{original.name} without {100 * config.amount:g} % of its blocks' filters",
        licence=f"pruned from {original.name} ({original.licence})",
        thresholds={},
        impostor_pairs=0,
    )
