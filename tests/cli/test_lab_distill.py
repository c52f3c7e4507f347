"""`chueok lab distill` from outside: what it prints, leaves and refuses."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok
from tests.lab.small import described, small_network, write_crops


@pytest.fixture
def request_line(tmp_path: Path) -> list[str | Path]:
    """Arguments that teach a student of a small network, in three steps."""
    teacher = described(tmp_path / "teacher", small_network(), "teacher")
    (crop,) = write_crops(tmp_path / "crop", 1).iterdir()
    crops = tmp_path / "crops.tar"
    with tarfile.open(crops, "w") as archive:
        for number in range(1040):  # a thousand are held out
            archive.add(crop, f"{number}.png")
    return [
        "lab",
        "distill",
        "--teacher",
        teacher,
        "--crops",
        crops,
        "--out",
        tmp_path / "out",
        "--views",
        "96",
    ]


def test_a_student_is_learnt_and_can_be_installed(
    chueok: Chueok, request_line: list[str | Path], tmp_path: Path
) -> None:
    made = chueok(*request_line, "--student", "small", "--name", "mine")
    assert (made.code, made.out) == (0, b"")
    assert "96 views: loss " in made.err
    manifest = tmp_path / "out/mine.toml"
    assert f"`chueok model fetch mine --from {manifest}`" in made.err
    assert chueok("model", "fetch", "mine", "--from", manifest).code == 0
    again = chueok(*request_line, "--student", "small", "--name", "mine", "--json")
    kinds = [record["type"] for record in again.records]
    assert (again.code, kinds) == (0, ["learning"] * (len(kinds) - 1) + ["summary"])
    assert again.records[-1]["views"] == 96


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (["--student", "huge"], 2, "--student huge: it takes lite, small, medium"),
        (["--teacher", "sface"], 5, "chueok model fetch sface"),
        (["--teacher", "facenet"], 2, "takes other crops (box, 160 pixels)"),
        (["--device", "tpu"], 2, "it takes auto, cpu or cuda"),
        (["--name", "lite"], 2, "no name of chueok's own"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    chueok: Chueok, request_line: list[str | Path], changes: list[str], code: int, words: str
) -> None:
    refused = chueok(*request_line, *changes)
    assert (refused.code, words in refused.err) == (code, True), refused.err
