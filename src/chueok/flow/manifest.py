"""The manifest of a move: JSON Lines beside the moved photos, each line durable before its photo goes."""

from __future__ import annotations

import base64
import enum
import json
import os
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from chueok.errors import OperationFailed, UsageError
from chueok.flow.transfer import Seen, rename_new, sync_folder
from chueok.flow.walk import is_photo_name
from chueok.flow.workroom import Workroom

SCHEMA = 1


class Kind(enum.StrEnum):
    """How a photo left the place it had."""

    MOVED = "moved"  # it stands at the target now
    MERGED = "merged"  # the target held the same content before; the source was removed


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo's way."""

    kind: Kind
    source: Path  # where it was, absolute
    target: Path  # where it is, absolute
    sha256: str  # of its content, hexadecimal
    size: int  # bytes
    mtime_ns: int  # of the source


class Manifest:
    """Writes one; the file comes into being, with its first line, when it is opened."""

    def __init__(self, folder: Path, room: Workroom, started: datetime) -> None:
        """Raises OSError where the folder does not allow it."""
        header = {"schema": SCHEMA, "type": "move", "started": started.isoformat(timespec="seconds")}
        with room.slot() as staged:
            self._file = os.open(staged, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
            self._append(header)
            self.path = _publish(staged, folder, started)
        self.entries = 0  # lines written so far
        sync_folder(folder)

    def close(self) -> None:
        """Nothing more will be written; a manifest of nothing goes."""
        os.close(self._file)
        if not self.entries:
            self.path.unlink()

    def record(self, kind: Kind, source: Path, target: Path, seen: Seen) -> None:
        """Write down where a photo goes; the line is on the disk when this returns.

        The target, and a source in the same folder, are kept as plain names: the folder may be renamed and
        still be undone.
        """
        folder = self.path.parent
        line: dict[str, Any] = {"schema": SCHEMA, "type": str(kind)}
        line |= _path_fields("source", Path(source.name) if source.parent == folder else source.absolute())
        line |= _path_fields("target", Path(target.name))
        line |= {"sha256": seen.sha256, "size": seen.size, "mtime_ns": seen.mtime_ns}
        self._append(line)
        self.entries += 1

    def _append(self, line: dict[str, Any]) -> None:
        """All of the line or nothing of it, so that the next one starts where it should."""
        length = os.fstat(self._file).st_size
        rest = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, length)
            raise


def _publish(staged: Path, folder: Path, started: datetime) -> Path:
    """Give a manifest a name that sorts by time: `_2` comes after the plain one of the same second."""
    for number in count(1):
        suffix = "" if number == 1 else f"_{number}"
        path = folder / f"chueok-move-{started:%Y%m%dT%H%M%S}{suffix}.jsonl"
        try:
            rename_new(staged, path)
        except FileExistsError:
            continue
        return path
    raise AssertionError("count() does not end")


def _path_fields(name: str, path: Path) -> dict[str, str]:
    """A path as text and, where its bytes are not UTF-8, as base64 beside it."""
    raw = os.fsencode(path)
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        escaped = raw.decode("utf-8", "backslashreplace")
        return {name: escaped, f"{name}_bytes": base64.b64encode(raw).decode()}


def read_manifest(path: Path) -> list[Entry]:
    """The entries of a manifest, oldest first.

    A last line without its end is what a killed run was writing: its photo had not gone yet, so it is left
    out. Raises UsageError for anything that is not a manifest, OperationFailed for one that cannot be read.
    """
    try:
        *lines, _unfinished = path.read_bytes().split(b"\n")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UsageError(f"{path} is not a file; {_HINT}") from error
    except OSError as error:
        raise OperationFailed(f"{path} cannot be read: {error.strerror}") from error
    _check_header(path, lines)
    folder = path.absolute().parent
    entries = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            entries.append(_entry(json.loads(line), folder))
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"line {number} of {path} is damaged; repair or remove it and try again"
            ) from error
    return entries


_HINT = "undo takes the chueok-move-….jsonl that a move wrote into the folder the photos were moved to"


def _check_header(path: Path, lines: list[bytes]) -> None:
    try:
        header = json.loads(lines[0])
        known = header["type"] == "move" and isinstance(header["schema"], int)
    except (ValueError, KeyError, TypeError, IndexError):
        known = False
    if not known:
        raise UsageError(f"{path} is not the manifest of a move; {_HINT}")
    if header["schema"] > SCHEMA:
        raise UsageError(f"{path} was written by a newer chueok; undo it with that one")


def _entry(line: dict[str, Any], folder: Path) -> Entry:
    """Raises ValueError, KeyError or TypeError for a line that says something else."""
    source, target = _path(line, "source"), _path(line, "target")
    if target.name != str(target):
        raise ValueError("a target is a name in the manifest's folder")
    if not source.is_absolute() and source.name != str(source):
        raise ValueError("a source is absolute, or a name in the manifest's folder")
    if ".." in source.parts or not is_photo_name(source.name):
        raise ValueError("a source is a photo, written without detours")  # it may be somebody else's manifest
    return Entry(
        kind=Kind(line["type"]),
        source=folder / source,
        target=folder / target,
        sha256=str(line["sha256"]),
        size=int(line["size"]),
        mtime_ns=int(line["mtime_ns"]),
    )


def _path(line: dict[str, Any], name: str) -> Path:
    raw = line.get(f"{name}_bytes")
    text = line[name] if raw is None else os.fsdecode(base64.b64decode(raw, validate=True))
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError("no path")
    return Path(text)
