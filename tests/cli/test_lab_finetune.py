"""`chueok lab finetune` from outside: what it prints, leaves and refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok
from tests.lab.people import write_people


@pytest.fixture
def request_line(tmp_path: Path) -> list[str | Path]:
    """Arguments for people whom no detector takes for faces."""
    return ["lab", "finetune", write_people(tmp_path / "set", range(6), 2), "--out", tmp_path / "out"]


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (["--loss", "softmax"], 2, "--loss softmax: it takes arcface, triplet"),
        (["--freeze", "head"], 2, "--freeze head: it takes none, bn, conv, all-but-head"),
        (["--optimizer", "lion"], 2, "--optimizer lion: it takes sgd, adam, adamw"),
        (["--schedule", "linear"], 2, "--schedule linear: it takes cosine, step, constant"),
        (["--size", "160"], 2, "the last layer of 'lite' takes the features of 112 x 112 pixels"),
        (["--model", "facenet"], 5, "chueok model fetch facenet"),
        (["--model", "sface"], 5, "chueok model fetch sface"),
        (["--lr", "0"], 2, "--lr 0: it takes a number above 0"),
        (["--name", "lite"], 2, "no name of chueok's own"),
        (["--public", "nowhere"], 2, "nowhere is not a folder"),
        (["--sweep", "nowhere.toml"], 2, "the grid nowhere.toml cannot be read"),
        (["--device", "tpu"], 2, "it takes auto, cpu or cuda"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    chueok: Chueok, request_line: list[str | Path], tmp_path: Path, changes: list[str], code: int, words: str
) -> None:
    refused = chueok(*request_line, *changes)
    assert (refused.code, words in refused.err) == (code, True), refused.err
    assert not (tmp_path / "out/checkpoint.pt").exists()


def test_data_sets_that_teach_nothing_are_refused_in_words(chueok: Chueok, tmp_path: Path) -> None:
    one_each = write_people(tmp_path / "one-each", range(6), 1)
    one_person = write_people(tmp_path / "one-person", range(1), 6)
    label = one_person / "p00/0.png"
    for given, words in (
        (one_each, "has one picture of each person, so no two of the same"),
        (one_person, "shows one person only, p00, so there is nobody to be told from"),
        (
            label,
            "0.png is not a folder; a data set is a folder with a sub-folder of pictures for each person",
        ),
    ):
        refused = chueok("lab", "finetune", given, "--out", tmp_path / "out")
        assert (refused.code, words in refused.err) == (2, True), refused.err


@pytest.fixture
def celebrities(shared: Path, tmp_path: Path) -> Path:
    """Six people with three pictures each."""
    return _people(shared, tmp_path / "people", 0, 6)


@pytest.fixture
def others(shared: Path, tmp_path: Path) -> Path:
    """Three more."""
    return _people(shared, tmp_path / "others", 6, 9)


def _people(shared: Path, folder: Path, first: int, last: int) -> Path:
    for person in sorted((shared / "faces/asian_celebs").iterdir())[first:last]:
        (folder / person.name).mkdir(parents=True)
        for picture in sorted(person.iterdir())[:3]:
            shutil.copy(picture, folder / person.name)
    return folder


@pytest.mark.weights
def test_a_run_and_a_sweep_on_real_faces(
    chueok: Chueok, celebrities: Path, others: Path, tmp_path: Path
) -> None:
    line: list[str | Path] = ["lab", "finetune", celebrities, "--epochs", "1", "--batch", "8", "--jobs", "1"]
    made = chueok(*line, "--out", tmp_path / "out", "--public", others, "--adapt", celebrities, "--json")
    assert made.code == 0, made.err
    assert "2 people to learn from" in made.err
    assert [record["epoch"] for record in made.of_type("epoch")] == [0, 1]
    assert made.of_type("epoch")[0]["loss"] is None
    assert made.summary["command"] == "lab finetune"
    assert (tmp_path / "out/curve.png").exists()
    overlapping = chueok(*line, "--out", tmp_path / "out", "--public", celebrities)
    assert (overlapping.code, "give other people" in overlapping.err) == (2, True)
    (tmp_path / "grid.toml").write_text('loss = ["arcface", "triplet"]\n')
    swept = chueok(*line, "--out", tmp_path / "sweep", "--sweep", tmp_path / "grid.toml")
    assert swept.code == 0, swept.err
    assert {line.split("\t")[-1] for line in swept.lines} == {"loss=arcface", "loss=triplet"}
    assert "compared 2 combinations in" in swept.err
    again = chueok(*line, "--out", tmp_path / "sweep", "--sweep", tmp_path / "grid.toml")
    assert (again.out, "(2 by earlier runs)" in again.err) == (swept.out, True), again.err
