"""Scanning: incremental, resumable, forgiving; one bad file costs one file."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image
from tests.fakes import FAR_AWAY, photo

from chueok.errors import LibraryLocked, NoLibrary, UsageError
from chueok.flow.scan import ScanOptions, scan
from chueok.library import Library
from chueok.records import Note, PhotoIndexed, ScanSummary, Status
from chueok.store.catalog import KnownPhoto
from chueok.vision.reader import ReadingTask

Album = Callable[[dict[str, Sequence[str] | bytes]], Path]


def told(library: Library, album: Path | Sequence[Path] = (), **options: object) -> dict[str, str]:
    """File name -> status, for every photo of a scan."""
    events = scan(library, album, ScanOptions(name_unchanged=True, **options))  # type: ignore[arg-type]
    return {event.path.name: str(event.status) for event in events if isinstance(event, PhotoIndexed)}


def summary(library: Library, album: Path | Sequence[Path] = (), **options: object) -> ScanSummary:
    last = list(scan(library, album, ScanOptions(**options)))[-1]  # type: ignore[arg-type]
    assert isinstance(last, ScanSummary)
    return last


def age(album: Path) -> None:
    """Make every file older than the clock's resolution, so that it counts as settled."""
    for path in album.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    time.sleep(2.1)  # the change time cannot be set


def test_what_was_missing_before_is_still_counted_and_can_be_pruned(
    library: Library, make_album: Album
) -> None:
    album = make_album({"a.png": ["mom"], "b.png": ["dad"]})
    age(album)
    summary(library, album)
    (album / "b.png").unlink()
    assert [summary(library, album).missing for _ in range(2)] == [1, 1]
    assert summary(library, album, prune=True).pruned == 1


