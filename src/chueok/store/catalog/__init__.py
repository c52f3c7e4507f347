"""The catalog: the truth of a library, in SQLite. The only folder with SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from chueok.store.catalog.calibrations import Calibrations
from chueok.store.catalog.database import Database
from chueok.store.catalog.faces import Faces, KnownPicture
from chueok.store.catalog.folders import Folders, KnownFolder
from chueok.store.catalog.migrations import MIGRATIONS, Migration
from chueok.store.catalog.people import People
from chueok.store.catalog.photos import FileStamp, FoundPhoto, KnownPhoto, Photos, Unreadable
from chueok.store.index.private_file import INDEX_FILES

__all__ = [
    "Catalog",
    "FileStamp",
    "FoundPhoto",
    "KnownFolder",
    "KnownPhoto",
    "KnownPicture",
    "Unreadable",
]


class Catalog:
    """An open catalog. Every method is one question or one change; `transaction` groups changes."""

    def __init__(self, path: Path, *, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        """Open or create the file at `path` (0600), migrating an older one after a backup.

        Raises LibraryTooNew, CatalogDamaged, OperationFailed.
        """
        self.path = path
        self._db = Database(path, migrations)
        self.faces = Faces(self._db)
        self.photos = Photos(self._db, self.faces)
        self.folders = Folders(self._db)
        self.people = People(self._db, self.faces)
        self.calibrations = Calibrations(self._db)

    def check(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Read every page for damage, beside `meanwhile`, which cannot change anything. Raises CatalogDamaged."""
        self._db.check(meanwhile)

    def close(self) -> None:
        """Close the file; nothing is written that was not committed."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All changes inside, or none of them."""
        return self._db.transaction()

    def snapshot(self) -> AbstractContextManager[None]:
        """All questions inside see the same moment, whatever another process commits meanwhile."""
        return self._db.snapshot()

    def owe_wipe(self) -> None:
        """Note, with a deletion, that its traces are still to be wiped: a kill in between is made good later."""
        self._db.change("insert or replace into meta (key, value) values ('wipe', 'owed')")

    def owes_wipe(self) -> bool:
        """Whether deleted rows may have left traces."""
        return self._db.value("select 1 from meta where key = 'wipe'") is not None

    def wipe(self) -> None:
        """Leave no trace of deleted rows: not in free pages, the write-ahead log, backups or index files.

        Index files are removed; they are made anew from what is left. Raises OperationFailed while another process
        reads.
        """
        for pattern in (*INDEX_FILES, "catalog.sqlite.*.backup"):
            for path in self.path.parent.glob(pattern):
                path.unlink()
        self._db.change("vacuum")
        self._db.checkpoint()
        self._db.change("delete from meta where key = 'wipe'")
        self._db.checkpoint()

    def current_model(self) -> tuple[str, str] | None:
        """Name and embedding key of the model this library speaks, None before the first index."""
        row: tuple[str, str] | None = self._db.row(
            "select name, key from models where id = (select value from meta where key = 'model')"
        )
        return row

    def model_id(self, name: str, key: str, dimension: int) -> int:
        """The id of an embedding space, registering it when it is new."""
        known = self._db.value("select id from models where key = ?", key)
        if known is None:  # only then is there something to write: a full disk can still be read
            self._db.change(
                "insert into models (name, key, dimension) values (?, ?, ?) on conflict (key) do nothing",
                name,
                key,
                dimension,
            )
            known = self._db.value("select id from models where key = ?", key)
        return int(known)

    def set_current_model(self, model_id: int) -> None:
        """From now on the library speaks this model."""
        self._db.change("insert or replace into meta (key, value) values ('model', ?)", str(model_id))

    def index_stamp(self, model_id: int) -> dict[str, Any] | None:
        """What the index file of this model must be, None when there is none."""
        text = self._db.value("select stamp from indexes where model_id = ?", model_id)
        return json.loads(text) if text else None

    def set_index_stamp(self, model_id: int, stamp: dict[str, Any]) -> None:
        """Record the index file that has just been put in place."""
        self._db.change(
            "insert or replace into indexes (model_id, stamp) values (?, ?)", model_id, json.dumps(stamp)
        )

    def start_scan(self, now: datetime) -> int:
        """Note that a scan began."""
        return int(
            self._db.change("insert into scans (started_at) values (?)", now.isoformat()).lastrowid or 0
        )

    def finish_scan(self, scan_id: int, now: datetime, outcome: str) -> None:
        """Note how a scan ended."""
        self._db.change(
            "update scans set finished_at = ?, outcome = ? where id = ?", now.isoformat(), outcome, scan_id
        )

    def last_scan(self) -> datetime | None:
        """When a scan last reached its end."""
        text = self._db.value("select max(finished_at) from scans where outcome = 'done'")
        return datetime.fromisoformat(text) if text else None

    def counts(self) -> dict[str, int]:
        """How many photos, pictures, faces and people there are."""
        row = self._db.row(
            "select (select count(*) from photos where not missing), (select count(*) from pictures),"
            " (select count(*) from faces), (select count(*) from people)"
        )
        return dict(zip(("photos", "pictures", "faces", "people"), row, strict=True))
