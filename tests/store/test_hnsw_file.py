"""The file of the HNSW index is whole, private and verified, or refused."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.store.vectors import an_index, answers, faces

from chueok.errors import IndexDamaged, OperationFailed
from chueok.store.index import hnsw_file, private_file
from chueok.store.index.hnsw import HnswIndex, IndexStamp

# ---- saving and loading -------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 500])
def test_loaded_index_answers_as_the_saved_one(tmp_path: Path, n: int) -> None:
    saved = an_index(n)
    loaded = HnswIndex.load(tmp_path / "i", saved.save(tmp_path / "i"))
    assert answers(loaded, faces(5, seed=9)) == answers(saved, faces(5, seed=9))
    assert (len(loaded), loaded.dimension, loaded.ids().tolist()) == (n, 16, saved.ids().tolist())


def test_loaded_index_can_grow_and_be_saved_again(tmp_path: Path) -> None:
    index, path = an_index(50), tmp_path / "i"
    for first in (1000, 2000):
        index = HnswIndex.load(path, index.save(path))
        index.add(np.arange(first, first + 50), faces(50, seed=first))
    assert HnswIndex.load(path, index.save(path)).ids().tolist() == index.ids().tolist()
    assert len(index) == 150


def test_stamp_tells_what_the_file_must_be(tmp_path: Path) -> None:
    stamp = an_index(50).save(tmp_path / "i")
    content = (tmp_path / "i").read_bytes()
    assert stamp == IndexStamp(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        count=50,
        dimension=16,
        layout="hnswlib-0.8/ip",
    )


def test_same_faces_make_the_same_file(tmp_path: Path) -> None:
    assert an_index(500).save(tmp_path / "a") == an_index(500).save(tmp_path / "b")
    assert an_index(500).save(tmp_path / "a") != an_index(500, seed=1).save(tmp_path / "b")


@pytest.mark.parametrize("umask", [0, 0o22, 0o777])
def test_file_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        an_index().save(tmp_path / "i")
    finally:
        os.umask(before)
    assert oct((tmp_path / "i").stat().st_mode) == oct(0o100600)


@pytest.mark.parametrize("name", ["색인", "a b\n'\"", "-", "\udcff\udc80", "x" * 200])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / name
    path.parent.mkdir()
    assert len(HnswIndex.load(path, an_index().save(path))) == 50
    assert [entry.name for entry in path.parent.iterdir()] == [name]


# ---- damage -------------------------------------------------------------------------------------

LOAD_EACH = """
import json, sys
from pathlib import Path
from chueok.errors import IndexDamaged
from chueok.store.index.hnsw import HnswIndex, IndexStamp
stamp = IndexStamp(**json.loads(sys.argv[2]))
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        HnswIndex.load(path, stamp)
        print("opened", path.name)
    except IndexDamaged as error:
        print("IndexDamaged", path.name)
"""


def run(script: str, *arguments: str) -> list[str]:
    """The lines a script prints in a process of its own, where a crash of hnswlib fails the test, not the suite."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def stamp_as_json(stamp: IndexStamp) -> str:
    """A stamp as the catalog keeps it."""
    import json

    return json.dumps(dataclasses.asdict(stamp))


def test_no_damage_to_the_file_goes_unnoticed(tmp_path: Path) -> None:
    """Cut at 60 lengths, one bit flipped at 120 places, lengthened, foreign: refused each time, without a crash."""
    stamp = an_index(200).save(tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    damaged = {f"cut-{length}": good[:length] for length in np.linspace(0, len(good) - 1, 60, dtype=int)}
    for position in (*range(96), *np.linspace(96, len(good) - 1, 24, dtype=int)):
        flipped = bytearray(good)
        flipped[position] ^= 1 << (position % 8)
        damaged[f"flip-{position}"] = bytes(flipped)
    damaged |= {"longer": good + b"\0", "zeros": bytes(len(good)), "jpeg": b"\xff\xd8\xff\xe0" * 99}
    damaged["other-of-same-size"] = _another_file_of_size(tmp_path, len(good))
    folder = tmp_path / "damaged"
    folder.mkdir()
    for name, content in damaged.items():
        (folder / name).write_bytes(content)
    (folder / "whole").write_bytes(good)

    assert len(damaged) == 184
    expected = [f"IndexDamaged {name}" for name in damaged] + ["opened whole"]
    assert sorted(run(LOAD_EACH, str(folder), stamp_as_json(stamp))) == sorted(expected)


def _another_file_of_size(folder: Path, size: int) -> bytes:
    """A good index of other faces, padded or cut to a length."""
    an_index(200, seed=1).save(folder / "other")
    return (folder / "other").read_bytes().ljust(size, b"\0")[:size]


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": 8},
        {"dimension": 32},
        {"dimension": 0},
        {"count": 49},
        {"bytes": 1},
        {"sha256": "0" * 64},
        {"layout": "hnswlib-0.8/l2"},
    ],
)
def test_stamp_of_something_else_is_noticed(tmp_path: Path, change: dict[str, int | str]) -> None:
    stamp = an_index(50).save(tmp_path / "i")
    with pytest.raises(IndexDamaged, match="rebuilt from the catalog"):
        HnswIndex.load(tmp_path / "i", dataclasses.replace(stamp, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"short", bytes(96), b"\xff" * 5000])
