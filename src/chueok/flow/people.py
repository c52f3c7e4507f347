"""Naming people from reference photos, and telling one wanted person from another."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import NoUsableFace, ReferenceUnreadable, UnreadablePhoto, UsageError
from chueok.flow.paths import as_path, real
from chueok.library import Library
from chueok.records import Enrolled, Face, FaceCrop, Person
from chueok.vision.reader import ReadingTask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_NAME = 100  # characters; it must fit on a line of a message
LISTED = 6  # faces described in a message; a crowd would fill the screen


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Somebody to look for: one row of `vectors` for each of `sources`."""

    name: str  # as it is enrolled, or the reference as the user wrote it
    enrolled: bool
    sources: tuple[Path, ...]
    face_ids: tuple[int, ...]
    vectors: NDArray[np.float32]  # (n, d), unit rows


@dataclass(frozen=True, slots=True)
class FaceChoice:
    """Which face of a reference photo is meant when it shows several."""

    number: int | None = None  # counted from 1, left to right
    largest: bool = False


def enroll(
    library: Library,
    name: str,
    references: Sequence[Path | str],
    choice: FaceChoice = FaceChoice(),
    *,
    now: Callable[[], datetime] = datetime.now,
) -> list[Enrolled]:
    """Name a person from reference photos, all of them or none; a known person gets more references.

    Raises NoUsableFace, ReferenceUnreadable, UsageError for an empty name.
    """
    person = tidy_name(name)
    if not references:
        raise UsageError(f"give at least one reference photo of {person}")
    paths = [as_path(reference).absolute() for reference in references]
    faces = [reference_face(library, path, choice) for path in paths]
    crops = [_crop(library, path, face) for path, face in zip(paths, faces, strict=True)]
    enrolled = []
    with library.catalog.transaction():
        library.settle_model()
        for path, face, crop in zip(paths, faces, crops, strict=True):
            added = library.catalog.people.add_reference(person, face.id, path, crop, now())
            enrolled.append(Enrolled(person, path, face, already_known=not added))
    return enrolled


def composed(text: str) -> str:
    """A name the way names are kept: NFC (macOS decomposes Hangul), without surrounding blanks."""
    return unicodedata.normalize("NFC", text).strip()


def tidy_name(name: str) -> str:
    """A person's name in NFC without surrounding blanks. Raises UsageError for one that cannot be a name."""
    tidy = composed(name)
    if not tidy:
        raise UsageError("a person needs a name")
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in tidy):
        raise UsageError("a name cannot contain line breaks or other control characters")
    if tidy.startswith("-") or len(tidy) > LONGEST_NAME:
        raise UsageError(f"a name cannot begin with - nor have more than {LONGEST_NAME} characters")
    if os.sep in tidy:
        raise UsageError(f"a name cannot contain {os.sep}, which would make it the path of a photo")
    return tidy


def reference_face(library: Library, path: Path, choice: FaceChoice = FaceChoice()) -> Face:
    """The face a reference photo stands for. Raises ReferenceUnreadable, NoUsableFace."""
    if not path.exists():
        raise ReferenceUnreadable(f"the reference {path} does not exist")
    try:
        picture = library.read(real(path))  # the user's own link may be followed
    except UnreadablePhoto as error:
        raise ReferenceUnreadable(f"the reference {path} cannot be used: {error}") from error
    return choose_face(library.catalog.faces.of_pictures([picture.id])[picture.id], path, choice)


def choose_face(faces: Sequence[Face], path: Path, choice: FaceChoice) -> Face:
    """The meant face of several, which are ordered left to right. Raises NoUsableFace."""
    if not faces:
        raise NoUsableFace(
            f"no face was found in {path}; use a photo in which the face is larger and seen from the front"
        )
    if choice.number is not None and choice.largest:
        raise UsageError("--face N and --largest are two ways to say which face; give one")
    if choice.number is not None:
        if not 1 <= choice.number <= len(faces):
            raise NoUsableFace(f"there is no face {choice.number} in {path}; it shows {_listed(faces)}")
        return faces[choice.number - 1]
    if len(faces) > 1 and not choice.largest:
        raise NoUsableFace(
            f"{path} shows {_listed(faces)}; say which with --face N or --largest, or use a photo of one person"
        )
    return max(faces, key=lambda face: face.detection.box.width * face.detection.box.height)


