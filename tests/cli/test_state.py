"""What is kept survives damage and a full disk, and nothing is written elsewhere."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Callable
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
    damage(library / "faces-1.table")
    found, status = chueok("find", "grace", "--json"), chueok("status", "--json")
    rebuilt, healed = chueok("index"), chueok("status", "--json")
    assert (found.code, found.of_type("match")) == (0, whole.of_type("match"))
    assert "the index file is damaged: run `chueok index`" in found.err
    assert [answer.records[0]["index_state"] for answer in (status, healed)] == ["damaged", "ready"]
    assert rebuilt.code == 0


def test_a_lost_index_answers_the_same_and_is_rebuilt(chueok: Chueok, library: Path, sample: Sample) -> None:
    (library / "faces-1.table").unlink()
    assert set(chueok("find", "grace").paths) == sample.of("grace")
    assert chueok("index").code == 0
    assert (library / "faces-1.table").stat().st_mode & 0o777 == 0o600


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
    answers = [chueok("find", "grace"), chueok("index"), chueok("forget", "--person", "grace")]
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
        (f"{library}/{name}" for name in ("catalog.sqlite", "faces-1.table", "lock")), "0o600"
    )
    assert made.keys() - private.keys() == {"home/.local", "home/.local/share", "home/.local/share/chueok"}, (
        "ONNX Runtime keeps a device id and reports to Microsoft unless it is told not to"
    )
