"""An index run killed at any system call that changes a file: the next run converges, and originals stay."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.fakes import make_tree

from chueok.flow.find import find_matches
from chueok.flow.people import enroll
from chueok.flow.scan import scan
from chueok.library import Library

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate", "mkdir")
STRACE = shutil.which("strace")
EVERY = int(os.environ.get("CHUEOK_KILL_EVERY", "9"))  # 1 kills at every call: some minutes

SCAN = """
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
        pass
"""
ALBUM: dict[str, Sequence[str] | bytes] = {
    "1.png": ["mom"],
    "2.png": ["dad", "mom"],
    "3.png": [],
    "4.png": ["ex"],
    "bad.jpg": b"x",
    "5.png": ["minjun"],
}


def run(root: Path, *strace: str) -> subprocess.CompletedProcess[str]:
    """Index root/album into root/library in a process of its own, perhaps under strace (which follows no child)."""
    prefix = [STRACE, "-qq", *strace] if STRACE and strace else []
    return subprocess.run(
        [*prefix, sys.executable, "-B", "-c", SCAN, str(root)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def calls(root: Path) -> Counter[str]:
    """How often an undisturbed run makes each call."""
    with tempfile.NamedTemporaryFile() as log:
        done = run(root, "-o", log.name, "-e", f"trace={','.join(CALLS)}")
        assert done.returncode == 0, done.stderr
        lines = Path(log.name).read_text(errors="replace").splitlines()
    return Counter(found[1] for line in lines if (found := re.match(r"(\w+)\(", line)))


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_a_killed_scan_converges_and_harms_nothing(tmp_path: Path, open_fake: Callable[..., Library]) -> None:
    make_tree(tmp_path / "probe" / "album", ALBUM)
    points = [
        (name, when) for name, count in calls(tmp_path / "probe").items() for when in range(1, count + 1)
    ]
    album = make_tree(tmp_path / "album", ALBUM)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in album.iterdir()}
    reference = make_tree(tmp_path / "refs", {"mom.png": ["mom"]}) / "mom.png"
    assert len(points) > 30
    for name, when in points[::EVERY]:
        shutil.rmtree(tmp_path / "library", ignore_errors=True)
        killed = run(
            tmp_path, "-o", os.devnull, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={when}"
        )
        assert killed.returncode != 0, f"{name} {when} was not reached"
        with open_fake() as library:
            list(scan(library, album))
            assert library.catalog.counts() == {"photos": 6, "pictures": 5, "faces": 5, "people": 0}, (
                f"{name} {when}"
            )
            assert library.load_index()[1] == "ready"
            enroll(library, "mom", [reference])
            assert {match.photo.name for match in find_matches(library, "mom")} == {"1.png", "2.png"}
            left = {path.name for path in library.folder.iterdir()} - {
                "catalog.sqlite-wal",
                "catalog.sqlite-shm",
            }
            assert left == {"catalog.sqlite", "faces-1.table", "lock"}, f"{name} {when}"
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in album.iterdir()} == before
