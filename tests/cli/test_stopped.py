"""A run that is stopped, met by another, or left by its reader: the library is whole and the next run goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Sample

pytestmark = pytest.mark.weights

MakeFolder = Callable[..., Path]


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
