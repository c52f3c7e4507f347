"""Putting back what a move took, by its manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from chueok.flow.attempts import each, summary
from chueok.flow.manifest import Entry, Kind, read_manifest
from chueok.flow.transfer import (
    NotDone,
    digest,
    finish_move,
    look,
    opened,
    remove_source,
    rename_new,
    same_entry,
    stage_copy,
    stage_move,
    sync_folder,
)
from chueok.flow.workroom import Workroom, sweep
from chueok.records import Action, Collected, CollectSummary, Step, Transfer


def undo(manifest: Path) -> Iterator[Collected | CollectSummary]:
    """Put back what a move took, last photo first, one event per photo, then the summary.

    Nothing is overwritten: where a different file stands now, or the moved photo was changed, the event says
    so and both stay. What is back already counts as already there, so an interrupted undo is repeated. When
    everything is back the manifest is removed; until then the summary names it.

    Raises UsageError for a file that is no manifest, OperationFailed as `carry_out` does.
    """
    entries = list(reversed(read_manifest(manifest)))
    folder = manifest.absolute().parent
    for place in {entry.source.parent for entry in entries}:
        sweep(place)
    ways = {Action(entry.target, entry.source, Step.TRANSFER): entry for entry in entries}
    tally = yield from each(ways, lambda action: _put_back(action, ways[action]), folder)
    if not tally[None]:
        manifest.unlink()
        sync_folder(folder)
    yield replace(summary(tally, Transfer.MOVE, folder, manifest if tally[None] else None), put_back=True)


def _put_back(action: Action, entry: Entry) -> Action:
    """Undo one entry; what it says was done may not have been, or may be undone already."""
    if os.path.lexists(entry.source):
        _remove_leftover(entry)
        return replace(action, step=Step.ALREADY_THERE)
    if not os.path.lexists(entry.target):
        raise NotDone("it is no longer where it was moved to")
    entry.source.parent.mkdir(parents=True, exist_ok=True)
    with opened(entry.target) as file, Workroom(entry.source.parent) as room, room.slot() as staged:
        seen = look(file)
        if seen.sha256 != entry.sha256:
            raise NotDone("it was changed after it was moved, so it stays; move it back by hand")
        if entry.kind is Kind.MOVED:
            stage_move(file, entry.target, staged, seen)
            finish_move(staged, entry.target, entry.source, seen)
        else:
            stage_copy(file, entry.target, staged, seen)
            os.utime(staged, ns=(entry.mtime_ns, entry.mtime_ns))
            rename_new(staged, entry.source)
    return action


def _remove_leftover(entry: Entry) -> None:
    """The photo is where it was; a second one that only this move made goes.

    Raises NotDone where a different file stands at the photo's place while the photo waits.
    """
    if not os.path.lexists(entry.target):
        return
    try:
        with opened(entry.source) as file:
            back = digest(file) == entry.sha256
    except (NotDone, OSError):
        back = False
    if not back:
        raise NotDone("a different file stands where it was, so it stays; move that away and undo again")
    if entry.kind is Kind.MOVED and not same_entry(entry.source, entry.target):
        with opened(entry.target) as file:
            double = look(file)
        if double.sha256 == entry.sha256:
            remove_source(entry.target, double)
