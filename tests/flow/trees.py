"""Folders from a dict and back, and a collection carried out, for the tests of collecting."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from chueok.flow import collect
from chueok.records import Collected, CollectSummary, Conflict, Step, Transfer

Tree = dict[str, str]
Line = tuple[str, Step, str | None]  # target name, step, error

MANIFEST = "chueok-move-20260502T120000.jsonl"  # of a move that starts at `noon`


def grow(root: Path, files: Tree) -> Path:
    """Make a folder from relative path -> content."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def tree(root: Path) -> Tree:
    """What a folder holds: relative path -> content, `-> target` for a link."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(root))] = path.read_text()
    return found


def noon() -> datetime:
    """The time at which every test's move starts."""
    return datetime(2026, 5, 2, 12, 0, 0)


def no_original(_: Path) -> bool:
    """No path is a photo of an album."""
    return False


def collected(
    photos: Sequence[Path],
    destination: Path,
    transfer: Transfer = Transfer.COPY,
    conflict: Conflict = Conflict.RENAME,
    is_original: Callable[[Path], bool] = no_original,
) -> tuple[list[Line], CollectSummary]:
    """Plan and carry out; one line per photo, and the summary."""
    plan = collect.plan(photos, destination, transfer, conflict, is_original)
    return lines_of(collect.carry_out(plan, noon))


def lines_of(events: Iterator[Collected | CollectSummary]) -> tuple[list[Line], CollectSummary]:
    """Events as lines, and the summary they must end with."""
    *happened, summary = events
    assert isinstance(summary, CollectSummary)
    lines = [(e.action.target.name, e.action.step, e.error) for e in happened if isinstance(e, Collected)]
    assert len(lines) == len(happened)
    return lines, summary


def counts(summary: CollectSummary) -> tuple[int, int, int, int]:
    """Done, already there, skipped, failed."""
    return summary.done, summary.already_there, summary.skipped, summary.failed


@contextlib.contextmanager
def other_disk(than: Path) -> Iterator[Path]:
    """A folder on another file system; skips where there is none."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == than.stat().st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        yield Path(folder)
