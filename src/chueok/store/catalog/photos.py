"""Albums and the photo files in them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from chueok.records import AlbumStatus, Failure, Status
from chueok.store.catalog.database import Database, chunks, to_path
from chueok.store.catalog.faces import Faces

_PHOTO = (
    "id, folder, name, picture_id, device, inode, size, mtime_ns, ctime_ns, missing, error, unreadable_sha256,"
    " (select count(*) from faces where faces.picture_id = photos.picture_id)"
)


class FileStamp(NamedTuple):
    """The change key of a file: while all five stay the same, its content is taken to be the same."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file has no picture."""

    reason: str
    sha256: bytes | None  # of its content; None when not even that can be had


class KnownPhoto(NamedTuple):
    """A photo file as the catalog remembers it: a row as it comes, since a walk meets a hundred thousand of them."""

    id: int
    folder: bytes
    name: bytes
    picture_id: int | None  # None where the file could not be read
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    missing: int  # 1: it was not met where it should be
    error: str | None  # why it could not be read
    unreadable_sha256: bytes | None  # of the content that could not be read
    faces: int

    @property
    def path(self) -> Path:
        """Where it was last seen."""
        return to_path(self.folder, self.name)

    @property
    def stamp(self) -> FileStamp:
        """The file's change key when it was indexed."""
        return FileStamp(*self[4:9])


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo file that is there, joined with its picture: what a search reports."""

    path: Path
    picture_id: int
    taken_at: datetime | None
    size: int  # of the file when it was indexed, bytes
    mtime_ns: int


class Photos:
    """What is known of albums and files. Paths are kept as bytes, exactly as the system gives them."""

    def __init__(self, database: Database, faces: Faces) -> None:
        self._db = database
        self._faces = faces

    def albums(self) -> list[Path]:
        """Every known album, in the order they were added."""
        return [to_path(row[0]) for row in self._db.rows("select path from albums order by id")]

    def add_album(self, path: Path, now: datetime) -> int:
        """The id of an album, registering it when it is new."""
        self._db.change(
            "insert into albums (path, added_at) values (?, ?) on conflict (path) do nothing",
            os.fsencode(path),
            now.isoformat(),
        )
        return int(self._db.value("select id from albums where path = ?", os.fsencode(path)))

    def album_statuses(self) -> list[AlbumStatus]:
        """Counts by album."""
        rows = self._db.rows(
            "select a.path, count(p.id), coalesce(sum(p.missing), 0), coalesce(sum(p.error is not null), 0),"
            " (select count(*) from faces where picture_id in"
            "   (select picture_id from photos where album_id = a.id))"
            " from albums a left join photos p on p.album_id = a.id group by a.id order by a.id"
        )
        return [
            AlbumStatus(to_path(path), photos, missing, failed, faces, to_path(path).is_dir())
            for path, photos, missing, failed, faces in rows
        ]

    def stamps_in(
        self, folder: Path, *, unreadable: bool
    ) -> set[tuple[bytes, int | None, int, int, int, int]]:
        """Name and FileStamp of every known photo directly inside a folder, for a walk to compare with.

        Those that are missing, or could not be read unless `unreadable` ones are wanted, have no device and agree with
        no file.
        """
        return set(
            self._db.rows(
                "select name, case when not missing and (? or picture_id is not null) then device end,"
                " inode, size, mtime_ns, ctime_ns from photos where folder = ?",
                unreadable,
                os.fsencode(folder),
            )
        )

    def in_folder(self, folder: Path) -> dict[bytes, KnownPhoto]:
        """The known photos directly inside a folder, by file name."""
        rows = self._db.rows(f"select {_PHOTO} from photos where folder = ?", os.fsencode(folder))
        return {photo.name: photo for photo in map(KnownPhoto._make, rows)}

    def folders_under(self, root: Path) -> list[Path]:
        """Every folder at or below root that has known photos."""
        low, high = _subtree(root)
        rows = self._db.rows(  # from one folder to the next: `distinct` would read every photo
            "with recursive found (folder) as ("
            " select min(folder) from photos where folder >= ?"
            " union select (select min(photos.folder) from photos where photos.folder > found.folder) from found"
            "   where found.folder < ?"
            ") select folder from found where folder = ? or (folder >= ? and folder < ?)",
            os.fsencode(root),
            high,
            os.fsencode(root),
            low,
            high,
        )
        return [to_path(row[0]) for row in rows]

    def at(self, path: Path) -> KnownPhoto | None:
        """The known photo at this path."""
        row = self._db.row(
            f"select {_PHOTO} from photos where folder = ? and name = ?",
            os.fsencode(path.parent),
            os.fsencode(path.name),
        )
        return KnownPhoto(*row) if row else None

    def of_picture(self, picture_id: int) -> list[KnownPhoto]:
        """Every file that has this content."""
        rows = self._db.rows(f"select {_PHOTO} from photos where picture_id = ?", picture_id)
        return [KnownPhoto(*row) for row in rows]

    def showing(self, picture_ids: Iterable[int]) -> list[FoundPhoto]:
        """The files of these contents that are where they were last seen."""
        found = []
        for marks, chunk in chunks(list(picture_ids)):
            rows = self._db.rows(
                "select photos.folder, photos.name, p.id, p.taken_at, photos.size, photos.mtime_ns"
                " from photos join pictures p on p.id = photos.picture_id"
                f" where not photos.missing and p.id in ({marks})",
                *chunk,
            )
            found += [
                FoundPhoto(to_path(folder, name), picture, date and datetime.fromisoformat(date), size, mtime)
                for folder, name, picture, date, size, mtime in rows
            ]
        return found

    def put(self, album_id: int, path: Path, stamp: FileStamp, content: int | Unreadable) -> None:
        """Remember a file and its content (a picture's id, or why there is none) in place of what was known."""
        picture_id, failure = (None, content) if isinstance(content, Unreadable) else (content, None)
        self._db.change(
            "insert into photos"
            " (album_id, folder, name, picture_id, device, inode, size, mtime_ns, ctime_ns,"
            " error, unreadable_sha256)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (folder, name) do update set"
            " picture_id = excluded.picture_id, device = excluded.device, inode = excluded.inode,"
            " size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,"
            " error = excluded.error, unreadable_sha256 = excluded.unreadable_sha256, missing = 0",
            album_id,
            os.fsencode(path.parent),
            os.fsencode(path.name),
            picture_id,
            stamp.device,
            stamp.inode,
            stamp.size,
            stamp.mtime_ns,
            stamp.ctime_ns,
            failure and failure.reason,
            failure and failure.sha256,
        )

    def move(self, photo_id: int, album_id: int, path: Path) -> None:
        """The file of a known photo now stands at another path."""
        self._db.change(
            "update photos set album_id = ?, folder = ?, name = ? where id = ?",
            album_id,
            os.fsencode(path.parent),
            os.fsencode(path.name),
            photo_id,
        )

    def set_missing(self, photo_ids: Iterable[int], *, missing: bool) -> None:
        """Mark photos as gone from (or back at) their path."""
        for photo_id in photo_ids:
            self._db.change("update photos set missing = ? where id = ?", int(missing), photo_id)

    def under(self, root: Path) -> list[KnownPhoto]:
        """The known photo at this path, or all below this folder."""
        found = [self.at(root)]
        for folder in self.folders_under(root):
            found += self.in_folder(folder).values()
        return [photo for photo in found if photo is not None]

    def delete_albums(self, albums: Iterable[Path]) -> None:
        """These folders are albums no more; their photos are deleted first."""
        for album in albums:
            self._db.change("delete from albums where path = ?", os.fsencode(album))

    def delete(self, photo_ids: Iterable[int]) -> None:
        """Forget files, and every content that no file and no reference needs any more."""
        for photo_id in photo_ids:
            picture_id = self._db.value("select picture_id from photos where id = ?", photo_id)
            self._db.change("delete from photos where id = ?", photo_id)
            if picture_id is not None:
                self._faces.drop_picture_if_unused(picture_id)

    def failures(self) -> list[Failure]:
        """Photos that could not be read, or only in part, with the reason, by path."""
        rows = self._db.rows(
            "select folder, name, error, damage from photos left join pictures p on p.id = picture_id"
            " where not missing and (error is not null or damage is not null) order by folder, name"
        )
        return [
            Failure(to_path(folder, name), Status.FAILED if error else Status.DAMAGED, error or damage)
            for folder, name, error, damage in rows
        ]

    def destinations(self) -> list[Path]:
        """Folders photos were collected into, inside albums: not to be indexed."""
        return [to_path(row[0]) for row in self._db.rows("select path from destinations")]

    def delete_destination(self, path: Path) -> None:
        """This folder is indexed again."""
        self._db.change("delete from destinations where path = ?", os.fsencode(path))

    def delete_destinations(self, root: Path) -> int:
        """Folders at or below root are indexed again; how many there were."""
        low, high = _subtree(root)
        return self._db.change(
            "delete from destinations where path = ? or (path >= ? and path < ?)",
            os.fsencode(root),
            low,
            high,
        ).rowcount

    def add_destination(self, path: Path) -> None:
        """Remember a folder photos were collected into."""
        self._db.change("insert or ignore into destinations (path) values (?)", os.fsencode(path))


def _subtree(root: Path) -> tuple[bytes, bytes]:
    """The half-open range of folder paths strictly below root ("/" is followed by "0" in byte order)."""
    prefix = os.fsencode(root).rstrip(b"/")
    return prefix + b"/", prefix + b"0"
