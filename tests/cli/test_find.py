"""`chueok find` and `why` from outside: who is found, in which order, and what is said of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Learned, Sample

from chueok.vision.models.registry import BUILT_IN

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("library")]

LOOSE, STRICT = (BUILT_IN["lite"].thresholds[far] for far in ("1e-2", "1e-3"))


def test_the_same_photos_in_the_same_order_as_lines_as_nul_ended_paths_and_as_json(
    chueok: Chueok, sample: Sample
) -> None:
    lines, nul, json = (chueok("find", "grace", *how) for how in ((), ("-0",), ("--json",)))
    matches = json.of_type("match")
    assert [answer.code for answer in (lines, nul, json)] == [0, 0, 0]
    assert nul.out == b"".join(os.fsencode(path) + b"\0" for path in lines.paths)
    assert [match["path"] for match in matches] == lines.lines
    assert set(lines.paths) == sample.of("grace")
    similarities = [match["similarity"] for match in matches]
    assert similarities == sorted(similarities, reverse=True)


def test_a_match_in_json_is_what_the_contract_says(chueok: Chueok, sample: Sample) -> None:
    photo = sample.album / "2018/DSC_0102.jpg"
    answer = chueok("find", "grace", "--json")
    (match,) = (match for match in answer.of_type("match") if match["path"] == str(photo))
    summary = chueok("find", "grace", "--json", "--limit", "1").summary
    assert match == {
        "schema": 1,
        "type": "match",
        "path": str(photo),
        "similarity": pytest.approx(0.980, abs=0.01),
        "threshold": STRICT,
        "person": "grace",
        "model": "lite",
        "face": {
            "id": match["face"]["id"],
            "box": pytest.approx([515, 331, 514, 657], abs=12),
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
        "threshold": STRICT,
        "threshold_origin": "lite at a false accept rate of 0.001",
        "beyond_limit": 10,
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
    assert (loose.summary["threshold"], loose.summary["photos"]) == (LOOSE, 11)
    assert (unknown.code, unknown.out) == (2, b"")
    assert "measured: 1e-2, 1e-3, 1e-4" in unknown.err


def test_why_says_how_near_every_face_is(chueok: Chueok, sample: Sample) -> None:
    photo = sample.album / "2018/DSC_0102.jpg"
    plain = chueok("why", photo, "--person", "grace")
    json = chueok("why", photo, "--person", "grace", "--json")
    assert [line.split("\t")[0] for line in plain.lines] == ["match", "no match"]
    assert [(line["matched"], line["threshold"], line["runner_up"]) for line in json.of_type("verdict")] == [
        (True, STRICT, "eileen"),
        (False, STRICT, "eileen"),
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
