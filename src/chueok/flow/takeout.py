"""Collecting photos out of a library's albums, and telling the library where they went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from chueok.flow.collect import carry_out, plan, rehearse
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

    No photo of an album is ever overwritten or displaced. A folder of copies inside an album is remembered, so
    that it is not indexed. Raises UsageError, OperationFailed; see flow/collect.py.
    """
    catalog = library.catalog
    intended = plan(photos, destination, transfer, conflict, lambda path: catalog.photos.at(path) is not None)
    yield intended
    if dry_run:
        for event in rehearse(intended):
            yield event.action if isinstance(event, Collected) else event
        return
    if transfer is not Transfer.MOVE:
        _keep_out_of_index(library, destination)
    for event in carry_out(intended):
        if transfer is Transfer.MOVE and isinstance(event, Collected):
            _note_whereabouts(library, event.action.source)
        yield event


def put_back(library: Library, manifest: Path) -> Iterator[Collected | CollectSummary]:
    """Undo a move by its manifest. Raises UsageError, OperationFailed; see flow/undo.py."""
    for event in undo(manifest):
        if isinstance(event, Collected):
            _note_whereabouts(library, event.action.target)
        yield event


def _keep_out_of_index(library: Library, destination: Path) -> None:
    """A new folder inside an album that holds only copies is no part of the album."""
    photos = library.catalog.photos
    folder = destination.expanduser().resolve()
    inside = any(folder != album and folder.is_relative_to(album) for album in photos.albums())
    if inside and not photos.folders_under(folder):
        photos.add_destination(folder)


def _note_whereabouts(library: Library, path: Path) -> None:
    photos = library.catalog.photos
    if (known := photos.at(path)) is not None:
        photos.set_missing([known.id], missing=not path.exists())
