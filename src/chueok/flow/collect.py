"""Taking photos out of an album: first the plan, which is all of it, then carrying it out."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from chueok.errors import OperationFailed, UsageError
from chueok.flow.attempts import each, summary
from chueok.flow.manifest import Kind, Manifest
from chueok.flow.shelf import Place, Shelf
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
    stage_hardlink,
    stage_move,
    stage_symlink,
    sync_folder,
)
from chueok.flow.workroom import Workroom, sweep
from chueok.records import Action, Collected, CollectSummary, Conflict, Plan, Step, Transfer

# ---- plan --------------------------------------------------------------------------------------


def plan(
    photos: Sequence[Path],
    destination: Path,
    transfer: Transfer,
    conflict: Conflict,
    is_original: Callable[[Path], bool],
) -> Plan:
    """Decide where every photo shall stand; nothing is written.

    A photo keeps its name. Where the same content already has that name, or one of its suffixed names, it is
    ALREADY_THERE, so a second run changes nothing; a move then only removes the verified double. `conflict`
    is for different files that were there before; photos of one collection never compete, the later one takes
    a suffix. Whatever `is_original` knows, and whatever is no plain file, is neither replaced nor displaced:
    the photo takes a suffix and the action's note says why.

    is_original: whether a path is a photo of an album. Raises UsageError for a destination that is no folder
    and for a move that overwrites, OperationFailed for a destination that cannot be listed.
    """
    if transfer is Transfer.MOVE and conflict is Conflict.OVERWRITE:
        raise UsageError(
            "a move cannot overwrite, since undo could not bring that back; use another --conflict"
        )
    folder = destination.absolute()
    _refuse_no_folder(folder)
    originals = _Originals(photos, is_original)
    shelf = Shelf(folder, through_links=transfer is Transfer.SYMLINK)
    actions: dict[Path, Action] = {}
    for photo in originals.photos:  # before any place is given: whoever is there already keeps it
        if (settled := _settled(photo, folder, shelf, originals)) is not None:
            actions[photo] = settled
    for photo in originals.photos:
        if photo not in actions:  # asked again, since its twin may have been given a place by now
            settled = _settled(photo, folder, shelf, originals)
            actions[photo] = settled or _placed(photo, folder, shelf, conflict, originals)
    return Plan(transfer, folder, tuple(actions[photo] for photo in originals.photos))


def _refuse_no_folder(folder: Path) -> None:
    """Raises UsageError where the destination, or the part of it that exists, is not a folder."""
    for path in (folder, *folder.parents):
        if path.is_dir():
            return
        if os.path.lexists(path):
            kind = "a link that leads nowhere" if path.is_symlink() else "a file"
            raise UsageError(f"{path} is {kind}, not a folder; choose another destination")


class _Originals:
    """The photos to collect, each once, and which paths must not be touched."""

    def __init__(self, photos: Sequence[Path], is_original: Callable[[Path], bool]) -> None:
        self._is_original = is_original
        self._folders: dict[Path, Path] = {}
        self._distinct: dict[Path, Path] = {}
        for photo in photos:
            self._distinct.setdefault(self._real(photo), photo)
        self.photos = tuple(self._distinct.values())

    def __contains__(self, path: Path) -> bool:
        real = self._real(path)
        return real in self._distinct or self._is_original(path) or self._is_original(real)

    def lives_in(self, folder: Path, photo: Path) -> bool:
        """Whether the photo stands in that folder already."""
        return self._real(photo).parent == self._real(folder / photo.name).parent

    def _real(self, path: Path) -> Path:
        """The path with its folder's links resolved, and not its own."""
        if path.parent not in self._folders:
            self._folders[path.parent] = path.parent.resolve()
        return self._folders[path.parent] / path.name


def _settled(photo: Path, folder: Path, shelf: Shelf, originals: _Originals) -> Action | None:
    """The action for a photo that needs no place: gone, or already there."""
    try:
        regular = stat.S_ISREG(photo.lstat().st_mode)
    except OSError:
        return Action(photo, folder / photo.name, Step.MISSING, note="it is no longer there")
    if not regular:
        return Action(photo, folder / photo.name, Step.MISSING, note="it is not a regular file any more")
    twin = shelf.occupant(photo.name) if originals.lives_in(folder, photo) else shelf.twin(photo)
    if twin is None:
        return None
    twin.kept = True
    return Action(photo, folder / twin.name, Step.ALREADY_THERE)


def _placed(photo: Path, folder: Path, shelf: Shelf, conflict: Conflict, originals: _Originals) -> Action:
    """Give a photo its place."""
    occupant = shelf.occupant(photo.name)
    if occupant is None:
        shelf.arrive(photo, photo.name)
        return Action(photo, folder / photo.name, Step.TRANSFER)
    mode, note = _resolution(occupant, folder, conflict, originals)
    name = shelf.free_name(photo.name) if mode is Conflict.RENAME else occupant.name
    if mode is Conflict.SKIP:
        return Action(photo, folder / name, Step.SKIPPED)
    displaced = None
    if mode is Conflict.RENAME_EXISTING:
        displaced = folder / shelf.free_name(occupant.name)
        shelf.rename(occupant, displaced.name)
    shelf.arrive(photo, name)
    step = Step.REPLACE if mode is Conflict.OVERWRITE else Step.TRANSFER
    return Action(photo, folder / name, step, displaced, note)


