"""Naming people from reference photos, and telling one wanted person from another."""

from __future__ import annotations

import io
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import NoUsableFace, ReferenceUnreadable, UnreadablePhoto, UsageError
from chueok.library import Library
from chueok.records import Enrolled, Face, Person
from chueok.store.catalog import ReferenceCrop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CROP_MARGIN = 0.5  # of the face box, on every side: leaves room for any model's own crop
LISTED = 6  # faces described in a message; a crowd would fill the screen
CROP_SIDE = 384  # pixels; more than any model's input, less than 400 KB as PNG


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Somebody to look for: one row of `vectors` for each of `sources`."""

    name: str  # as the user wrote it
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
    paths = [Path(reference).expanduser().absolute() for reference in references]
    faces = [reference_face(library, path, choice) for path in paths]
    crops = [_crop(path, face) for path, face in zip(paths, faces, strict=True)]
    enrolled = []
    with library.catalog.transaction():
        library.settle_model()
        for path, face, crop in zip(paths, faces, crops, strict=True):
            added = library.catalog.people.add_reference(person, face.id, path, crop, now())
            enrolled.append(Enrolled(person, path, face, already_known=not added))
    return enrolled


def tidy_name(name: str) -> str:
    """A person's name in NFC without surrounding blanks. Raises UsageError for one that cannot be a name."""
    tidy = unicodedata.normalize("NFC", name).strip()
    if not tidy:
        raise UsageError("a person needs a name")
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in tidy):
        raise UsageError("a name cannot contain line breaks or other control characters")
    if os.sep in tidy:
        raise UsageError(f"a name cannot contain {os.sep}, which would make it the path of a photo")
    return tidy


def reference_face(library: Library, path: Path, choice: FaceChoice = FaceChoice()) -> Face:
    """The face a reference photo stands for. Raises ReferenceUnreadable, NoUsableFace."""
    if not path.exists():
        raise ReferenceUnreadable(f"the reference {path} does not exist")
    try:
        picture = library.read(path.resolve())  # the user's own link may be followed
    except UnreadablePhoto as error:
        raise ReferenceUnreadable(f"the reference {path} cannot be used: {error}") from error
    return choose_face(library.catalog.faces.of_pictures([picture.id])[picture.id], path, choice)


def choose_face(faces: Sequence[Face], path: Path, choice: FaceChoice) -> Face:
    """The meant face of several, which are ordered left to right. Raises NoUsableFace."""
    if not faces:
        raise NoUsableFace(
            f"no face was found in {path}; use a photo in which the face is larger and seen from the front"
        )
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


def _crop(path: Path, face: Face) -> ReferenceCrop:
    """The neighbourhood of a face as PNG, so that another model can embed it when the photo is gone."""
    from PIL import Image

    from chueok.vision.decode import decode, read_file

    box = face.detection.box
    picture = decode(read_file(path.resolve()))
    side = max(box.width, box.height) * (1 + 2 * CROP_MARGIN)
    left, top = box.x + (box.width - side) / 2, box.y + (box.height - side) / 2
    pixels = min(CROP_SIDE, round(side))
    crop = Image.fromarray(picture.pixels).transform(
        (pixels, pixels),
        Image.Transform.EXTENT,
        (left, top, left + side, top + side),
        Image.Resampling.BICUBIC,
    )
    file = io.BytesIO()
    crop.save(file, "png")
    return ReferenceCrop(file.getvalue(), pixels, left, top, side)


def find_person(library: Library, name: str) -> Person:
    """The enrolled person of this name. Raises UsageError naming who is enrolled."""
    person = {person.name: person for person in library.catalog.people.all()}
    found = person.get(unicodedata.normalize("NFC", name).strip())
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

    A text with a path separator is a file; otherwise an enrolled name comes before a file of that name.
    Raises UsageError for what is neither, NoUsableFace, ReferenceUnreadable.
    """
    people = {person.name: person for person in library.catalog.people.all()}
    return [_resolved(library, people, reference, choice) for reference in references]


def _resolved(library: Library, people: dict[str, Person], reference: str, choice: FaceChoice) -> Wanted:
    name = unicodedata.normalize("NFC", reference).strip()
    if name in people and os.sep not in reference:
        return _wanted(library, people[name])
    path = Path(reference).expanduser()
    if path.exists():
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
