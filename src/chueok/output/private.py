"""Files that show people: written whole or not at all, private, and never over somebody's photo."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from chueok.errors import OperationFailed, UsageError

_MARK_WITHIN = 4096  # bytes; where a page or a card of ours names its maker, near its start


@contextlib.contextmanager
def private_file(path: Path, mark: bytes) -> Iterator[BinaryIO]:
    """A file that appears at `path`, mode 0600, when the block ends well.

    mark: bytes every file of this kind holds near its start. A file already there is replaced only when it
    holds them too: a photo named by mistake stays. Raises UsageError for that, OperationFailed when the disk
    says no.
    """
    _refuse_foreign(path, mark)
    try:
        handle, name = tempfile.mkstemp(prefix=".chueok-", suffix=".part", dir=path.parent)  # mode 0600
    except OSError as error:
        raise _failed(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise _failed(path, error) from error
    finally:
        Path(name).unlink(missing_ok=True)


def _refuse_foreign(path: Path, mark: bytes) -> None:
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            ours = mark in file.read(_MARK_WITHIN)
    except OSError as error:
        raise _failed(path, error) from error
    if not ours:
        raise UsageError(
            f"{path} exists and was not made by chueok; choose another name, nothing was changed"
        )


def _failed(path: Path, error: OSError) -> OperationFailed:
    reason = error.strerror or str(error)
    return OperationFailed(f"{path} cannot be written: {reason}; free some space or choose another folder")
