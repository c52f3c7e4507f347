"""One writer at a time: a file lock that the kernel frees when its process dies."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chueok.errors import LibraryLocked, OperationFailed

PATIENCE = 0.3  # seconds; `is_locked` holds the lock for an instant to see whether it is free


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the writer lock of the library in a folder; the kernel frees it when the process dies.

    Raises LibraryLocked, OperationFailed where nothing can be written.
    """
    descriptor = _open(folder)
    try:
        if not _lock_within(descriptor, PATIENCE):
            raise LibraryLocked(
                f"another chueok is writing to {folder}; wait for it, or stop it with Ctrl-C: what it has learned is "
                "kept"
            )
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether somebody holds the lock; where nothing can be written, nobody does."""
    try:
        descriptor = _open(folder)
    except OperationFailed:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    try:
        return os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OperationFailed(f"{folder} cannot be written: {error.strerror}") from error


def _lock_within(descriptor: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (locked := _try_lock(descriptor)) and time.monotonic() < end:
        time.sleep(0.02)
    return locked


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
