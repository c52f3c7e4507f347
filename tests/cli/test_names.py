"""Names that people and computers give: of files, of persons, in any language, meant well or not."""

from __future__ import annotations

import base64
import os
import unicodedata
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Sample

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("library")]

HOSTILE = [
    "가족 사진.jpg".encode(),
    unicodedata.normalize("NFD", "할머니.jpg").encode(),
    "emoji 👨\u200d👩\u200d👧.jpg".encode(),
    b"latin-1 caf\xe9.jpg",
    b"\xff\xfe\x80.jpg",
    b"new\nline.jpg",
    b"tab\tand\rreturn.jpg",
    b"\x1b[2J\x1b]0;owned\x07.jpg",
    b"\xc2\x9b31mC1.jpg",
    "right\u202egpj.jpg".encode(),
    b"-rf.jpg",
    b"--copy=x.jpg",
    b"$(touch owned).jpg",
    b"; touch owned;.jpg",
    b"`touch owned`.jpg",
    b"'single' and \"double\".jpg",
    b"back\\slash.jpg",
    b"*?[x].jpg",
    b"%s%n{0}.jpg",
    b"<script>alert(1)&amp;.jpg",
    b" leading and trailing .JPG",
    b"a..jpg.jpg",
    b"~.jpg",
    b"file:evil.jpg",
    b"CON.jpg",
    b"x" * 251 + b".jpg",
]
LOCALES: list[dict[str, str | None]] = [
    {"LANG": "C.UTF-8"},
    {"LANG": "C", "LC_ALL": "C"},
    {"LANG": None, "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.fixture
def album(tmp_path: Path, sample: Sample) -> Path:
    """The same portrait under every hostile name, in a folder whose own name is not UTF-8."""
    folder = tmp_path / os.fsdecode(b"alb\xfcm")
    folder.mkdir()
    portrait = (sample.album / "2017/IMG_0001.jpg").read_bytes()
    for name in HOSTILE:
        (folder / os.fsdecode(name)).write_bytes(portrait)
    return folder


@pytest.mark.parametrize("env", LOCALES, ids=["C.UTF-8", "C", "POSIX"])
def test_every_name_goes_in_and_comes_out_byte_for_byte(
    chueok: Chueok, album: Path, env: dict[str, str | None]
) -> None:
    files = sorted(os.fsencode(album) + b"/" + name for name in HOSTILE)
    indexed = chueok("index", "-v", album, env=env)
    nul = chueok("find", "grace", "--album", album, "-0", env=env)
    lines = chueok("find", "grace", "--album", album, env=env)
    json = chueok("find", "grace", "--album", album, "--json", env=env)
    assert [answer.code for answer in (indexed, nul, lines, json)] == [0] * 4
    assert sorted(nul.out.split(b"\0")[:-1]) == files
    assert lines.out == nul.out.replace(b"\0", b"\n")
    matches = json.of_type("match")
    assert sorted(base64.b64decode(match["path_bytes"]) for match in matches) == files
    assert indexed.err.count("\n") == len(files) + 1, "a line for each, and a summary"
    for text in (indexed.err, json.out.decode()):
        assert [sign for sign in text if unicodedata.category(sign) in ("Cc", "Cs") and sign != "\n"] == []
        assert "\u202e" not in text


def test_every_name_can_be_given_back_to_the_command(chueok: Chueok, album: Path) -> None:
    chueok("index", album)
    copied = chueok("find", "grace", "--album", album, "--copy", "out", "--html", "page.html")
    out = chueok.room / "desk/out"
    assert copied.code == 0
    assert sorted(os.fsencode(path.name) for path in out.iterdir()) == sorted(HOSTILE)
    assert b"<script>alert" not in (chueok.room / "desk/page.html").read_bytes()
    for name in (b"latin-1 caf\xe9.jpg", b"new\nline.jpg", b"-rf.jpg"):
        photo = album / os.fsdecode(name)
        why = chueok("why", photo, "--person", "grace", "--json")
        assert (why.code, why.of_type("verdict")[0]["matched"]) == (0, True)
    forgotten = chueok("forget", "--path", album)
    assert forgotten.err == f"forgot {len(HOSTILE)} photos. The files themselves were not touched\n"
    assert chueok("status", "--json").records[0]["photos"] == 25


def test_a_file_that_begins_with_a_dash_is_no_option(chueok: Chueok, album: Path) -> None:
    refused = chueok("enroll", "--", "-dash", "-rf.jpg", cwd=album)
    enrolled = chueok("enroll", "dash", "--", "-rf.jpg", cwd=album)
    assert (refused.code, "cannot begin with -" in refused.err, enrolled.code) == (2, True, 0)
    assert chueok("people", "list").lines == ["dash", "eileen", "grace"]


PERSONS = [
    "그레이스 호퍼",
    "mom & dad",
    'O\'Brien "Bob" (!)',
    "👩🏽\u200d🚀",
    "..",
    "a|b",
    "%s",
    "right\u202eleft",
]


@pytest.mark.parametrize("name", PERSONS)
def test_a_person_may_have_any_name(chueok: Chueok, sample: Sample, name: str) -> None:
    reference = sample.folder / "references/grace.jpg"
    enrolled = chueok("enroll", name, reference, env={"LC_ALL": "C"})
    found = chueok("find", name, "--json")
    assert (enrolled.code, found.code) == (0, 0)
    assert {Path(match["path"]) for match in found.of_type("match")} == sample.of("grace")
    assert {match["person"] for match in found.of_type("match")} == {name}
    assert "\u202e" not in enrolled.err + found.out.decode()


def test_a_quoted_name_can_stand_in_an_expression(chueok: Chueok, sample: Sample) -> None:
    chueok("people", "rename", "grace", "mom & dad")
    assert set(chueok("find", '"mom & dad" & eileen').paths) == sample.of("grace", "eileen")


# ---- completion ----

ASK = {
    "bash": {"COMP_WORDS": "chueok find gr", "COMP_CWORD": "2"},
    "zsh": {"_TYPER_COMPLETE_ARGS": "chueok find gr"},
    "fish": {"_TYPER_COMPLETE_ARGS": "chueok find gr", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


@pytest.mark.parametrize("shell", ASK)
def test_the_shell_completes_the_names_of_people(chueok: Chueok, shell: str) -> None:
    answer = chueok(env=ASK[shell] | {"_CHUEOK_COMPLETE": f"complete_{shell}"})
    said = answer.out.decode()
    assert (answer.code, answer.err, "grace" in said, "eileen" in said) == (0, "", True, False)
    assert answer.imported.isdisjoint({"torch", "onnxruntime", "numpy"})


def _completed(chueok: Chueok, words: str, **env: str) -> list[str]:
    ask = {"_CHUEOK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    answer = chueok(env=ask | env)
    assert (answer.code, answer.err) == (0, "")
    return answer.out.decode().split()


def test_names_are_completed_wherever_a_person_is_asked_for(chueok: Chueok) -> None:
    places = ("find --person ", "find --with ", "why x.jpg --person ", "people show ", "forget --person ")
    assert {place: _completed(chueok, f"chueok {place}") for place in places} == {
        place: ["eileen", "grace"] for place in places
    }


def test_names_are_completed_from_the_library_that_the_line_asks_for(chueok: Chueok) -> None:
    nowhere = {"CHUEOK_LIBRARY": "/nowhere"}
    after = _completed(chueok, f"chueok find --library {chueok.library} ", **nowhere)
    before = _completed(chueok, f"chueok --library {chueok.library} people show g", **nowhere)
    assert (after, before) == (["eileen", "grace"], ["grace"])


def test_completion_is_silent_where_there_is_no_library_or_a_broken_one(chueok: Chueok) -> None:
    assert _completed(chueok, "chueok find ", CHUEOK_LIBRARY="/nowhere") == []
    (chueok.library / "catalog.sqlite").write_text("no catalog" * 100)
    assert _completed(chueok, "chueok find ") == []