def test_a_disk_that_does_not_answer_loses_no_photo(
    library: Library, make_album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder below which a mount died, and a photo whose disk fails, are closed, not empty."""
    album = make_album(
        {"a.png": ["mom"], "nas/b.png": ["dad"], "usb/c.png": ["ex"], "notes.txt": b"dead too"}
    )
    age(album)
    summary(library, album)

    class Dead:
        """A directory entry whose status cannot be had."""

        def __init__(self, entry: os.DirEntry[bytes]) -> None:
            self.name, self.path, self.is_dir = entry.name, entry.path, entry.is_dir

        def stat(self, *, follow_symlinks: bool) -> NoReturn:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    real = os.scandir

    def failing(path: bytes) -> Any:
        if path.endswith(b"/nas"):
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        if not path.startswith(os.fsencode(album)):
            return real(path)
        return [
            Dead(entry) if entry.name in (b"nas", b"c.png", b"notes.txt") else entry for entry in real(path)
        ]

    monkeypatch.setattr("chueok.flow.walk.os.scandir", failing)
    events = list(scan(library, album, ScanOptions(prune=True)))
    notes = [event.message for event in events if isinstance(event, Note)]
    assert [str(album / name) in note for name, note in zip(("nas", "usb"), notes, strict=True)] == [True] * 2
    last = events[-1]
    assert isinstance(last, ScanSummary)
    assert (last.missing, last.pruned, last.unreachable) == (0, 0, 2)
    monkeypatch.undo()
    assert set(told(library, album).values()) == {"unchanged"}


def test_numbers_beyond_sqlites_are_folded_and_known_again(
    library: Library, make_album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = make_album({"a.png": ["mom"]})
    age(album)
    real = os.scandir

    class Far:
        """A directory entry on a file system with 64-bit inode numbers, hashed."""

        def __init__(self, entry: os.DirEntry[bytes]) -> None:
            self.name, self.path, self.is_dir, self._entry = entry.name, entry.path, entry.is_dir, entry

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            of = self._entry.stat(follow_symlinks=follow_symlinks)
            values = list(of)
            values[1] = 2**63 + 5
            extra = {name: getattr(of, name) for name in ("st_mtime_ns", "st_ctime_ns")}
            return os.stat_result(values, extra)

    def far(path: bytes) -> Any:
        return [Far(entry) for entry in real(path)] if path == os.fsencode(album) else real(path)

    monkeypatch.setattr("chueok.flow.walk.os.scandir", far)
    assert told(library, album) == {"a.png": "new"}
    monkeypatch.setattr(library, "run_pool", lambda tasks: (refuse(task) for task in tasks))
    monkeypatch.setattr(library, "known", refuse)  # not even by its content
    assert told(library, album) == {"a.png": "unchanged"}


def test_first_scan_learns_every_face(library: Library, make_album: Album) -> None:
    album = make_album(
        {"a.png": ["mom", "dad"], "2019 가족여행/b.png": ["mom"], "empty.png": [], "x.txt": b"no photo"}
    )
    assert told(library, album) == {"a.png": "new", "b.png": "new", "empty.png": "new"}
    assert library.catalog.counts() == {"photos": 3, "pictures": 3, "faces": 3, "people": 0}


def refuse(*_: object) -> NoReturn:
    raise AssertionError("nothing should have been read")


def test_second_scan_embeds_nothing(
    library: Library, make_album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = make_album({"a.png": ["mom"], "bad.jpg": b"not a picture"})
    told(library, album)
    # The files are fresh, so they are looked at again; but no reader may see one.
    monkeypatch.setattr(library, "run_pool", lambda tasks: (refuse(task) for task in tasks))
    assert told(library, album) == {"a.png": "unchanged", "bad.jpg": "unchanged"}


def test_settled_files_are_not_even_opened(
    library: Library, make_album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = make_album({"a.png": ["mom"], "bad.jpg": b"not a picture"})
    age(album)
    told(library, album)
    monkeypatch.setattr("chueok.vision.files.read_file", refuse)
    assert told(library, album) == {"a.png": "unchanged", "bad.jpg": "unchanged"}


def test_a_folder_that_looks_as_before_is_not_compared_photo_by_photo(
    library: Library, make_album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = make_album(
        {"a.png": ["mom"], "bad.jpg": b"not a picture", "deep/b.png": ["dad"], "notes.txt": b"x"}
    )
    age(album)
    assert [summary(library, album).counts[Status.UNCHANGED] for _ in range(2)] == [0, 3]
    monkeypatch.setattr(library.catalog.photos, "stamps_in", refuse)
    monkeypatch.setattr(library, "load_index", refuse)
    monkeypatch.setattr(library, "run_pool", refuse)
    assert summary(library, album).counts[Status.UNCHANGED] == 3
    monkeypatch.undo()
    assert summary(library, album, retry_failed=True).counts[Status.FAILED] == 1
    assert told(library, album) == {"a.png": "unchanged", "bad.jpg": "unchanged", "b.png": "unchanged"}


@pytest.mark.parametrize(
    "change",
    [
        lambda album: (album / "a.png").write_bytes(photo(["ex"], "other")),
        lambda album: (album / "a.png").rename(album / "z.png"),
        lambda album: (album / "a.png").rename(album / "deep" / "a.png"),
        lambda album: (album / "a.png").unlink(),
        lambda album: (album / "new.png").write_bytes(photo(["aunt"])),
        lambda album: (album / "deep" / "new").mkdir(),
        lambda album: shutil.copy(album / "a.png", album / "deep" / "copy.png"),
        lambda album: shutil.rmtree(album / "deep"),
        lambda album: (album / "a.png").replace(album / "bad.jpg"),
        lambda album: (album / "a.png").chmod(0o600),
        lambda album: (album / "deep").rename(album / ".deep"),
    ],
)
def test_a_folder_that_looked_as_before_shows_every_change(
    library: Library, make_album: Album, change: Callable[[Path], object]
) -> None:
    album = make_album({"a.png": ["mom"], "bad.jpg": b"not a picture", "deep/b.png": ["dad"]})
    age(album)
    for _ in range(2):
        summary(library, album)
    assert len(library.catalog.folders.whole()) == 2
    change(album)
    for _ in range(2):  # what is gone stays gone however often one looks
        by_folder, by_name = (
            list(scan(library, album, ScanOptions(dry_run=True, name_unchanged=by_name)))[-1]
            for by_name in (False, True)
        )
        assert isinstance(by_folder, ScanSummary)
        assert isinstance(by_name, ScanSummary)
        assert by_folder == dataclasses.replace(by_name, seconds=by_folder.seconds)
        summary(library, album)


def test_a_changed_photo_is_read_again_and_its_old_faces_go(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom", "dad"]})
    told(library, album)
    (album / "a.png").write_bytes(photo(["minjun"], "other"))
    assert told(library, album) == {"a.png": "changed"}
    assert library.catalog.counts()["faces"] == 1


@pytest.mark.parametrize("target", ["b.png", "deeper/한국.png", "../elsewhere/a.png"])
def test_a_moved_photo_keeps_its_faces(library: Library, make_album: Album, target: str) -> None:
    album = make_album({"a.png": ["mom"], "c.png": ["dad"]})
    told(library, album)
    face_ids = library.catalog.faces.ids(library.model_id).tolist()
    new = album / target
    new.parent.mkdir(exist_ok=True)
    shutil.move(album / "a.png", new)
    assert told(library, [album, new.parent])[new.name] == "moved"
    assert library.catalog.faces.ids(library.model_id).tolist() == face_ids
    assert summary(library).missing == 0
    assert library.catalog.counts()["photos"] == 2


def test_a_copy_shares_the_faces_of_its_twin(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"]})
    told(library, album)
    shutil.copy(album / "a.png", album / "b.png")
    os.link(album / "a.png", album / "c.png")
    assert told(library, album) == {"a.png": "unchanged", "b.png": "new", "c.png": "new"}
    assert library.catalog.counts() == {"photos": 3, "pictures": 1, "faces": 1, "people": 0}


def test_bad_files_are_named_once_and_not_tried_again_until_they_change(
    library: Library, make_album: Album
) -> None:
    album = make_album({"good.png": ["mom"], "bad.jpg": b"not a picture", "empty.jpg": b""})
    events = [event for event in scan(library, album) if isinstance(event, PhotoIndexed)]
    failed = {event.path.name: event.error for event in events if event.status is Status.FAILED}
    assert set(failed) == {"bad.jpg", "empty.jpg"} and all(failed.values())
    assert told(library, album)["bad.jpg"] == "unchanged"
    assert told(library, album, retry_failed=True)["bad.jpg"] == "failed"
    (album / "bad.jpg").write_bytes(photo(["dad"]))
    assert told(library, album)["bad.jpg"] == "changed"
    assert [failure.path.name for failure in library.catalog.photos.failures()] == ["empty.jpg"]


def test_missing_photos_are_remembered_until_pruned(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"], "b.png": ["dad"], "c.png": ["ex"]})
    told(library, album)
    content = (album / "a.png").read_bytes()
    (album / "a.png").unlink()
    assert summary(library).missing == 1
    assert library.catalog.counts() == {"photos": 2, "pictures": 3, "faces": 3, "people": 0}
    (album / "a.png").write_bytes(content)
    assert summary(library).missing == 0
    (album / "a.png").unlink()
    assert summary(library, prune=True).pruned == 1
    assert library.catalog.counts() == {"photos": 2, "pictures": 2, "faces": 2, "people": 0}
    assert library.load_index()[1] == "ready"


def test_an_emptied_album_forgets_nothing(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"], "deep/b.png": ["dad"]})
    told(library, album)
    shutil.rmtree(album)
    assert any("not there" in event.message for event in scan(library) if isinstance(event, Note))
    album.mkdir()
    assert any("are gone" in event.message for event in scan(library) if isinstance(event, Note))
    assert library.catalog.counts()["faces"] == 2


def test_nothing_but_regular_files_is_read(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"], ".hidden.png": ["dad"], ".thumbs/t.png": ["dad"]})
    os.mkfifo(album / "pipe.jpg")
    (album / "link.png").symlink_to(album / "a.png")
    (album / "loop").symlink_to(album)
    (album / "folder.jpg").mkdir()
    assert told(library, album) == {"a.png": "new"}


def test_the_library_inside_an_album_is_left_out(
    open_fake: Callable[..., Library], make_album: Album
) -> None:
    album = make_album({"a.png": ["mom"], "lib": b""})
    (album / "lib").unlink()
    with open_fake(library=album / "lib") as library:
        (album / "lib" / "x.png").write_bytes(photo(["dad"]))
        assert told(library, album) == {"a.png": "new"}


def test_a_dry_run_changes_nothing(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"]})
    assert told(library, album, dry_run=True) == {"a.png": "new"}
    assert library.catalog.counts()["photos"] == 0
    assert library.catalog.photos.albums() == []


def test_a_spent_budget_leaves_the_rest_for_the_next_run(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"], "b.png": ["dad"]})
    assert summary(library, album, budget=-1.0).left == 2
    assert summary(library, album).counts[Status.NEW] == 2


def test_a_folder_inside_a_known_album_belongs_to_it(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"], "sub/b.png": ["dad"]})
    told(library, album)
    assert told(library, album / "sub") == {"b.png": "unchanged"}
    assert library.catalog.photos.albums() == [album]


def test_what_cannot_be_scanned_is_said(library: Library, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        list(scan(library, tmp_path / "nowhere"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is a file"):
        list(scan(library, tmp_path / "file"))
    with pytest.raises(NoLibrary, match="no album is known"):
        list(scan(library))


def test_one_writer_at_a_time(library: Library, open_fake: Callable[..., Library], make_album: Album) -> None:
    album = make_album({"a.png": ["mom"]})
    with library.writing(), open_fake() as other, pytest.raises(LibraryLocked, match="another chueok"):
        list(scan(other, album))
    assert told(library, album) == {"a.png": "new"}


def test_an_interrupted_scan_keeps_what_it_read(open_fake: Callable[..., Library], make_album: Album) -> None:
    album = make_album({f"{number}.png": ["mom"] for number in range(6)})
    with open_fake(batch_photos=2) as library:
        events = scan(library, album)
        for event in events:
            if isinstance(event, PhotoIndexed) and library.catalog.counts()["photos"] >= 2:
                break
        events.close()  # type: ignore[attr-defined]
        kept = library.catalog.counts()["photos"]
        assert kept >= 2
        assert not library.is_being_written()
        assert summary(library).counts[Status.NEW] == 6 - kept


_SCAN_SCRIPT = """
import sys
from pathlib import Path
from chueok.flow.scan import scan
from chueok.library import open_library
from chueok.settings import Settings
from tests.fakes import FAKES
root = Path(sys.argv[1])
settings = Settings(library=root / "library", models=root, cache=root, jobs=1, batch_photos=2)
with open_library(settings=settings, source=FAKES) as library:
    for event in scan(library, root / "album"):
        print(type(event).__name__, flush=True)
"""


@pytest.mark.parametrize("events_before", [1, 3, 6])
def test_a_killed_scan_converges_to_the_same_catalog(
    tmp_path: Path, make_album: Album, open_fake: Callable[..., Library], events_before: int
) -> None:
    album = make_album({f"{number}.png": ["mom", "dad"][: number % 3] for number in range(8)})
    before = {path.name: path.read_bytes() for path in album.iterdir()}
    child = subprocess.Popen(
        [sys.executable, "-c", _SCAN_SCRIPT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    for _ in range(events_before):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with open_fake() as library:
        told(library, album)
        assert library.catalog.counts() == {"photos": 8, "pictures": 8, "faces": 7, "people": 0}
        assert library.load_index()[1] == "ready"
        assert set(told(library).values()) == {"unchanged"}
    assert {path.name: path.read_bytes() for path in album.iterdir()} == before


def test_state_is_private_whatever_the_umask(open_fake: Callable[..., Library], make_album: Album) -> None:
    previous = os.umask(0)
    try:
        with open_fake() as library:
            told(library, make_album({"a.png": ["mom"]}))
            modes = {path.name: path.stat().st_mode & 0o777 for path in library.folder.iterdir()}
            assert library.folder.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(previous)
    assert set(modes.values()) == {0o600}


def test_photos_that_swap_their_names_keep_their_faces(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"], "b.png": ["dad", "ex"], "c.png": ["minjun"]})
    told(library, album)
    for old, new in (("a", "x"), ("b", "a"), ("c", "b"), ("x", "c")):
        (album / f"{old}.png").rename(album / f"{new}.png")
    assert told(library, album) == {"a.png": "changed", "b.png": "changed", "c.png": "changed"}
    assert library.catalog.counts() == {"photos": 3, "pictures": 3, "faces": 4, "people": 0}


def test_odd_times_and_inodes_do_not_stop_a_scan(library: Library, make_album: Album) -> None:
    album = make_album({"a.png": ["mom"], "b.png": ["dad"]})
    os.utime(album / "a.png", ns=(2**62 * 2 + 5, 2**62 * 2 + 5))
    assert told(library, album) == {"a.png": "new", "b.png": "new"}


def test_a_photo_from_the_future_is_settled_like_any_other(
    library: Library, make_album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = make_album({"a.png": ["mom"]})
    age(album)
    os.utime(album / "a.png", (1_900_000_000, 1_900_000_000))
    time.sleep(2.1)
    told(library, album)
    monkeypatch.setattr("chueok.vision.files.read_file", refuse)
    assert told(library, album) == {"a.png": "unchanged"}


def test_every_named_folder_becomes_an_album(library: Library, make_album: Album) -> None:
    album = make_album({"2019/a.png": ["mom"]})
    told(library, album / "2019")
    told(library, album)
    (album / "2020").mkdir()
    (album / "2020" / "b.png").write_bytes(photo(["dad"]))
    assert told(library) == {"a.png": "unchanged", "b.png": "new"}
    (album / "2019" / "a.png").unlink()
    assert summary(library).missing == 1


def test_an_empty_folder_is_an_album_too(library: Library, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told(library, tmp_path / "empty")
    assert told(library) == {}


def test_an_unplugged_album_loses_nothing_to_its_backup(
    library: Library, make_album: Album, tmp_path: Path
) -> None:
    disk = make_album({"a.png": ["mom"]})
    told(library, disk)
    backup = shutil.copytree(disk, tmp_path / "backup")
    disk.rename(tmp_path / "unplugged")
    disk.mkdir()  # the mount point stays
    assert told(library, backup) == {"a.png": "new"}
    assert library.catalog.photos.at(disk / "a.png") is not None


def test_faces_found_before_are_embedded_where_they_were(
    library: Library, make_album: Album, open_fake: Callable[..., Library]
) -> None:
    album = make_album({"a.png": ["mom", "dad"]})
    told(library, album)
    with open_fake(model="mobilefacenet", switch_model=True) as other:
        task = other.known(album / "a.png")
        assert isinstance(task, ReadingTask) and task.known is not None and len(task.known) == 2
        other.catalog.set_current_model(other.model_id)
        os.utime(album / "a.png")
        assert told(other, album) == {"a.png": "changed"}
        assert len(other.catalog.faces.ids(other.model_id)) == 2


def test_many_copies_of_one_photo_are_recognised_quickly(library: Library, make_album: Album) -> None:
    album = make_album({"0.png": ["mom"]})
    told(library, album)
    for number in range(1, 400):
        os.link(album / "0.png", album / f"{number}.png")
    asked = 0
    real_of_picture = library.catalog.photos.of_picture

    def counting(picture_id: int) -> list[KnownPhoto]:
        nonlocal asked
        asked += 1
        return real_of_picture(picture_id)

    library.catalog.photos.of_picture = counting  # type: ignore[method-assign]
    assert set(told(library, album).values()) == {"new", "unchanged"}
    assert asked == 1


def test_a_failure_that_is_not_the_photos_fault_is_tried_again(library: Library, tmp_path: Path) -> None:
    (tmp_path / "album").mkdir()
    Image.new("RGB", (200, 200), FAR_AWAY).save(tmp_path / "album" / "far.png")
    assert told(library, tmp_path / "album") == {"far.png": "failed"}
    assert told(library, tmp_path / "album") == {"far.png": "failed"}
