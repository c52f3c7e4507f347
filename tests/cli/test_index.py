"""`chueok index` from outside: what a run says of every photo, and what the next run leaves alone."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.cli.conftest import Answer, Chueok, Learned, Sample, stamps
from tests.vision import portraits

pytestmark = pytest.mark.weights

SMALL = {"grace.jpg": "2017/IMG_0001.jpg", "eileen.png": "2018/DSC_0104.png"}
BROKEN = {"broken.jpg": b"no picture", "empty.png": b""}

MakeFolder = Callable[..., Path]


def _statuses(answer: Answer) -> dict[str, str]:
    return {Path(line["path"]).name: line["status"] for line in answer.of_type("indexed")}


def _counts(answer: Answer) -> dict[str, Any]:
    """The summary's counts that are not 0."""
    hidden = ("schema", "type", "command", "seconds", "dry_run")
    return {key: value for key, value in answer.summary.items() if value and key not in hidden}


@pytest.fixture
def album(make_folder: MakeFolder, sample: Sample) -> Path:
    """Two photos whose content the learned library knows, and two files that are no photos."""
    return make_folder("album", {name: sample.album / source for name, source in SMALL.items()} | BROKEN)


def test_a_device_that_is_not_there_is_refused_and_auto_says_what_it_came_to(
    chueok: Chueok, album: Path
) -> None:
    missing = "cuda" if sys.platform == "darwin" else "coreml"
    refused = chueok("index", album, "--device", missing)
    assert refused.code == 2
    assert f"ONNX Runtime cannot use {missing} on this machine" in refused.err
    found = chueok("index", album, "--json", env={"CHUEOK_DEVICE": "auto"})
    assert "chueok: photos are read on" in found.err
    assert found.summary["new"] == len(SMALL)
    assert "takes cpu, auto, cuda, coreml" in chueok("index", album, "--device", "gpu").err


def test_the_first_run_tells_of_every_photo_once_and_a_summary_last(learned: Learned) -> None:
    album = learned.sample.album
    lines = {line["path"]: line for line in learned.first.of_type("indexed")}
    damaged, failed = "damaged/cut off.jpg", "damaged/not a picture.jpg"
    assert len(learned.first.records) == len(lines) + 1 == 26
    assert {Path(path) for path in lines} == set(learned.sample.people())
    assert lines[str(album / "2018/DSC_0102.jpg")] == {
        "schema": 1,
        "type": "indexed",
        "path": str(album / "2018/DSC_0102.jpg"),
        "status": "new",
        "faces": 2,
        "error": None,
    }
    others = {path: line for path, line in lines.items() if line["status"] != "new"}
    assert {path: (line["status"], line["faces"]) for path, line in others.items()} == {
        str(album / damaged): ("damaged", 1),
        str(album / failed): ("failed", 0),
    }
    assert others[str(album / damaged)]["error"] == "the file is cut off: 72 % of it could be read"
    assert others[str(album / failed)]["error"].startswith("not a photo")
    assert learned.first.summary | {"seconds": 0} == {
        "schema": 1,
        "type": "summary",
        "command": "index",
        "photos": 25,
        "new": 23,
        "changed": 0,
        "moved": 0,
        "unchanged": 0,
        "failed": 1,
        "damaged": 1,
        "faces": 23,
        "missing": 0,
        "pruned": 0,
        "left": 0,
        "unreachable": 0,
        "seconds": 0,
        "dry_run": False,
    }
    assert learned.first.code == 3


@pytest.mark.usefixtures("library")
def test_a_second_run_reads_nothing(chueok: Chueok, sample: Sample) -> None:
    again = chueok("index", "--json", sample.album, sample.album / "2018")
    assert (again.code, again.err, _counts(again)) == (0, "", {"photos": 25, "unchanged": 25})
    assert again.imported.isdisjoint({"torch", "onnxruntime", "PIL"})
    lines = {Path(line["path"]): line["faces"] for line in again.of_type("indexed")}
    assert lines == {photo: len(people) for photo, people in sample.people().items()}


def test_on_a_pipe_it_is_quiet_but_for_failures_and_the_summary(chueok: Chueok, album: Path) -> None:
    plain = chueok("index", album, "--jobs", "1")
    first, second, last = sorted(plain.err.splitlines())
    assert (plain.code, plain.out) == (3, b"")
    assert first.startswith(f"cannot read {album / 'broken.jpg'}: not a photo")
    assert second.startswith(f"cannot read {album / 'empty.png'}: ")
    assert last.startswith("indexed 4 photos (2 new, 2 failed): 2 faces in ")
    assert stamps(chueok.library).keys() == {".", "catalog.sqlite", "faces-1.table", "lock"}


