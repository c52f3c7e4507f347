"""Who in a gallery looks most like somebody: enrolled people, a folder of pictures, or a JSON of embeddings."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chueok.errors import ModelMismatch, UnreadablePhoto, UsageError
from chueok.flow.paths import as_path, real
from chueok.flow.people import FaceChoice, choose_face, everybody, reference_face
from chueok.flow.walk import is_photo_name
from chueok.library import Library
from chueok.records import Face, Lookalike, LookalikeSummary, Note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIFFERENT_PEOPLE_BLOCK = (
    1024  # rows compared at a time: 1024 x n scores are a few MB for any gallery of people
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One embedding of a gallery."""

    name: str
    picture: Path | None  # None for plain numbers
    face: Face | None


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Named embeddings: `entries[i]` has `vectors[i]`, (n, d) float32, unit rows."""

    entries: tuple[Entry, ...]
    vectors: NDArray[np.float32]
    notes: tuple[Note, ...] = ()
    unreadable: int = 0  # pictures that cannot be read
    faceless: int = 0  # pictures that show no face


@dataclass(frozen=True, slots=True)
class LookalikeResult:
    """Everything a lookalike search has to say."""

    probe_face: Face
    answers: list[Lookalike]  # most similar first, one a person
    summary: LookalikeSummary
    notes: list[Note]
    unreadable: int  # gallery pictures that cannot be read


def lookalike(
    library: Library, selfie: Path | str, gallery: Path | str | None = None, top: int | None = None
) -> list[Lookalike]:
    """Who in the gallery looks most like the selfie, most similar first.

    gallery: a folder with one picture or one sub-folder per person, a JSON of `{name: [numbers]}`, or None for the
    enrolled people. Raises NoUsableFace, ReferenceUnreadable, UsageError, ModelMismatch, ModelMissing.
    """
    return find_lookalikes(library, Path(selfie), None if gallery is None else Path(gallery), top).answers


def find_lookalikes(
    library: Library,
    selfie: Path,
    gallery: Path | None,
    top: int | None = None,
    *,
    choice: FaceChoice = FaceChoice(),
    clock: Callable[[], float] = time.monotonic,
) -> LookalikeResult:
    """`lookalike` with everything that is to be said about it."""
    import numpy as np

    started = clock()
    if top is not None and top < 1:
        raise UsageError("--top takes a number from 1")
    probe = reference_face(library, as_path(selfie), choice)
    people = open_gallery(library, gallery)
    vector = library.catalog.faces.vectors(library.model_id, [probe.id])[1][0]
    scores = people.vectors @ vector
    best: dict[str, int] = {}
    for row in np.argsort(-scores, kind="stable").tolist():
        best.setdefault(people.entries[row].name, row)
    shown = list(best.values())[:top]
    percentiles = share_below(people, scores[shown])
    answers = [
        Lookalike(rank, entry.name, float(scores[row]), percentile, entry.picture, entry.face)
        for rank, (row, percentile) in enumerate(zip(shown, percentiles, strict=True), 1)
        for entry in (people.entries[row],)
    ]
    summary = LookalikeSummary(
        probe=selfie,
        people=len(best),
        pictures=len(people.entries),
        unusable=people.unreadable + people.faceless,
        model=library.card.name,
        seconds=clock() - started,
    )
    return LookalikeResult(probe, answers, summary, list(people.notes), people.unreadable)


def share_below(gallery: Gallery, scores: NDArray[np.float32]) -> list[float | None]:
    """For every score, which share (%) of the gallery's scores between different people lies below.

    scores: (k,) float32. None for a gallery of fewer than two people. Every two embeddings count once; no more than
    1024 x n scores are held at a time.
    """
    import numpy as np

    names = np.unique([entry.name for entry in gallery.entries], return_inverse=True)[1]
    below, pairs = np.zeros(len(scores), np.int64), 0
    for start in range(0, len(names), DIFFERENT_PEOPLE_BLOCK):
        block = slice(start, start + DIFFERENT_PEOPLE_BLOCK)
        later = np.arange(len(names)) > np.arange(len(names))[block, None]
        different = later & (names[block, None] != names)
        between = np.sort((gallery.vectors[block] @ gallery.vectors.T)[different])
        below += between.searchsorted(scores)
        pairs += len(between)
    return [100 * int(count) / pairs if pairs else None for count in below]


def open_gallery(library: Library, source: Path | None) -> Gallery:
    """The people to compare with. Embeddings of pictures are kept by content, so a second time is quick."""
    if source is None:
        return _enrolled(library)
    path = as_path(source)
    if path.is_dir():
        return _folder(library, path)
    if path.is_file():
        return _json(library, path)
    raise UsageError(f"the gallery {path} does not exist; give a folder of pictures or a JSON file")


def _enrolled(library: Library) -> Gallery:
    import numpy as np

    people = list(everybody(library))
    if not people:
        raise UsageError(
            "nobody is enrolled yet; give --gallery FOLDER, or enrol people with `chueok enroll`"
        )
    faces = library.catalog.faces
    entries = []
    for person in people:
        pictures = faces.pictures_of(person.face_ids)
        known = {face.id: face for found in faces.of_pictures(pictures.values()).values() for face in found}
        entries += [
            Entry(person.name, source, known[face_id])
            for source, face_id in zip(person.sources, person.face_ids, strict=True)
        ]
    return Gallery(tuple(entries), np.concatenate([person.vectors for person in people]))


def _folder(library: Library, folder: Path) -> Gallery:
    """One picture per person, named by the file, or one sub-folder per person, named by the folder."""
    named = dict(_named_pictures(folder))
    if not named:
        raise UsageError(
            f"no pictures in {folder}; a gallery has one picture per person, or a folder of pictures for each"
        )
    notes: list[Note] = []
    chosen: dict[Path, Face] = {}
    unreadable = 0
    files = {path: real(path) for path in named}
    pictures = dict(library.read_all(set(files.values())))
    for path in sorted(files):
        picture = pictures[files[path]]
        if isinstance(picture, UnreadablePhoto):
            unreadable += 1
            notes.append(Note(f"left out of the gallery: {path}: {picture}"))
            continue
        faces = library.catalog.faces.of_pictures([picture.id])[picture.id]
        if not faces:
            notes.append(Note(f"left out of the gallery: {path}: no face was found"))
            continue
        if len(faces) > 1:
            notes.append(Note(f"{path} shows {len(faces)} faces; the largest stands for {named[path]}"))
        chosen[path] = choose_face(faces, path, FaceChoice(largest=True))
    ids, vectors = library.catalog.faces.vectors(library.model_id, {face.id for face in chosen.values()})
    rows = {face_id: row for row, face_id in enumerate(ids.tolist())}
    entries = tuple(Entry(named[path], path, face) for path, face in chosen.items())
    return Gallery(
        entries,
        vectors[[rows[face.id] for face in chosen.values()]],
        tuple(notes),
        unreadable,
        faceless=len(named) - unreadable - len(chosen),
    )


def _named_pictures(folder: Path) -> Iterable[tuple[Path, str]]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            name = unicodedata.normalize("NFC", entry.name)
            yield from ((path, name) for path in sorted(entry.iterdir()) if is_photo_name(path.name))
        elif is_photo_name(entry.name):
            yield entry, unicodedata.normalize("NFC", entry.stem)


def _json(library: Library, path: Path) -> Gallery:
    """`{name: [numbers]}`, or `{name: [[numbers], ...]}` for several embeddings of one person."""
    import numpy as np

    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the gallery {path} cannot be read as JSON: {error}") from error
    if not isinstance(table, dict) or not table:
        raise UsageError(f"the gallery {path} holds no {{name: [numbers]}}")
    entries: list[Entry] = []
    rows: list[NDArray[np.float32]] = []
    for name, value in table.items():
        for vector in _vectors(value, name, path):
            if len(vector) != library.card.dimension:
                raise ModelMismatch(
                    f"{path}: {name} has {len(vector)} numbers, but the model {library.card.name} makes "
                    f"{library.card.dimension}; embeddings of different models cannot be compared"
                )
            entries.append(Entry(unicodedata.normalize("NFC", name), None, None))
            small = vector / np.abs(vector).max()  # so that no square overflows
            rows.append((small / np.linalg.norm(small)).astype(np.float32))
    return Gallery(tuple(entries), np.stack(rows))


def _vectors(value: Any, name: str, path: Path) -> Sequence[NDArray[np.float64]]:
    import numpy as np

    try:
        found = np.atleast_2d(np.asarray(value, np.float64))
    except (TypeError, ValueError, OverflowError):
        found = np.empty((0, 0))
    if found.ndim != 2 or not found.size or not np.isfinite(found).all() or not found.any(axis=1).all():
        raise UsageError(f"{path}: the embedding of {name} is not a list of finite numbers")
    return list(found)
