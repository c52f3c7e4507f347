"""Models measured on data sets: the faces are found once, then every model embeds the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chueok.lab.datasets import Dataset
from chueok.lab.faces import Faces, read_faces, recut
from chueok.lab.models import LabModel
from chueok.lab.timing import milliseconds
from chueok.lab.verification import verify
from chueok.measures import Counted, EvaluateSummary, ModelEvaluated, Verification
from chueok.records import Note
from chueok.settings import Settings
from chueok.vision.reader import NETWORKS, ReaderSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAMED = 5  # pictures named in a note; --json names all
_ROUNDS = 20  # of timing: 40 calls, 0.1 s for a small model; the median's jitter is then a few per cent

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
    progress: Counted = lambda read, pictures: None,
    names: Sequence[str] = (),
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Event]:
    """Measure every model on every data set; a summary comes last.

    Nothing is kept: faces are read into a passing library. names: what to call the models where their own names
    repeat, as they were typed. clock: seconds. Raises ModelMissing before anything is read, ModelInvalid,
    OperationFailed.
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
        yield from reading_notes(faces)
        for model, called in zip(models, _told_apart(models, names), strict=True):
            yield _evaluated(faces, model, called, settings, clock)
    seconds = time.monotonic() - started
    yield EvaluateSummary(len(datasets), len(models), pictures, faceless, unreadable, seconds)


def _told_apart(models: Sequence[LabModel], names: Sequence[str]) -> list[str]:
    """What to call the models: their own names, and what was typed where several have one name."""
    own = [model.card.name for model in models]
    return [typed if own.count(name) > 1 else name for name, typed in zip(own, names or own, strict=True)]


def _evaluated(
    faces: Faces, model: LabModel, called: str, settings: Settings, clock: Callable[[], float]
) -> ModelEvaluated:
    embedder = model.embedder(settings)
    if not model.takes_aligned_crops:
        faces = recut(faces, embedder.crop, settings)
    timed = [milliseconds([embedder], crop, _ROUNDS, clock=clock)[0] for crop in faces.crops[:1]]
    return ModelEvaluated(
        dataset=faces.dataset.path,
        model=called,
        sha256=model.card.sha256,
        pictures=len(faces.dataset.pictures),
        people=faces.dataset.people,
        faceless=faces.faceless,
        unreadable=tuple(name for name, _ in faces.unreadable),
        lost=faces.lost,
        verification=measure(faces, lambda crops: embedder.embed(list(crops))),
        ms_per_face=timed[0] if timed else None,
    )


def reading_notes(faces: Faces) -> Iterator[Note]:
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
