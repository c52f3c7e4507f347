"""From a run that has come to its end to a model that is offered for use, or not: exported, measured, judged.

Importing this file imports torch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch

from chueok.errors import ChueokError
from chueok.lab.delivery import Delivery, Maker, signed
from chueok.lab.eight_bit import eight_bit
from chueok.lab.evaluate import notes
from chueok.lab.faces import Faces, read_faces, recut
from chueok.lab.finetune.gate import Vectors, decision, figures, strict_thresholds
from chueok.lab.finetune.networks import Learner, prepared
from chueok.lab.graduate import as_onnx
from chueok.lab.models import LabModel
from chueok.measures import Counted, GateFigure
from chueok.records import Note
from chueok.vision.models.fetch import obtain
from chueok.vision.models.registry import find_model
from chueok.vision.reader import ReaderSource

if TYPE_CHECKING:
    from chueok.lab.datasets import Dataset
    from chueok.lab.finetune.material import Material
    from chueok.settings import Settings
    from chueok.vision.models.card import ModelCard

_CALIBRATION = 400  # crops, as lab/quantize.py has it


@dataclass(frozen=True, slots=True)
class Offer:
    """What came of it."""

    card: ModelCard
    installed: bool
    reason: str


def exported(learner: Learner, material: Material) -> bytes:
    """The network as one ONNX file, in eight bits where the model it began as was; calibrated on what was learnt."""
    network = as_onnx(learner.network, learner.card.recipe.pixels, Maker.FINETUNE)
    if not learner.eight_bit:
        return network
    order = np.random.default_rng(0).permutation(len(material.crops))[:_CALIBRATION]
    crops = torch.from_numpy(material.crops[order]).permute(0, 3, 1, 2).contiguous()
    inputs = np.ascontiguousarray(prepared(crops, learner.card.recipe).numpy())
    return signed(onnx.load_from_string(eight_bit(network, inputs)), Maker.FINETUNE)


def described(original: ModelCard, learner: Learner) -> ModelCard:
    """How a fine-tuned model is used: as the one it began as; name, file and thresholds are not known yet."""
    return replace(
        original,
        description=f"fine-tuned from {original.name}",
        licence=f"fine-tuned from {original.name} ({original.licence})",
        recipe=learner.card.recipe,
        thresholds={},
        impostor_pairs=0,
    )


@dataclass(frozen=True, slots=True)
class Judges:
    """What a new model is measured on: people it never saw, and a public set where one was given."""

    held_out: Faces
    public: Dataset | None
    settings: Settings
    source: ReaderSource
    progress: Counted


def offer(
    original: LabModel, card: ModelCard, network: bytes, delivered: Delivery, judges: Judges
) -> Iterator[Note | GateFigure | Offer]:
    """Measure a network beside the one it was made from, write it, and install it where it passed; an Offer comes last.

    card: of `described`. Raises OperationFailed, ModelInvalid.
    """
    card = delivered.described(card, network)
    public = None
    if judges.public is not None:
        public = read_faces(judges.public, judges.settings, source=judges.source, progress=judges.progress)
        yield from notes(public)
    with tempfile.TemporaryDirectory(prefix="chueok-") as folder:
        (Path(folder) / card.file).write_bytes(network)
        models = (original, LabModel(card, Path(folder)))
        found, after = figures(
            judges.held_out, _embedded(models, judges.held_out, judges.settings), "held-out"
        )
        measured = [after]
        if public is not None:
            more, after = figures(public, _embedded(models, public, judges.settings), "public")
            found += more
            measured.append(after)
    yield from found
    thresholds, pairs = strict_thresholds(measured)
    card = replace(card, thresholds=thresholds, impostor_pairs=pairs)
    card = delivered.put(card, network, f"from {original.card.name}, sha256 {original.card.sha256}.")
    passed, reason = decision(found)
    if passed and (taken := _taken(card, judges.settings)):
        passed, reason = False, f"{reason}; but {taken}"
    if passed:
        obtain(card.name, judges.settings.models, str(delivered.manifest))
    yield Offer(card, passed, reason)


def _embedded(models: tuple[LabModel, LabModel], faces: Faces, settings: Settings) -> Vectors:
    """What both models say to the faces, each to its own crops of them."""
    found = []
    for model in models:
        embedder = model.embedder(settings)
        shown = faces if model.takes_aligned_crops else recut(faces, embedder.crop, settings)
        found.append(embedder.embed(list(shown.crops)))
    return found[0], found[1]


def _taken(card: ModelCard, settings: Settings) -> str:
    """Why a model cannot be installed under its name without another's losing it; empty where it can."""
    try:
        other = find_model(card.name, settings.models)
    except ChueokError:
        return ""
    same = other.sha256 == card.sha256
    return (
        ""
        if same
        else f"another model {card.name!r} is installed, which a library may be using; give another --name"
    )
