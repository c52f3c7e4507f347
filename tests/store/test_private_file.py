"""Files of the index are replaced as a whole, or not at all, whatever the disk and other runs do."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.store.vectors import faces

from chueok.errors import OperationFailed
from chueok.store.index import private_file, table
from chueok.store.index.private_file import IndexStamp


def save(path: Path, count: int = 50) -> IndexStamp:
    return table.write(path, np.arange(count) * 3, faces(count))


def load(path: Path, stamp: IndexStamp) -> int:
    return len(table.read(path, stamp))


@pytest.mark.parametrize("umask", [0, 0o22, 0o777])
def test_file_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        save(tmp_path / "i")
    finally:
        os.umask(before)
    assert oct((tmp_path / "i").stat().st_mode) == oct(0o100600)


@pytest.mark.parametrize("name", ["색인", "a b\n'\"", "-", "\udcff\udc80", "x" * 200])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / name
    path.parent.mkdir()
    assert load(path, save(path)) == 50
    assert [entry.name for entry in path.parent.iterdir()] == [name]


SAVE_ON_FULL_DISK = """
import errno, os, subprocess, sys
from pathlib import Path
import numpy as np
from chueok.errors import OperationFailed
from chueok.store.index import table
disk = Path(sys.argv[1])
mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True)
if mounted.returncode:
    sys.exit(77)
rows = np.eye(16, dtype=np.float32)[np.arange(4000) % 16]
stamp = table.write(disk / "i", np.arange(50), rows[:50])
for free in range(0, 240_000, 12_000):
    (disk / "filler").unlink(missing_ok=True)
    space = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(space.f_bavail * space.f_bsize - free))
    try:
        table.write(disk / "i", np.arange(4000), rows)
        print("saved")
    except OperationFailed as error:
        names = sorted(entry.name for entry in disk.iterdir())
        print("No space left" in str(error), names, len(table.read(disk / "i", stamp)))
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
        save(tmp_path / "i")
    assert [entry.name for entry in tmp_path.iterdir()] == ["i"]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperationFailed, match=r"gone/i cannot be written: No such file"):
        save(tmp_path / "gone" / "i")


def test_next_writer_removes_what_a_killed_one_left_and_readers_touch_nothing(tmp_path: Path) -> None:
    stamp = save(tmp_path / "i")
    for name in ("i.0123456789abcdef.partial", "i.f.partial", "ii.f.partial", "i.f"):
        (tmp_path / name).write_bytes(b"faces")
    load(tmp_path / "i", stamp)
    assert len(list(tmp_path.iterdir())) == 5
    save(tmp_path / "i")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["i", "i.f", "ii.f.partial"]


def test_file_that_another_run_is_writing_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "i.f.partial").open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        save(tmp_path / "i")
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
    stamp = save(tmp_path / "i")
    assert load(tmp_path / "i", stamp) == 50
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
