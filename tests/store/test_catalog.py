"""The catalog file: private, checked, migrated with a backup, and never trusted when it is damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from chueok.errors import CatalogDamaged, ChueokError, LibraryTooNew
from chueok.records import Box, Detection, FaceReading, PhotoReading
from chueok.store.catalog import Catalog, FileStamp, KnownFolder, Unreadable
from chueok.store.catalog.migrations import MIGRATIONS

NOW = datetime(2026, 1, 2, 3, 4, 5)
STAMP = FileStamp(1, 2, 3, 4, 5)


def reading(mark: int, faces: int = 1) -> PhotoReading:
    """A picture with faces whose vectors are all different."""
    found = []
    for number in range(faces):
        vector = np.zeros(4, np.float32)
        vector[(mark + number) % 4] = 1
        points = tuple((float(mark), float(number + place)) for place in range(5))
        found.append(FaceReading(Detection(Box(number, 1.5, 20.25, 30), 0.987654321, points), vector))
    return PhotoReading(bytes([mark]) * 32, 100, 640, 480, NOW, None, tuple(found))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog.sqlite")


def filled(catalog: Catalog) -> int:
    """A catalog with one album of two photos of one picture, and a photo that cannot be read."""
    model = catalog.model_id("lite", "key", 4)
    catalog.set_current_model(model)
    album = catalog.photos.add_album(Path("/album"), NOW)
    picture = catalog.faces.put_picture(reading(7, faces=2), model)
    catalog.photos.put(album, Path("/album/a.jpg"), STAMP, picture)
    catalog.photos.put(album, Path("/album/sub/b.jpg"), STAMP, picture)
    catalog.photos.put(album, Path("/album/c.jpg"), STAMP, Unreadable("not a picture", None))
    return model


def test_what_goes_in_comes_out(catalog: Catalog) -> None:
    model = filled(catalog)
    known = catalog.faces.picture(b"\7" * 32, model)
    assert known is not None and known.faces == 2
    faces = catalog.faces.of_pictures([known.id])[known.id]
    assert [face.detection for face in faces] == [face.detection for face in reading(7, faces=2).faces]
    ids, vectors = catalog.faces.vectors(model)
    assert ids.tolist() == [face.id for face in faces]
    assert vectors.tolist() == [face.vector.tolist() for face in reading(7, faces=2).faces]
    photo = catalog.photos.at(Path("/album/sub/b.jpg"))
    assert photo is not None and (photo.stamp, photo.picture_id, photo.missing) == (STAMP, known.id, False)
    assert catalog.counts() == {"photos": 3, "pictures": 1, "faces": 2, "people": 0}


def test_paths_are_bytes(catalog: Catalog) -> None:
    filled(catalog)
    odd = Path(os.fsdecode(b"/album/\xff\xfe \n.jpg"))
    catalog.photos.put(1, odd, STAMP, Unreadable("x", None))
    assert catalog.photos.at(odd) is not None
    assert [photo.path for photo in catalog.photos.under(odd)] == [odd]


def test_a_subtree_is_not_its_neighbours(catalog: Catalog) -> None:
    filled(catalog)
    catalog.photos.put(1, Path("/album2/d.jpg"), STAMP, Unreadable("x", None))
    catalog.photos.put(1, Path("/album/sub0/e.jpg"), STAMP, Unreadable("x", None))
    assert catalog.photos.folders_under(Path("/album")) == [
        Path("/album"),
        Path("/album/sub"),
        Path("/album/sub0"),
    ]
    assert catalog.photos.folders_under(Path("/album/sub")) == [Path("/album/sub")]
    assert len(catalog.photos.folders_under(Path("/"))) == 4


def test_a_picture_goes_with_its_last_file(catalog: Catalog) -> None:
    filled(catalog)
    photos = {photo.path.name: photo.id for photo in catalog.photos.under(Path("/album"))}
    catalog.photos.delete([photos["a.jpg"]])
    assert catalog.counts()["faces"] == 2
    catalog.photos.delete([photos["b.jpg"]])
    assert catalog.counts() == {"photos": 1, "pictures": 0, "faces": 0, "people": 0}


def test_a_transaction_is_all_or_nothing(catalog: Catalog) -> None:
    with pytest.raises(KeyboardInterrupt), catalog.transaction():
        filled(catalog)
        raise KeyboardInterrupt
    assert catalog.photos.albums() == []


def test_a_snapshot_sees_one_moment(catalog: Catalog) -> None:
    filled(catalog)
    other = Catalog(catalog.path)
    with catalog.snapshot():
        before = catalog.counts()
        other.photos.add_album(Path("/second"), NOW)
        other.photos.delete([photo.id for photo in other.photos.under(Path("/album"))])
        assert catalog.counts() == before
    assert catalog.counts()["photos"] == 0
    other.close()


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        catalog = Catalog(tmp_path / "catalog.sqlite")
        filled(catalog)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    finally:
        os.umask(previous)


def test_a_newer_library_is_refused_and_not_touched(catalog: Catalog) -> None:
    catalog.close()
    with sqlite3.connect(catalog.path) as database:
        database.execute(f"pragma user_version={len(MIGRATIONS) + 1}")
    database.close()
    before = catalog.path.read_bytes()
    with pytest.raises(LibraryTooNew, match="newer chueok"):
        Catalog(catalog.path)
    assert catalog.path.read_bytes() == before


def test_an_older_library_is_migrated_after_a_backup(catalog: Catalog) -> None:
    filled(catalog)
    catalog.close()

    def m999_adds_a_table(connection: sqlite3.Connection) -> None:
        connection.execute("create table extra (x)")

    newer = Catalog(catalog.path, migrations=[*MIGRATIONS, m999_adds_a_table])
    assert newer.counts()["photos"] == 3
    newer.close()
    backup = catalog.path.with_name(f"catalog.sqlite.v{len(MIGRATIONS)}.backup")
    assert backup.stat().st_mode & 0o777 == 0o600
    old = Catalog(backup)
    assert old.counts()["photos"] == 3
    old.close()


def test_a_failed_migration_changes_nothing(catalog: Catalog) -> None:
    filled(catalog)
    catalog.close()

    def m999_fails(connection: sqlite3.Connection) -> None:
        connection.execute("drop table people")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Catalog(catalog.path, migrations=[*MIGRATIONS, m999_fails])
    again = Catalog(catalog.path)
    assert again.counts()["people"] == 0
    again.close()


@pytest.mark.parametrize("content", [b"hello", b"\xff" * 5000, b"SQLite format 3\0" + b"\1" * 4000])
def test_a_foreign_file_is_refused_and_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(content)
    with pytest.raises(CatalogDamaged):
        Catalog(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table theirs (x)")
    database.close()
    with pytest.raises(CatalogDamaged, match="not a chueok catalog"):
        Catalog(path)


def test_damage_is_a_sentence_never_a_crash(catalog: Catalog) -> None:
    model = filled(catalog)
    for mark in range(20, 60):
        catalog.faces.put_picture(reading(mark, faces=3), model)
    catalog.wipe()
    catalog.close()
    whole = catalog.path.read_bytes()
    before = Catalog(catalog.path)
    vectors = before.faces.vectors(model)[1].tolist()
    before.close()
    told = 0
    for start in range(100, len(whole), len(whole) // 60):
        catalog.path.write_bytes(
            whole[:start] + bytes(byte ^ 0xFF for byte in whole[start : start + 40]) + whole[start + 40 :]
        )
        try:
            damaged = Catalog(catalog.path)
        except CatalogDamaged:
            told += 1
            continue
        try:
            damaged.check()
            damaged.photos.failures()
            damaged.people.all()
            assert damaged.faces.vectors(model)[1].tolist() == vectors
        except CatalogDamaged:
            told += 1
        finally:
            damaged.close()
    assert told >= 5  # most of a small catalog is empty pages
    for length in (0, 1, 100, 4096, len(whole) // 2):
        catalog.path.write_bytes(whole[:length])
        try:
            Catalog(catalog.path).close()
        except CatalogDamaged:
            continue
        assert length <= 1  # SQLite takes a file without a header for an empty one


def test_what_runs_beside_the_check_can_ask_but_not_write(catalog: Catalog) -> None:
    filled(catalog)
    counted: list[int] = []
    catalog.check(lambda: counted.append(catalog.counts()["photos"]))
    assert counted == [3]
    with pytest.raises(ChueokError, match="readonly"):
        catalog.check(lambda: catalog.folders.put({b"/album": KnownFolder(2, b"looks")}))
    assert catalog.folders.whole() == {}
    catalog.folders.put({b"/album": KnownFolder(2, b"looks")})  # now it can


def test_what_goes_wrong_beside_the_check_counts_only_in_a_whole_catalog(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ValueError("no bytes")

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(ValueError, match="no bytes"):
        catalog.check(fail)
    with pytest.raises(KeyboardInterrupt):
        catalog.check(stop)
    monkeypatch.setattr(
        catalog._db, "_look_for_damage", lambda _, found: found.append(CatalogDamaged("row 3 missing"))
    )
    for meanwhile in (fail, lambda: None):
        with pytest.raises(CatalogDamaged, match="row 3 missing"):
            catalog.check(meanwhile)
    catalog.start_scan(NOW)


def test_ctrl_c_ends_a_long_check_at_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n"
    begun = threading.Event()

    def look(connection: sqlite3.Connection, found: list[Exception]) -> None:
        begun.set()
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute(endless)

    def stop() -> None:
        begun.wait()
        time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog._db, "_look_for_damage", look)
    with pytest.raises(KeyboardInterrupt):
        catalog.check(stop)
    catalog.start_scan(NOW)


@pytest.mark.parametrize(
    ("change", "forgotten"),
    [
        (lambda catalog: catalog.photos.put(1, Path("/album/new.jpg"), STAMP, 1), {b"/album"}),
        (lambda catalog: catalog.photos.put(1, Path("/album/a.jpg"), STAMP, 1), {b"/album"}),
        (lambda catalog: catalog.photos.set_missing([2], missing=True), {b"/album/sub"}),
        (lambda catalog: catalog.photos.delete([1]), {b"/album"}),
        (lambda catalog: catalog.photos.move(1, 1, Path("/album/sub/a.jpg")), {b"/album", b"/album/sub"}),
        (lambda catalog: catalog.photos.delete_albums([Path("/album")]), {b"/album", b"/album/sub"}),
        (lambda catalog: catalog.photos.at(Path("/album/a.jpg")), set()),
    ],
)
def test_a_folder_is_forgotten_with_any_change_to_its_photos(
    catalog: Catalog, change: Callable[[Catalog], object], forgotten: set[bytes]
) -> None:
    filled(catalog)
    known = {
        b"/album": KnownFolder(2, b"a"),
        b"/album/sub": KnownFolder(1, b"b"),
        b"/other": KnownFolder(1, b"c"),
    }
    catalog.folders.put(known)
    change(catalog)
    assert catalog.folders.whole() == {path: known[path] for path in known.keys() - forgotten}


def test_a_catalog_from_before_folders_knows_none_and_is_migrated_with_its_photos(tmp_path: Path) -> None:
    old = Catalog(tmp_path / "catalog.sqlite", migrations=MIGRATIONS[:2])
    filled(old)
    assert old.folders.whole() == {}
    old.close()
    newer = Catalog(old.path)
    assert (newer.counts()["photos"], newer.folders.whole()) == (3, {})
    newer.folders.put({b"/album": KnownFolder(2, b"looks")})
    newer.photos.delete([1])
    assert newer.folders.whole() == {}
    newer.close()


def test_the_folders_below_a_folder_are_found_one_by_one(catalog: Catalog) -> None:
    filled(catalog)
    for path in ("/alba/x.jpg", "/album-2/x.jpg", "/album/zoo/deep/x.jpg", "/b/x.jpg"):
        catalog.photos.put(1, Path(path), STAMP, 1)
    assert catalog.photos.folders_under(Path("/album")) == [
        Path("/album"),
        Path("/album/sub"),
        Path("/album/zoo/deep"),
    ]
    assert len(catalog.photos.folders_under(Path("/"))) == 6
    assert catalog.photos.folders_under(Path("/album/zoo")) == [Path("/album/zoo/deep")]
    assert catalog.photos.folders_under(Path("/c")) == []


def test_eight_writers_at_once_lose_nothing(catalog: Catalog) -> None:
    filled(catalog)
    code = (
        "import sys; from datetime import datetime; from pathlib import Path\n"
        "from chueok.store.catalog import Catalog\n"
        "catalog = Catalog(Path(sys.argv[1]))\n"
        "for n in range(20): catalog.photos.add_album(Path(f'/{sys.argv[2]}/{n}'), datetime.now())"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(catalog.path), str(number)]) for number in range(8)
    ]
    assert [writer.wait() for writer in writers] == [0] * 8
    assert len(catalog.photos.albums()) == 1 + 8 * 20


def test_a_catalog_from_before_calibrations_that_cannot_be_changed_has_none(tmp_path: Path) -> None:
    old = Catalog(tmp_path / "catalog.sqlite", migrations=MIGRATIONS[:1])
    assert old.calibrations.of(filled(old)) is None
    old.close()
    newer = Catalog(old.path)
    assert newer.calibrations.of(1) is None
    assert newer.counts()["faces"] == 2
