"""The SQLite file: opening, migrating, transactions, and its errors as sentences."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chueok.errors import CatalogDamaged, ChueokError, LibraryTooNew, OperationFailed
from chueok.store.catalog.migrations import Migration

APPLICATION_ID = 0x63687565  # "chue": tells a chueok catalog from any other SQLite file
BUSY_SECONDS = 30.0  # a batch of 64 photos commits in milliseconds; this outlasts a slow disk
_CHUNK = 500  # bound variables per statement, well below SQLite's oldest limit of 999


class Database:
    """One open SQLite file. Changes outside `transaction` are committed at once."""

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        """Open or create the file (0600). Raises LibraryTooNew, CatalogDamaged, OperationFailed."""
        self.path = path
        try:
            self._connect(path.absolute().as_uri() + "?mode=rwc", migrations)
        except OperationFailed:
            # A full disk, or a folder that cannot be written: what is there can still be read, if it is settled.
            log = path.with_name(path.name + "-wal")
            if not path.exists() or (log.exists() and log.stat().st_size):
                raise
            self._connect(path.absolute().as_uri() + "?immutable=1", migrations)

    def _connect(self, address: str, migrations: Sequence[Migration]) -> None:
        with _explained(self.path):
            if not self.path.exists():
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            self._address = address
            self._db = self._another()
            try:
                self._open(migrations, writable="immutable" not in address)
            except BaseException:
                self._db.close()
                raise

    def _open(self, migrations: Sequence[Migration], *, writable: bool) -> None:
        application = self.value("pragma application_id")
        version = self.value("pragma user_version")
        objects = self.value("select count(*) from sqlite_master")
        if application != APPLICATION_ID and (application or objects):
            raise CatalogDamaged(
                f"{self.path} is not a chueok catalog; choose another --library, or move that file away"
            )
        if version > len(migrations):
            raise LibraryTooNew(
                f"the library {self.path.parent} was written by a newer chueok (catalog version {version}, "
                f"this one knows {len(migrations)}); nothing was touched: upgrade chueok, or use another --library"
            )
        for pragma in ("trusted_schema=off", "foreign_keys=on", "secure_delete=on", "synchronous=full"):
            self._db.execute(f"pragma {pragma}")
        if not writable:
            return
        if self.value("pragma journal_mode") != "wal":
            self._db.execute("pragma journal_mode=wal")
        if version < len(migrations):
            self._migrate(migrations, version)

    def _migrate(self, migrations: Sequence[Migration], version: int) -> None:
        if version:
            backup = self.path.with_name(f"{self.path.name}.v{version}.backup")
            os.close(os.open(backup, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
            with sqlite3.connect(backup) as copy:
                self._db.backup(copy)
            copy.close()
        with self.transaction():
            version = self.value("pragma user_version")  # another process may have been faster
            for migration in migrations[version:]:
                migration(self._db)
            self._db.execute(f"pragma user_version={len(migrations)}")
            self._db.execute(f"pragma application_id={APPLICATION_ID}")

    def _another(self, *, of_one_thread: bool = True) -> sqlite3.Connection:
        return sqlite3.connect(
            self._address,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            uri=True,
            check_same_thread=of_one_thread,
        )

    def check(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Read every page for damage: 0.1 s for 100,000 faces. Raises CatalogDamaged.

        meanwhile: called beside it, on the other core; it can ask, but not change anything. What it raises is raised
        when the catalog is whole, and else taken for a consequence of the damage.
        """
        found: list[Exception] = []
        with _explained(self.path):
            self._db.execute("pragma query_only=on")
            beside = self._another(of_one_thread=False)
        thread = threading.Thread(target=self._look_for_damage, args=[beside, found])
        thread.start()
        try:
            meanwhile()
            thread.join()
        except Exception:
            thread.join()
            if not found:
                raise
        except BaseException:  # Ctrl-C
            beside.interrupt()
            raise
        finally:
            thread.join()
            beside.close()
            self._db.execute("pragma query_only=off")
        if found:
            raise found[0]

    def _look_for_damage(self, connection: sqlite3.Connection, found: list[Exception]) -> None:
        """What `check` does in a thread of its own, and so on a connection of its own."""
        try:
            with _explained(self.path):
                connection.execute("pragma trusted_schema=off")
                (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
        except Exception as error:  # noqa: BLE001 it is raised by `check`
            found.append(error)
        else:
            if verdict != "ok":
                found.append(CatalogDamaged(damaged(self.path, verdict)))

    def close(self) -> None:
        """Close the file; nothing is written that was not committed."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside, or none of them."""
        self.change("begin immediate")
        try:
            yield
            self.change("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise

    def checkpoint(self) -> None:
        """Empty the write-ahead log. Raises OperationFailed while another process reads."""
        if self.value("pragma wal_checkpoint(truncate)"):
            raise OperationFailed(
                f"another chueok is reading {self.path.parent}; run the same command again when it is done"
            )

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All questions inside see the same moment, whatever another process commits meanwhile."""
        self.change("begin")
        try:
            yield
        finally:
            self._db.execute("rollback")

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """The rows of a question."""
        with _explained(self.path):
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> Any:
        """The first row of a question, or None."""
        with _explained(self.path):
            return self._db.execute(sql, values).fetchone()

    def value(self, sql: str, *values: Any) -> Any:
        """The first value of the first row, or None."""
        row = self.row(sql, *values)
        return row[0] if row else None

    def change(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Carry out a change."""
        with _explained(self.path):
            return self._db.execute(sql, values)


def is_of_another_program(path: Path) -> bool:
    """Whether the file is a SQLite file with tables that is not a catalog of chueok; what is damaged is not told apart.

    Offsets 28 (size in pages) and 68 (application id) of the header: www.sqlite.org/fileformat.html, section 1.3.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.read(100)
    pages, application = (int.from_bytes(header[at : at + 4], "big") for at in (28, 68))
    return header.startswith(b"SQLite format 3\0") and pages > 1 and application != APPLICATION_ID


def to_path(*parts: bytes) -> Path:
    """A path from the bytes it is kept as."""
    return Path(*(os.fsdecode(part) for part in parts))


def chunks(values: Sequence[int]) -> Iterator[tuple[str, Sequence[int]]]:
    """Ids in groups that fit a statement, each with its question marks."""
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        yield ",".join("?" * len(chunk)), chunk


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's errors as sentences."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            raise OperationFailed(
                f"the disk that holds {path.parent} is full or failing ({text}); what was committed is safe: "
                "make room and run the same command again"
            ) from error
        if "locked" in text or "busy" in text:
            raise OperationFailed(f"{path} is held by another program; try again when it is done") from error
        if "readonly" in text or "unable to open" in text:
            raise OperationFailed(
                f"{path} cannot be opened for writing ({text}); check its permissions"
            ) from error
        raise ChueokError(f"{path}: {text}") from error
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError) as error:
        raise OperationFailed(
            f"another run changed {path.parent} meanwhile ({error}); run the same command again"
        ) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise CatalogDamaged(damaged(path, str(error))) from error
    except OSError as error:
        raise OperationFailed(f"{path}: {error.strerror}") from error


def damaged(path: Path, detail: str) -> str:
    """The sentence for a catalog that cannot be trusted."""
    return (
        f"the catalog {path} is damaged ({detail}); nothing was changed: put a backup of that file back, "
        "or move it away and run `chueok index` again to learn everything anew"
    )
