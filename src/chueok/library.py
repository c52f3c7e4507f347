"""An open library: catalog, index and reader wired together, so that they change together."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from chueok.errors import (
    CatalogDamaged,
    IndexDamaged,
    ModelMismatch,
    NoLibrary,
    OperationFailed,
    UnreadablePhoto,
    UsageError,
)
from chueok.records import PhotoReading
from chueok.settings import DEFAULT_MODEL, Settings, load_settings
from chueok.store.catalog import Catalog, KnownPicture
from chueok.store.catalog.faces import scattered_sum
from chueok.store.index.private_file import INDEX_FILES, IndexStamp, is_as_saved, remove_leftovers
from chueok.store.lock import is_locked, locked
from chueok.vision.models.registry import ModelCard, embedding_key, find_model
from chueok.vision.reader import NETWORKS, ReaderSource, ReadingTask

if TYPE_CHECKING:
    from chueok.store.index.base import VectorIndex
    from chueok.store.index.exact import ExactIndex
    from chueok.vision.pool import ReadingPool

CATALOG = "catalog.sqlite"
OWN_FILES = (f"{CATALOG}*", *INDEX_FILES, "lock")  # no more: what else is in a folder is its owner's
CATCH_UP = 20_000  # faces that are not in the index file yet, read one by one; beyond, all are read in one go


class Library:
    """What chueok learned, and the means to learn more. Use as a context manager."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        card: ModelCard,
        *,
        source: ReaderSource = NETWORKS,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prefer `open_library`, which explains the arguments."""
        self.settings = settings
        self.catalog = catalog
        self.card = card
        self.model_id = catalog.model_id(card.name, embedding_key(card), card.dimension)
        self._open_reader = functools.partial(source.open, card, settings)
        self._pools: list[ReadingPool[ReadingTask]] = []
        self._idle_pool: ReadingPool[ReadingTask] | None = None
        self._source = source
        self._notice = notice
        self._prepared = False

    @property
    def folder(self) -> Path:
        """Where the library lives."""
        return self.settings.library

    @property
    def index_path(self) -> Path:
        """The index file of the current model."""
        return self.folder / f"faces-{self.model_id}.table"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the reading processes and close the catalog."""
        for pool in self._pools:
            pool.close()
        self.catalog.close()

    def settle_model(self) -> None:
        """From its first scan or enrolment on, a library speaks one model."""
        if self.catalog.current_model() is None:
            self.catalog.set_current_model(self.model_id)

    # ---- reading ----

    def prepare(self) -> None:
        """Do what has to be done before photos can be read, once, saying so by `notice`.

        Raises ModelMissing, ModelInvalid, OperationFailed.
        """
        if not self._prepared:
            for step in self._source.prepare(self.card, self.settings):
                self._notice(step)
        self._prepared = True

    def known(self, path: Path) -> KnownPicture | ReadingTask:
        """What the catalog knows of a file's content, or what is left to be read of it.

        Raises UnreadablePhoto.
        """
        from chueok.vision.files import read_file

        digest = hashlib.sha256(read_file(path)).digest()
        picture = self.catalog.faces.picture(digest, self.model_id)
        return picture or ReadingTask(path, self.catalog.faces.detections(digest))

    def read(self, path: Path) -> KnownPicture:
        """What one picture shows, from the catalog if its content is known, else read now and remembered.

        Raises UnreadablePhoto, ModelMissing.
        """
        known = self.known(path)
        if isinstance(known, KnownPicture):
            return known
        return self._remember(self.read_task(known))

    def read_task(self, task: ReadingTask) -> PhotoReading:
        """Read one file, whatever the catalog knows; nothing is remembered. Raises UnreadablePhoto, ModelMissing."""
        ((_, result),) = self.run_pool([task])
        if isinstance(result, UnreadablePhoto):
            raise result
        return result

    def read_all(self, paths: Iterable[Path]) -> Iterator[tuple[Path, KnownPicture | UnreadablePhoto]]:
        """`read` for many pictures, in no particular order."""
        tasks = []
        for path in paths:
            try:
                known = self.known(path)
            except UnreadablePhoto as error:
                yield path, error
                continue
            if isinstance(known, KnownPicture):
                yield path, known
            else:
                tasks.append(known)
        for task, result in self.run_pool(tasks):
            yield task.path, result if isinstance(result, UnreadablePhoto) else self._remember(result)

    def run_pool(
        self, tasks: Iterable[ReadingTask]
    ) -> Iterator[tuple[ReadingTask, PhotoReading | UnreadablePhoto]]:
        """Read files in up to one process per core; results as they come, nothing remembered yet.

        The processes stay, idle, until the library is closed. Raises ModelMissing, ModelInvalid, OperationFailed.
        """
        self.prepare()
        pool, self._idle_pool = self._idle_pool or self._open_pool(), None  # one in use is nobody else's
        try:
            for task, result in pool.read_all(tasks):
                yield task, self._checked(result)
        finally:
            if self._idle_pool is None:
                self._idle_pool = pool
            else:
                pool.close()

    def _open_pool(self) -> ReadingPool[ReadingTask]:
        from chueok.vision.pool import ReadingPool

        settings = self.settings
        pool: ReadingPool[ReadingTask] = ReadingPool(
            self._open_reader,
            settings.jobs or cores(),
            settings.photo_seconds,
            None if self._source.accelerator(settings) else settings.worker_megabytes,
            answers=PhotoReading,
        )
        self._pools.append(pool)
        return pool

    def _checked(self, result: PhotoReading | UnreadablePhoto) -> PhotoReading | UnreadablePhoto:
        """A reading whose embeddings are the model's; what a process answers is not taken on trust."""
        if isinstance(result, PhotoReading) and any(
            len(face.vector) != self.card.dimension for face in result.faces
        ):
            return UnreadablePhoto("the reader failed on this file (it answered nonsense)")
        return result

    def _remember(self, reading: PhotoReading) -> KnownPicture:
        with self.catalog.transaction():
            picture_id = self.catalog.faces.put_picture(reading, self.model_id)
        return KnownPicture(picture_id, len(reading.faces), reading.damage)

    # ---- index ----

    def search_index(self) -> tuple[VectorIndex, str | None]:
        """Every face of the current model, ready to be searched, and a warning if the index file was of no use.

        The catalog decides: an index file that is missing, damaged or behind is never trusted; then the catalog is
        searched itself, and answers the same.
        """
        from chueok.store.index.exact import ExactIndex

        index, state = self.load_index(CATCH_UP)
        if index is not None:
            return index, None
        exact = ExactIndex(self.card.dimension)
        exact.add(*self.catalog.faces.vectors(self.model_id))
        advice = "run `chueok index` to make it anew; the answers are the same without it"
        return exact, f"the index file is {state}: {advice}" if state == "damaged" else None

    def load_index(self, most: int | None = None) -> tuple[ExactIndex | None, str]:
        """The index file brought up to the catalog in memory by adding at most so many faces, and its state.

        States: "ready" (as on disk), "behind" (faces were added in memory), "missing", "damaged", "stale"; the index
        is None in the last three.
        """
        import numpy as np

        from chueok.store.index import table

        stamp = self.catalog.index_stamp(self.model_id)
        if stamp is None:
            return None, "missing"
        try:
            index = table.read(self.index_path, IndexStamp(**stamp))
        except IndexDamaged:
            if self.is_being_written():
                return None, "stale"  # the new file is in place, its stamp not yet committed
            return None, "damaged" if self.index_path.exists() else "missing"
        held = index.ids()
        if self.catalog.faces.count_and_sum(self.model_id) == (len(held), scattered_sum(held)):
            return index, "ready"
        wanted = self.catalog.faces.ids(self.model_id)
        absent = np.setdiff1d(wanted, held, assume_unique=True)
        if len(held) + len(absent) != len(wanted) or (most is not None and len(absent) > most):
            return None, "stale"
        if len(absent):
            index.add(*self.catalog.faces.vectors(self.model_id, absent.tolist()))
        return index, "behind"

    def refresh_index(self) -> None:
        """Make the index file hold exactly the faces of the catalog; nothing is written when it does."""
        remove_leftovers(self.index_path)
        if self._holds_every_face():
            return
        from chueok.store.index import table

        index, state = self.load_index()
        before = self.catalog.index_stamp(self.model_id) or {}
        if state == "ready" and before.get("crc32") is not None:  # stamps of before 2026-11-22 have none
            return
        ids, vectors = (
            self.catalog.faces.vectors(self.model_id) if index is None else (index.ids(), index.vectors())
        )
        stamp = table.write(self.index_path, ids, vectors)
        for of_before in (*self.folder.glob("faces-*.hnsw*"), *self.folder.glob("faces-*.codes*")):
            of_before.unlink()
        stamp = dataclasses.replace(stamp, ids_sum=scattered_sum(ids))
        self.catalog.set_index_stamp(self.model_id, dataclasses.asdict(stamp))

    def _holds_every_face(self) -> bool:
        """Whether the index file is as it was saved, with the faces of the catalog: "ready", without loading it."""
        found = self.catalog.index_stamp(self.model_id)
        if found is None:
            return False
        stamp = IndexStamp(**found)
        same_faces = self.catalog.faces.count_and_sum(self.model_id) == (stamp.count, stamp.ids_sum)
        return same_faces and is_as_saved(self.index_path, stamp)

    # ---- one writer ----

    @contextmanager
    def writing(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the writer lock over a catalog found whole. Raises LibraryLocked, CatalogDamaged, OperationFailed.

        meanwhile: what can be done while the catalog is checked, since it only asks.
        """
        with locked(self.folder):
            self.catalog.check(meanwhile)
            if self.catalog.owes_wipe():
                self.catalog.wipe()
            yield

    def is_being_written(self) -> bool:
        """Whether some run holds the writer lock now."""
        return is_locked(self.folder)


def open_library(
    path: Path | str | None = None,
    *,
    settings: Settings | None = None,
    create: bool = True,
    switch_model: bool = False,
    source: ReaderSource = NETWORKS,
    notice: Callable[[str], None] = lambda _: None,
    **overrides: Any,
) -> Library:
    """Open the library at `path` (default: this user's own), making it when there is none.

    create=False raises NoLibrary where nothing was indexed yet. notice: told before work that takes seconds and is
    done once on a machine. overrides: settings by name, as `model="facenet"`.
    switch_model: open it with the wanted model even if it speaks another one (for `flow.models.use_model`).
    Raises LibraryTooNew, CatalogDamaged, ModelMismatch, ModelMissing (when photos are read), OperationFailed.
    """
    settings = settings or load_settings()
    if path is not None:
        overrides["library"] = Path(path)
    settings = dataclasses.replace(settings, **overrides)
    settings = dataclasses.replace(settings, library=settings.library.expanduser().absolute())
    catalog_path = settings.library / CATALOG
    if not catalog_path.exists():
        if not create:
            raise NoLibrary(
                f"there is no library at {settings.library} yet; make one with `chueok index FOLDER_OF_PHOTOS`"
            )
        _make_folder(settings.library)
    elif not catalog_path.stat().st_size and _index_files(settings.library):
        raise CatalogDamaged(
            f"the catalog {catalog_path} is empty, but it was not: put a backup of that file back, or remove it and "
            "run `chueok index` again to learn everything anew"
        )
    catalog = Catalog(catalog_path)
    try:
        return Library(
            settings, catalog, _model_of(catalog, settings, switch=switch_model), source=source, notice=notice
        )
    except BaseException:
        catalog.close()
        raise


def is_library(folder: Path) -> bool:
    """Whether there is a library in a folder."""
    return (folder / CATALOG).is_file()


def _model_of(catalog: Catalog, settings: Settings, *, switch: bool) -> ModelCard:
    """The model the library speaks, or the wanted one when it speaks none yet."""
    current = catalog.current_model()
    if current is None or switch:
        return find_model(settings.model or DEFAULT_MODEL, settings.models)
    name, key = current
    if settings.model not in (None, name):
        raise ModelMismatch(
            f"this library was learned with the model {name}, not {settings.model}; "
            f"`chueok model use {settings.model}` changes it and keeps the people"
        )
    card = find_model(name, settings.models)
    if embedding_key(card) != key:
        raise ModelMismatch(
            f"this library was learned with another version of the model {name}; "
            f"`chueok model use {name}` learns its faces anew and keeps the people"
        )
    return card


def _make_folder(folder: Path) -> None:
    """A private folder for a new library. Raises UsageError for one that holds something else."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = [path for pattern in OWN_FILES for path in folder.glob(pattern)]
        if set(folder.iterdir()) - set(ours):
            raise UsageError(
                f"{folder} is not a chueok library and is not empty; give --library a new or an empty folder"
            )
        for left_over in _index_files(folder):  # of a catalog that is gone
            left_over.unlink()
        folder.chmod(0o700)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder} is a file; give --library a folder") from error
    except OSError as error:
        raise OperationFailed(f"the library folder {folder} cannot be made: {error.strerror}") from error


def _index_files(folder: Path) -> list[Path]:
    return [path for pattern in INDEX_FILES for path in folder.glob(pattern)]


def cores() -> int:
    """The processors this process may use; fewer than the machine has in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