def _resolution(
    occupant: Place, folder: Path, conflict: Conflict, originals: _Originals
) -> tuple[Conflict, str | None]:
    """What to do about a different file that has the name, and why it is not what was asked for."""
    if occupant.kept:
        return Conflict.RENAME, None
    if conflict in (Conflict.RENAME, Conflict.SKIP):
        return conflict, None
    if folder / occupant.name in originals:
        return Conflict.RENAME, "the file that has this name is a photo of an album and stays"
    link = conflict is Conflict.OVERWRITE and stat.S_ISLNK(occupant.mode)
    if not (stat.S_ISREG(occupant.mode) or link):
        return Conflict.RENAME, "what has this name is not a plain file and stays"
    return conflict, None


# ---- carry out ---------------------------------------------------------------------------------


def carry_out(
    plan: Plan, clock: Callable[[], datetime] = datetime.now
) -> Iterator[Collected | CollectSummary]:
    """Do what the plan says, one event per photo, then the summary.

    Nothing half-done ever has a final name, a name taken since the plan was made is not overwritten, and a
    moved photo leaves its place only after its copy is verified and its line in the manifest is on the disk.
    Killed at any point, the same command again (plan and carry out) finishes the work.

    clock: names the manifest of a move. Raises OperationFailed where the destination cannot be written, and
    after the event of the photo at which the disk was full.
    """
    sweep(plan.destination)
    with ExitStack() as stack:
        desk = _open_desk(plan, clock, stack) if _has_work(plan) else None
        tally = yield from each(plan.actions, lambda action: _do(action, desk), plan.destination)
        if desk is not None:
            sync_folder(plan.destination)
    manifest = desk.manifest.path if desk and desk.manifest and desk.manifest.entries else None
    yield summary(tally, plan.transfer, plan.destination, manifest)


def rehearse(plan: Plan) -> Iterator[Collected | CollectSummary]:
    """What `carry_out` would answer if nothing failed; nothing is touched."""
    tally: Counter[Step | None] = Counter()
    for action in plan.actions:
        error = action.note if action.step is Step.MISSING else None
        tally[None if error else action.step] += 1
        yield Collected(action, error)
    yield replace(summary(tally, plan.transfer, plan.destination, None), dry_run=True)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What carrying out a plan needs at hand."""

    transfer: Transfer
    room: Workroom
    manifest: Manifest | None


def _has_work(plan: Plan) -> bool:
    steps = {Step.TRANSFER, Step.REPLACE} | (
        {Step.ALREADY_THERE} if plan.transfer is Transfer.MOVE else set()
    )
    return any(action.step in steps for action in plan.actions)


def _open_desk(plan: Plan, clock: Callable[[], datetime], stack: ExitStack) -> _Desk:
    """Make the destination, a workroom in it, and a move's manifest. Raises OperationFailed."""
    manifest = None
    try:
        plan.destination.mkdir(parents=True, exist_ok=True)
        room = stack.enter_context(Workroom(plan.destination))
        if plan.transfer is Transfer.MOVE:
            manifest = Manifest(plan.destination, room, clock())
            stack.callback(manifest.close)
    except OSError as error:
        raise OperationFailed(
            f"the folder {plan.destination} cannot be written ({error.strerror}); nothing was done: "
            "choose another destination, or free space there"
        ) from error
    return _Desk(plan.transfer, room, manifest)


def _do(action: Action, desk: _Desk | None) -> Action:
    """Carry out one action. Raises NotDone, OSError."""
    if action.step is Step.MISSING:
        raise NotDone(action.note or "it is no longer there")
    if action.step is Step.ALREADY_THERE and not os.path.lexists(action.target):
        raise NotDone("the photo with the same content is not there after all; run the same command again")
    if desk is None or action.step is Step.SKIPPED:
        return action
    if desk.manifest is not None:
        _move(action, desk.room, desk.manifest)
    elif action.step is not Step.ALREADY_THERE:
        _bring(action, desk)
    return action


def _bring(action: Action, desk: _Desk) -> None:
    """Copy or link one photo; the original is only read."""
    with desk.room.slot() as staged:
        if desk.transfer is Transfer.COPY:
            with opened(action.source) as file:
                stage_copy(file, action.source, staged, look(file))
        elif desk.transfer is Transfer.HARDLINK:
            stage_hardlink(action.source, staged)
        else:
            stage_symlink(action.source, staged)
        if action.displaced is not None:
            rename_new(action.target, action.displaced)
        if action.step is Step.REPLACE:
            staged.replace(action.target)
        else:
            rename_new(staged, action.target)


def _move(action: Action, room: Workroom, manifest: Manifest) -> None:
    """Move one photo, or remove it where its verified double is already there."""
    if action.step is Step.ALREADY_THERE:
        _merge(action, manifest)
        return
    with opened(action.source) as file, room.slot() as staged:
        seen = look(file)
        stage_move(file, action.source, staged, seen)
        if action.displaced is not None:
            with opened(action.target) as existing:
                manifest.record(Kind.MOVED, action.target, action.displaced, look(existing))
            rename_new(action.target, action.displaced)
        manifest.record(Kind.MOVED, action.source, action.target, seen)
        finish_move(staged, action.source, action.target, seen)


def _merge(action: Action, manifest: Manifest) -> None:
    """Remove a photo whose content the target holds, after reading both."""
    if same_entry(action.source, action.target):
        return
    with opened(action.source) as file, opened(action.target) as double:
        seen = look(file)
        if digest(double) != seen.sha256:
            raise NotDone("the photo there is not the same any more; run the same command again")
        os.fsync(double)
    sync_folder(action.target.parent)
    manifest.record(Kind.MERGED, action.source, action.target, seen)
    remove_source(action.source, seen)
