"""`chueok model` from outside: what there is, getting one, checking it, changing to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.cli.conftest import Chueok, Sample
from tests.vision.websites import Handler, Site, served

from chueok.vision.models.registry import BUILT_IN

NAMES = ["lite", "mobilefacenet", "facenet", "sface"]
MANIFEST = """
name = "mine"
description = "random projection of the pixels"
licence = "MIT"
file = "mine.onnx"
size = {size}
sha256 = "{sha256}"
dimension = 16
crop = "arcface"
pixels = 32
mean = 127.5
scale = 128
url = "http://127.0.0.1:9/mine.onnx"

[thresholds]
1e-3 = 0.9
"""


def _weights() -> bytes:
    """An ONNX network that projects the pixels of a crop at random: a model of its own embedding space."""
    matrix = np.random.default_rng(1).standard_normal((3 * 32 * 32, 16)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["input"], ["flat"]),
            helper.make_node("MatMul", ["flat", "matrix"], ["embedding"]),
        ],
        "projection",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 16])],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The manifest of a model of one's own, its weights beside it."""
    weights = _weights()
    (tmp_path / "mine.onnx").write_bytes(weights)
    manifest = tmp_path / "mine.toml"
    digest = hashlib.sha256(weights).hexdigest()
    manifest.write_text(MANIFEST.format(size=len(weights), sha256=digest), encoding="utf-8")
    return manifest


def test_models_are_listed_with_licence_size_and_hash(chueok: Chueok) -> None:
    plain, json = chueok("model", "list"), chueok("model", "list", "--json")
    lite = json.records[0]
    assert [line.split("\t") for line in plain.lines[:2]] == [
        ["lite", "installed", str(BUILT_IN["lite"].size), "MIT"],
        ["mobilefacenet", "missing", "4135271", "Apache-2.0"],
    ]
    assert [(record["type"], record["name"]) for record in json.records] == [
        ("model", name) for name in NAMES
    ]
    assert set(lite) == {
        "schema", "type", "name", "description", "dimension", "licence", "size", "sha256", "url", "installed",
        "current", "thresholds",
    }  # fmt: skip
    assert (lite["installed"], lite["dimension"], len(lite["sha256"])) == (True, 128, 64)
    assert plain.err == ""
    assert json.imported.isdisjoint({"torch", "onnxruntime"})


def test_a_model_is_installed_from_a_file_and_verified(chueok: Chueok, mine: Path) -> None:
    fetched = chueok("model", "fetch", "mine", "--from", mine)
    kept = chueok.room / "models/mine.onnx"
    verified = chueok("model", "verify")
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    damaged = chueok("model", "verify", "mine")
    repaired = chueok("model", "fetch", "mine", "--from", mine)
    assert [fetched.code, verified.code, damaged.code, repaired.code] == [0, 0, 6, 0]
    assert fetched.err == f"mine is installed and verified: {kept}\n"
    assert verified.err.splitlines() == [
        "lite: the sha256 of the weights is right",
        "mine: the sha256 of the weights is right",
    ]
    assert f"{kept} is not the model 'mine': its sha256 is " in damaged.err
    assert [answer.out for answer in (fetched, verified, damaged, repaired)] == [b""] * 4
    assert kept.stat().st_mode & 0o777 == 0o600


def test_what_is_not_the_weights_is_never_installed(chueok: Chueok, mine: Path) -> None:
    (mine.parent / "page.pt").write_text("<!DOCTYPE html><html>404</html>")
    page = chueok("model", "fetch", "facenet", "--from", mine.parent / "page.pt")
    absent = chueok("model", "fetch", "facenet", "--from", "nowhere.pt")
    stranger = chueok("model", "fetch", "facent")
    assert [page.code, absent.code, stranger.code] == [6, 2, 2]
    assert "did you mean 'facenet'?" in stranger.err
    assert [path.name for path in (chueok.room / "models").glob("*.pt")] == []
    assert chueok("model", "verify", "facenet").code == 5


@pytest.fixture
def site(mine: Path) -> Iterator[Site]:
    """A server that offers the weights."""
    offered = Site(content=(mine.parent / "mine.onnx").read_bytes())
    with served(Handler, site=offered) as address:
        offered.address = address
        yield offered


