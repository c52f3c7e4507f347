"""`chueok enroll`, `people` and `forget` from outside."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Learned, Sample, stamps

pytestmark = pytest.mark.weights

PAIR = "2018/DSC_0102.jpg"
COFFEE = "2017/IMG_0003.jpg"


def test_an_enrolment_says_which_face_it_learned(learned: Learned) -> None:
    reference = learned.sample.folder / "references/eileen.jpg"
    (enrolled,) = learned.enrolled.of_type("enrolled")
    assert enrolled | {"face": 0} == {
        "schema": 1,
        "type": "enrolled",
        "name": "eileen",
        "path": str(reference),
        "face": 0,
        "already_known": False,
    }
    assert learned.enrolled.summary | {"seconds": 0} == {
        "schema": 1,
        "type": "summary",
        "command": "enroll",
        "name": "eileen",
        "references": 1,
        "already_known": 0,
        "seconds": 0,
    }


def test_the_first_enrolment_makes_the_library_and_is_named_in_one_composed_form(
    chueok: Chueok, sample: Sample
) -> None:
    typed_on_a_mac = unicodedata.normalize("NFD", " 엄마 ")
    answer = chueok("enroll", typed_on_a_mac, sample.folder / "references/grace.jpg")
    assert (answer.code, answer.out) == (0, b"")
    assert answer.err.splitlines()[-1].endswith("find the photos: `chueok find '엄마'`")
    assert chueok("people", "list").lines == ["엄마"]
    assert chueok("people", "show", typed_on_a_mac).lines == ["엄마"]


@pytest.mark.usefixtures("library")
def test_a_reference_of_several_people_is_refused_until_one_is_chosen(chueok: Chueok, sample: Sample) -> None:
    pair = sample.album / PAIR
    before = chueok("people", "list").lines
    refused = chueok("enroll", "somebody", sample.folder / "selfie.jpg", pair)
    missing = chueok("enroll", "somebody", pair, "--face", "3")
    assert [refused.code, missing.code] == [4, 4]
    assert "shows 2 faces, left to right (1: " in refused.err
    assert "--face N or --largest" in refused.err
    assert "there is no face 3" in missing.err
    assert chueok("people", "list").lines == before, "a refused enrolment is undone as a whole"
    second = chueok("enroll", "right", pair, "--face", "2", "--json")
    largest = chueok("enroll", "large", pair, "--largest", "--json")
    left = chueok("enroll", "large", pair, "--face", "1", "--json")
    boxes = [answer.of_type("enrolled")[0]["face"]["box"] for answer in (second, largest, left)]
    assert boxes[0][0] > boxes[1][0] == boxes[2][0]
    assert left.of_type("enrolled")[0]["already_known"] is True


@pytest.mark.usefixtures("library")
def test_a_reference_that_cannot_be_used_is_refused(chueok: Chueok, sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    answers = [
        chueok("enroll", "nobody", reference)
        for reference in (
            sample.album / COFFEE,
            tmp_path / "text.jpg",
            tmp_path / "gone.jpg",
            "/dev/zero",
            tmp_path,
        )
    ]
    assert [(answer.code, answer.out) for answer in answers] == [(4, b"")] * 5
    coffee, text, gone, device, folder = (answer.err for answer in answers)
    assert "no face was found" in coffee
    assert "not a photo" in text
    assert "gone.jpg" in gone
    assert "a device" in device
    assert "a folder" in folder


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1bb", "a/b", "../../etc"])
def test_what_cannot_be_a_name_is_refused(chueok: Chueok, sample: Sample, name: str) -> None:
    answer = chueok("enroll", name, sample.folder / "references/grace.jpg")
    assert (answer.code, answer.out) == (2, b"")


@pytest.mark.usefixtures("library")
def test_people_are_listed_shown_and_renamed(chueok: Chueok, sample: Sample) -> None:
    listed = chueok("people", "list", "--json")
    shown = chueok("people", "show", "grace", "--json")
    (grace,) = shown.records
    assert listed.records[1] == grace
    assert grace | {"enrolled_at": "", "references": []} == {
        "schema": 1,
        "type": "person",
        "name": "grace",
        "references": [],
        "enrolled_at": "",
    }
    assert [reference["path"] for reference in grace["references"]] == [
        str(sample.folder / "references/grace.jpg")
    ]
    renamed = chueok("people", "rename", "grace", "그레이스 호퍼", "--json")
    taken = chueok("people", "rename", "eileen", "그레이스 호퍼")
    stranger = chueok("people", "show", "grace")
    assert renamed.records == [grace | {"name": "그레이스 호퍼"}]
    assert chueok("people", "list").lines == ["eileen", "그레이스 호퍼"]
    assert set(chueok("find", "그레이스 호퍼").paths) == sample.of("grace")
    assert (taken.code, stranger.code) == (2, 2)
    assert "already somebody named" in taken.err
    assert "enrolled are eileen, 그레이스 호퍼" in stranger.err


# ---- forgetting ----


def _embeddings(library: Path) -> list[bytes]:
    with sqlite3.connect(library / "catalog.sqlite") as catalog:
        rows = catalog.execute("select vector from vectors").fetchall()
    catalog.close()
    return [row[0] for row in rows]


def _left(library: Path, secrets: Iterable[bytes]) -> int:
    """In how many places of any file of the library 64 bytes of a secret are found."""
    files = [path.read_bytes() for path in library.iterdir()]
    windows = [secret[at : at + 64] for secret in secrets for at in range(0, len(secret) - 63, 64)]
    return sum(window in file for window in windows for file in files)


@pytest.mark.parametrize("command", [("people", "forget", "eileen"), ("forget", "--person", "eileen")])
def test_a_forgotten_person_leaves_no_trace(
    chueok: Chueok, library: Path, sample: Sample, command: tuple[str, ...]
) -> None:
    before = _embeddings(library)
    answer = chueok(*command)
    secrets = set(before) - set(_embeddings(library))
    assert (answer.code, answer.out, answer.err) == (0, b"", "forgot eileen and 1 reference\n")
    assert len(secrets) == 1
    assert _left(library, secrets) == 0
    assert chueok("people", "list").lines == ["grace"]
    assert chueok("find", "eileen").code == 2
    assert set(chueok("find", "grace").paths) == sample.of("grace")


def test_a_forgotten_folder_leaves_no_trace(chueok: Chueok, library: Path, sample: Sample) -> None:
    before = _embeddings(library)
    answer = chueok("forget", "--path", sample.album / "2021")
    secrets = set(before) - set(_embeddings(library))
    again = chueok("forget", "--path", sample.album / "2021")
    assert (answer.code, answer.err) == (
        0,
        "forgot 4 photos; it is still in an album, so the next `chueok index` learns it again."
        " The files themselves were not touched\n",
    )
    assert len(secrets) == 4
    assert _left(library, secrets) == 0
    assert set(chueok("find", "grace").paths) == {
        photo for photo in sample.of("grace") if photo.parent.name != "2021"
    }
    assert (again.code, again.err.startswith("chueok: nothing is known of")) == (2, True)


def test_a_damaged_library_can_be_forgotten_but_what_is_no_library_is_not_touched(
    chueok: Chueok, library: Path, make_folder: Callable[..., Path]
) -> None:
    (library / "catalog.sqlite").write_bytes(b"damaged")
    photos = make_folder(
        "photos", {"faces-1.jpg": b"a photo", "diary.backup": b"mine", "faces-of-mum.png": b"too"}
    )
    made = chueok("index", photos, "--library", photos)
    forgotten = chueok("forget", "--all", "--library", photos)
    with sqlite3.connect(photos / "catalog.sqlite") as other:
        other.execute("create table recipes (name text)")
    other.close()
    foreign = chueok("forget", "--all", "--library", photos)
    assert [made.code, forgotten.code, foreign.code] == [2, 10, 6]
    assert {path.name for path in photos.iterdir()} == {
        "catalog.sqlite", "faces-1.jpg", "diary.backup", "faces-of-mum.png"
    }  # fmt: skip
    assert chueok("forget", "--all").code == 0
    assert [path.name for path in library.iterdir()] == ["lock"]


def test_everything_is_forgotten(chueok: Chueok, library: Path) -> None:
    answer = chueok("forget", "--all")
    assert (answer.code, [path.name for path in library.iterdir()]) == (0, ["lock"])
    assert chueok("status").code == 10


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("arguments", [(), ("--all", "--person", "grace"), ("--person", "nobody")])
def test_forget_does_nothing_unless_told_one_thing(
    chueok: Chueok, library: Path, arguments: tuple[str, ...]
) -> None:
    before = {name: stamp[1:3] for name, stamp in stamps(library).items()}
    assert chueok("forget", *arguments).code == 2
    assert {name: stamp[1:3] for name, stamp in stamps(library).items()} == before
