"""The real command in a clean room: a sample album that is learned once, and a runner that watches every run."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
GUARD = Path(__file__).parent / "guard"
SECONDS = 120  # no command on these small albums takes a tenth of it, even on a loaded machine

Sent = str | bytes | Path


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run of the command left behind."""

    code: int
    out: bytes
    err: str
    imported: frozenset[str]  # of the libraries that guard/sitecustomize.py watches

    @property
    def lines(self) -> list[str]:
        """stdout, line by line."""
        return self.out.decode().splitlines()

    @property
    def paths(self) -> list[Path]:
        """stdout as paths, one a line."""
        return [Path(os.fsdecode(line)) for line in self.out.splitlines()]

    @property
    def records(self) -> list[dict[str, Any]]:
        """stdout as JSON Lines; every line must be an object of schema 1 with a type."""
        found = [json.loads(line) for line in self.out.splitlines()]
        assert all(list(record)[:2] == ["schema", "type"] and record["schema"] == 1 for record in found)
        return found

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """The JSON lines of one type."""
        return [record for record in self.records if record["type"] == kind]

    @property
    def summary(self) -> dict[str, Any]:
        """The last JSON line, which must be the only summary."""
        *others, last = self.records
        assert last["type"] == "summary"
        assert "summary" not in [record["type"] for record in others]
        return last


class Chueok:
    """Runs `python -m chueok` in a room of its own; what it may touch lies below `room`."""

    def __init__(self, room: Path, cache: Path) -> None:
        self.room = room
        self.library = room / "library"
        self.reports = room / "reports"
        for folder in (room / "home", room / "tmp", room / "desk", self.reports):
            folder.mkdir(parents=True, exist_ok=True)
        self.environ = {
            "HOME": str(room / "home"),
            "TMPDIR": str(room / "tmp"),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(GUARD),
            "TEST_GUARD_REPORT": str(self.reports),
            "CHUEOK_LIBRARY": str(self.library),
            "CHUEOK_MODELS": str(room / "models"),
            "CHUEOK_CACHE": str(cache),
        }

    def start(
        self, *arguments: Sent, env: Mapping[str, str | None] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start the command; env: variables to set, or to take away where the value is None."""
        environ = {**self.environ, **(env or {})}
        child: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "chueok", *arguments],
            env={name: value for name, value in environ.items() if value is not None},
            **{"cwd": self.room / "desk", "stdin": subprocess.DEVNULL, **options},
        )
        return child

    def __call__(
        self,
        *arguments: Sent,
        env: Mapping[str, str | None] | None = None,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
        **options: Any,
    ) -> Answer:
        """Run the command to its end."""
        child = self.start(*arguments, env=env, stdout=stdout, stderr=stderr, **options)
        with child:
            try:
                out, err = child.communicate(timeout=SECONDS)
            except BaseException:
                child.kill()
                raise
        return self.answer(child, out or b"", err or b"")

    def answer(self, child: subprocess.Popen[bytes], out: bytes, err: bytes) -> Answer:
        """The answer of a child that has ended; whatever it was asked, it showed no traceback and used no network."""
        said = err.decode(errors="surrogateescape")
        assert "Traceback" not in said, said
        assert [file.read_text("utf-8") for file in self.reports.glob("network-*")] == []
        record = self.reports / f"imports-{child.pid}"
        imported = frozenset(record.read_text("utf-8").split()) if record.exists() else frozenset()
        return Answer(child.returncode, out, said, imported)


@pytest.fixture
def chueok(tmp_path: Path, networks_cache: Path) -> Chueok:
    """The command, with a library of its own that does not exist yet."""
    return Chueok(tmp_path, networks_cache)


# ---- the sample album ----


@dataclass(frozen=True, slots=True)
class Sample:
    """The album of examples/make_sample_album.py, what is true of it, and what lies beside it."""

    folder: Path

    @property
    def album(self) -> Path:
        return self.folder / "album"

    def people(self) -> dict[Path, set[str]]:
        """Who is in each photo."""
        with (self.folder / "truth.csv").open(encoding="utf-8") as file:
            return {
                self.album / row["photo"]: set(filter(None, row["people"].split(";")))
                for row in csv.DictReader(file)
            }

    def of(self, *wanted: str) -> set[Path]:
        """The photos that show all of these people."""
        return {path for path, people in self.people().items() if people.issuperset(wanted)}


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold a lock among the workers of pytest-xdist; the kernel frees it when one dies."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def sample(request: pytest.FixtureRequest) -> Sample:
    """Real portraits, made once and kept for later runs; tests only read them."""
    pytest.importorskip("matplotlib", reason="the sample's portraits are in the matplotlib wheel")
    pytest.importorskip("skimage", reason="the sample's portraits are in the scikit-image wheel")
    script = PROJECT / "examples/make_sample_album.py"
    content = hashlib.sha256(script.read_bytes()).hexdigest()
    folder = request.config.cache.mkdir(f"sample-{content[:16]}")
    with only_one(folder / "lock"):
        if not (folder / "made").exists():
            subprocess.run(
                [sys.executable, script, "album"], cwd=folder, stdout=subprocess.DEVNULL, check=True
            )
            (folder / "made").touch()
    return Sample(folder)


def stamps(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Every entry below a folder by name: inode, mode, size, modification time."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        name = str(path.relative_to(folder))
        found[name] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
    return found


@dataclass(frozen=True, slots=True)
class Learned:
    """The library of the sample album, indexed by the command, with grace and eileen enrolled."""

    sample: Sample
    library: Path
    first: Answer  # of `chueok index --json ALBUM`
    enrolled: Answer  # of `chueok enroll --json eileen REF`


@pytest.fixture(scope="session")
def learned(
    sample: Sample, networks_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Learned]:
    """Made once; tests take a copy (`library`). At the end every original must be as it was."""
    before = stamps(sample.album)
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "learned"
    with only_one(folder.with_suffix(".lock")):
        if not (folder / "answers").exists():
            _learn(sample, Chueok(folder, networks_cache), folder / "answers")
    first, enrolled = pickle.loads((folder / "answers").read_bytes())
    yield Learned(sample, folder / "library", first, enrolled)
    assert stamps(sample.album) == before


def _learn(sample: Sample, chueok: Chueok, answers: Path) -> None:
    first = chueok("index", "--json", sample.album)
    grace = chueok("enroll", "grace", sample.folder / "references/grace.jpg")
    enrolled = chueok("enroll", "--json", "eileen", sample.folder / "references/eileen.jpg")
    refreshed = chueok("index")
    assert [first.code, grace.code, enrolled.code, refreshed.code] == [3, 0, 0, 0], (first, grace, enrolled)
    answers.write_bytes(pickle.dumps((first, enrolled)))


@pytest.fixture
def library(chueok: Chueok, learned: Learned) -> Path:
    """A copy of the learned library, where the command looks for it; to be changed at will."""
    shutil.copytree(learned.library, chueok.library)
    return chueok.library


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder of files by name: a path is copied there, bytes are written as they are."""

    def made(name: str, files: Mapping[str, Path | bytes]) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for inside, content in files.items():
            path = folder / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        return folder

    return made
