"""Manifests: what is read from them, and what each wrong entry is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.vision.manifests import MANIFEST, MINE, manifest

from chueok.errors import ModelInvalid
from chueok.vision.models.card import ModelCard, Recipe
from chueok.vision.models.manifest import read_manifest, write_manifest


def test_a_manifest_says_everything_a_card_does(tmp_path: Path) -> None:
    assert read_manifest(manifest(tmp_path)) == MINE


@pytest.mark.parametrize(
    "card",
    [
        MINE,
        dataclasses.replace(MINE, url=None, thresholds={}, impostor_pairs=0, description='"한" \\ #'),
        dataclasses.replace(MINE, recipe=Recipe("box", 160, scale=(1e-5, 1e20, 0.1), margin=14)),
    ],
)
def test_a_card_is_written_and_read_again(tmp_path: Path, card: ModelCard) -> None:
    write_manifest(card, tmp_path / "mine.toml", "made of nothing\nby nobody")
    assert read_manifest(tmp_path / "mine.toml") == card
    assert (tmp_path / "mine.toml").read_text("utf-8").startswith("# made of nothing\n# by nobody\nname = ")


@pytest.mark.parametrize("wrong", [{"packaged": True}, {"architecture": "mobilefacenet"}, {"name": "a b"}])
def test_a_card_that_no_manifest_can_describe_is_not_written(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(
        ModelInvalid, match=r"mine.toml(: name = 'a b'; it takes| cannot describe the model 'mine')"
    ):
        write_manifest(dataclasses.replace(MINE, **wrong), tmp_path / "mine.toml")
    assert not (tmp_path / "mine.toml").exists()


def test_the_documented_manifest_is_a_manifest(tmp_path: Path) -> None:
    documentation = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    example = documentation.split("```toml\n")[1].split("```")[0]
    (tmp_path / "example.toml").write_text(example, encoding="utf-8")
    assert read_manifest(tmp_path / "example.toml").name == "ours"


@pytest.mark.parametrize(
    ("line", "wrong", "complaint"),
    [
        ('name = "mine"', 'name = "../mine"', "name = '../mine'; it takes lower-case letters"),
        ('name = "mine"', "", "lacks name"),
        ('licence = "CC-BY-4.0"', "licence = 4", "licence = 4; it takes a line of text"),
        ('file = "mine.onnx"', 'file = "a/mine.onnx"', "it takes a plain file name that ends in .onnx"),
        ('file = "mine.onnx"', 'file = "mine.pt"', "it takes a plain file name that ends in .onnx"),
        ("size = 7", "size = 7.5", "size = 7.5; it takes a whole number from 1 to"),
        ("size = 7", "size = true", "size = True; it takes a whole number"),
        ('sha256 = "{sha256}"', 'sha256 = "{sha256}0"', "it takes 64 lower-case hex digits"),
        ("dimension = 64", "dimension = 0", "dimension = 0; it takes a whole number from 2 to 4096"),
        ('crop = "arcface"', 'crop = "round"', "crop = 'round'; it takes 'arcface' or 'box'"),
        ("pixels = 112", "pixels = 4", "pixels = 4; it takes a whole number from 16 to 1024"),
        ("mean = 127.5", "mean = [1, 2]", r"mean = \[1, 2\]; it takes a number, or three"),
        ("mean = 127.5", "mean = nan", "mean = nan; it takes a number, or three"),
        ("mean = 127.5", "mean = 1" + "0" * 400, "it takes a number, or three"),
        ("1e-3 = 0.42", "1e-3 = 1" + "0" * 400, "takes similarities from -1 to 1"),
        ("scale = [128, 128.5, 129.0]", "scale = 0", "scale = 0; it divides, so it takes no 0"),
        ('colour = "bgr"', 'colour = "grey"', "colour = 'grey'; it takes 'rgb' or 'bgr'"),
        ("mirror = true", "mirror = 1", "mirror = 1; it takes true or false"),
        ("mirror = true", "mirrored = true", "there is no entry 'mirrored'; there are name, "),
        ('url = "https', 'url = "ftp', "it takes an http or https address"),
        ("1e-3 = 0.42", "1e-3 = 0.3", "must ask for more similarity at a lower rate"),
        ("1e-3 = 0.42", "1e-3 = 1.2", "takes similarities from -1 to 1"),
        ("1e-3 = 0.42", "strict = 0.42", "takes rates as 1e-2, 1e-3, 1e-4"),
    ],
)
def test_a_wrong_entry_is_named_with_what_it_takes(
    tmp_path: Path, line: str, wrong: str, complaint: str
) -> None:
    assert line in MANIFEST
    with pytest.raises(ModelInvalid, match=complaint):
        read_manifest(manifest(tmp_path, MANIFEST.replace(line, wrong)))


def test_a_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelInvalid, match="is not valid TOML"):
        read_manifest(tmp_path / "mine.toml")
    with pytest.raises(ModelInvalid, match="cannot be read: No such file"):
        read_manifest(tmp_path / "none.toml")
