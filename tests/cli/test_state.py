"""What is kept survives: damage, a full disk, two runs at once, and being killed."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Answer, Chueok, Sample, stamps

pytestmark = pytest.mark.weights

MakeFolder = Callable[..., Path]

# ---- damage ----


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


INDEX_DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one bit flipped": _flip,
    "emptied": lambda path: os.truncate(path, 0),
    "of another kind": lambda path: path.write_bytes(b"SQLite format 3\0" * 1000),
}


@pytest.mark.parametrize("damage", INDEX_DAMAGE.values(), ids=INDEX_DAMAGE)
def test_a_damaged_index_answers_the_same_says_so_and_is_rebuilt(
    chueok: Chueok, library: Path, damage: Callable[[Path], object]
) -> None:
    whole = chueok("find", "grace", "--json")
    damage(library / "faces-1.hnsw")
    found, status = chueok("find", "grace", "--json"), chueok("status", "--json")
    rebuilt, healed = chueok("index"), chueok("status", "--json")
    assert (found.code, found.of_type("match")) == (0, whole.of_type("match"))
    assert "the index file is damaged: run `chueok index`" in found.err
    assert [answer.records[0]["index_state"] for answer in (status, healed)] == ["damaged", "ready"]
    assert rebuilt.code == 0


def test_a_lost_index_answers_the_same_and_is_rebuilt(chueok: Chueok, library: Path, sample: Sample) -> None:
    (library / "faces-1.hnsw").unlink()
    assert set(chueok("find", "grace").paths) == sample.of("grace")
    assert chueok("index").code == 0
    assert (library / "faces-1.hnsw").stat().st_mode & 0o777 == 0o600


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("create table recipes (name text)")
    other.close()


def _future(path: Path) -> None:
    with sqlite3.connect(path) as catalog:
        catalog.execute("pragma user_version=99")
        catalog.execute("pragma wal_checkpoint(truncate)")
    catalog.close()


CATALOG_DAMAGE: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "truncated": (lambda path: os.truncate(path, 8192), 6, "is damaged"),
    "header overwritten": (
        lambda path: path.write_bytes(b"x" * 100 + path.read_bytes()[100:]),
        6,
        "is damaged",
    ),
    "a text file": (lambda path: path.write_text("dear diary\n" * 100), 6, "is damaged"),
    "a foreign database": (_foreign, 6, "is not a chueok catalog; choose another --library"),
    "from the future": (_future, 12, "written by a newer chueok (catalog version 99"),
}


@pytest.mark.parametrize(("damage", "code", "sentence"), CATALOG_DAMAGE.values(), ids=CATALOG_DAMAGE)
def test_a_catalog_that_cannot_be_trusted_is_refused_and_not_touched(
    chueok: Chueok, library: Path, damage: Callable[[Path], object], code: int, sentence: str
) -> None:
    catalog = library / "catalog.sqlite"
    damage(catalog)
    before = catalog.read_bytes()
    answers = [chueok("find", "grace"), chueok("index"), chueok("forget", "--all")]
    assert [(answer.code, answer.out) for answer in answers] == [(code, b"")] * 3
    assert all(sentence in answer.err for answer in answers)
    assert catalog.read_bytes() == before


# ---- a full disk ----


def _limited(size: int) -> Callable[[], None]:
    """For the child: no file grows beyond `size` bytes, as on a disk that is full."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("room", [0, 40_000])
def test_a_full_disk_ends_a_run_with_6_and_the_library_still_answers(
    chueok: Chueok, library: Path, make_folder: MakeFolder, sample: Sample, room: int
) -> None:
    photos = {f"{number}.jpg": sample.album / "2017/IMG_0001.jpg" for number in range(60)}
    album = make_folder("album", photos)
    wal_and_more = (library / "catalog.sqlite").stat().st_size if room else 0
    full = chueok("index", album, preexec_fn=_limited(room and min(room, wal_and_more)))
    found = chueok("find", "eileen")
    again = chueok("index", album)
    assert (full.code, full.out) == (6, b"")
    assert "make room and run the same command again" in full.err or "full" in full.err
    assert (found.code, set(found.paths)) == (0, sample.of("eileen"))
    assert again.code == 0
    assert set(chueok("find", "grace", "--album", album).paths) == {album / name for name in photos}