@pytest.mark.usefixtures("library")
def test_quiet_leaves_the_failures_and_verbose_names_every_photo(chueok: Chueok, album: Path) -> None:
    quiet = chueok("-q", "index", album)
    verbose = chueok("index", "-v", album)
    assert [line.split(":")[0] for line in sorted(quiet.err.splitlines())] == [
        f"cannot read {album / 'broken.jpg'}",
        f"cannot read {album / 'empty.png'}",
    ]
    *photos, summary = verbose.err.splitlines()
    assert {line.split(" (")[0] for line in photos} == {f"unchanged: {path}" for path in album.iterdir()}
    assert summary.startswith("indexed 4 photos (4 unchanged)")
    assert (quiet.code, verbose.code) == (3, 0)


@pytest.mark.usefixtures("library")
def test_a_dry_run_says_what_would_be_done_and_changes_nothing(chueok: Chueok, album: Path) -> None:
    before = stamps(chueok.library)
    answer = chueok("index", "--dry-run", "--json", album)
    assert _statuses(answer) == dict.fromkeys([*SMALL, *BROKEN], "new")
    assert (answer.code, answer.summary["dry_run"]) == (0, True)
    assert stamps(chueok.library).keys() == before.keys()
    assert chueok("find", "grace", "--album", album).code == 1


def test_a_dry_run_without_a_library_leaves_nothing_behind(chueok: Chueok, album: Path) -> None:
    before = stamps(chueok.room)
    answer = chueok("index", "-n", album)
    rest = {name: stamp for name, stamp in stamps(chueok.room).items() if not name.startswith("reports")}
    assert (answer.code, answer.out) == (0, b"")
    assert answer.err == "would index 4 photos (4 new)\n"
    assert rest.keys() == {name for name in before if not name.startswith("reports")}


@pytest.mark.usefixtures("library")
def test_moved_changed_copied_and_vanished_photos(chueok: Chueok, album: Path, sample: Sample) -> None:
    chueok("index", album)
    (album / "sub").mkdir()
    (album / "grace.jpg").rename(album / "sub/mum.jpg")
    shutil.copyfile(album / "eileen.png", album / "copy.png")
    shutil.copyfile(sample.album / "2017/IMG_0002.jpg", album / "broken.jpg")
    moved = chueok("index", "--json")
    (album / "sub/mum.jpg").unlink()
    (album / "copy.png").unlink()
    vanished = chueok("index", "--json", album)
    kept = chueok("find", "grace", "--album", album)
    pruned = chueok("index", "--json", "--prune", album)
    forgotten = chueok("status", "--json")
    assert _statuses(moved) | dict.fromkeys(SMALL.keys() - {"grace.jpg"}, "unchanged") == {
        **_statuses(moved),
        "mum.jpg": "moved",
        "copy.png": "new",
        "broken.jpg": "changed",
        "empty.png": "unchanged",
    }
    assert _counts(moved) == {"photos": 30, "new": 1, "changed": 1, "moved": 1, "unchanged": 27}
    assert _counts(vanished) == {"photos": 3, "unchanged": 3, "missing": 2}
    assert kept.code == 1
    assert _counts(pruned) == {"photos": 3, "unchanged": 3, "pruned": 2}
    assert [(a["photos"], a["missing"]) for a in forgotten.records[0]["albums"]] == [(25, 0), (3, 0)]


@pytest.mark.usefixtures("library")
def test_an_album_that_is_not_there_forgets_nothing(chueok: Chueok, album: Path) -> None:
    chueok("index", album)
    album.rename(album.with_name("unplugged"))
    gone = chueok("index", "--prune", "--json")
    album.with_name("unplugged").rename(album)
    back = chueok("find", "grace", "--album", album)
    assert (gone.code, _counts(gone)) == (3, {"photos": 25, "unchanged": 25, "unreachable": 1})
    assert f"the album {album} is not there (is its disk plugged in?): nothing was forgotten" in gone.err
    assert back.paths == [album / "grace.jpg"]


@pytest.mark.usefixtures("library")
def test_what_could_not_be_read_is_tried_again_only_when_asked(chueok: Chueok, album: Path) -> None:
    first, second = chueok("index", album), chueok("index", album)
    asked = chueok("index", "--retry-failed", "--json", album)
    assert [first.code, second.code, asked.code] == [3, 0, 3]
    assert (second.err.count("cannot read"), asked.err) == (0, "")
    assert {name: status for name, status in _statuses(asked).items() if name in BROKEN} == dict.fromkeys(
        BROKEN, "failed"
    )


