"""A photo file's bytes, read without being blocked or led astray, or UnreadablePhoto says why not."""

from __future__ import annotations

import errno
import os
import stat

from chueok.errors import UnreadablePhoto

FILE_LIMIT = 512 * 2**20  # bytes; with its decoded picture a larger file breaks settings.worker_megabytes
_PASSING = frozenset({errno.EIO, errno.ESTALE, errno.ENOMEM})  # a network drive's or the machine's bad hour


def read_file(path: str | bytes | os.PathLike[str]) -> bytes:
    """Read a photo's bytes without ever blocking on, or being led astray by, what stands at `path`.

    Only a regular file is read, the same one before and after opening, whole, and unchanged meanwhile.
    Raises UnreadablePhoto for everything else.
    """
    try:
        expected = os.lstat(path)
        _check_regular(expected)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123 - pathlib has no flags
            before = os.fstat(file.fileno())
            if (before.st_dev, before.st_ino) != (expected.st_dev, expected.st_ino):
                raise UnreadablePhoto("the file was replaced while it was being opened; index again")
            _check_regular(before)
            data = file.readall()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise UnreadablePhoto(_refusal(error), transient=error.errno in _PASSING) from error
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise UnreadablePhoto("another program changed the file while it was being read; index again")
    return data


def _check_regular(status: os.stat_result) -> None:
    """Raise UnreadablePhoto for what is not a regular file of a sensible size."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a named pipe"}
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise UnreadablePhoto(f"not a regular file, but {kinds.get(kind, 'a device or socket')}")
    if status.st_size == 0:
        raise UnreadablePhoto("the file is empty (0 bytes)")
    if status.st_size > FILE_LIMIT:
        raise UnreadablePhoto(
            f"the file has {status.st_size / 2**20:.0f} MB; chueok reads pictures up to {FILE_LIMIT >> 20} MB"
        )


def _refusal(error: OSError) -> str:
    """What the system said, in words for the photo's owner."""
    if isinstance(error, FileNotFoundError):
        return "the file is no longer there"
    if isinstance(error, PermissionError):
        return "permission denied: chueok may not read this file"
    return f"the file cannot be read: {error.strerror or error}"
