"""Removing what was learned, so that no trace of a face is left in any file of the library."""

from __future__ import annotations

from pathlib import Path

from chueok.errors import UsageError
from chueok.flow.people import find_person
from chueok.library import Library


def forget_person(library: Library, name: str) -> str:
    """Remove a person's name, references, crops and embeddings; photos in albums stay indexed.

    Returns what was done, in words. Raises UsageError when nobody has that name, LibraryLocked.
    """
    person = find_person(library, name)
    with library.writing():
        with library.catalog.transaction():
            library.catalog.people.delete(person.name)
        _leave_no_trace(library)
    return f"forgot {person.name} and {_some(len(person.references), 'reference')}"


def forget_path(library: Library, path: Path) -> str:
    """Remove what was learned from a photo, or from every photo below a folder; an album below it is no album any more.

    Returns what was done, in words. Raises UsageError when nothing is known of it, LibraryLocked.
    """
    target = path.expanduser().absolute()
    photos = library.catalog.photos
    known = photos.under(target) or photos.under(target.resolve())
    albums = [album for album in photos.albums() if album.is_relative_to(target.resolve())]
    if not known and not albums:
        raise UsageError(f"nothing is known of {target}; `chueok status` lists the albums")
    with library.writing():
        with library.catalog.transaction():
            photos.delete(photo.id for photo in known)
            photos.delete_albums(albums)
            library.catalog.faces.drop_unused_pictures()
        _leave_no_trace(library)
    return f"forgot {_some(len(known), 'photo')}; the files themselves were not touched"


def forget_everything(library: Library) -> str:
    """Remove the whole library. Returns what was done, in words. Raises LibraryLocked."""
    with library.writing():
        library.close()
        for file in (*library.folder.glob("catalog.sqlite*"), *library.folder.glob("faces-*.hnsw*")):
            file.unlink()
    return f"forgot everything that was kept in {library.folder}"


def _leave_no_trace(library: Library) -> None:
    library.refresh_index()
    library.catalog.wipe_free_space()


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
