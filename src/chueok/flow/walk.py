"""Which files of an album are photos, and which of them the catalog does not know yet."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chueok.flow.paths import signed
from chueok.store.catalog import Catalog, FileStamp, KnownPhoto

# The endings of the formats decode.py reads; a file with another ending is not taken for a photo.
PHOTO_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "webp", "tif", "tiff", "bmp", "gif"),
        *("jp2", "j2k", "jpx", "heic", "heif", "hif", "avif"),
    )
)
SETTLE_NS = (
    2_000_000_000  # a file written this close to the scan may change again within the clock's resolution
)
UNSETTLED = -1  # the change time stored for such a file: it never agrees, so the file is checked next time


@dataclass(frozen=True, slots=True)
class SeenPhoto:
    """A photo file as the walk found it, beside what the catalog knows of its path."""

    path: Path
    stamp: FileStamp
    known: KnownPhoto | None

    @property
    def unchanged(self) -> bool:
        """Whether the catalog's knowledge still holds."""
        return self.known is not None and self.known.stamp == self.stamp


@dataclass(slots=True)
class Walk:
    """One pass over an album. After `photos` has ended, `missing` holds the known photos that were not met."""

    root: Path
    catalog: Catalog
    skip: Callable[[Path], bool]
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    missing: list[KnownPhoto] = field(default_factory=list)
    seen: int = 0

    def photos(self) -> Iterator[SeenPhoto]:
        """Every photo file below the root, folder by folder in name order."""
        visited: set[Path] = set()
        pending = [self.root]
        while pending:
            folder = pending.pop()
            if self.skip(folder):
                continue
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                self.unreadable.append((folder, error.strerror or str(error)))
                visited.add(folder)  # what cannot be looked into is not missing
                continue
            visited.add(folder)
            pending += reversed([Path(entry.path) for entry in entries if _is_folder(entry)])
            yield from self._photos_in(folder, entries)
        self._note_vanished_folders(visited)

    def _photos_in(self, folder: Path, entries: list[os.DirEntry[str]]) -> Iterator[SeenPhoto]:
        known = self.catalog.photos.in_folder(folder)
        for entry in entries:
            if not is_photo_name(entry.name):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone since the listing: it stays among the known and becomes missing
            if not stat.S_ISREG(status.st_mode):
                continue
            self.seen += 1
            before = known.pop(os.fsencode(entry.name), None)
            yield SeenPhoto(Path(entry.path), stamp_of(status), before)
        self.missing += known.values()

    def _note_vanished_folders(self, visited: set[Path]) -> None:
        for folder in self.catalog.photos.folders_under(self.root):
            if folder not in visited and not self._below_unreadable(folder):
                self.missing += self.catalog.photos.in_folder(folder).values()

    def _below_unreadable(self, folder: Path) -> bool:
        return any(folder.is_relative_to(closed) for closed, _ in self.unreadable)


def stamp_of(status: os.stat_result) -> FileStamp:
    """The change key of a file."""
    values = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return FileStamp(*map(signed, values))


def settled(stamp: FileStamp, started_ns: int) -> FileStamp:
    """The stamp to remember: one that never agrees if the file was written within 2 s of the scan's start."""
    if stamp.ctime_ns < started_ns - SETTLE_NS:  # unlike mtime, it is set by the system and cannot be ahead
        return stamp
    return FileStamp(stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, UNSETTLED)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Folders that are not hidden; links are not followed, so that no loop can be entered."""
    try:
        return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def is_photo_name(name: str) -> bool:
    """Whether a file of this name is taken for a photo; hidden files are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES  # noqa: PTH122 hot
