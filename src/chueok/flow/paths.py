"""Paths as users write them: `~`, links, loops and impossible names, without surprises."""

from __future__ import annotations

from pathlib import Path

from chueok.errors import UsageError


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
