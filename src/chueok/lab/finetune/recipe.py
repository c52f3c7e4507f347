"""The recipe of a fine-tuning, from a folder per person to a model that is offered for use.

ArcFace (Deng et al. 2019, arXiv 1801.07698) or semi-hard triplets (Schroff et al. 2015, arXiv 1503.03832) on some of
the people, held back by the network's own former answers (Li and Hoiem 2016, arXiv 1606.09282), stopped early by other
people, judged by yet others. Importing this file imports torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from chueok.errors import UnreadablePhoto, UsageError
from chueok.lab.curve import check_matplotlib
from chueok.lab.delivery import Maker, delivery
from chueok.lab.distill import find_device
from chueok.lab.evaluate import notes
from chueok.lab.faces import Faces, album_crops, of_people, read_faces
from chueok.lab.finetune.config import Config, check, check_size
from chueok.lab.finetune.curve import refuse_foreign_curve, write_curve
from chueok.lab.finetune.material import Material, cutter, material
from chueok.lab.finetune.networks import Learner, open_learner
from chueok.lab.finetune.offer import Judges, Offer, described, exported, offer
from chueok.lab.finetune.split import Split, split_people
from chueok.library import cores
from chueok.measures import Counted, FinetuneSummary, GateFigure, TuningPoint
from chueok.records import Note
from chueok.vision.reader import NETWORKS, ReaderSource

if TYPE_CHECKING:
    from chueok.lab.datasets import Dataset
    from chueok.lab.models import LabModel
    from chueok.settings import Settings

Event = Note | TuningPoint | GateFigure | FinetuneSummary


@dataclass(frozen=True, slots=True)
class Bench:
    """What surrounds a run and does not change what it learns."""

    settings: Settings
    device: str = "auto"
    source: ReaderSource = NETWORKS
    progress: Counted = lambda pictures, all_pictures: None
    reading: Counted = lambda read, pictures: None


def finetune(
    config: Config, dataset: Dataset, model: LabModel, name: str, bench: Bench, public: Dataset | None = None
) -> Iterator[Event]:
    """Fine-tune a model, write it to `config.out` under that name, and install it where it passes the gate.

    A summary comes last. The same config, pictures and model give the same result however often the run is stopped, on
    the same kind of CPU with as many cores. Raises UsageError, LibraryLocked, ModelMissing, ModelInvalid,
    OperationFailed.
    """
    check_extra()
    check(config)
    size = check_size(model.card, config.size)
    model.check()
    if public is not None:
        check_apart(dataset, public)
    from chueok.lab.finetune.run import CHECKPOINT, best_of, learn

    device = find_device(bench.device)
    torch.set_num_threads(bench.settings.jobs or cores())
    with delivery(config.out, name, Maker.FINETUNE, model) as delivered:
        if not (config.out / CHECKPOINT).exists():
            refuse_foreign_curve(config.out)
        learner = open_learner(model, size)
        faces = read_faces(dataset, bench.settings, source=bench.source, progress=bench.reading)
        yield from notes(faces)
        split = dealt(faces, config)
        yield Note(told(faces, split))
        taught = gathered(faces, split, learner, config, bench)
        for curve in learn(config, learner, taught, device, bench.progress):
            write_curve(curve, config.out)
            yield curve[-1]
        best, last = best_of(curve), curve[-1]
        result = Offer(model.card, False, _no_better(curve[0].eer))
        if best.epoch:
            judges = Judges(
                of_people(faces, split.held_out), public, bench.settings, bench.source, bench.reading
            )
            card, network = described(model.card, learner), exported(learner, taught)
            for event in offer(model, card, network, delivered, judges):
                if isinstance(event, Offer):
                    result = event
                else:
                    yield event
    yield FinetuneSummary(
        name,
        model.card.name,
        delivered.manifest if best.epoch else None,
        result.installed,
        result.reason,
        config.out / "curve.png",
        best.epoch,
        last.epoch,
        last.seconds,
    )


def check_apart(dataset: Dataset, public: Dataset) -> None:
    """Raise UsageError where both hold a picture: who was learnt from says nothing of what was forgotten."""

    def contents(one: Dataset) -> dict[bytes, str]:
        found = {}
        for picture in one.pictures:
            with suppress(UnreadablePhoto):
                found[hashlib.sha256(picture.read()).digest()] = picture.name
        return found

    ours, theirs = contents(dataset), contents(public)
    for shared in ours.keys() & theirs.keys():
        raise UsageError(
            f"--public {public.path} holds {theirs[shared]}, which is {ours[shared]} of {dataset.path}; give other "
            "people"
        )


def _no_better(eer_before: float) -> str:
    """Why there is no new model."""
    if eer_before == 0:
        return (
            "the model as it was makes no mistake on the validation people, so nothing can be better there; "
            "give more people, or pictures that are harder to tell apart"
        )
    return "no epoch was better on the validation people than the model as it was"


def check_extra() -> None:
    """Nothing, when the libraries of the extra are there: better known before the reading. Raises UsageError."""
    check_matplotlib()
    try:
        import pytorch_metric_learning  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "fine-tuning needs pytorch-metric-learning; run: pip install 'chueok[lab]'"
        ) from error


def dealt(faces: Faces, config: Config) -> Split:
    """Who is learnt from, and who judges. Raises UsageError."""
    seed = config.seed if config.split_seed is None else config.split_seed
    return split_people(faces.people, config.validation, config.held_out, seed)


def told(faces: Faces, split: Split) -> str:
    """How the people were dealt out, in words."""
    parts = (
        (split.taught, "to learn from"),
        (split.validation, "to stop by"),
        (split.held_out, "held out to decide with"),
    )
    words = [
        f"{len(people):,} people {what} ({len(of_people(faces, people).pictures):,} pictures)"
        for people, what in parts
    ]
    words += [f"{len(split.single):,} left out, of whom there is one face only"] if split.single else []
    return ", ".join(words)


def gathered(faces: Faces, split: Split, learner: Learner, config: Config, bench: Bench) -> Material:
    """What a run learns from and stops by. Raises UsageError, OperationFailed."""
    recipe = learner.card.recipe
    album = None
    if config.adapt is not None:
        cut = cutter(recipe)
        album = album_crops(config.adapt, bench.settings, cut, source=bench.source, progress=bench.reading)
    return material(faces, split, recipe, bench.settings, album)
