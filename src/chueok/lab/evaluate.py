"""Models measured on data sets: the faces are found once, then every model embeds the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chueok.lab.datasets import Dataset
from chueok.lab.faces import Faces, Progress, read_faces, recut
from chueok.lab.models import LabModel
from chueok.lab.verification import verify
from chueok.measures import EvaluateSummary, ModelEvaluated, Verification
from chueok.records import Note
from chueok.settings import Settings
from chueok.vision.align import TEMPLATE_PIXELS
from chueok.vision.reader import NETWORKS, ReaderSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAMED = 5  # pictures named in a note; --json names all

Event = Note | ModelEvaluated | EvaluateSummary


def measure(faces: Faces, embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Verification:
    """How well an embedding tells the faces apart. embed: `faces.crops` -> (n, d) float32, unit rows."""
    return verify(embed(faces.crops), faces.people, faces.folds)


def evaluate(
    datasets: Sequence[Dataset],
    models: Sequence[LabModel],
    settings: Settings,
    *,
    source: ReaderSource = NETWORKS,
    progress: Progress = lambda read, pictures: None,
    clock: Callable[[], float] = time.process_time,
) -> Iterator[Event]:
    """Measure every model on every data set; a summary comes last.

    Nothing is kept: faces are read into a passing library. clock: processor seconds, which other programs do not
    lengthen. Raises ModelMissing before anything is read, ModelInvalid, OperationFailed.
    """
    started = time.monotonic()
    for model in models:
        model.check()
    for model in models if datasets else ():
        yield from map(Note, source.prepare(model.card, replace(settings, models=model.folder)))
    pictures = faceless = unreadable = 0
    for dataset in datasets:
        faces = read_faces(dataset, settings, source=source, progress=progress)
        pictures += len(dataset.pictures)
        faceless += len(faces.faceless)
        unreadable += len(faces.unreadable)
        yield from _notes(faces)
        for model in models:
            yield _evaluated(faces, model, settings, clock)
    seconds = time.monotonic() - started
    yield EvaluateSummary(len(datasets), len(models), pictures, faceless, unreadable, seconds)


def _evaluated(
    faces: Faces, model: LabModel, settings: Settings, clock: Callable[[], float]
) -> ModelEvaluated:
    card, embedder = model.card, model.embedder(settings)
    if (card.recipe.crop, card.recipe.pixels) != ("arcface", TEMPLATE_PIXELS):
        faces = recut(faces, embedder.crop, settings)
    seconds = 0.0

    def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        nonlocal seconds
        started = clock()
        vectors = embedder.embed(list(crops))
        seconds = clock() - started
        return vectors

    verification = measure(faces, embed)
    return ModelEvaluated(
        dataset=faces.dataset.path,
        model=card.name,
        sha256=card.sha256,
        pictures=len(faces.dataset.pictures),
        people=faces.dataset.people,
        faceless=faces.faceless,
        unreadable=tuple(name for name, _ in faces.unreadable),
        lost=faces.lost,
        verification=verification,
        ms_per_face=1000 * seconds / len(faces.crops) if len(faces.crops) else None,
    )


def _notes(faces: Faces) -> Iterator[Note]:
    """What a reader of the numbers should know about the pictures behind them."""
    dataset = faces.dataset
    if dataset.loose:
        yield Note(f"{dataset.path}: left out, for they lie in nobody's folder: {_listed(dataset.loose)}")
    for name, reason in faces.unreadable:
        yield Note(f"cannot read {dataset.path / name}: {reason}")
    if faces.faceless:
        yield Note(
            f"{dataset.path}: no face was found in {len(faces.faceless):,} of {len(dataset.pictures):,} pictures: "
            f"{_listed(faces.faceless)}"
        )


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
