"""Changing the model of a library: every face is embedded again from its stored box, and people are kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path

from chueok.errors import UnreadablePhoto
from chueok.library import Library
from chueok.records import (
    Detection,
    Face,
    FaceCrop,
    FaceReading,
    PhotoIndexed,
    PhotoReading,
    ScanEvent,
    ScanStarted,
    ScanSummary,
    Status,
)
from chueok.vision.reader import ReadingTask, scaled


def use_model(library: Library, clock: Callable[[], float] = time.monotonic) -> Iterator[ScanEvent]:
    """Make `library`, opened with the wanted model, speak that model from now on.

    Faces and people stay; only embeddings are made anew, from the boxes in the catalog. It can be interrupted: the
    old model stays current until all is done, and the next run goes on. Photos whose files are gone keep their faces
    but cannot be found until they are back and indexed. Raises LibraryLocked, ModelMissing.
    """
    started = clock()
    with library.writing():
        pending = library.catalog.faces.pictures_without(library.model_id)
        yield ScanStarted(len(pending), len(pending), 0)
        tally: Counter[Status] = Counter()
        tried: set[int] = set()
        while pending := _still_to_embed(library, tried):
            for event in _embed_anew(library, pending):
                tally[event.status] += 1
                yield event
            tried.update(pending)
        library.refresh_index()
        faces = len(library.catalog.faces.ids(library.model_id))
    counts = {status: tally[status] for status in Status}
    yield ScanSummary(counts, faces, missing=0, pruned=0, left=0, seconds=clock() - started)


def _still_to_embed(library: Library, tried: Set[int]) -> list[int]:
    """Contents to embed, as people are enrolled meanwhile; when none is left the model becomes the current one."""
    with library.catalog.transaction():
        pending = [
            picture_id
            for picture_id in library.catalog.faces.pictures_without(library.model_id)
            if picture_id not in tried
        ]
        if not pending:
            library.catalog.set_current_model(library.model_id)
    return pending


def _embed_anew(library: Library, pending: Sequence[int]) -> Iterator[PhotoIndexed]:
    tasks: dict[ReadingTask, int] = {}
    for picture_id in pending:
        if (task := _task(library, picture_id)) is not None:
            tasks[task] = picture_id
        else:
            yield _told(library, picture_id, kept=_embed_crops(library, picture_id))
    for task, result in library.run_pool(tasks):
        picture_id = tasks[task]
        if isinstance(result, UnreadablePhoto):
            yield _told(library, picture_id, kept=_embed_crops(library, picture_id))
        else:
            yield _told(library, picture_id, kept=_remember(library, picture_id, result))


def _told(library: Library, picture_id: int, *, kept: bool) -> PhotoIndexed:
    files = [photo.path for photo in library.catalog.photos.of_picture(picture_id)]
    files += [source for _, source, _ in library.catalog.people.reference_crops(picture_id)]
    path = files[0] if files else Path("(a gallery picture)")
    faces = len(library.catalog.faces.of_pictures([picture_id])[picture_id])
    if kept:
        return PhotoIndexed(path, Status.CHANGED, faces)
    return PhotoIndexed(path, Status.FAILED, faces, "its file is gone; index its album again when it is back")


def _task(library: Library, picture_id: int) -> ReadingTask | None:
    """How to embed a content's stored faces again: from a file that is still there."""
    catalog = library.catalog
    files = [photo.path for photo in catalog.photos.of_picture(picture_id)]
    files += [source for _, source, _ in catalog.people.reference_crops(picture_id)]
    known = tuple(face.detection for face in catalog.faces.of_pictures([picture_id])[picture_id])
    return next((ReadingTask(path, known) for path in files if path.is_file()), None)


def _remember(library: Library, picture_id: int, reading: PhotoReading) -> bool:
    """Keep new vectors, unless the file has changed since its faces were found."""
    if reading.sha256 != library.catalog.faces.sha256(picture_id):
        return _embed_crops(library, picture_id)
    with library.catalog.transaction():
        library.catalog.faces.put_picture(reading, library.model_id)
    return True


def _embed_crops(library: Library, picture_id: int) -> bool:
    """Embed the reference faces of a content from their kept crops; whether there were any."""
    crops = library.catalog.people.reference_crops(picture_id)
    for face, source, crop in crops:
        embedded = _embed_crop(library, source, face, crop)
        library.catalog.faces.put_vector(library.model_id, face.id, embedded.vector)
    library.catalog.photos.set_missing(
        (photo.id for photo in library.catalog.photos.of_picture(picture_id)), missing=True
    )
    return bool(crops)


def _embed_crop(library: Library, source: Path, face: Face, crop: FaceCrop) -> FaceReading:
    known = (_within(face.detection, crop, crop.pixels / crop.width),)
    return library.read_task(ReadingTask(source, known, data=crop.png)).faces[0]


def _within(detection: Detection, crop: FaceCrop, scale: float) -> Detection:
    """A face of a photo, in pixels of its kept crop."""
    box = detection.box
    moved = Detection(
        replace(box, x=box.x - crop.x, y=box.y - crop.y),
        detection.probability,
        tuple((x - crop.x, y - crop.y) for x, y in detection.landmarks),
    )
    return scaled(moved, scale, scale)
