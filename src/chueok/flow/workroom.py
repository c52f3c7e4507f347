"""A private folder inside a destination, in which files are finished before anyone sees them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

ROOM_PREFIX, ROOM_SUFFIX = ".chueok-", ".part"


class Workroom:
    """A private folder `.chueok-*.part` in which files are finished before anyone sees them.

    The kernel drops its lock when the process dies, however it dies: a later run may then sweep it away, and
    never a living one's. Where folders cannot be locked (some NFS), nothing is ever swept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder
        self._lock = -1

    def __enter__(self) -> Workroom:
        """Raises OSError where the folder does not allow it."""
        while not self._settle():
            pass
        return self

    def _settle(self) -> bool:
        """Make the room and lock it; False where another run swept it in between."""
        self._path = self._folder / f"{ROOM_PREFIX}{secrets.token_hex(6)}{ROOM_SUFFIX}"
        try:
            self._path.mkdir(mode=0o700)
            with contextlib.suppress(FileNotFoundError):  # swept before it was opened
                self._lock = _locked(self._path, wait=True)
                if _is_at(self._path, self._lock):
                    return True
                os.close(self._lock)
        except BaseException:  # an interrupt too: nothing of ours may stay
            _remove(self._path)
            raise
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _remove(self._path)
        os.close(self._lock)

    @contextlib.contextmanager
    def slot(self) -> Iterator[Path]:
        """A name nothing has yet; what is left under it at the end is removed."""
        path = self._path / secrets.token_hex(4)
        try:
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()


def sweep(folder: Path) -> None:
    """Remove the workrooms that killed runs left in a folder."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:  # not there yet, or not readable: whoever writes next will say so
        return
    for name in names:
        if name.startswith(ROOM_PREFIX) and name.endswith(ROOM_SUFFIX):
            try:
                lock = _locked(folder / name, wait=False)
            except OSError:  # somebody lives there, or it is no folder of ours
                continue
            _remove(folder / name)
            os.close(lock)


def _locked(room: Path, *, wait: bool) -> int:
    """Open and lock a folder. Raises OSError where it is locked by another, or cannot be locked unless `wait`."""
    lock = os.open(room, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        if not wait:
            os.close(lock)
            raise
    return lock


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _remove(room: Path) -> None:
    """Remove a room and the files in it; a later run tries again where this one may not."""
    with contextlib.suppress(OSError):
        for path in room.iterdir():
            path.unlink()
        room.rmdir()
