"""Files that show people: written whole or not at all, private, and never over somebody's photo."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from chueok.errors import OperationFailed
from chueok.flow.foreign import refuse_foreign
from chueok.flow.transfer import sync_folder
from chueok.flow.workroom import Workroom, sweep


@contextlib.contextmanager
def private_file(path: Path, mark: bytes) -> Iterator[BinaryIO]:
    """A file that appears at `path`, mode 0600, when the block ends well.

    mark: bytes every file of this kind holds near its start. A file already there is replaced only when it
    holds them too: a photo named by mistake stays. What a killed run left half written in the folder is removed.
    Raises UsageError for a path that must stay as it is, OperationFailed when the disk says no.
    """
    check_free(path, mark)
    try:
        sweep(path.parent)
        with Workroom(path.parent) as room, room.slot() as staged:
            with open(staged, "xb", opener=_private) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            staged.replace(path)
        with contextlib.suppress(PermissionError):  # a folder that may be written to, but not read
            sync_folder(path.parent)
    except OSError as error:
        raise _failed(path, error) from error


def check_free(path: Path, mark: bytes) -> None:
    """Raise UsageError for a path that must stay as it is, OperationFailed when the disk does not tell."""
    try:
        refuse_foreign(path, mark)
    except OSError as error:
        raise _failed(path, error) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _failed(path: Path, error: OSError) -> OperationFailed:
    reason = error.strerror or str(error)
    advice = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another folder"
    return OperationFailed(f"{path} cannot be written: {reason}; {advice}")