def test_stamped_nonsense_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "i").write_bytes(content)
    stamp = IndexStamp(hashlib.sha256(content).hexdigest(), len(content), 50, 16, hnsw_file.LAYOUT)
    with pytest.raises(IndexDamaged):
        HnswIndex.load(tmp_path / "i", stamp)


def test_missing_folder_and_fifo_are_refused_at_once(tmp_path: Path) -> None:
    stamp = an_index().save(tmp_path / "i")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("missing", "folder", "fifo", "link", "missing/too"):
        with pytest.raises(IndexDamaged):
            HnswIndex.load(tmp_path / name, stamp)


# ---- what can go wrong while saving -------------------------------------------------------------

SAVE_LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from chueok.errors import OperationFailed
from chueok.store.index.hnsw import HnswIndex
path, limits = Path(sys.argv[1]), map(int, sys.argv[2:])
index = HnswIndex.build(16, np.arange(900), np.eye(16, dtype=np.float32)[np.arange(900) % 16])
for limit in limits:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        index.save(path)
        print("saved")
    except OperationFailed as error:
        print("does not fit" in str(error), sorted(entry.name for entry in path.parent.iterdir()))
"""


def test_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    stamp = an_index().save(tmp_path / "i")
    size = HnswIndex.build(16, np.arange(900), faces(900)).save(tmp_path / "i").bytes
    stamp = an_index().save(tmp_path / "i")
    limits = [*range(0, size, size // 18), size - 1]
    lines = run(SAVE_LIMITED, str(tmp_path / "i"), *map(str, limits))
    assert lines == ["True ['i']"] * len(limits)
    assert len(HnswIndex.load(tmp_path / "i", stamp)) == 50


SAVE_ON_FULL_DISK = """
import errno, os, subprocess, sys
from pathlib import Path
import numpy as np
from chueok.errors import OperationFailed
from chueok.store.index.hnsw import HnswIndex
disk = Path(sys.argv[1])
mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True)
if mounted.returncode:
    sys.exit(77)
small = HnswIndex.build(16, np.arange(50), np.eye(16, dtype=np.float32)[np.arange(50) % 16])
stamp = small.save(disk / "i")
large = HnswIndex.build(16, np.arange(900), np.eye(16, dtype=np.float32)[np.arange(900) % 16])
for free in range(0, 240_000, 12_000):
    (disk / "filler").unlink(missing_ok=True)
    space = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(space.f_bavail * space.f_bsize - free))
    try:
        large.save(disk / "i")
        print("saved")
    except OperationFailed as error:
        names = sorted(entry.name for entry in disk.iterdir())
        print("No space left" in str(error), names, len(HnswIndex.load(disk / "i", stamp)))
"""


def test_full_disk_leaves_the_old_index_answering(tmp_path: Path) -> None:
    """On a real file system of 1 MB, with 20 amounts of free space."""
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", SAVE_ON_FULL_DISK]
    try:
        done = subprocess.run(
            [*command, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        pytest.skip("unshare, which lets a test mount a small disk, is a Linux command")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine does not let a test mount a disk of its own")
    assert (done.stderr, done.stdout.splitlines()) == ("", ["True ['filler', 'i'] 50"] * 20)


def test_folder_in_the_way_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    with pytest.raises(OperationFailed, match=r"cannot be written: Is a directory. Check the folder"):
        an_index().save(tmp_path / "i")
    assert [entry.name for entry in tmp_path.iterdir()] == ["i"]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperationFailed, match=r"gone/i cannot be written: No such file"):
        an_index().save(tmp_path / "gone" / "i")


def test_next_writer_removes_what_a_killed_one_left_and_readers_touch_nothing(tmp_path: Path) -> None:
    stamp = an_index().save(tmp_path / "i")
    for name in ("i.0123456789abcdef.partial", "i.f.partial", "ii.f.partial", "i.f"):
        (tmp_path / name).write_bytes(b"faces")
    HnswIndex.load(tmp_path / "i", stamp)
    assert len(list(tmp_path.iterdir())) == 5
    an_index().save(tmp_path / "i")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["i", "i.f", "ii.f.partial"]


def test_file_that_another_run_is_writing_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "i.f.partial").open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        an_index().save(tmp_path / "i")
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["i", "i.f.partial"]


@pytest.mark.parametrize("held_seconds", [0, 0.2])
def test_new_file_that_another_run_sweeps_away_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_seconds: float
) -> None:
    """Between making the file and locking it a second writer takes it for what a killed run left."""
    real = fcntl.flock
    swept: list[Path] = []

    def flock(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        swept.extend(tmp_path.iterdir())
        _sweep(swept[0], held_seconds)
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    stamp = an_index().save(tmp_path / "i")
    assert len(HnswIndex.load(tmp_path / "i", stamp)) == 50
    assert (len(swept), [entry.name for entry in tmp_path.iterdir()]) == (1, ["i"])


def _sweep(leftover: Path, held_seconds: float) -> None:
    """What a second writer does: it is done at once, or still at it when the first one asks for the lock."""
    if not held_seconds:
        private_file.remove_leftovers(leftover.with_name("i"))
        return
    held = os.open(leftover, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)

    def finish() -> None:
        leftover.unlink()
        os.close(held)

    threading.Timer(held_seconds, finish).start()
