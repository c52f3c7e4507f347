"""From a run that has come to its end to a model that can be used: exported, measured, with thresholds."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import torch
from torch import nn

from chueok.errors import ModelInvalid
from chueok.lab.delivery import Delivery, Maker, signed
from chueok.lab.evaluate import evaluate
from chueok.lab.models import LabModel
from chueok.measures import Counted, ModelEvaluated, Verification
from chueok.records import Note
from chueok.vision.align import TEMPLATE_PIXELS
from chueok.vision.models.card import ModelCard, Recipe
from chueok.vision.models.compile import Blueprint
from chueok.vision.models.export import write_onnx
from chueok.vision.models.manifest import read_manifest
from chueok.vision.reader import NETWORKS, ReaderSource

if TYPE_CHECKING:
    from chueok.lab.datasets import Dataset
    from chueok.lab.students import Student
    from chueok.settings import Settings


def graduate(
    student: Student,
    teacher: ModelCard,
    delivered: Delivery,
    datasets: Sequence[Dataset],
    settings: Settings,
    *,
    source: ReaderSource = NETWORKS,
    progress: Counted = lambda done, total: None,
) -> Iterator[Note | ModelEvaluated]:
    """Measure the student on every data set, and write it as a model; as `measured_and_put`."""
    network = as_onnx(student)
    remark = f"from {teacher.name}, sha256 {teacher.sha256}."
    yield from measured_and_put(
        network, _card(teacher), delivered, datasets, settings, remark, source=source, progress=progress
    )


def measured_and_put(
    network: bytes,
    card: ModelCard,
    delivered: Delivery,
    datasets: Sequence[Dataset],
    settings: Settings,
    remark: str,
    *,
    beside: Sequence[LabModel] = (),
    source: ReaderSource = NETWORKS,
    progress: Counted = lambda done, total: None,
) -> Iterator[Note | ModelEvaluated]:
    """Measure a network on every data set, and write it as a model with the thresholds of the first.

    Where that says nothing, a model that is the same as before keeps the thresholds it had. card: how the network is
    used. remark: as `Delivery.put`. beside: models that are measured before it, for comparison. Raises OperationFailed,
    and what `evaluate` does.
    """
    card = delivered.described(card, network)
    measured = []
    with tempfile.TemporaryDirectory(prefix="chueok-") as folder:
        (Path(folder) / card.file).write_bytes(network)
        for event in evaluate(
            datasets, [*beside, LabModel(card, Path(folder))], settings, source=source, progress=progress
        ):
            if isinstance(event, ModelEvaluated) and event.sha256 == card.sha256:
                measured.append(event)
            if isinstance(event, ModelEvaluated | Note):
                yield event
    if measured:
        card = _with_thresholds(card, measured[0].verification)
    if not card.thresholds:
        card = _as_before(card, delivered.manifest)
    delivered.put(card, network, remark)


def _as_before(card: ModelCard, manifest: Path) -> ModelCard:
    """The card, with the thresholds that a manifest has for the very same network."""
    with suppress(ModelInvalid):
        before = read_manifest(manifest)
        if before.sha256 == card.sha256:
            return replace(card, thresholds=before.thresholds, impostor_pairs=before.impostor_pairs)
    return card


def _card(teacher: ModelCard) -> ModelCard:
    """How a student is used; its name and file are not known yet."""
    return ModelCard(
        name="",
        description=f"a student of {teacher.name}",
        licence=f"learnt from {teacher.name} ({teacher.licence})",
        file="",
        size=0,
        sha256="",
        architecture="onnx",
        dimension=teacher.dimension,
        # scaling is inside the graph; the mirror image evens out what a small network gets wrong
        recipe=Recipe(crop="arcface", pixels=TEMPLATE_PIXELS, mirror=True),
    )


def as_onnx(network: nn.Module, side: int = TEMPLATE_PIXELS, maker: Maker = Maker.DISTILL) -> bytes:
    """A network as one ONNX file: "image" (n, 3, side, side) float32 -> "embedding" (n, d)."""
    with tempfile.TemporaryDirectory(prefix="chueok-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's warnings are about torch's own future
        path = Path(folder) / "network.onnx"
        write_onnx(Blueprint(network.cpu(), torch.zeros(2, 3, side, side)), path)
        return signed(onnx.load(path), maker)


def _with_thresholds(card: ModelCard, measured: Verification) -> ModelCard:
    found = {
        far: round(similarity, 3) for far, similarity in measured.thresholds.items() if similarity is not None
    }
    return replace(card, thresholds=found, impostor_pairs=measured.impostors if found else 0)
