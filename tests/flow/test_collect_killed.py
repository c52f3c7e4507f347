"""A move or its undo killed at any system call, or out of disk: nothing lost, nothing half-done, all resumable."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flow.trees import Tree, grow, other_disk, tree

from chueok.errors import OperationFailed
from chueok.flow import collect
from chueok.records import Collected, CollectSummary, Conflict, Transfer

# Everything that changes a file system. strace counts the calls of each name apart.
CALLS = (
    "write",
    "copy_file_range",
    "fsync",
    "linkat",
    "unlink",
    "rename",
    "renameat2",
    "mkdir",
    "rmdir",
    "utimensat",
)
STRACE = shutil.which("strace")

WORKER = """
import sys
from pathlib import Path
from chueok.flow import collect
from chueok.flow.undo import undo
from chueok.records import Conflict, Transfer
verb, album, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
if verb == "undo":
    for manifest in sorted(out.glob("chueok-move-*.jsonl"), reverse=True):
        list(undo(manifest))
else:
    photos = sorted(path for path in album.rglob("*") if path.is_file())
    list(collect.carry_out(collect.plan(photos, out, Transfer(verb), Conflict.RENAME_EXISTING, lambda _: False)))
"""

PHOTOS: Tree = {"1/a.jpg": "A" * 3000, "2/a.jpg": "another", "3/a.jpg": "A" * 3000, "b.jpg": "B"}
THERE: Tree = {"b.jpg": "was here"}
MOVED: Tree = {"a.jpg": "A" * 3000, "a (2).jpg": "another", "b.jpg": "B", "b (2).jpg": "was here"}


def contents(root: Path) -> Tree:
    """What a folder holds: manifests apart, workrooms included even when they are empty."""
    files = {name: text for name, text in tree(root).items() if not name.startswith("chueok-move-")}
    return files | {str(room.relative_to(root)): "a workroom" for room in root.rglob(".chueok-*.part")}


def work(verb: str, album: Path, out: Path, *strace: str) -> subprocess.CompletedProcess[str]:
    """Run a verb in a process of its own, perhaps under strace."""
    prefix = [STRACE, "-f", "-qq", *strace] if STRACE and strace else []
    command = [*prefix, sys.executable, "-c", WORKER, verb, str(album), str(out)]
    environment = {"PYTHONPATH": str(Path(collect.__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def calls(verb: str, album: Path, out: Path) -> Counter[str]:
    """How often an undisturbed run makes each call."""
    with tempfile.NamedTemporaryFile() as log:
        done = work(verb, album, out, "-o", log.name, "-e", f"trace={','.join(CALLS)}")
        assert done.returncode == 0, done.stderr
        lines = Path(log.name).read_text(errors="replace").splitlines()
    return Counter(found[1] for line in lines if (found := re.match(r"\d+ +(\w+)\(", line)))


def kill(verb: str, album: Path, out: Path, call: str, number: int) -> None:
    done = work(
        verb,
        album,
        out,
        "-o",
        os.devnull,
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:signal=KILL:when={number}",
    )
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), (call, number, done.stderr)


def assert_nothing_lost(album: Path, out: Path) -> None:
    """I2: every content is in one of the two places, and no final name holds a part of one."""
    final = {text for root in (album, out) for name, text in contents(root).items() if ".chueok-" not in name}
    assert final == {*PHOTOS.values(), *THERE.values()}


@pytest.fixture(params=["one disk", "two disks"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """An album and a destination, on one file system or on two."""
    if STRACE is None:
        pytest.skip("strace is not installed")
    if request.param == "one disk":
        yield tmp_path / "album", tmp_path / "out"
        return
    with other_disk(tmp_path) as disk:
        yield tmp_path / "album", disk / "out"


def fresh(album: Path, out: Path) -> None:
    for root, files in ((album, PHOTOS), (out, THERE)):
        shutil.rmtree(root, ignore_errors=True)
        grow(root, files)


# Every call with CHUEOK_KILL_EVERY=1; the suite takes each eleventh, a prime, so that all kinds are met.
EVERY = int(os.environ.get("CHUEOK_KILL_EVERY", "11"))


def test_a_killed_move_loses_nothing_and_is_finished_or_undone(places: tuple[Path, Path]) -> None:
    album, out = places
    fresh(album, out)
    points = sorted(calls("move", album, out).items())
    assert (contents(album), contents(out)) == ({}, MOVED)
    for call, number in [(call, n + 1) for call, count in points for n in range(count)][::EVERY]:
        fresh(album, out)
        kill("move", album, out, call, number)
        assert_nothing_lost(album, out)
        assert work("move", album, out).returncode == 0
        assert (contents(album), contents(out)) == ({}, MOVED), (call, number)
        assert work("undo", album, out).returncode == 0
        assert (contents(album), contents(out)) == (PHOTOS, THERE), (call, number)


def test_a_killed_undo_loses_nothing_and_is_finished(places: tuple[Path, Path]) -> None:
    album, out = places
    fresh(album, out)
    work("move", album, out)
    points = sorted(calls("undo", album, out).items())
    for call, number in [(call, n + 1) for call, count in points for n in range(count)][::EVERY]:
        fresh(album, out)
        work("move", album, out)
        kill("undo", album, out, call, number)
        assert_nothing_lost(album, out)
        assert work("undo", album, out).returncode == 0
        assert (contents(album), contents(out)) == (PHOTOS, THERE), (call, number)


def test_an_interrupted_copy_cleans_up_after_itself(tmp_path: Path) -> None:
    if STRACE is None:
        pytest.skip("strace is not installed")
    album, out = tmp_path / "album", tmp_path / "out"
    for call in ("mkdir", "copy_file_range", "fsync", "renameat2"):
        fresh(album, out)
        inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=INT:when=1")
        assert work("copy", album, out, "-o", os.devnull, *inject).returncode in (-signal.SIGINT, 130)
        assert_nothing_lost(album, out)
        assert not list(out.glob(".chueok-*")), call
        assert contents(album) == PHOTOS


# ---- disks that cannot, disks that are full ----------------------------------------------------

NO_RENAME = ("-e", "inject=renameat2:error=EINVAL")
NO_LINK = (*NO_RENAME, "-e", "inject=linkat:error=EPERM")


@pytest.mark.parametrize("injected", [NO_RENAME, NO_LINK], ids=["no exclusive rename", "nor hard links"])
def test_a_file_system_that_can_do_less_ends_the_same(
    places: tuple[Path, Path], injected: tuple[str, ...]
) -> None:
    album, out = places
    fresh(album, out)
    for verb, after in (("move", ({}, MOVED)), ("undo", (PHOTOS, THERE))):
        done = work(verb, album, out, "-o", os.devnull, "-e", "trace=renameat2,linkat", *injected)
        assert (done.returncode, contents(album), contents(out)) == (0, *after), done.stderr


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("transfer", [Transfer.COPY, Transfer.MOVE])
def test_a_full_disk_names_the_photo_stops_and_can_be_resumed(
    tmp_path: Path, tiny_disk: Path, transfer: Transfer
) -> None:
    album = grow(tmp_path / "album", {f"{n}.jpg": str(n) * 100_000 for n in range(4)})
    photos, before, out = sorted(album.iterdir()), contents(album), tiny_disk / "out"
    errors = []
    with pytest.raises(OperationFailed) as caught:
        for event in collect.carry_out(collect.plan(photos, out, transfer, Conflict.RENAME, lambda _: False)):
            assert isinstance(event, Collected)
            errors.append(event.error)
    assert errors == [None, None, "the disk is full"]
    assert str(caught.value) == (
        "stopped because the disk is full; photos done: 2. "
        "Put that right and run the same command again: it goes on from there"
    )
    assert {**contents(album), **contents(out)} == before
    assert contents(out) == {name: before[name] for name in ("0.jpg", "1.jpg")}
    subprocess.run(["mount", "-o", "remount,size=1m", str(tiny_disk)], check=True)
    left = [photo for photo in photos if photo.exists()]
    *_, summary = collect.carry_out(collect.plan(left, out, transfer, Conflict.RENAME, lambda _: False))
    assert isinstance(summary, CollectSummary)
    assert (summary.done, summary.failed, contents(out)) == (2, 0, before)
