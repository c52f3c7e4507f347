"""Files of the index: replaced as a whole, readable by their owner only, and known again by a stamp."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import IndexDamaged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INDEX_FILES = ("faces-*.table*", "faces-*.codes*", "faces-*.hnsw*")
"""In a library. codes: what a Python program may keep beside the table (coded.py); hnsw: what was kept before there
were tables."""
PARTIAL = ".partial"  # end of the name of a file being written
_PIECE = 2**18  # bytes read at a time: they stay in the processor's cache until they are summed
PRIVATE = stat.S_IRUSR | stat.S_IWUSR  # a face is nobody else's business


@dataclass(frozen=True, slots=True)
class IndexStamp:
    """What a saved index file must be. The catalog keeps it; a file that differs is not opened."""

    sha256: str  # hex
    bytes: int  # file size
    count: int  # vectors
    dimension: int  # d, the length of a vector
    layout: str  # of the file, and the metric
    crc32: int | None = None  # of all bytes; None in stamps of before it was noted
    ids_sum: int | None = None  # of the scattered ids, see `Faces.count_and_sum`


@contextlib.contextmanager
def replacement(path: Path) -> Iterator[int]:
    """A private new file that takes the name when the block ends well, and vanishes when it does not."""
    partial, descriptor = _new_file(path)
    try:
        yield descriptor
        os.replace(partial, os.fsencode(path))  # noqa: PTH105, names are bytes here
    except BaseException:
        _unlink(partial)
        raise
    finally:
        os.close(descriptor)
    _fsync_folder(path.parent)


def _new_file(path: Path) -> tuple[bytes, int]:
    """A private, empty, locked file beside path: its name, and its descriptor, which the caller closes."""
    while True:
        partial = os.fsencode(path.with_name(f"{path.name}.{secrets.token_hex(8)}{PARTIAL}"))
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # waits for a run that is just sweeping it away
            os.fchmod(descriptor, PRIVATE)  # whatever the umask took away
            if _is_at(partial, descriptor):
                return partial, descriptor
        except BaseException:
            os.close(descriptor)
            _unlink(partial)
            raise
        os.close(descriptor)  # swept before it was locked: another one


def _is_at(name: bytes, descriptor: int) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.lstat(name), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _unlink(name: bytes) -> None:
    """Remove a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)  # noqa: PTH108, names are bytes here


@contextlib.contextmanager
def _locked(name: bytes) -> Iterator[None]:
    """Hold the lock of a file, which the kernel frees when the process dies.

    Raises BlockingIOError when another process holds it.
    """
    descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _fsync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(path: Path) -> None:
    """Remove what killed runs were writing for this path; only writers do. What is being written is locked, and stays.

    Raises OSError.
    """
    start = os.fsencode(f"{path.name}.")
    with os.scandir(os.fsencode(path.parent)) as entries:
        leftovers = [
            entry.path
            for entry in entries
            if entry.name.startswith(start)
            and entry.name.endswith(PARTIAL.encode())
            and entry.is_file(follow_symlinks=False)
        ]
    for leftover in leftovers:
        with contextlib.suppress(FileNotFoundError, BlockingIOError), _locked(leftover):
            _unlink(leftover)


def read_whole(path: Path, stamp: IndexStamp, layout: str) -> NDArray[np.uint8]:
    """All bytes of a file as long as the stamped one: (stamp.bytes,) uint8. What they are is for the caller to verify.

    Raises IndexDamaged: for another layout, and for what is no file, cannot be read or has another length.
    """
    import numpy as np

    if stamp.layout != layout:
        raise damaged(path, f"has the layout {stamp.layout}, not {layout}")
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size != stamp.bytes:
                raise damaged(path, f"is not the file of {stamp.bytes} bytes that was saved")
            content = np.empty(stamp.bytes, np.uint8)
            if file.readinto(content.data) != stamp.bytes:
                raise damaged(path, "became shorter while it was read")
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error
    return content


def _open_at_once(path: str, flags: int) -> int:
    """An opener that does not wait for a writer when someone put a FIFO there."""
    return os.open(path, flags | os.O_NONBLOCK)


def is_as_saved(path: Path, stamp: IndexStamp) -> bool:
    """Whether a file has the bytes it was saved with, without opening it as an index: a piece at a time, no numpy."""
    checksum = size = 0
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return False
            while piece := file.read(_PIECE):
                checksum, size = zlib.crc32(piece, checksum), size + len(piece)
    except OSError:
        return False
    return (size, checksum) == (stamp.bytes, stamp.crc32)


def refusal(path: Path, error: OSError) -> str:
    """Why the index was not written, and what helps."""
    kept = "What was there before is unchanged."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"the index {path} does not fit on the disk ({error.strerror}). Free some space and run again. {kept}"
    return (
        f"the index {path} cannot be written: {error.strerror}. Check the folder and its permissions. {kept}"
    )


def damaged(path: Path, why: str) -> IndexDamaged:
    """What to raise for a file that is not the one that was saved."""
    return IndexDamaged(f"the index {path} {why}; it must be rebuilt from the catalog")
