"""`chueok find` from outside: who is found, in which order, and what becomes of the photos."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Learned, Sample, stamps

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("library")]

GRACE_SCAN = "2023/scan.png"  # of grace, without a date of its own


def test_the_same_photos_in_the_same_order_as_lines_as_nul_ended_paths_and_as_json(
    chueok: Chueok, sample: Sample
) -> None:
    lines, nul, json = (chueok("find", "grace", *how) for how in ((), ("-0",), ("--json",)))
    matches = json.of_type("match")
    assert [answer.code for answer in (lines, nul, json)] == [0, 0, 0]
    assert nul.out == b"".join(os.fsencode(path) + b"\0" for path in lines.paths)
    assert [match["path"] for match in matches] == lines.lines
    assert set(lines.paths) == sample.of("grace")
    order = [(-match["similarity"], match["path"]) for match in matches]
    assert order == sorted(order)


def test_a_match_in_json_is_what_the_contract_says(chueok: Chueok, sample: Sample) -> None:
    photo = sample.album / "2018/DSC_0102.jpg"
    answer = chueok("find", "grace", "--json", "--limit", "1")
    match, summary = answer.of_type("match")[0], answer.summary
    assert match == {
        "schema": 1,
        "type": "match",
        "path": str(photo),
        "similarity": pytest.approx(0.972, abs=0.005),
        "threshold": 0.564,
        "person": "grace",
        "model": "lite",
        "face": {
            "id": match["face"]["id"],
            "box": pytest.approx([500, 327, 530, 650], abs=8),
            "probability": pytest.approx(1, abs=0.01),
        },
        "taken_at": "2018-01-20T14:03:12",
        "reference": str(sample.folder / "references/grace.jpg"),
    }
    assert list(match)[2:] == [
        "path", "similarity", "threshold", "person", "model", "face", "taken_at", "reference"
    ]  # fmt: skip
    assert summary | {"seconds": 0, "faces": 0} == {
        "schema": 1,
        "type": "summary",
        "command": "find",
        "people": ["grace"],
        "photos": 1,
        "faces": 0,
        "threshold": 0.564,
        "threshold_origin": "lite at a false accept rate of 0.001",
        "seconds": 0,
    }


def _within(sample: Sample, *folders: str) -> set[Path]:
    return {photo for photo in sample.people() if photo.relative_to(sample.album).parts[0] in folders}


TRIPLET = "2023/exhibition/wall 1.jpg"
QUESTIONS: dict[str, tuple[list[str], Callable[[Sample], set[Path]]]] = {
    "and": (["grace & eileen"], lambda s: s.of("grace", "eileen")),
    "or": (["eileen|grace"], lambda s: s.of("grace") | s.of("eileen")),
    "not": (["eileen & !grace"], lambda s: s.of("eileen") - s.of("grace")),
    "parentheses": (
        ["(grace | eileen) & !(grace & eileen)"],
        lambda s: s.of("grace") ^ s.of("eileen"),
    ),
    "--person twice": (["--person", "grace", "-p", "eileen"], lambda s: s.of("grace") | s.of("eileen")),
    "--with": (["grace", "--with", "eileen"], lambda s: s.of("grace", "eileen")),
    "--without": (["grace", "--without", "eileen"], lambda s: s.of("grace") - s.of("eileen")),
    "--only": (
        ["grace", "--only"],
        lambda s: {photo for photo, people in s.people().items() if people == {"grace"}},
    ),
    "--only, of two": (
        ["grace & eileen", "--only"],
        lambda s: {photo for photo, people in s.people().items() if people == {"grace", "eileen"}},
    ),
    "--count": (["grace", "--count", "2..4"], lambda s: s.of("grace", "eileen")),
    "--count of one number": (["eileen", "--count", "3"], lambda s: {s.album / TRIPLET}),
    "--after": (
        ["grace", "--after", "2021-08"],
        lambda s: s.of("grace") & _within(s, "2021", "2023") - {s.album / "2023/IMG_0001 (1).jpg"},
    ),
    "--before": (
        ["grace", "--before", "2018"],
        lambda s: (s.of("grace") & _within(s, "2017")) | {s.album / "2023/IMG_0001 (1).jpg"},
    ),
    "--after and --before": (
        ["grace", "--after", "2019-05-02", "--before", "2019-05-03T08:45:00"],
        lambda s: {s.album / "2019 가족여행/사진 01.jpg"},
    ),
    "--album": (["eileen", "--album", "{album}/2018"], lambda s: s.of("eileen") & _within(s, "2018")),
    "--min-face": (
        ["grace", "--min-face", "500"],
        lambda s: {
            s.album / name
            for name in (
                "2017/IMG_0004.jpg",
                "2018/DSC_0102.jpg",
                "2019 가족여행/사진 03.webp",
                "2021/20210814_101500.jpg",
            )
        },
    ),
}


@pytest.mark.parametrize(("arguments", "expected"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_finds_exactly_the_photos_of_the_truth(
    chueok: Chueok, sample: Sample, arguments: list[str], expected: Callable[[Sample], set[Path]]
) -> None:
    answer = chueok("find", *(argument.format(album=sample.album) for argument in arguments))
    assert (set(answer.paths), answer.code) == (expected(sample), 0)


def test_a_reference_photo_finds_the_person_in_it(chueok: Chueok, sample: Sample) -> None:
    selfie = os.path.relpath(sample.folder / "selfie.jpg", chueok.room / "desk")
    answer = chueok("find", "--person", selfie, "--without", "grace", "--json")
    matches = answer.of_type("match")
    assert {Path(match["path"]) for match in matches} == sample.of("eileen") - sample.of("grace")
    assert {(match["person"], Path(match["reference"]).name) for match in matches} == {(selfie, "selfie.jpg")}


def test_a_person_with_several_references_is_matched_by_the_best_and_the_answer_says_which(
    chueok: Chueok, sample: Sample
) -> None:
    far_away = sample.album / "2019 가족여행/사진 02.jpg"
    added = chueok("enroll", "eileen", far_away)
    matches = chueok("find", "eileen", "--json").of_type("match")
    chosen = {Path(match["path"]): Path(match["reference"]).name for match in matches}
    assert added.code == 0
    assert (matches[0]["similarity"], chosen[far_away]) == (1.0, far_away.name)
    assert set(chosen) == sample.of("eileen")
    assert set(chosen.values()) == {"eileen.jpg", far_away.name}


def test_a_reference_of_several_people_needs_to_be_told_which(chueok: Chueok, sample: Sample) -> None:
    pair = sample.album / "2018/DSC_0102.jpg"
    refused = chueok("find", "--person", pair)
    largest = chueok("find", "--person", pair, "--largest")
    assert (refused.code, refused.out) == (4, b"")
    assert "shows 2 faces, left to right" in refused.err
    assert (largest.code, set(largest.paths)) == (0, sample.of("grace"))


def test_the_threshold_can_be_given_or_taken_at_another_false_accept_rate(chueok: Chueok) -> None:
    strict = chueok("find", "grace", "--json", "--threshold", "0.965")
    loose = chueok("find", "grace", "--json", "--far", "1e-2")
    unknown = chueok("find", "grace", "--json", "--far", "0.5")
    assert (strict.summary["threshold"], strict.summary["threshold_origin"]) == (0.965, "given")
    assert all(match["similarity"] >= 0.965 for match in strict.of_type("match"))
    assert 0 < strict.summary["photos"] < loose.summary["photos"]
    assert (loose.summary["threshold"], loose.summary["photos"]) == (0.454, 11)
    assert (unknown.code, unknown.out) == (2, b"")
    assert "measured: 1e-2, 1e-3, 1e-4" in unknown.err


# ---- collecting ----


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


def test_a_photo_that_is_gone_is_named_and_the_others_are_copied(
    chueok: Chueok, make_folder: Callable[..., Path], sample: Sample
) -> None:
    album = make_folder(
        "album", {"stays.jpg": sample.album / "2017/IMG_0001.jpg", "goes.png": sample.album / GRACE_SCAN}
    )
    chueok("index", album)
    (album / "goes.png").unlink()
    answer = chueok("find", "grace", "--album", album, "--copy", "out", "-q")
    assert (answer.code, answer.err) == (6, f"{album / 'goes.png'}: it is no longer there\n")
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


def test_why_says_how_near_every_face_is(chueok: Chueok, sample: Sample) -> None:
    photo = sample.album / "2018/DSC_0102.jpg"
    plain = chueok("why", photo, "--person", "grace")
    json = chueok("why", photo, "--person", "grace", "--json")
    assert [line.split("\t")[0] for line in plain.lines] == ["match", "no match"]
    assert [(line["matched"], line["threshold"], line["runner_up"]) for line in json.of_type("verdict")] == [
        (True, 0.564, "eileen"),
        (False, 0.564, "eileen"),
    ]
    hers, other = json.of_type("verdict")
    assert hers["margin"] == pytest.approx(hers["similarity"] - hers["runner_up_similarity"], abs=1e-4)
    assert (hers["margin"] > 0.5, other["margin"] < -0.5) == (True, True)
    assert hers["reference"] == str(sample.folder / "references/grace.jpg")


def test_why_takes_a_photo_from_anywhere_and_ends_with_1_when_it_does_not_match(
    chueok: Chueok, sample: Sample
) -> None:
    selfie = sample.folder / "selfie.jpg"
    other = chueok("why", selfie, "--person", "grace")
    strict = chueok("why", selfie, "--person", "eileen", "--threshold", "0.999", "--json")
    nobody = chueok("why", sample.album / "2017/IMG_0003.jpg", "--person", "grace")
    assert (other.code, other.lines[0].split("\t")[0]) == (1, "no match")
    assert (strict.code, [line["threshold"] for line in strict.of_type("verdict")]) == (1, [0.999])
    assert (nobody.code, nobody.out) == (4, b"")
    assert "matches nobody" in nobody.err


def test_the_sample_was_learned_as_its_truth_says(learned: Learned) -> None:
    faces = {Path(line["path"]): line["faces"] for line in learned.first.of_type("indexed")}
    assert faces == {photo: len(people) for photo, people in learned.sample.people().items()}
