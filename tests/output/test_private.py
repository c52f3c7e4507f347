"""A file that shows people appears whole or not at all, and takes no other file's place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chueok.errors import UsageError
from chueok.output.private import private_file

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from chueok.output.private import private_file
with private_file(Path(sys.argv[1]), b"mark") as file:
    file.write(b"mark and a face")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _write(path: Path) -> None:
    with private_file(path, b"mark") as file:
        file.write(b"mark")


def test_what_a_killed_run_left_is_gone_after_the_next(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, tmp_path / "page"], check=False)
    (left,) = tmp_path.iterdir()
    assert (done.returncode, left.stat().st_mode & 0o777) == (-signal.SIGKILL, 0o700)
    _write(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_two_at_once_in_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    with private_file(tmp_path / "one", b"mark") as file:
        _write(tmp_path / "two")
        file.write(b"mark")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


STRANGE: dict[str, Callable[[Path], None]] = {
    "a device or pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a link": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_file_is_refused_unopened(tmp_path: Path, kind: str) -> None:
    STRANGE[kind](tmp_path / "page")
    before = (tmp_path / "page").lstat()
    with pytest.raises(UsageError, match=f"page is {kind}, not a file; choose another name"):
        _write(tmp_path / "page")
    assert (tmp_path / "page").lstat() == before


def test_a_folder_that_may_be_written_but_not_read_is_enough(tmp_path: Path) -> None:
    tmp_path.chmod(0o300)
    try:
        _write(tmp_path / "page")
        assert (tmp_path / "page").read_bytes() == b"mark"
    finally:
        tmp_path.chmod(0o700)


def test_the_name_is_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []  # the kernel tells nobody what is on the disk: the calls have to be watched

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    _write(tmp_path / "page")
    assert synced[-1] == tmp_path
