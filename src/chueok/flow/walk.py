"""Which files of an album are photos, and which of them the catalog does not know yet."""

from __future__ import annotations

import hashlib
import marshal
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chueok.flow.paths import signed
from chueok.store.catalog import Catalog, FileStamp, KnownFolder, KnownPhoto

# The endings of the formats decode.py reads; a file with another ending is not taken for a photo.
PHOTO_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "webp", "tif", "tiff", "bmp", "gif"),
        *("jp2", "j2k", "jpx", "heic", "heif", "hif", "avif"),
    )
)
Stamp = tuple[bytes, int, int, int, int, int]  # a name, and the numbers of a FileStamp as the system has them
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


@dataclass(frozen=True, slots=True)
class SeenFolder:
    """The photo files directly in a folder, in name order."""

    unchanged: int  # how many are as the catalog knows them
    named: list[KnownPhoto]  # those, where they were asked for by name
    others: list[SeenPhoto]  # new, changed, back, or wanted once more


@dataclass(slots=True)
class Walk:
    """One pass over an album. After `folders` has ended, `missing` holds the known photos that were not met."""

    root: Path
    catalog: Catalog
    skip: Callable[[Path], bool]
    retry_failed: bool = False  # take photos that could not be read for changed ones
    by_name: bool = False  # name unchanged photos too
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    missing: list[KnownPhoto] = field(default_factory=list)
    whole: dict[bytes, KnownFolder] = field(default_factory=dict)  # found unchanged photo by photo
    seen: int = 0

    def folders(self) -> Iterator[SeenFolder]:
        """Every folder at or below the root, in name order."""
        visited: set[Path] = set()
        pending = [self.root]
        known = self.catalog.folders.whole() if self._by_folder else {}
        while pending:
            folder = pending.pop()
            if self.skip(folder):
                continue
            visited.add(folder)
            try:
                before = known.get(os.fsencode(folder))
                found, below = (before and _as_before(folder, before)) or self._look_into(folder)
            except OSError as error:
                self.unreadable.append((folder, error.strerror or str(error)))
                continue  # what cannot be looked into is not missing
            pending += reversed(below)
            self.seen += found.unchanged + len(found.others)
            yield found
        self._note_vanished_folders(visited)

    @property
    def _by_folder(self) -> bool:
        """Whether unchanged photos need not be looked at one by one."""
        return not (self.retry_failed or self.by_name)

    def _look_into(self, folder: Path) -> tuple[SeenFolder, list[Path]]:
        """The photos of a folder, and the folders in it. Most photos need one look at a set: no path, no record."""
        known = self.catalog.photos.stamps_in(folder, unreadable=not self.retry_failed)
        stamps: list[Stamp] = []
        same: list[bytes] = []
        rest: list[os.DirEntry[bytes]] = []
        for entry in os.scandir(os.fsencode(folder)):
            try:
                of = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since the listing: it stays among the known and becomes missing
            except OSError:
                if entry.is_dir(follow_symlinks=False):
                    rest.append(entry)  # a dead mount: looking into it says so
                elif is_photo_name(os.fsdecode(entry.name)):
                    raise  # a disk that does not answer loses no photo: its folder counts as closed
                continue
            stamp = (entry.name, of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns)
            stamps.append(stamp)
            if stamp in known:
                same.append(entry.name)
            else:
                rest.append(entry)
        rest.sort(key=lambda entry: entry.name)
        below = [Path(os.fsdecode(entry.path)) for entry in rest if _is_folder(entry)]
        rest = [entry for entry in rest if is_photo_name(os.fsdecode(entry.name)) and _is_file(entry)]
        if rest or self.by_name or len(same) < len(known):
            seen = self._compared(folder, same, rest)
        else:
            seen = SeenFolder(len(same), [], [])
            if same and self._by_folder:
                self.whole[os.fsencode(folder)] = KnownFolder(len(same), _looks(stamps))
        return seen, below

    def _compared(self, folder: Path, same: list[bytes], rest: list[os.DirEntry[bytes]]) -> SeenFolder:
        """What the catalog knows of a folder's photos, looked up where something is new, gone or to be named."""
        known = self.catalog.photos.in_folder(folder)
        named = [known.pop(name) for name in same]
        others = []
        for entry in rest:
            before, stamp = known.pop(entry.name, None), stamp_of(entry.stat(follow_symlinks=False))
            if before and before.stamp == stamp and self._still_holds(before):
                named.append(before)  # its numbers were folded
            else:
                others.append(SeenPhoto(Path(os.fsdecode(entry.path)), stamp, before))
        self.missing += known.values()
        return SeenFolder(
            len(named), sorted(named, key=lambda photo: photo.name) if self.by_name else [], others
        )

    def _still_holds(self, known: KnownPhoto) -> bool:
        """Whether nothing has to be learned of a file that is as it was."""
        return not known.missing and not (self.retry_failed and known.picture_id is None)

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


def _as_before(folder: Path, known: KnownFolder) -> tuple[SeenFolder, list[Path]] | None:
    """The photos of a folder, and the folders in it, if it looks as it did when all its photos were unchanged."""
    stamps, below = [], []
    try:
        for entry in os.scandir(os.fsencode(folder)):
            of = entry.stat(follow_symlinks=False)
            stamps.append((entry.name, of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns))
            if entry.is_dir(follow_symlinks=False) and _is_folder(entry):
                below.append(entry.path)
    except OSError:
        return None
    if _looks(stamps) != known.looks:
        return None
    return SeenFolder(known.photos, [], []), [Path(os.fsdecode(path)) for path in sorted(below)]


def _looks(stamps: list[Stamp]) -> bytes:
    """A hash of all that lies in a folder, as it is listed, and of what is taken for a photo."""
    content = sorted(PHOTO_SUFFIXES), stamps
    return hashlib.sha256(marshal.dumps(content, 2)).digest()  # later versions write equal values differently


def settled(stamp: FileStamp, started_ns: int) -> FileStamp:
    """The stamp to remember: one that never agrees if the file was written within 2 s of the scan's start."""
    if stamp.ctime_ns < started_ns - SETTLE_NS:  # unlike mtime, it is set by the system and cannot be ahead
        return stamp
    return FileStamp(stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, UNSETTLED)


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Folders that are not hidden; links are not followed, so that no loop can be entered."""
    try:
        return not entry.name.startswith(b".") and entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[bytes]) -> bool:
    """Regular files; the status of what is not a folder is known already, so this cannot fail."""
    return not entry.is_dir(follow_symlinks=False) and stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)


def is_photo_name(name: str) -> bool:
    """Whether a file of this name is taken for a photo; hidden files are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES  # noqa: PTH122 hot
