"""Folders that looked as the catalog knows them, so that the next walk need not compare photo by photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chueok.store.catalog.database import Database


class KnownFolder(NamedTuple):
    """A folder whose every photo was found unchanged. Any change to what is known of one forgets it (by triggers)."""

    photos: int  # directly inside it
    looks: bytes  # like this: flow/walk.py


class Folders:
    """What is known of folders as a whole."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def whole(self) -> dict[bytes, KnownFolder]:
        """By path."""
        if not self._db.value("select 1 from sqlite_master where name = 'folders'"):
            return {}  # an older catalog on a full disk, which is read as it is
        rows = self._db.rows("select path, photos, looks from folders")
        return {path: KnownFolder(photos, looks) for path, photos, looks in rows}

    def put(self, folders: Mapping[bytes, KnownFolder]) -> None:
        """Remember these, before anything else that is known of their photos changes."""
        for path, folder in folders.items():
            self._db.change(
                "insert or replace into folders (path, photos, looks) values (?, ?, ?)", path, *folder
            )
