"""Changing the model of a library: every face is embedded again from its stored box, and people are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from chueok.errors import UnreadablePhoto
from chueok.library import Library
from chueok.records import Detection, Face, FaceReading, Note, PhotoReading
from chueok.store.catalog import ReferenceCrop
from chueok.vision.reader import ReadingTask, scaled


@dataclass(frozen=True, slots=True)
class Reembedded:
    """One more picture speaks the new model; `lost` if no file of it is left to embed."""

    done: int
    total: int
    lost: bool


def use_model(library: Library) -> Iterator[Reembedded | Note]:
    """Make `library`, opened with the wanted model, speak that model from now on.

    Faces and people stay; only embeddings are made anew, from the boxes in the catalog. It can be interrupted: the
    old model stays current until all is done, and the next run goes on. Photos whose files are gone keep their faces
    but cannot be found until they are back and indexed. Raises LibraryLocked, ModelMissing.
    """
    with library.writing():
        if note := library.preparation():
            yield Note(note)
        pending = library.catalog.faces.pictures_without(library.model_id)
        tasks = {}
        lost = []
        for picture_id in pending:
            task = _task(library, picture_id)
            if task is None:
                lost.append(picture_id)
            else:
                tasks[task] = picture_id
        done = 0
        for picture_id in lost:
            done += 1
            yield Reembedded(done, len(pending), lost=not _embed_crops(library, picture_id))
        for task, result in library.run_pool(tasks):
            done += 1
            if isinstance(result, UnreadablePhoto):
                kept = _embed_crops(library, tasks[task])
            else:
                kept = _remember(library, tasks[task], result)
            yield Reembedded(done, len(pending), lost=not kept)
        library.catalog.set_current_model(library.model_id)
        library.refresh_index()


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
    for face, _, crop in crops:
        vector = _embed_crop(library, face, crop)
        library.catalog.faces.put_vector(library.model_id, face.id, vector.vector)
    library.catalog.photos.set_missing(
        (photo.id for photo in library.catalog.photos.of_picture(picture_id)), missing=True
    )
    return bool(crops)


def _embed_crop(library: Library, face: Face, crop: ReferenceCrop) -> FaceReading:
    with tempfile.NamedTemporaryFile(dir=library.folder, prefix=".crop-", suffix=".png") as file:
        file.write(crop.png)
        file.flush()
        scale = crop.pixels / crop.width
        reading = library.read_task(ReadingTask(Path(file.name), (_within(face.detection, crop, scale),)))
    return reading.faces[0]


def _within(detection: Detection, crop: ReferenceCrop, scale: float) -> Detection:
    """A face of a photo, in pixels of its kept crop."""
    box = detection.box
    moved = Detection(
        replace(box, x=box.x - crop.x, y=box.y - crop.y),
        detection.probability,
        tuple((x - crop.x, y - crop.y) for x, y in detection.landmarks),
    )
    return scaled(moved, scale, scale)
