"""What stands where a file is to be written: only files that chueok made are ever replaced."""

from __future__ import annotations

import stat
from pathlib import Path

from chueok.errors import UsageError

_MARK_WITHIN = 4096  # bytes; every file of ours names its maker near its start


def refuse_foreign(path: Path, mark: bytes, maker: str = "chueok", other: str = "another name") -> None:
    """Raise UsageError for what stands at a path and has no `mark` near its start; a pipe or device is never opened.

    maker, other: who makes such files, and what to choose instead, for the sentence. Raises OSError where the disk
    does not tell.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device or pipe"
        raise UsageError(f"{path} is {kind}, not a file; choose {other}, nothing was changed")
    with path.open("rb") as file:
        ours = mark in file.read(_MARK_WITHIN)
    if not ours:
        raise UsageError(f"{path} exists and was not made by {maker}; choose {other}, nothing was changed")
