"""`chueok find --copy` and its kin, `undo` and `--html` from outside: what becomes of the photos that were found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Sample, stamps

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("library")]

GRACE_SCAN = "2023/scan.png"


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_dry_run_prints_the_plan_that_a_copy_then_carries_out(chueok: Chueok, sample: Sample) -> None:
    folder = chueok.room / "out/of nowhere"
    command = ("find", "grace", "--copy", folder, "--json")
    planned = chueok(*command, "--dry-run")
    assert not folder.parent.exists()
    copied = chueok(*command)
    again = chueok(*command)
    assert [answer.code for answer in (planned, copied, again)] == [0, 0, 0]
    assert _contents(folder) == {photo.name: photo.read_bytes() for photo in sample.of("grace")}
    plan = {(line["path"], line["target"], line["step"]) for line in planned.of_type("planned")}
    done = {(line["path"], line["target"], line["step"]) for line in copied.of_type("collected")}
    assert plan == done
    assert {line["step"] for line in again.of_type("collected")} == {"already-there"}
    assert [match["path"] for match in copied.of_type("match")] == chueok("find", "grace").lines


@pytest.mark.parametrize("how", ["--symlink", "--hardlink"])
def test_linked_photos_are_the_originals(
    chueok: Chueok, make_folder: Callable[..., Path], sample: Sample, how: str
) -> None:
    album = make_folder("album", {"grace.jpg": sample.album / "2017/IMG_0001.jpg"})
    chueok("index", album)
    answer = chueok("find", "grace", "--album", album, how, "out")
    linked = chueok.room / "desk/out/grace.jpg"
    assert (answer.code, answer.paths) == (0, [album / "grace.jpg"])
    assert linked.is_symlink() == (how == "--symlink")
    assert linked.samefile(album / "grace.jpg")


def test_a_move_is_put_back_by_undo(chueok: Chueok, make_folder: Callable[..., Path], sample: Sample) -> None:
    names = ("2017/IMG_0001.jpg", "2019 가족여행/사진 01.jpg", "2023/scan.png")
    album = make_folder("album", {name: sample.album / name for name in (*names, "2017/IMG_0002.jpg")})
    chueok("index", album)
    before = stamps(album)
    moved = chueok("find", "grace", "--album", album, "--move", chueok.room / "out", "--json")
    (summary,) = (record for record in moved.records if record.get("command") == "collect")
    assert moved.code == 0
    assert [name for name in names if (album / name).exists()] == []
    assert (album / "2017/IMG_0002.jpg").exists()
    gone = chueok("find", "grace", "--album", album)
    back = chueok("undo", summary["manifest"])
    assert (gone.code, back.code, back.out) == (1, 0, b"")
    assert {name: stamp[2:] for name, stamp in stamps(album).items() if (album / name).is_file()} == {
        name: stamp[2:] for name, stamp in before.items() if (album / name).is_file()
    }
    assert list((chueok.room / "out").iterdir()) == []
    assert set(chueok("find", "grace", "--album", album).paths) == {album / name for name in names}


def test_undo_needs_no_library(chueok: Chueok, make_folder: Callable[..., Path], sample: Sample) -> None:
    album = make_folder("album", {"grace.jpg": sample.album / "2017/IMG_0001.jpg"})
    chueok("index", album)
    chueok("find", "grace", "--album", album, "--move", "out")
    (manifest,) = (chueok.room / "desk/out").glob("chueok-move-*.jsonl")
    shutil.rmtree(chueok.library)
    back = chueok("undo", "--json", manifest)
    assert (back.code, (album / "grace.jpg").exists(), chueok.library.exists()) == (0, True, False)
    assert back.of_type("collected")[0]["target"] == str(album / "grace.jpg")


CONFLICTS = {
    "rename": {"scan.png": "theirs", "scan (2).png": "photo"},
    "skip": {"scan.png": "theirs"},
    "overwrite": {"scan.png": "photo"},
    "rename-existing": {"scan.png": "photo", "scan (2).png": "theirs"},
}


@pytest.mark.parametrize(("mode", "expected"), CONFLICTS.items())
def test_a_taken_name_is_dealt_with_as_asked(
    chueok: Chueok, sample: Sample, mode: str, expected: dict[str, str]
) -> None:
    contents = {"theirs": b"somebody's", "photo": (sample.album / GRACE_SCAN).read_bytes()}
    folder = chueok.room / "out"
    folder.mkdir()
    (folder / "scan.png").write_bytes(contents["theirs"])
    arguments = ("find", "grace", "--copy", folder, "--conflict", mode)
    answer = chueok(*arguments)
    found = {name: data for name, data in _contents(folder).items() if name.startswith("scan")}
    assert answer.code == 0
    assert found == {name: contents[whose] for name, whose in expected.items()}


def test_a_photo_that_is_gone_is_noted_and_the_others_are_copied(
    chueok: Chueok, make_folder: Callable[..., Path], sample: Sample
) -> None:
    album = make_folder(
        "album", {"stays.jpg": sample.album / "2017/IMG_0001.jpg", "goes.png": sample.album / GRACE_SCAN}
    )
    chueok("index", album)
    (album / "goes.png").unlink()
    answer = chueok("find", "grace", "--album", album, "--copy", "out")
    assert (answer.code, answer.paths) == (0, [album / "stays.jpg"])
    assert "left out, because they are gone" in answer.err
    assert [path.name for path in (chueok.room / "desk/out").iterdir()] == ["stays.jpg"]


def test_nothing_found_ends_with_1_and_makes_nothing(chueok: Chueok) -> None:
    answer = chueok("find", "grace", "--threshold", "0.999", "--copy", "out", "--json")
    assert (answer.code, [record["type"] for record in answer.records]) == (1, ["summary"])
    assert list((chueok.room / "desk").iterdir()) == []


def test_the_page_is_private_whole_and_shows_every_photo(chueok: Chueok, sample: Sample) -> None:
    page = chueok.room / "desk/page.html"
    answer = chueok("find", "grace & eileen", "--html", "page.html")
    text = page.read_text("utf-8")
    assert (answer.code, page.stat().st_mode & 0o777) == (0, 0o600)
    assert all(photo.name in text for photo in sample.of("grace", "eileen"))
    assert "http://" not in text
    assert "https://" not in text
    assert set(answer.paths) == sample.of("grace", "eileen")


def test_a_page_never_replaces_a_photo(chueok: Chueok) -> None:
    precious = chueok.room / "desk/precious.jpg"
    precious.write_bytes(b"a photo")
    answer = chueok("find", "grace", "--html", "precious.jpg")
    assert (answer.code, precious.read_bytes()) == (2, b"a photo")
