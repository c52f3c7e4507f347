"""Collecting photos out of a library's albums, and telling the library where they went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from chueok.errors import OperationFailed
from chueok.flow.collect import carry_out, plan, rehearse
from chueok.flow.paths import as_path, real
from chueok.flow.undo import undo
from chueok.library import Library
from chueok.records import Action, Collected, CollectSummary, Conflict, Plan, Transfer


def take_out(
    library: Library,
    photos: Sequence[Path],
    destination: Path,
    transfer: Transfer = Transfer.COPY,
    conflict: Conflict = Conflict.RENAME,
    *,
    dry_run: bool = False,
) -> Iterator[Plan | Action | Collected | CollectSummary]:
    """Copy, link or move photos into a folder: the plan, an event per photo, a summary.

    dry_run: after the plan come its actions, and nothing is done.

    Nothing in an album is ever overwritten or displaced. A destination that was new or empty is remembered and not
    indexed as part of an album, unless it is itself named. Raises UsageError, LibraryLocked for a
    move beside another run, OperationFailed; see flow/collect.py.
    """
    folder = as_path(destination).absolute()
    intended = plan(photos, folder, transfer, conflict, _Originals(library).__contains__)
    is_new = not folder.exists() or not any(folder.iterdir())
    yield intended
    if dry_run:
        for event in rehearse(intended):
            yield event.action if isinstance(event, Collected) else event
        return
    if transfer is not Transfer.MOVE and is_new:
        # What chueok puts into a folder of its own is no album, wherever the folder lies.
        with suppress(OperationFailed):  # a library that cannot be written can still give its photos out
            library.catalog.photos.add_destination(real(folder))
    with library.writing() if transfer is Transfer.MOVE else nullcontext():
        for event in carry_out(intended):
            if transfer is Transfer.MOVE and isinstance(event, Collected):
                _note_whereabouts(library, event.action.source)
            yield event


def put_back(library: Library, manifest: Path) -> Iterator[Collected | CollectSummary]:
    """Undo a move by its manifest. Raises UsageError, LibraryLocked, OperationFailed; see flow/undo.py."""
    with library.writing():
        for event in undo(manifest):
            if isinstance(event, Collected):
                _note_whereabouts(library, event.action.target)
            yield event


class _Originals:
    """Everything that may be somebody's only copy: what is indexed, and whatever else lies in an album."""

    def __init__(self, library: Library) -> None:
        self._photos = library.catalog.photos
        self._albums = self._photos.albums()
        self._copies = self._photos.destinations()

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, Path):
            return False
        place = real(path.parent) / path.name
        if self._photos.at(place) is not None:
            return True
        in_album = any(place.is_relative_to(album) for album in self._albums)
        return in_album and not any(place.is_relative_to(copies) for copies in self._copies)


def _note_whereabouts(library: Library, path: Path) -> None:
    photos = library.catalog.photos
    if (known := photos.at(path)) is not None:
        photos.set_missing([known.id], missing=not path.exists())
