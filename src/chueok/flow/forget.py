"""Removing what was learned, so that no trace of a face is left in any file of the library."""

from __future__ import annotations

from pathlib import Path

from chueok.errors import CatalogDamaged, NoLibrary, UsageError
from chueok.flow.paths import as_path, real
from chueok.flow.people import find_person
from chueok.library import Library
from chueok.store.catalog.database import is_of_another_program
from chueok.store.index.private_file import INDEX_FILES
from chueok.store.lock import locked


def forget_person(library: Library, name: str) -> str:
    """Remove a person's name, references, crops and embeddings; photos in albums stay indexed.

    Returns what was done, in words. Raises UsageError when nobody has that name, LibraryLocked, OperationFailed.
    """
    with library.writing():
        person = find_person(library, name)
        with library.catalog.transaction():
            library.catalog.people.delete(person.name)
            library.catalog.owe_wipe()
        _leave_no_trace(library)
    return f"forgot {person.name} and {_some(len(person.references), 'reference')}"


def forget_path(library: Library, path: Path) -> str:
    """Remove what was learned from a photo, or from everything below a folder: photos, references, galleries.

    A folder that is an album is one no more. What was kept of galleries, selfies and other pictures that are in no
    album is dropped too, wherever they lie, since only their content is known. Returns what was done, in words.
    Raises UsageError when nothing is known of it, LibraryLocked, OperationFailed.
    """
    target = real(as_path(path))
    catalog = library.catalog
    with library.writing():
        with catalog.transaction():
            photos = catalog.photos.under(target)
            albums = [album for album in catalog.photos.albums() if album.is_relative_to(target)]
            pictures = {photo.picture_id for photo in photos if photo.picture_id is not None}
            pictures |= _reference_pictures(library, target)
            people = catalog.people.delete_references(pictures)
            catalog.photos.delete(photo.id for photo in photos)
            catalog.photos.delete_albums(albums)
            destinations = catalog.photos.delete_destinations(target)
            others = catalog.faces.drop_unused_pictures()
            known = bool(photos or albums or people or destinations)
            if not known and not (others and target.exists()):
                raise UsageError(f"nothing is known of {target}; `chueok status` lists the albums")
            catalog.owe_wipe()
        _leave_no_trace(library)
        inside = any(target.is_relative_to(album) for album in catalog.photos.albums())
    parts = [_some(len(photos), "photo")] if photos or albums else []
    parts += [f"references of {', '.join(people)}"] if people else []
    parts += [f"{_some(others, 'picture')} in no album"] if others else []
    parts += [_some(destinations, "folder of copies")] if destinations else []
    start = "" if known else f"nothing was known of {target} itself; "
    again = "; it is still in an album, so the next `chueok index` learns it again" if inside else ""
    return f"{start}forgot {', '.join(parts)}{again}. The files themselves were not touched"


def _reference_pictures(library: Library, target: Path) -> set[int]:
    """The contents of references that came from this file, or from below this folder."""
    face_ids = [
        reference.face_id
        for person in library.catalog.people.all()
        for reference in person.references
        if real(reference.source).is_relative_to(target)
    ]
    return set(library.catalog.faces.pictures_of(face_ids).values())


def forget_everything(folder: Path) -> str:
    """Remove the library in a folder, damaged or not, the catalog last.

    Returns what was done, in words. Raises NoLibrary, CatalogDamaged for another program's database, LibraryLocked,
    OperationFailed.
    """
    catalog = folder / "catalog.sqlite"
    if not any(path for pattern in ("catalog.sqlite*", *INDEX_FILES) for path in folder.glob(pattern)):
        raise NoLibrary(f"there is no library at {folder}; nothing is kept")
    if is_of_another_program(catalog):
        raise CatalogDamaged(f"{catalog} is not a chueok catalog; choose another --library")
    with locked(folder):
        for pattern in (*INDEX_FILES, "catalog.sqlite.*", "catalog.sqlite-*", "catalog.sqlite"):
            for file in folder.glob(pattern):
                file.unlink()
    return f"forgot everything that was kept in {folder}"


def _leave_no_trace(library: Library) -> None:
    library.catalog.wipe()
    library.refresh_index()


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
