"""Quantisation: what the eight-bit network is, that it answers as the float one did, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.lab.small import described, small_network, write_crops

from chueok.errors import ModelInvalid, OperationFailed, UsageError
from chueok.lab.models import LabModel, find_lab_model
from chueok.lab.quantize import Config, Report, quantize
from chueok.measures import QuantizeSummary
from chueok.settings import Settings
from chueok.vision.models.card import ModelCard, Recipe
from chueok.vision.models.fetch import obtain
from chueok.vision.models.manifest import read_manifest
from chueok.vision.models.registry import verify
from chueok.vision.runtime import open_session


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crops(tmp_path_factory.mktemp("faces") / "crops", 24)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(library=tmp_path / "library", models=tmp_path / "models", cache=tmp_path / "cache")


@pytest.fixture
def run(tmp_path: Path, settings: Settings, crops: Path) -> Callable[..., Report]:
    """Quantises the small network; keywords are of Config."""

    def ran(tail: str = "unit", **changes: object) -> Report:
        model = find_lab_model(str(described(tmp_path / "float", small_network(tail))), settings)
        config = Config(crops, tmp_path / "out", "small-int8", calibration=16, rounds=1)
        return quantize(model, dataclasses.replace(config, **changes), settings)  # type: ignore[arg-type]

    return ran


def _network(report: Report) -> onnx.ModelProto:
    return onnx.load(report.manifest.with_suffix(".onnx"))


def test_the_new_model_answers_as_the_old_one_did(run: Callable[..., Report], tmp_path: Path) -> None:
    report = run()
    old, new = (tmp_path / "float/small.onnx").read_bytes(), (tmp_path / "out/small-int8.onnx").read_bytes()
    assert report.summary == QuantizeSummary(
        "small-int8", tmp_path / "out/small-int8.toml", 16, 8, report.summary.seconds
    )
    before, after = report.networks
    assert (before.model, before.bytes, before.similarity, before.similarity_worst) == (
        "small", len(old), None, None,
    )  # fmt: skip
    assert (after.model, after.bytes) == ("small-int8", len(new))
    assert after.similarity is not None and after.similarity_worst is not None
    assert 0.97 < after.similarity_worst < after.similarity < 1
    assert min(before.ms_per_face, after.ms_per_face) > 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "small-int8.onnx",
        "small-int8.toml",
    ]


def test_the_manifest_is_the_old_one_but_for_name_and_file(
    run: Callable[..., Report], tmp_path: Path
) -> None:
    report = run()
    network = report.manifest.with_suffix(".onnx").read_bytes()
    assert read_manifest(report.manifest) == report.card
    assert report.card == dataclasses.replace(
        read_manifest(tmp_path / "float/small.toml"),
        name="small-int8",
        description="a small network; eight-bit",
        file="small-int8.onnx",
        size=len(network),
        sha256=hashlib.sha256(network).hexdigest(),
    )
    original = read_manifest(tmp_path / "float/small.toml")
    assert report.manifest.read_text().splitlines()[:2] == [
        f"# Made by `chueok lab quantize`, from small, sha256 {original.sha256},",
        "# whose thresholds these are.",
    ]


def test_what_was_made_can_be_installed_at_once(run: Callable[..., Report], settings: Settings) -> None:
    report = run()
    card, _ = obtain("small-int8", settings.models, str(report.manifest))
    verify(card, settings.models)
    assert card == report.card


@pytest.mark.parametrize("tail", ["unit", "bare"])
def test_inside_weights_are_eight_bit_and_both_ends_are_float(run: Callable[..., Report], tail: str) -> None:
    model = _network(run(tail))
    makers = {name: node for node in model.graph.node for name in node.output}
    weighted = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    rounded = [[makers[name].op_type for name in node.input if name in makers] for node in weighted]
    assert rounded == [["Div"]] + [["DequantizeLinear"] * len(node.input) for node in weighted[1:]]
    kinds = [node.op_type for node in model.graph.node]
    assert (
        kinds[kinds.index(weighted[-1].op_type, -4) :]
        == {
            "unit": ["Conv", "Flatten", "LpNormalization"],
            "bare": ["Gemm"],
        }[tail]
    )
    assert "BatchNormalization" not in kinds


def test_products_of_weights_fit_processors_without_vnni(run: Callable[..., Report]) -> None:
    tensors = [numpy_helper.to_array(tensor) for tensor in _network(run()).graph.initializer]
    largest = [
        int(abs(tensor.astype(int)).max())
        for tensor in tensors
        if tensor.dtype == np.int8 and tensor.ndim > 1
    ]
    assert largest == [64, 64, 64]
    assert 2 * 255 * 64 < 2**15


def test_the_file_stands_alone_and_tells_nothing_of_its_making(
    run: Callable[..., Report], tmp_path: Path
) -> None:
    report = run()
    model = _network(report)
    file = report.manifest.with_suffix(".onnx").read_bytes()
    session = open_session(file)
    (source,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (source.name, source.shape, answer.name, answer.shape) == (
        "crops", ["n", 3, 112, 112], "embeddings", ["n", 12],
    )  # fmt: skip
    assert (model.producer_name, len(model.metadata_props), [o.domain for o in model.opset_import]) == (
        "chueok lab quantize", 0, [""],
    )  # fmt: skip
    assert [word for word in (b"secret.py", bytes(tmp_path)) if word in file] == []
    assert session.run(None, {"crops": np.zeros((5, 3, 112, 112), np.float32)})[0].shape == (5, 12)


def test_the_same_seed_gives_the_same_bytes_and_replaces_its_own_files(run: Callable[..., Report]) -> None:
    first, again, other = (run(seed=seed).card.sha256 for seed in (0, 0, 1))
    assert first == again != other


def test_what_lies_hidden_under_alpha_changes_nothing(run: Callable[..., Report], tmp_path: Path) -> None:
    hidden = write_crops(tmp_path / "hidden", 24, hidden=255)
    assert run().card.sha256 == run(crops=hidden).card.sha256


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"calibration": 24}, "holds 24 crops; calibrating with 24 leaves none to compare on"),
        ({"name": "Small"}, "--name Small: it takes lower-case letters"),
        ({"name": "lite"}, "--name lite: it takes lower-case letters, .* and no name of chueok's own"),
    ],
)
def test_a_wrong_request_says_what_to_give(
    run: Callable[..., Report], tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        run(**changes)
    assert not list(tmp_path.glob("out/*"))


def test_a_file_of_somebody_elses_stays(run: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/small-int8.toml").write_text("mine")
    with pytest.raises(UsageError, match=r"small-int8.toml exists and was not made by `chueok lab quantize`"):
        run()
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        "small-int8.toml": "mine"
    }


def test_what_cannot_answer_takes_nothings_place(
    run: Callable[..., Report], settings: Settings, crops: Path, tmp_path: Path
) -> None:
    run()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    mute = onnx.load_from_string(small_network("bare"))
    (last,) = (tensor for tensor in mute.graph.initializer if tensor.name == "last")
    last.CopyFrom(numpy_helper.from_array(np.zeros((12, 16), np.float32), "last"))
    model = find_lab_model(str(described(tmp_path / "mute", mute.SerializeToString())), settings)
    with pytest.raises(ModelInvalid, match="numbers that have no direction"):
        quantize(model, Config(crops, tmp_path / "out", "small-int8", calibration=16, rounds=1), settings)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_folder_that_cannot_be_written_is_said_before_the_work(
    run: Callable[..., Report], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OperationFailed, match=r"cannot be written: Not a directory; free some space or choose"
    ):
        run(folder=tmp_path / "file" / "out")


def test_an_eight_bit_model_is_not_quantised_again(
    run: Callable[..., Report], settings: Settings, crops: Path, tmp_path: Path
) -> None:
    again = find_lab_model(str(run().manifest), settings)
    with pytest.raises(UsageError, match="quantised already; give the one in float"):
        quantize(again, Config(crops, tmp_path / "out", "again", calibration=1), settings)


def test_a_model_of_other_crops_is_refused(tmp_path: Path, settings: Settings) -> None:
    card = ModelCard("boxed", "", "MIT", "boxed.onnx", 1, "0" * 64, "onnx", 12, Recipe("box", 160))
    with pytest.raises(UsageError, match=r"takes other crops \(box, 160 pixels\)"):
        quantize(LabModel(card, tmp_path), Config(tmp_path, tmp_path, "mine"), settings)


def test_a_manifest_needs_its_network_beside_it(settings: Settings, tmp_path: Path) -> None:
    manifest = described(tmp_path / "float", small_network())
    network = tmp_path / "float/small.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelInvalid, match="is not the model 'small'"):
        find_lab_model(str(manifest), settings).network(settings)
    network.unlink()
    with pytest.raises(UsageError, match=r"there is no small.onnx beside .*small.toml"):
        find_lab_model(str(manifest), settings)


def test_a_model_is_found_by_its_name(settings: Settings) -> None:
    assert (
        hashlib.sha256(find_lab_model("lite", settings).network(settings)).hexdigest()
        == find_lab_model("lite", settings).card.sha256
    )
    with pytest.raises(UsageError, match="there is no model 'light'"):
        find_lab_model("light", settings)


@pytest.mark.weights
def test_a_torch_model_is_compiled_first(
    shared: Path, networks_cache: Path, crops: Path, tmp_path: Path
) -> None:
    settings = Settings(library=tmp_path, models=shared / "models", cache=networks_cache)
    model = find_lab_model("mobilefacenet", settings)
    report = quantize(model, Config(crops, tmp_path / "out", "mine", calibration=20, rounds=1), settings)
    before, after = report.networks
    assert after.bytes < before.bytes / 3
    assert after.similarity is not None and after.similarity > 0.95
