"""`chueok lab evaluate` from outside: figures for a person, a pipe and a program, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Sample
from tests.fakes import photo
from tests.lab.small import described, small_network

MakeFolder = Callable[..., Path]


@pytest.fixture
def people(make_folder: MakeFolder, sample: Sample) -> Path:
    """Two pictures of grace and of eileen, and one in which nobody is found."""
    return make_folder(
        "people",
        {
            "grace/1.jpg": sample.folder / "references/grace.jpg",
            "grace/2.jpg": sample.folder / "references/grace.jpg",
            "eileen/1.jpg": sample.folder / "references/eileen.jpg",
            "eileen/2.jpg": sample.folder / "references/eileen.jpg",
            "eileen/grey.png": photo([]),
        },
    )


@pytest.mark.weights
def test_figures_are_a_line_a_record_and_a_report(chueok: Chueok, people: Path) -> None:
    report = chueok.room / "report.json"
    plain = chueok("lab", "evaluate", people, "--report", report)
    answer = chueok("lab", "evaluate", people, "--model", "lite", "--json", "--report", report)
    assert (plain.code, answer.code) == (0, 0)
    same = "1.0000\t-\t-\t-\t1.0000\t-\t-\t-\t1.0000\t1.0000\t1.0000\t0.0000\t1.0000\t-\t-"
    assert plain.lines == [f"{people}\tlite\t{same}"]
    assert plain.err.splitlines()[0] == f"{people}: no face was found in 1 of 5 pictures: eileen/grey.png"
    assert plain.err.splitlines()[1].startswith(
        "measured 1 model on 5 pictures, 1 without a face, of 1 data set, in"
    )
    (line,) = answer.of_type("evaluation")
    assert (line["model"], line["faceless"], line["accuracy"], line["accuracy_by"], line["rank1"]) == (
        "lite", ["eileen/grey.png"], 1.0, "peak", 1.0,
    )  # fmt: skip
    assert (answer.summary["command"], answer.summary["faceless"]) == ("lab evaluate", 1)
    written = json.loads(report.read_text("utf-8"))
    assert (written["schema"], written["dataset"], written["pairs"]) == (
        1, str(people), {"positive": 2, "negative": 4, "no_face": 4},
    )  # fmt: skip
    assert [model["name"] for model in written["models"]] == ["lite"]
    assert written["models"][0]["tar_at_far"] == dict.fromkeys(("1e-2", "1e-3", "1e-4", "1e-5"))
    assert report.stat().st_mode & 0o777 == 0o600
    assert not chueok.library.exists()


@pytest.mark.weights
def test_models_of_one_name_are_told_apart_by_what_was_typed(
    chueok: Chueok, people: Path, tmp_path: Path
) -> None:
    manifests = [described(tmp_path / folder, small_network()) for folder in ("a", "b")]
    answer = chueok("lab", "evaluate", people, "--model", manifests[0], "--model", manifests[1])
    assert (answer.code, [line.split("\t")[1] for line in answer.lines]) == (0, list(map(str, manifests)))


def test_what_cannot_be_measured_is_refused_before_any_work(chueok: Chueok, make_folder: MakeFolder) -> None:
    alone = make_folder("alone", {"mom/1.jpg": b"x", "mom/2.jpg": b"x"})
    two = make_folder("two", {"mom/1.jpg": b"x", "mom/2.jpg": b"x", "dad/1.jpg": b"x"})
    report = make_folder("notes", {"mine.json": b"{}"}) / "mine.json"
    one_person = chueok("lab", "evaluate", alone)
    stranger = chueok("lab", "evaluate", two, "--model", "lit")
    absent = chueok("lab", "evaluate", two, "--model", "facenet")
    foreign = chueok("lab", "evaluate", two, "--report", report)
    assert [answer.code for answer in (one_person, stranger, absent, foreign)] == [2, 2, 5, 2]
    assert "shows one person only, mom" in one_person.err
    assert "did you mean 'lite'?" in stranger.err
    assert "chueok model fetch facenet" in absent.err
    assert "exists and was not made by chueok" in foreign.err
    assert report.read_bytes() == b"{}"
    assert one_person.imported.isdisjoint({"torch", "onnxruntime"})


@pytest.mark.weights
def test_a_page_shows_figures_curves_and_faces_and_loads_nothing(chueok: Chueok, people: Path) -> None:
    page, table = chueok.room / "page.html", chueok.room / "ages.csv"
    table.write_text("picture,age\ngrace/1.jpg,<b>old</b>\ngrace/2.jpg,<b>old</b>\n")
    answer = chueok("lab", "evaluate", people, "--html", page, "--by", table)
    assert answer.code == 0
    text = page.read_text("utf-8")
    assert "100.00 %" in text
    assert "&lt;b&gt;old&lt;/b&gt;" in text
    assert text.count("data:image/svg+xml;base64,") == 2
    assert text.count("data:image/jpeg;base64,") >= 4
    assert "http" not in text.replace("http-equiv", "")
    assert page.stat().st_mode & 0o777 == 0o600
    assert chueok("lab", "evaluate", people, "--html", people / "grace/1.jpg").code == 2


@pytest.mark.weights
def test_pairs_are_made_measured_and_models_compared_on_them(
    chueok: Chueok, people: Path, tmp_path: Path
) -> None:
    pairs = chueok.room / "pairs.csv"
    made = chueok("lab", "pairs", people, "--out", pairs, "--negatives", "all", "--json")
    assert (made.code, made.summary["positive"], made.summary["negative"], made.summary["faceless"]) == (
        0,
        2,
        4,
        1,
    )
    other = described(tmp_path, small_network())
    answer = chueok("lab", "compare", people, "--pairs", pairs, "--model", "lite", "--model", other, "--json")
    assert answer.code == 0
    assert [line["pairs"]["negative"] for line in answer.of_type("evaluation")] == [4, 4]
    (comparison,) = answer.of_type("comparison")
    assert (comparison["baseline"], comparison["changes"]["rank1"]["interval"]) == ("lite", None)
    one = chueok("lab", "compare", people, "--model", "lite")
    assert (one.code, "give two models or more" in one.err) == (2, True)
    assert chueok("lab", "pairs", people, "--out", pairs, "--negatives", "few").code == 2
