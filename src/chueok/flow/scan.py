"""Learn every new or changed photo of an album: incremental, resumable, one event per photo."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from chueok.errors import NoLibrary, UnreadablePhoto, UsageError
from chueok.flow.paths import as_path, content_hash
from chueok.flow.walk import SeenFolder, SeenPhoto, Walk, settled
from chueok.library import Library
from chueok.records import (
    Detection,
    Note,
    PhotoIndexed,
    PhotoReading,
    ScanEvent,
    ScanStarted,
    ScanSummary,
    Status,
)
from chueok.store.catalog import KnownPhoto, KnownPicture, Unreadable
from chueok.vision.reader import ReadingTask

MOSTLY_GONE = 0.5  # an album that lost more than this share of its photos is taken for unplugged, not emptied


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How a scan is to be done."""

    retry_failed: bool = False  # read again what could not be read before
    prune: bool = False  # forget photos whose files are gone
    dry_run: bool = False  # say what would be done, and do nothing
    name_unchanged: bool = False  # an event for every photo that is as it was, too; before `ScanStarted`
    budget: float | None = None  # seconds after which no new photo is begun


def scan(
    library: Library,
    albums: Path | str | Sequence[Path | str] = (),
    options: ScanOptions = ScanOptions(),
    *,
    now: Callable[[], datetime] = datetime.now,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[ScanEvent]:
    """Learn the photos of the albums (none given: of every known album), one event per photo read, a summary last.

    The originals are only read. Work is committed every `batch_photos` photos or `batch_seconds`; closing the
    iterator or an exception keeps what was committed, and the next scan goes on from there.
    Raises UsageError for a folder that does not exist, LibraryLocked, ModelMissing, OperationFailed.
    """
    roots = _roots(library, [albums] if isinstance(albums, str | Path) else albums)
    began = now()
    run = _Scan(library, options, now, clock, clock(), int(began.timestamp() * 1e9))
    if options.dry_run:
        yield from run.events(roots)
        return
    with library.writing(meanwhile=lambda: run.look_ahead(roots[0])):
        library.settle_model()
        scan_id = library.catalog.start_scan(began)
        outcome = "interrupted"
        try:
            yield from run.events(roots)
            outcome = "done"
        finally:
            library.catalog.finish_scan(scan_id, now(), outcome)


def _roots(library: Library, albums: Sequence[Path | str]) -> list[Path]:
    """The folders to walk, resolved; the known albums when none is named."""
    if not albums:
        roots = library.catalog.photos.albums()
        if not roots:
            raise NoLibrary("no album is known yet; name one: `chueok index FOLDER_OF_PHOTOS`")
    else:
        roots = [album_folder(album) for album in albums]
    return [
        root
        for root in dict.fromkeys(roots)
        if not any(root != other and root.is_relative_to(other) for other in roots)
    ]


def album_folder(album: Path | str) -> Path:
    """The folder an album lies in, resolved. Raises UsageError where there is none."""
    if album == "":  # an unset variable of a script; as a Path it would be the current folder
        raise UsageError("the album's name is empty; give `chueok index` a folder, `.` for the current one")
    path = as_path(album)
    if not path.is_dir():
        problem = "is a file, not a folder of photos" if path.exists() else "does not exist"
        raise UsageError(f"the album {path} {problem}; give `chueok index` a folder")
    return path.resolve()


@dataclass(slots=True)
class _Scan:
    """The state of one scan."""

    library: Library
    options: ScanOptions
    now: Callable[[], datetime]
    clock: Callable[[], float]
    started: float
    started_ns: int
    looked: dict[Path, tuple[Walk, list[SeenFolder]]] = field(default_factory=dict)  # albums walked ahead
    counts: Counter[Status] = field(default_factory=Counter)
    faces: int = 0
    homes: dict[int, list[KnownPhoto]] = field(default_factory=dict)  # by picture: paths it has left
    known_faces: dict[Path, tuple[Detection, ...]] = field(default_factory=dict)  # found, not embedded yet
    replaced: set[int] = field(default_factory=set)  # pictures that some file showed before
    missing: int = 0
    pruned: int = 0
    left: int = 0
    unreachable: int = 0

    def look_ahead(self, root: Path) -> None:
        """Walk an album before its turn; not where every photo is to be named: those are told as they come."""
        if not self.options.name_unchanged and root.is_dir():
            walk = self._walk(root)
            self.looked[root] = walk, list(walk.folders())

    def events(self, roots: Sequence[Path]) -> Iterator[ScanEvent]:
        walks = []
        if not self.options.dry_run:
            for root in roots:
                self.library.catalog.photos.delete_destination(root)  # who names a folder wants it indexed
        for root in roots:
            if root.is_dir():
                walk, folders = self.looked.pop(root, None) or (self._walk(root), None)
                walks.append(walk)
                yield from self._album(walk, walk.folders() if folders is None else folders)
            else:
                self.unreachable += 1
                yield Note(f"the album {root} is not there (is its disk plugged in?): nothing was forgotten")
        if self.options.dry_run:
            self.missing = sum(len(walk.missing) for walk in walks)
        else:
            # Only now: a photo missing from one album may have turned up in another.
            for walk in walks:
                yield from self._settle_missing(walk)
            with self.library.catalog.transaction():
                for picture_id in self.replaced:
                    self.library.catalog.faces.drop_picture_if_unused(picture_id)
            self.library.refresh_index()
        yield ScanSummary(
            counts={status: self.counts[status] for status in Status},
            faces=self.faces,
            missing=self.missing,
            pruned=self.pruned,
            left=self.left,
            seconds=self.clock() - self.started,
            unreachable=self.unreachable,
            dry_run=self.options.dry_run,
        )

    def _walk(self, root: Path) -> Walk:
        return Walk(
            root,
            self.library.catalog,
            self._skip(root),
            retry_failed=self.options.retry_failed,
            by_name=self.options.name_unchanged,
        )

    def _album(self, walk: Walk, folders: Iterable[SeenFolder]) -> Iterator[ScanEvent]:
        pending: list[SeenPhoto] = []
        for folder in folders:
            pending += folder.others
            self.counts[Status.UNCHANGED] += folder.unchanged
            for known in folder.named:
                yield PhotoIndexed(known.path, Status.UNCHANGED, known.faces)
        if walk.whole and not self.options.dry_run:
            with self.library.catalog.transaction():
                self.library.catalog.folders.put(walk.whole)
        self.unreachable += len(walk.unreadable)
        for closed, reason in walk.unreadable:
            yield Note(f"the folder {closed} cannot be looked into: {reason}")
        yield ScanStarted(walk.seen, len(pending), sum(photo.stamp.size for photo in pending))
        if self.options.dry_run:
            for photo in pending:
                yield self._told(photo.path, Status.CHANGED if photo.known else Status.NEW, 0)
        else:
            yield from self._learn(self._album_id(walk.root), pending)

    def _skip(self, root: Path) -> Callable[[Path], bool]:
        """Folders that hold no photos of the album; one that was named is walked all the same."""
        closed = {self.library.folder.resolve(), *self.library.catalog.photos.destinations()} - {root}
        return closed.__contains__

    def _album_id(self, root: Path) -> int:
        """The album a folder belongs to: a folder inside a known album is part of that album."""
        albums = self.library.catalog.photos.albums()
        around = [album for album in albums if root.is_relative_to(album)]
        return self.library.catalog.photos.add_album(around[0] if around else root, self.now())

    # ---- learning ----

    def _learn(self, album_id: int, pending: Sequence[SeenPhoto]) -> Iterator[ScanEvent]:
        batch = _Batch(self.library, self.clock)
        unread: dict[Path, SeenPhoto] = {}
        try:
            for photo in pending:
                if not self._spent() and (event := self._recognise(album_id, photo, batch)):
                    yield event
                else:
                    unread[photo.path] = photo
            # Large files first: the last photo of a run should not be the slowest one.
            order = sorted(unread.values(), key=lambda photo: -photo.stamp.size)
            if order:
                for task, result in self.library.run_pool(self._tasks(order)):
                    yield self._record(album_id, unread.pop(task.path), result, batch)
        finally:
            batch.commit()
        self.left += len(unread)

    def _tasks(self, photos: Iterable[SeenPhoto]) -> Iterator[ReadingTask]:
        for photo in photos:
            if self._spent():
                return
            yield ReadingTask(photo.path, self.known_faces.get(photo.path))

    def _spent(self) -> bool:
        """Whether the time for beginning photos is over."""
        return self.options.budget is not None and self.clock() - self.started > self.options.budget

    def _recognise(self, album_id: int, photo: SeenPhoto, batch: _Batch) -> PhotoIndexed | None:
        """A photo whose content is known already needs no reading: it was touched, moved or copied."""
        if failure := self._known_failure(photo):
            batch.add(lambda: self._put(album_id, photo, failure))
            return self._told(photo.path, Status.UNCHANGED, 0)
        picture = self._known_content(photo)
        if picture is None:
            return None
        old_home = self._moved_from(picture.id, photo)
        status = Status.MOVED if old_home else Status.NEW
        if photo.known is not None:
            status = Status.UNCHANGED if photo.known.picture_id == picture.id else Status.CHANGED

        def remember() -> None:
            if old_home is not None:
                self.library.catalog.photos.move(old_home.id, album_id, photo.path)
            self._put(album_id, photo, picture.id)

        batch.add(remember)
        return self._told(photo.path, status, picture.faces)

    def _known_failure(self, photo: SeenPhoto) -> Unreadable | None:
        """A touched file that could not be read before and still has the same content."""
        known = photo.known
        if known is None or known.error is None or self.options.retry_failed:
            return None
        if known.stamp.size != photo.stamp.size or content_hash(photo.path) != known.unreadable_sha256:
            return None
        return Unreadable(known.error, known.unreadable_sha256)

    def _known_content(self, photo: SeenPhoto) -> KnownPicture | None:
        if not self.library.catalog.faces.has_picture_of_size(photo.stamp.size):
            return None
        try:
            known = self.library.known(photo.path)
        except UnreadablePhoto:
            return None  # reading it will say why
        if isinstance(known, KnownPicture):
            return known
        if known.known is not None:
            self.known_faces[photo.path] = known.known
        return None

    def _moved_from(self, picture_id: int, photo: SeenPhoto) -> KnownPhoto | None:
        """The path this content had before, when no file is there any more; each is given away once."""
        if photo.known is not None:
            return None
        if picture_id not in self.homes:
            photos = self.library.catalog.photos.of_picture(picture_id)
            self.homes[picture_id] = [other for other in photos if self._has_left(other)]
        return self.homes[picture_id].pop() if self.homes[picture_id] else None

    def _has_left(self, photo: KnownPhoto) -> bool:
        """Whether a photo is no longer at its path, though its album is there: an unplugged disk moves nothing."""
        albums = (album for album in self.library.catalog.photos.albums() if photo.path.is_relative_to(album))
        return not photo.path.exists() and any(_is_plugged_in(album) for album in albums)

    def _record(
        self, album_id: int, photo: SeenPhoto, result: PhotoReading | UnreadablePhoto, batch: _Batch
    ) -> PhotoIndexed:
        if isinstance(result, UnreadablePhoto):
            failure = Unreadable(str(result), content_hash(photo.path))
            if not result.transient:  # else it is not the photo's fault, and the next run tries again
                batch.add(lambda: self._put(album_id, photo, failure))
            return self._told(photo.path, Status.FAILED, 0, failure.reason)
        reading = result

        def remember() -> None:
            picture_id = self.library.catalog.faces.put_picture(reading, self.library.model_id)
            self._put(album_id, photo, picture_id)

        batch.add(remember)
        self.faces += len(reading.faces)
        status = Status.NEW if photo.known is None else Status.CHANGED
        if reading.damage:
            status = Status.DAMAGED
        return self._told(photo.path, status, len(reading.faces), reading.damage)

    def _put(self, album_id: int, photo: SeenPhoto, content: int | Unreadable) -> None:
        catalog = self.library.catalog
        catalog.photos.put(album_id, photo.path, settled(photo.stamp, self.started_ns), content)
        before = photo.known.picture_id if photo.known else None
        if before is not None and before != content:
            self.replaced.add(before)  # dropped at the end: another file may be about to show it

    def _told(self, path: Path, status: Status, faces: int, error: str | None = None) -> PhotoIndexed:
        self.counts[status] += 1
        return PhotoIndexed(path, status, faces, error)

    # ---- what is gone ----

    def _settle_missing(self, walk: Walk) -> Iterator[ScanEvent]:
        """Mark what is gone; forget it only when asked to."""
        photos = self.library.catalog.photos
        # A row that left its path was recognised elsewhere during this scan.
        gone = [photo for photo in walk.missing if photos.at(photo.path) is not None]
        with self.library.catalog.transaction():
            if self.options.prune:
                photos.delete(photo.id for photo in gone)
            else:
                photos.set_missing((photo.id for photo in gone if not photo.missing), missing=True)
        if self.options.prune:
            self.pruned += len(gone)
            return
        self.missing += len(gone)
        if len(gone) > MOSTLY_GONE * (len(gone) + walk.seen):
            yield Note(
                f"{len(gone)} of the {len(gone) + walk.seen} known photos of {walk.root} are gone; they are "
                "remembered in case they come back: `chueok index --prune` forgets them"
            )


def _is_plugged_in(album: Path) -> bool:
    """Whether an album is there: the folder a disk is mounted on stays behind empty."""
    try:
        return any(album.iterdir())
    except OSError:
        return False


class _Batch:
    """Changes kept back and committed together, a number of photos or seconds at a time.

    They are kept back rather than left in an open transaction so that nobody else has to wait for the catalog.
    """

    def __init__(self, library: Library, clock: Callable[[], float]) -> None:
        self._library = library
        self._clock = clock
        self._changes: list[Callable[[], None]] = []
        self._since = clock()

    def add(self, change: Callable[[], None]) -> None:
        """Keep a change; commit when the batch is full or old."""
        self._changes.append(change)
        settings = self._library.settings
        full = len(self._changes) >= settings.batch_photos
        if full or self._clock() - self._since >= settings.batch_seconds:
            self.commit()

    def commit(self) -> None:
        """Commit what was kept."""
        changes, self._changes, self._since = self._changes, [], self._clock()
        if changes:
            with self._library.catalog.transaction():
                for change in changes:
                    change()
