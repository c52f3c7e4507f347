"""`chueok lab prune` from outside: the table, the files, and what is refused."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok
from tests.lab.people import tiny_network
from tests.lab.small import described, write_crops

from chueok.lab.students import Shape

WIDE = Shape(stem=4, widths=(32, 8, 8), depths=(1, 0, 0), head=8)


def test_every_form_has_a_line_and_the_pruned_one_is_ready_to_use(chueok: Chueok, tmp_path: Path) -> None:
    model = described(tmp_path / "tiny", tiny_network(WIDE), "tiny")
    (crop,) = write_crops(tmp_path / "crop", 1).iterdir()
    crops = tmp_path / "crops.tar"
    with tarfile.open(crops, "w") as archive:
        for number in range(1040):  # a thousand are held out
            archive.add(crop, f"{number}.png")
    line: list[str | Path] = [
        "lab",
        "prune",
        model,
        "--crops",
        crops,
        "--out",
        tmp_path / "out",
        "--amount",
        "0.5",
        "--json",
    ]
    made = chueok(*line, "--views", "96")
    assert made.code == 0, made.err
    assert [(record["type"], record.get("model")) for record in made.records] == [
        ("learning", None),
        ("learning", None),
        ("network", "tiny"),
        ("network", "tiny-pruned, before learning"),
        ("network", "tiny-pruned, in float"),
        ("network", "tiny-pruned"),
        ("summary", "tiny-pruned"),
    ]
    assert {key: made.summary[key] for key in ("command", "filters_before", "filters", "views")} == {
        "command": "lab prune", "filters_before": 32, "filters": 16, "views": 96,
    }  # fmt: skip
    manifest = tmp_path / "out/tiny-pruned.toml"
    assert made.records[-2]["bytes"] == manifest.with_suffix(".onnx").stat().st_size
    assert chueok("model", "fetch", "tiny-pruned", "--from", manifest).code == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["lite", "--amount", "1"], "--amount 1: it takes a share from 0 to 0.9"),
        (["lite"], "holds 3 crops; at least 1,032 are needed, of which 1,000 are held out"),
        (
            ["lite", "--name", "mine"],
            "mine.onnx exists and was not made by `chueok lab prune`; choose another",
        ),
        (["facenet"], "the network of 'facenet' is none that can be pruned; give lite"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    chueok: Chueok, tmp_path: Path, changes: list[str], words: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.onnx").write_text("mine")
    crops = write_crops(tmp_path / "crops", 3)
    refused = chueok("lab", "prune", *changes, "--crops", crops, "--out", tmp_path / "out")
    assert (refused.code, words in refused.err) == (2, True), refused.err
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != "lock"] == ["mine.onnx"]
