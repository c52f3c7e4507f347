"""One photo to one new name, never half of it: staged in a private folder, verified, then published."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 20  # bytes per read; larger gains nothing over a page cache

# What a file system answers when it knows no hard links (exFAT and FAT: EPERM), when a file has too many,
# or when the kernel protects other people's files (fs.protected_hardlinks: EPERM).
_NO_LINK = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
# What renameat2 answers in an old kernel or C library, or on a file system that cannot (NFS: EINVAL).
_NO_RENAME = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
_AT_FDCWD = -100  # linux/fcntl.h
_RENAME_NOREPLACE = 1  # linux/fs.h


class NotDone(Exception):
    """One photo could not be transferred; `str(error)` is the reason, in words for its owner."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was while it was open: enough to prove that a name still means it."""

    sha256: str  # hexadecimal
    size: int  # bytes
    atime_ns: int  # before it was read
    mtime_ns: int
    device: int
    inode: int

    def still(self, path: Path) -> bool:
        """Whether `path` is that very file, unchanged."""
        return self.is_at(path) and (path.lstat().st_size, path.lstat().st_mtime_ns) == (
            self.size,
            self.mtime_ns,
        )

    def is_at(self, path: Path) -> bool:
        """Whether `path` is that very file, perhaps with other content by now."""
        try:
            now = path.lstat()
        except FileNotFoundError:
            return False
        return (now.st_dev, now.st_ino) == (self.device, self.inode)


# ---- reading -----------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(path: Path, *, follow: bool = False) -> Iterator[int]:
    """A descriptor that reads a regular file; nothing else can block it or be read through it.

    Raises NotDone for anything but a regular file, OSError as `os.open` does (ELOOP for a symbolic link).
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise NotDone("it is not a regular file")
        yield file
    finally:
        os.close(file)


def digest(file: int) -> str:
    """SHA-256 of everything in an open file, hexadecimal."""
    os.lseek(file, 0, os.SEEK_SET)
    with open(file, "rb", buffering=0, closefd=False) as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def look(file: int) -> Seen:
    """Read an open file once."""
    before = os.fstat(file)
    times = before.st_atime_ns, before.st_mtime_ns
    return Seen(digest(file), before.st_size, *times, before.st_dev, before.st_ino)


def same_entry(one: Path, other: Path) -> bool:
    """Whether two paths are one entry of one folder, so that removing one would remove the other.

    Two hard links are two entries, but `x.jpg` and `X.jpg` are one where the file system ignores case: a file
    that has both names and only one link.
    """
    if not one.parent.samefile(other.parent):
        return False
    if one.name == other.name:
        return True
    first = one.lstat()
    return os.path.samestat(first, other.lstat()) and first.st_nlink == 1


# ---- staging -----------------------------------------------------------------------------------


def stage_copy(file: int, source: Path, staged: Path, seen: Seen) -> None:
    """Write a verified copy of an open file, with its times, mode and extended attributes.

    The copy is read back from the disk, not from memory where the system allows it, and must have the hash
    that was seen. Raises NotDone when it has not, OSError when the disk is full or fails.
    """
    copy = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _copy_bytes(file, copy)
        os.fsync(copy)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(copy, 0, 0, os.POSIX_FADV_DONTNEED)
        if digest(copy) != seen.sha256:
            raise NotDone("it changed while it was read; run the same command again")
        with contextlib.suppress(OSError):  # exFAT and FAT know no modes: the photo matters, not its mode
            shutil.copystat(source, staged)
        os.utime(copy, ns=(seen.atime_ns, seen.mtime_ns))
    finally:
        os.close(copy)


def _copy_bytes(file: int, copy: int) -> None:
    """All bytes; the kernel shares the blocks where it can (copy_file_range: Btrfs, XFS, NFS 4.2)."""
    done = 0
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):  # not between these two: the plain way finishes, or says why not
            while count := os.copy_file_range(file, copy, 1 << 30, done, done):
                done += count
    os.lseek(file, done, os.SEEK_SET)
    os.lseek(copy, done, os.SEEK_SET)
    while chunk := os.read(file, _CHUNK):
        view = memoryview(chunk)
        while view:
            view = view[os.write(copy, view) :]


def stage_hardlink(source: Path, staged: Path) -> None:
    """One more name for the same file. Raises NotDone where the file system cannot."""
    try:
        os.link(source, staged, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            reason = "it is on another disk than the destination, and hard links cannot cross disks"
        elif error.errno in _NO_LINK:
            reason = "the destination's file system allows no hard link to it"
        else:
            raise
        raise NotDone(f"{reason}; use --copy") from error


def stage_symlink(source: Path, staged: Path) -> None:
    """A link that leads to the photo's absolute path. Raises NotDone where the file system cannot."""
    try:
        staged.symlink_to(source.absolute())
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        raise NotDone("the destination's file system knows no symbolic links; use --copy") from error


def stage_move(file: int, source: Path, staged: Path, seen: Seen) -> None:
    """The same file where the disk is the same, a verified copy where not."""
    try:
        os.link(source, staged, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EXDEV and error.errno not in _NO_LINK:
            raise
        stage_copy(file, source, staged, seen)


# ---- publishing --------------------------------------------------------------------------------


def rename_new(old: Path, new: Path) -> None:
    """Rename without ever replacing anything, on any file system. Raises FileExistsError.

    In one step where the kernel can; else by a hard link, so that a kill between the steps leaves both names;
    else the new name is reserved first, so that a kill leaves an empty file there, and `old` whole.
    """
    try:
        _rename_exclusive(old, new)
    except OSError as error:
        if error.errno not in _NO_RENAME:
            raise
        _rename_by_link(old, new)


def _rename_by_link(old: Path, new: Path) -> None:
    """As `rename_new`, in two steps."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        old.replace(new)
    else:
        old.unlink()


def _rename_exclusive(old: Path, new: Path) -> None:
    """renameat2(2) with RENAME_NOREPLACE. Raises OSError with ENOSYS where the C library has no such call."""
    import ctypes

    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(new))


def finish_move(staged: Path, source: Path, target: Path, seen: Seen) -> None:
    """Publish what `stage_move` staged, make it durable, and only then remove the source.

    Where the source may not be removed or was written to, it stays and the target is taken away again. Raises
    NotDone, OSError.
    """
    inode = staged.lstat().st_ino
    rename_new(staged, target)
    try:
        sync_folder(target.parent)
        remove_source(source, seen)
    except (NotDone, OSError):
        if seen.is_at(source) and target.lstat().st_ino == inode:  # else the target is all there is
            target.unlink()
        raise


def remove_source(source: Path, seen: Seen) -> None:
    """Remove a photo whose content is safe elsewhere, unless it is no longer what was seen. Raises NotDone.

    A source that somebody else removed meanwhile is what was wanted.
    """
    if not os.path.lexists(source):
        return
    if not seen.still(source):
        raise NotDone("it changed while it was moved, so it stays where it was; run the same command again")
    try:
        source.unlink()
    except PermissionError as error:
        raise NotDone("its folder does not allow removing it, so it stays where it was") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the file system can."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF):  # no such notion there
            raise
    finally:
        os.close(handle)