def _listed(faces: Sequence[Face]) -> str:
    boxes = [face.detection.box for face in faces]
    places = [
        f"{number}: {box.width:.0f} px wide at x {box.x + box.width / 2:.0f}, y {box.y + box.height / 2:.0f}"
        for number, box in enumerate(boxes[:LISTED], 1)
    ]
    more = ["…"] * (len(boxes) > LISTED)
    return f"{len(faces)} face{'s' * (len(faces) > 1)}, left to right ({'; '.join(places + more)})"


def _crop(library: Library, path: Path, face: Face) -> FaceCrop:
    """The face cut out of its photo, kept so that another model can embed it when the photo is gone."""
    try:
        return library.read_task(ReadingTask(real(path), (face.detection,), cut_out=True)).crops[0]
    except UnreadablePhoto as error:
        raise ReferenceUnreadable(f"the reference {path} cannot be used: {error}") from error


def find_person(library: Library, name: str) -> Person:
    """The enrolled person of this name. Raises UsageError naming who is enrolled."""
    person = {person.name: person for person in library.catalog.people.all()}
    found = person.get(composed(name))
    if found is None:
        raise UsageError(f"nobody named {name!r} is enrolled; {_who_is(list(person))}")
    return found


def _who_is(names: Sequence[str]) -> str:
    if not names:
        return "enrol somebody with `chueok enroll NAME PHOTO`"
    return f"enrolled are {', '.join(names[:12])}{', …' * (len(names) > 12)}"


def rename(library: Library, old: str, new: str) -> Person:
    """Give a person another name. Raises UsageError when it is taken or nobody has the old one."""
    person, name = find_person(library, old), tidy_name(new)
    with library.catalog.transaction():
        if any(name == other.name for other in library.catalog.people.all() if other != person):
            raise UsageError(f"there is already somebody named {name!r}; choose another name")
        library.catalog.people.rename(person.name, name)
    return find_person(library, name)


def resolve(library: Library, references: Sequence[str], choice: FaceChoice = FaceChoice()) -> list[Wanted]:
    """The people meant by enrolled names or reference photos.

    An enrolled name comes before a file of that name; names have no path separator, so `./mom` is the file.
    Raises UsageError for what is neither, and for somebody without an embedding of the library's model;
    NoUsableFace, ReferenceUnreadable.
    """
    people = {person.name: person for person in library.catalog.people.all()}
    found = [_resolved(library, people, reference, choice) for reference in references]
    for person in found:
        if not len(person.vectors):
            raise UsageError(
                f"{person.name} has no reference for the model {library.card.name}; enrol one more photo"
            )
    return found


def _resolved(library: Library, people: dict[str, Person], reference: str, choice: FaceChoice) -> Wanted:
    if composed(reference) in people:
        return _wanted(library, people[composed(reference)])
    path = as_path(reference)
    if path.exists() or os.sep in reference:
        face = reference_face(library, path, choice)
        vectors = library.catalog.faces.vectors(library.model_id, [face.id])[1]
        return Wanted(reference, enrolled=False, sources=(path,), face_ids=(face.id,), vectors=vectors)
    raise UsageError(f"{reference!r} is neither an enrolled name nor a photo; {_who_is(list(people))}")


def _wanted(library: Library, person: Person) -> Wanted:
    by_face = {reference.face_id: reference.source for reference in person.references}
    ids, vectors = library.catalog.faces.vectors(library.model_id, by_face)
    face_ids = tuple(int(face_id) for face_id in ids)
    return Wanted(person.name, True, tuple(by_face[face_id] for face_id in face_ids), face_ids, vectors)


def everybody(library: Library) -> Iterator[Wanted]:
    """All enrolled people who have an embedding of the library's model."""
    for person in library.catalog.people.all():
        found = _wanted(library, person)
        if found.face_ids:
            yield found