@pytest.mark.usefixtures("library")
def test_a_copy_that_does_not_fit_leaves_no_partial_file(chueok: Chueok, sample: Sample) -> None:
    sizes = sorted(photo.stat().st_size for photo in sample.of("grace"))
    middle = sizes[len(sizes) // 2]
    answer = chueok("find", "grace", "--copy", "out", preexec_fn=_limited(middle))
    out = {path.name: path.read_bytes() for path in (chueok.room / "desk/out").iterdir()}
    expected = {
        photo.name: photo.read_bytes() for photo in sample.of("grace") if photo.stat().st_size <= middle
    }
    assert answer.code == 6
    assert out == expected


@pytest.mark.usefixtures("library")
def test_an_output_that_cannot_be_written_is_6(chueok: Chueok) -> None:
    with Path("/dev/full").open("wb") as full:
        answers = [chueok(*command, stdout=full) for command in (("find", "grace"), ("status",), ("path",))]
    assert [answer.code for answer in answers] == [6, 6, 6]
    assert all("No space left on device" in answer.err for answer in answers)


@pytest.mark.usefixtures("library")
def test_where_messages_cannot_be_written_the_exit_code_says_it(chueok: Chueok) -> None:
    with Path("/dev/full").open("wb") as full:
        found = chueok("find", "grace", stderr=full)
        wrong = chueok("find", "nobody", stderr=full)
    assert (found.code, len(found.lines), wrong.code) == (6, 11, 2)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_no_door_into_the_catalog(chueok: Chueok, library: Path, closed: int) -> None:
    answer = chueok("find", "grace", preexec_fn=lambda: os.close(closed))
    wrong = chueok("find", "nobody", preexec_fn=lambda: os.close(closed))
    assert (answer.code, wrong.code) == (0, 2)
    with sqlite3.connect(library / "catalog.sqlite") as catalog:
        assert catalog.execute("pragma integrity_check").fetchone() == ("ok",)
    catalog.close()


# ---- stopped ----


@pytest.fixture
def album(make_folder: MakeFolder, sample: Sample) -> Path:
    """Five photos to be read."""
    return make_folder("album", {photo.name: photo for photo in sorted((sample.album / "2017").iterdir())})


@contextlib.contextmanager
def _running(chueok: Chueok, album: Path, batch: int = 64) -> Iterator[subprocess.Popen[bytes]]:
    """An index that has told of its first photo and has more to read."""
    command = ("index", "--json", "--jobs", "1", album)
    child = chueok.start(*command, env={"CHUEOK_BATCH_PHOTOS": str(batch)}, stdout=-1, stderr=-1)
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline().startswith(b'{"schema":1,"type":"indexed"')
            yield child
        finally:
            child.kill()


@contextlib.contextmanager
def _held(child: subprocess.Popen[bytes]) -> Iterator[set[int]]:
    """The reading processes of a run, stopped in the middle of their photo, so that the run cannot end meanwhile."""
    readers = _descendants(child.pid)
    for reader in readers:
        os.kill(reader, signal.SIGSTOP)
    try:
        yield readers
    finally:
        for reader in filter(_alive, readers):
            os.kill(reader, signal.SIGCONT)


def _descendants(pid: int) -> set[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children} | {p for child in children for p in _descendants(int(child))}


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    return False


def _none_alive(pids: set[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(_alive, pids))


def _converges(chueok: Chueok, album: Path) -> None:
    """The next run finishes the work, and the library is as if nothing had happened."""
    finished = chueok("index", "--json", album)
    again = chueok("index", "--json", album)
    assert (finished.summary["photos"], again.summary["unchanged"]) == (len(list(album.iterdir())),) * 2
    assert chueok("status", "--json").records[0]["index_state"] == "ready"
    with sqlite3.connect(chueok.library / "catalog.sqlite") as catalog:
        assert catalog.execute("pragma integrity_check").fetchone() == ("ok",)
        assert catalog.execute("pragma foreign_key_check").fetchall() == []
    catalog.close()
    assert [
        path.name for path in chueok.library.iterdir() if path.name.endswith((".part", ".tmp", "-wal"))
    ] == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_stopped_run_keeps_what_it_learned_and_the_next_one_goes_on(
    chueok: Chueok, album: Path, number: signal.Signals, code: int
) -> None:
    batch = 1 if number is signal.SIGKILL else 64
    with _running(chueok, album, batch) as child, _held(child) as readers:
        child.send_signal(number)
        started = time.monotonic()
        out, err = child.communicate(timeout=20)
        seconds = time.monotonic() - started
    answer = chueok.answer(child, out, err)
    assert (answer.code, seconds < 10, len(readers)) == (code, True, 1)
    assert _none_alive(readers, 5)
    if number is not signal.SIGKILL:
        assert answer.err.splitlines()[-1] == (
            "chueok: stopped; what was finished before is kept, and the same command goes on from there"
        )
    known = chueok("status", "--json").records[0]
    assert 1 <= known["photos"] < len(list(album.iterdir()))
    assert known["scan_running"] is False
    _converges(chueok, album)


def test_during_a_run_searches_are_answered_and_a_second_run_is_refused(chueok: Chueok, album: Path) -> None:
    with _running(chueok, album) as child:
        with _held(child):
            second, found = chueok("index", album), chueok("find", "nobody")
            status = chueok("status", "--json")
        out, err = child.communicate(timeout=60)
    finished = chueok.answer(child, out, err)
    assert (second.code, second.out) == (11, b"")
    assert f"another chueok is writing to {chueok.library}" in second.err
    assert (found.code, status.records[0]["scan_running"]) == (2, True)
    assert (finished.code, finished.summary["new"]) == (0, 5)


def test_a_run_whose_reader_goes_away_says_that_it_did_not_finish(chueok: Chueok, album: Path) -> None:
    with _running(chueok, album) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        err = child.stderr.read()
        child.wait(timeout=60)
    answer = chueok.answer(child, b"", err)
    assert (answer.code, "run the same command again" in answer.err) == (6, True)
    assert chueok("status", "--json").records[0]["photos"] >= 1, "what was learned is kept"
    _converges(chueok, album)


# ---- what is written, and where ----


def test_nothing_is_written_outside_the_folders_of_the_platform(
    chueok: Chueok, make_folder: MakeFolder, sample: Sample
) -> None:
    album = make_folder("album", {"grace.jpg": sample.album / "2017/IMG_0001.jpg"})
    shutil.copytree(chueok.environ["CHUEOK_CACHE"], chueok.room / "home/.cache/chueok")
    by_platform = dict.fromkeys(("CHUEOK_LIBRARY", "CHUEOK_CACHE", "CHUEOK_MODELS"))
    before = stamps(chueok.room)
    answers: list[Answer] = [
        chueok("index", album, env=by_platform, umask=0),
        chueok("enroll", "grace", album / "grace.jpg", env=by_platform, umask=0),
        chueok("find", "grace", env=by_platform, umask=0),
        chueok("path", env=by_platform),
        chueok("path", "cache", env=by_platform),
        chueok("path", "models", env=by_platform),
    ]
    data = chueok.room / "home/.local/share/chueok"
    after = {name: stamp for name, stamp in stamps(chueok.room).items() if not name.startswith("reports")}
    made = {name: oct(after[name][1] & 0o777) for name in after.keys() - before.keys()}
    assert [answer.code for answer in answers] == [0] * 6
    assert [answer.paths for answer in answers[3:]] == [
        [data / "library"],
        [chueok.room / "home/.cache/chueok"],
        [data / "models"],
    ]
    library = "home/.local/share/chueok/library"
    private = {name: mode for name, mode in made.items() if name.startswith(library)}
    assert private == {library: "0o700"} | dict.fromkeys(
        (f"{library}/{name}" for name in ("catalog.sqlite", "faces-1.hnsw", "lock")), "0o600"
    )
    assert made.keys() - private.keys() == {"home/.local", "home/.local/share", "home/.local/share/chueok"}, (
        "ONNX Runtime keeps a device id and reports to Microsoft unless it is told not to"
    )
