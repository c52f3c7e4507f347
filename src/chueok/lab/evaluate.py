"""Models measured on data sets: the faces are found once, then every model embeds the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from chueok.lab.bootstrap import Replicates, intervals, weigh
from chueok.lab.compare import compared
from chueok.lab.comparisons import Comparisons, numbered
from chueok.lab.datasets import Dataset
from chueok.lab.faces import Faces, read_faces, recut
from chueok.lab.figures import hardest, portray, roc_points
from chueok.lab.models import LabModel
from chueok.lab.slices import Columns, measure_slices, slicings
from chueok.lab.timing import milliseconds
from chueok.measures import Counted, EvaluateSummary, ModelEvaluated, ModelsCompared, Verification
from chueok.records import Note
from chueok.settings import Settings
from chueok.vision.reader import NETWORKS, ReaderSource

_NAMED = 5  # pictures named in a note; --json names all
_ROUNDS = 20  # of timing: 40 calls, 0.1 s for a small model; the median's jitter is then a few per cent

Event = Note | ModelEvaluated | ModelsCompared | EvaluateSummary


@dataclass(frozen=True, slots=True)
class Asked:
    """How much an evaluation shall say."""

    seed: int = 0  # of the draws behind intervals
    columns: Columns = field(default_factory=dict)
    portrayed: bool = False  # draw what a page shows
    compared: bool = False  # say what changes from the first model to the others


def evaluate(
    datasets: Sequence[Dataset],
    models: Sequence[LabModel],
    settings: Settings,
    *,
    source: ReaderSource = NETWORKS,
    progress: Counted = lambda read, pictures: None,
    names: Sequence[str] = (),
    asked: Asked = Asked(),
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
    yield from map(Note, _prepared(models if datasets else (), settings, source))
    pictures = faceless = unreadable = 0
    for dataset in datasets:
        faces = read_faces(dataset, settings, source=source, progress=progress)
        pictures += len(dataset.pictures)
        faceless += len(faces.faceless)
        unreadable += len(faces.unreadable)
        yield from notes(faces)
        measured = []
        for model, called in zip(models, _told_apart(models, names), strict=True):
            measured.append(_evaluated(faces, model, called, settings, asked, clock))
            yield measured[-1][0]
        for record, drawn in measured[1:] if asked.compared else ():
            yield compared(record, drawn, *measured[0])
    seconds = time.monotonic() - started
    yield EvaluateSummary(len(datasets), len(models), pictures, faceless, unreadable, seconds)


def _prepared(models: Sequence[LabModel], settings: Settings, source: ReaderSource) -> Iterator[str]:
    """What has to be done before the models can be used, each step named once, before it is taken."""
    said = set()
    for model in models:
        for step in source.prepare(model.card, replace(settings, models=model.folder)):
            if step not in said:
                yield step
            said.add(step)


def _told_apart(models: Sequence[LabModel], names: Sequence[str]) -> list[str]:
    """What to call the models: their own names, and what was typed where several have one name."""
    own = [model.card.name for model in models]
    return [typed if own.count(name) > 1 else name for name, typed in zip(own, names or own, strict=True)]


def _evaluated(
    faces: Faces,
    model: LabModel,
    called: str,
    settings: Settings,
    asked: Asked,
    clock: Callable[[], float],
) -> tuple[ModelEvaluated, Replicates]:
    embedder = model.embedder(settings)
    if not model.takes_aligned_crops:
        faces = recut(faces, embedder.crop, settings)
    timed = [milliseconds([embedder], crop, _ROUNDS, clock=clock)[0] for crop in faces.crops[:1]]
    listed = tuple(pair for fold in faces.folds for pair in fold) if faces.dataset.only_folds else None
    comparisons = Comparisons(embedder.embed(list(faces.crops)), numbered(faces.people), listed)
    weighed = weigh(comparisons, faces.folds, asked.seed)
    measured, everything = weighed.measured, weighed.everything
    points, hard = roc_points(everything), hardest(weighed.evidence, faces)
    sliced_at = _slicing_threshold(measured)
    ways = [] if sliced_at is None else slicings(faces, asked.columns)
    record = ModelEvaluated(
        dataset=faces.dataset.path,
        model=called,
        sha256=model.card.sha256,
        pictures=len(faces.dataset.pictures),
        people=faces.dataset.people,
        faceless=faces.faceless,
        unreadable=tuple(name for name, _ in faces.unreadable),
        lost=faces.lost,
        verification=measured,
        ms_per_face=timed[0] if timed else None,
        seed=asked.seed,
        intervals=intervals(weighed.drawn),
        sliced_at=sliced_at,
        slices=measure_slices(comparisons, sliced_at or 0, ways),
        roc=points,
        hardest=hard,
        portrayed=portray(everything, measured.threshold, points, hard, faces) if asked.portrayed else None,
    )
    return record, weighed.drawn


def _slicing_threshold(measured: Verification) -> float | None:
    """What `chueok find` would take: the similarity at the FAR of 1e-3, or the nearest that can be told."""
    told = [measured.thresholds["1e-3"], measured.thresholds["1e-2"], measured.threshold]
    return next((similarity for similarity in told if similarity is not None), None)


def notes(faces: Faces) -> Iterator[Note]:
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