def test_fetch_downloads_once_what_a_manifest_describes(chueok: Chueok, mine: Path, site: Site) -> None:
    (mine.parent / "mine.onnx").unlink()
    text = mine.read_text("utf-8").replace("http://127.0.0.1:9", site.address)
    mine.write_text(text, encoding="utf-8")
    online = {"TEST_GUARD_NETWORK": "1", "no_proxy": "127.0.0.1"}
    fetched = chueok("model", "fetch", "mine", "--from", mine, env=online)
    again = chueok("model", "fetch", "mine", env=online)
    assert (fetched.code, fetched.out, again.code) == (0, b"", 0)
    assert site.asked == [("/mine.onnx", None)]
    assert hashlib.sha256((chueok.room / "models/mine.onnx").read_bytes()).hexdigest() in text


def test_a_page_in_place_of_the_weights_is_6_and_installs_nothing(
    chueok: Chueok, mine: Path, site: Site
) -> None:
    site.content, site.content_type = b"<!DOCTYPE html><html>log in</html>", "text/html"
    online = {"TEST_GUARD_NETWORK": "1", "no_proxy": "127.0.0.1"}
    answer = chueok("model", "fetch", "facenet", "--from", f"{site.address}/weights.pt", env=online)
    assert (answer.code, answer.out) == (6, b"")
    assert "a web page" in answer.err
    assert [path.name for path in (chueok.room / "models").glob("*.pt")] == []


@pytest.mark.weights
@pytest.mark.usefixtures("library")
def test_another_model_embeds_the_known_faces_anew_and_keeps_the_people(
    chueok: Chueok, sample: Sample, mine: Path
) -> None:
    missing = chueok("model", "use", "facenet")
    chueok("model", "fetch", "mine", "--from", mine)
    used = chueok("model", "use", "mine", "--json", "--jobs", "2")
    listed = {record["name"]: record["current"] for record in chueok("model", "list", "--json").records}
    found = chueok("find", "grace", "--json")
    other = chueok("index", "--model", "lite", sample.album)
    back = chueok("model", "use", "lite", "--json")
    assert (missing.code, used.code, other.code, back.code) == (5, 0, 12, 0)
    assert (used.summary["faces"], used.summary["failed"]) == (24, 0)
    assert "no measured threshold" not in used.err
    assert listed == dict.fromkeys(NAMES, False) | {"mine": True}
    assert (found.summary["threshold"], found.of_type("match")[0]["model"]) == (0.9, "mine")
    assert "`chueok model use lite` changes it and keeps the people" in other.err
    assert back.of_type("indexed") == [], "its embeddings were kept"
    assert "nothing was left to do: all 24 faces were embedded before" in chueok("model", "use", "lite").err
    assert set(chueok("find", "grace").paths) == sample.of("grace")


@pytest.mark.usefixtures("library")
def test_a_model_without_weights_changes_nothing(chueok: Chueok, sample: Sample) -> None:
    gallery = chueok("lookalike", sample.folder / "selfie.jpg", "-g", sample.folder / "gallery", "--json")
    before = chueok("status", "--json").records
    refused = chueok("model", "use", "facenet")
    assert (gallery.code, refused.code) == (0, 5)
    assert "Run: chueok model fetch facenet (or, with a copy of" in refused.err
    assert chueok("status", "--json").records == before


def test_an_empty_library_does_not_take_a_model_without_weights(chueok: Chueok, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert chueok("index", tmp_path / "empty").code == 0
    assert chueok("model", "use", "facenet").code == 5
    assert [record["name"] for record in chueok("model", "list", "--json").records if record["current"]] == [
        "lite"
    ]


@pytest.mark.weights
def test_published_weights_are_installed_from_a_file(chueok: Chueok, shared: Path) -> None:
    weights = shared / "models/mobilefacenet-ms1m.pt"
    fetched = chueok("model", "fetch", "mobilefacenet", "--from", weights)
    assert (fetched.code, chueok("model", "verify", "mobilefacenet").code) == (0, 0)


@pytest.mark.weights
@pytest.mark.usefixtures("library")
def test_a_model_without_thresholds_says_so_when_it_is_taken(chueok: Chueok, mine: Path) -> None:
    mine.write_text(mine.read_text("utf-8").partition("[thresholds]")[0], "utf-8")
    chueok("model", "fetch", "mine", "--from", mine)
    used = chueok("model", "use", "mine")
    assert used.code == 0
    assert "this model has no measured threshold: give `chueok find` a --threshold" in used.err
