"""Paths as users write them: `~`, links, loops and impossible names, without surprises."""

from __future__ import annotations

import hashlib
from pathlib import Path

from chueok.errors import UnreadablePhoto, UsageError

_HALF = 2**63  # SQLite's integers are signed; a time in 2300 or a hashed inode is folded into their range


def as_path(text: Path | str) -> Path:
    """A path with `~` expanded. Raises UsageError for the home of nobody, and for a name no file can have."""
    try:
        path = Path(text).expanduser()
        path.exists()
    except RuntimeError as error:
        raise UsageError(f"{text}: there is no such user") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(text)[:80]!r} cannot be a path: {error}") from error
    return path


def real(path: Path) -> Path:
    """Where a path leads; itself, made absolute, when its links lead in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # Python 3.11 and 3.12 raise RuntimeError for a circle
        return path.absolute()


def content_hash(path: Path) -> bytes | None:
    """The SHA-256 of a file's content; None when it cannot be had."""
    from chueok.vision.files import read_file

    try:
        return hashlib.sha256(read_file(path)).digest()
    except UnreadablePhoto:
        return None


def is_as_indexed(path: Path, size: int, mtime_ns: int) -> bool:
    """Whether a file is there and looks as it did when it was indexed: another picture may have taken its name."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return (status.st_size, signed(status.st_mtime_ns)) == (size, mtime_ns)


def signed(value: int) -> int:
    """A number of a file's status as the catalog keeps it: folded into 64 signed bits."""
    return (value + _HALF) % (2 * _HALF) - _HALF
