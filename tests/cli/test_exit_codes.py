"""Every exit code of the contract, each by a real run, with a sentence and nothing on stdout.

1, 3 and 6 are in test_find.py, test_index.py and test_state.py too; 130 and 143 in test_stopped.py.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Sample

pytestmark = pytest.mark.weights

NEEDS_LIBRARY = [
    ("index",),
    ("find", "grace"),
    ("lookalike", "selfie.jpg"),
    ("people", "list"),
    ("people", "show", "grace"),
    ("people", "rename", "grace", "gracie"),
    ("people", "forget", "grace"),
    ("why", "photo.jpg", "--person", "grace"),
    ("status",),
    ("model", "use", "lite"),
    ("forget", "--person", "grace"),
]


@pytest.mark.parametrize("command", NEEDS_LIBRARY, ids=" ".join)
def test_without_a_library_the_command_that_makes_one_is_named(
    chueok: Chueok, command: tuple[str, ...]
) -> None:
    answer = chueok(*command)
    assert (answer.code, answer.out) == (10, b"")
    assert answer.err == (
        f"chueok: there is no library at {chueok.library} yet; make one with `chueok index FOLDER_OF_PHOTOS`\n"
    )
    assert answer.imported.isdisjoint({"torch", "onnxruntime", "numpy"})
    assert not chueok.library.exists()


USAGE = {
    "no such command": ("frobnicate",),
    "no such option": ("find", "--frobnicate"),
    "an argument is missing": ("enroll", "mom"),
    "nobody is wanted": ("find",),
    "an empty expression": ("find", " "),
    "a broken expression": ("find", "grace &"),
    "a stranger": ("find", "nobody"),
    "a person only to be left out": ("find", "!grace"),
    "two ways of collecting": ("find", "grace", "--copy", "a", "--move", "b"),
    "a rehearsal of nothing": ("find", "grace", "--dry-run"),
    "a move that overwrites": ("find", "grace", "--move", "a", "--conflict", "overwrite"),
    "an unknown mode": ("find", "grace", "--copy", "a", "--conflict", "trash"),
    "a threshold beyond 1": ("find", "grace", "--threshold", "7"),
    "a threshold that is no number": ("find", "grace", "--threshold", "nan"),
    "a limit of none": ("find", "grace", "--limit", "0"),
    "a strange date": ("find", "grace", "--after", "yesterday"),
    "a strange count": ("find", "grace", "--count", "4..2"),
    "a strange budget": ("index", "--budget", "soon"),
    "an album without a name": ("index", ""),
    "no process": ("index", "--jobs", "0"),
    "a strange colour": ("status", "--color", "mauve"),
    "an album that is not there": ("index", "nowhere"),
    "an album that is a file": ("index", "/dev/null"),
    "a config file that is not there": ("--config", "nowhere.toml", "status"),
    "a gallery that is not there": ("lookalike", "{selfie}", "--gallery", "nowhere"),
    "an empty gallery": ("lookalike", "{selfie}", "--gallery", "."),
    "a manifest that is none": ("undo", "{selfie}"),
    "a destination that is a file": ("find", "grace", "--copy", "{selfie}"),
}


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_2_usage(chueok: Chueok, sample: Sample, arguments: tuple[str, ...]) -> None:
    answer = chueok(*(word.format(selfie=sample.folder / "selfie.jpg") for word in arguments))
    assert (answer.code, answer.out) == (2, b"")
    assert answer.err


VARIABLES = {
    "CHUEOK_THRESHOLD": ("nan", "2", "high"),
    "CHUEOK_FAR": ("0", "inf"),
    "CHUEOK_JOBS": ("many", "-1"),
}


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in VARIABLES.items() for value in values]
)
def test_2_a_variable_of_the_environment_that_makes_no_sense(chueok: Chueok, name: str, value: str) -> None:
    answer = chueok("find", "grace", env={name: value})
    assert (answer.code, answer.out, value in answer.err) == (2, b"", True)


def test_2_a_library_is_never_made_in_a_strangers_folder_or_file(
    chueok: Chueok, make_folder: Callable[..., Path]
) -> None:
    photos = make_folder("photos", {"diary.txt": b"dear diary"})
    folder = chueok("index", photos, "--library", photos)
    file = chueok("index", photos, "--library", photos / "diary.txt")
    assert [(answer.code, answer.out) for answer in (folder, file)] == [(2, b"")] * 2
    assert "is not a chueok library and is not empty" in folder.err
    assert [path.name for path in photos.iterdir()] == ["diary.txt"]


def test_11_another_run_is_writing(chueok: Chueok, library: Path, sample: Sample) -> None:
    with (library / "lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = [
            chueok(*command) for command in (("index",), ("forget", "--all"), ("model", "use", "lite"))
        ]
        answers = chueok("find", "grace"), chueok("status", "--json")
    assert [(answer.code, answer.out) for answer in refused] == [(11, b"")] * 3
    assert all(f"another chueok is writing to {library}" in answer.err for answer in refused)
    assert set(answers[0].paths) == sample.of("grace")
    assert answers[1].records[0]["scan_running"] is True
    assert chueok("status", "--json").records[0]["scan_running"] is False


@pytest.mark.usefixtures("library")
def test_no_traceback_without_debug_and_one_with_it(chueok: Chueok) -> None:
    plain = chueok("find", "nobody")
    child = chueok.start("--debug", "find", "nobody", stderr=-1, stdout=-1)
    _, err = child.communicate()
    assert (plain.code, child.returncode) == (2, 2)
    assert (
        plain.err == "chueok: 'nobody' is neither an enrolled name nor a photo; enrolled are eileen, grace\n"
    )
    assert err.decode().startswith("Traceback")
    assert err.decode().endswith(plain.err)


def test_2_and_5_a_new_library_with_a_model_that_is_unknown_or_not_here(
    chueok: Chueok, make_folder: Callable[..., Path]
) -> None:
    album = make_folder("album", {"a.jpg": b"unread"})
    unknown = chueok("index", album, "--model", "facent")
    missing = chueok("index", album, "--model", "sface")
    assert [(answer.code, answer.out) for answer in (unknown, missing)] == [(2, b""), (5, b"")]
    assert "did you mean 'facenet'?" in unknown.err
    assert "Run: chueok model fetch sface" in missing.err
