"""Changing the model of a library: every face is embedded again from its stored box, and people are kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path

from chueok.flow.paths import content_hash, is_as_indexed, real
from chueok.library import Library
from chueok.records import (
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
from chueok.vision.reader import ReadingTask


def use_model(library: Library, clock: Callable[[], float] = time.monotonic) -> Iterator[ScanEvent]:
    """Make `library`, opened with the wanted model, speak that model from now on.

    Faces and people stay; only embeddings are made anew, from the boxes in the catalog. It can be interrupted: the
    old model stays current until all is done, and the next run goes on. Photos whose files are gone keep their faces
    but cannot be found until they are back and indexed. Raises LibraryLocked, ModelMissing, ModelInvalid: then nothing
    is changed.
    """
    started = clock()
    library.prepare()
    with library.writing():
        with library.catalog.transaction():
            library.catalog.faces.drop_unused_pictures()  # of galleries and selfies: they are read again when needed
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
    tasks = {task: picture_id for picture_id in pending if (task := _task(library, picture_id))}
    without_file = set(pending) - set(tasks.values())
    for task, result in library.run_pool(tasks):
        if isinstance(result, PhotoReading) and _remember(library, tasks[task], result):
            yield _told(library, tasks[task], kept=True)
        else:
            without_file.add(tasks[task])
    for picture_id in sorted(without_file):
        yield _told(library, picture_id, kept=_embed_crops(library, picture_id))


def _told(library: Library, picture_id: int, *, kept: bool) -> PhotoIndexed:
    path = _files(library, picture_id)[0]
    faces = len(library.catalog.faces.of_pictures([picture_id])[picture_id])
    if kept:
        return PhotoIndexed(path, Status.CHANGED, faces)
    return PhotoIndexed(path, Status.FAILED, faces, "its file is gone; index its album again when it is back")


def _files(library: Library, picture_id: int) -> list[Path]:
    """Where a content was last seen: photos, then references; at least one, since others are dropped."""
    files = [photo.path for photo in library.catalog.photos.of_picture(picture_id)]
    return files + [source for _, source, _ in library.catalog.people.reference_crops(picture_id)]


def _task(library: Library, picture_id: int) -> ReadingTask | None:
    """How to embed a content's stored faces again: from a file that still has that content."""
    faces = library.catalog.faces
    known = tuple(face.detection for face in faces.of_pictures([picture_id])[picture_id])
    for photo in library.catalog.photos.of_picture(picture_id):
        if is_as_indexed(photo.path, photo.stamp.size, photo.stamp.mtime_ns):
            return ReadingTask(photo.path, known)
    for _, source, _ in library.catalog.people.reference_crops(picture_id):
        if content_hash(real(source)) == faces.sha256(picture_id):
            return ReadingTask(real(source), known)
    return None


def _remember(library: Library, picture_id: int, reading: PhotoReading) -> bool:
    """Keep new vectors, unless the file was changed at the last moment."""
    if reading.sha256 != library.catalog.faces.sha256(picture_id):
        return False
    with library.catalog.transaction():
        library.catalog.faces.put_picture(reading, library.model_id)
    return True


def _embed_crops(library: Library, picture_id: int) -> bool:
    """Embed the reference faces of a content that no file has any more from their crops; whether there were any."""
    catalog = library.catalog
    crops = catalog.people.reference_crops(picture_id)
    for face, source, crop in crops:
        embedded = _embed_crop(library, source, face, crop)
        catalog.faces.put_vector(library.model_id, face.id, embedded.vector)
    catalog.photos.set_missing((photo.id for photo in catalog.photos.of_picture(picture_id)), missing=True)
    return bool(crops)


def _embed_crop(library: Library, source: Path, face: Face, crop: FaceCrop) -> FaceReading:
    scale = crop.pixels / crop.width
    known = face.detection.moved(-crop.x, -crop.y).scaled(scale, scale)
    return library.read_task(ReadingTask(source, (known,), data=crop.png)).faces[0]