@pytest.mark.usefixtures("library")
def test_a_spent_budget_leaves_the_rest_for_the_next_run(chueok: Chueok, album: Path) -> None:
    (album / "broken.jpg").unlink()
    stopped = chueok("index", "--budget", "0s", album)
    went_on = chueok("index", "--json", "--budget", "1h30m", album)
    assert (stopped.code, went_on.code) == (0, 3)
    assert "3 photos left for the next run" in stopped.err
    assert _counts(went_on) == {"photos": 3, "new": 2, "failed": 1}


def test_several_albums_are_one_library(chueok: Chueok, make_folder: MakeFolder, sample: Sample) -> None:
    one = make_folder("one", {"grace.jpg": sample.album / SMALL["grace.jpg"]})
    two = make_folder("two", {"eileen.png": sample.album / SMALL["eileen.png"], "notes.txt": b"text"})
    together = chueok("index", "--json", one, two, one / "..", env={"CHUEOK_LIBRARY": str(two / "lib")})
    assert together.code == 0
    assert {name for name, status in _statuses(together).items() if status == "new"} == set(SMALL)


@pytest.mark.usefixtures("library")
def test_the_librarys_own_folder_and_a_destination_inside_the_album_are_left_out(
    chueok: Chueok, album: Path
) -> None:
    inside = album / "library"
    shutil.move(chueok.library, inside)
    env = {"CHUEOK_LIBRARY": str(inside)}
    shutil.copyfile(album / "grace.jpg", inside / "stray.jpg")
    chueok("index", album, env=env)
    chueok("find", "grace", "--album", album, "--copy", album / "out", env=env)
    again = chueok("index", album, "--json", env=env)
    assert (album / "out/grace.jpg").exists()
    assert _counts(again) == {"photos": 4, "unchanged": 4}


def test_only_regular_files_that_look_like_photos_are_read(
    chueok: Chueok, make_folder: MakeFolder, sample: Sample
) -> None:
    album = make_folder("album", {"grace.JPG": sample.album / SMALL["grace.jpg"], ".hidden.jpg": b"x"})
    os.mkfifo(album / "fifo.jpg")
    (album / "loop").symlink_to(album)
    (album / "link.jpg").symlink_to(sample.album / SMALL["grace.jpg"])
    (album / "device.jpg").symlink_to("/dev/zero")
    (album / "folder.jpg").mkdir()
    answer = chueok("index", "--json", album)
    assert (answer.code, _statuses(answer)) == (0, {"grace.JPG": "new"})


def test_a_folder_that_is_not_there_leaves_no_library_behind(chueok: Chueok, tmp_path: Path) -> None:
    answer = chueok("index", tmp_path / "nowhere")
    assert (answer.code, answer.out) == (2, b"")
    assert not chueok.library.exists()


def test_missing_weights_are_named_with_the_command_that_gets_them(chueok: Chueok, album: Path) -> None:
    answer = chueok("index", "--model", "facenet", album)
    assert (answer.code, answer.out) == (5, b"")
    assert "the model 'facenet' is not on this machine. Run: chueok model fetch facenet" in answer.err


def test_how_closely_photos_are_looked_at_can_be_said(chueok: Chueok, tmp_path: Path) -> None:
    """A face of 2 % of a photo's long side, and a portrait."""
    with Image.open(portraits.GRACE_HOPPER) as portrait:
        small = portrait.convert("RGB").resize((portrait.width * 2 // 9, portrait.height * 2 // 9))
        sheet = Image.new("RGB", (2600, 1900), (120, 140, 150))
        sheet.paste(small, (1200, 900))
        (tmp_path / "album").mkdir()
        sheet.save(tmp_path / "album" / "far.jpg", quality=95)
        portrait.convert("RGB").save(tmp_path / "album" / "near.jpg")
    ways: list[list[str]] = [
        [],
        ["--fast"],
        ["--detector-size", "full"],
        ["--detector-size", "full", "--min-face", "120"],
        ["--min-face", "9999"],
    ]
    found = []
    for number, way in enumerate(ways):
        answer = chueok("index", "--json", "--library", tmp_path / str(number), tmp_path / "album", *way)
        faces = {Path(line["path"]).name: line["faces"] for line in answer.of_type("indexed")}
        found.append((faces["far.jpg"], faces["near.jpg"]))
    assert found == [(1, 1), (0, 1), (1, 1), (0, 1), (0, 0)]


@pytest.mark.parametrize(
    "words", [["--detector-size", "12"], ["--detector-size", "big"], ["--min-face", "11"]]
)
def test_what_cannot_be_looked_for_is_a_usage_error(chueok: Chueok, tmp_path: Path, words: list[str]) -> None:
    answer = chueok("index", tmp_path, *words)
    assert answer.code == 2
    assert words[0] in answer.err
    assert not chueok.library.exists()
