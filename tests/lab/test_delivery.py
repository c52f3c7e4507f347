"""What the lab leaves is signed, and takes no other file's place."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper
from tests.lab.small import described, small_network

from chueok.errors import UsageError
from chueok.lab.delivery import Maker, delivery, signed
from chueok.lab.models import LabModel
from chueok.vision.models.manifest import read_manifest
from chueok.vision.runtime import open_session


@pytest.fixture
def original(tmp_path: Path) -> LabModel:
    return LabModel(read_manifest(described(tmp_path / "float", small_network())), tmp_path / "float")


def _deliver(original: LabModel, folder: Path, maker: Maker, name: str = "mine") -> None:
    with delivery(folder, name, maker, original) as delivered:
        network = signed(onnx.load_from_string(small_network()), maker)
        delivered.put(original.card, network, "from small.")


def test_a_command_replaces_its_own_models_only(original: LabModel, tmp_path: Path) -> None:
    for _ in range(2):
        _deliver(original, tmp_path / "out", Maker.DISTILL)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert before["mine.toml"].startswith(b"# Made by `chueok lab distill`, from small.\n")
    with pytest.raises(
        UsageError, match=r"mine\.onnx exists and was not made by `chueok lab quantize`; choose"
    ):
        _deliver(original, tmp_path / "out", Maker.QUANTIZE)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_model_made_by_the_same_command_stays_where_it_is_the_original(
    original: LabModel, tmp_path: Path
) -> None:
    _deliver(original, tmp_path / "out", Maker.DISTILL)
    made = LabModel(read_manifest(tmp_path / "out/mine.toml"), tmp_path / "float/../out")
    with pytest.raises(
        UsageError, match=r"mine\.onnx is what the new model is made from; choose another --name"
    ):
        _deliver(made, tmp_path / "out", Maker.DISTILL)
    _deliver(made, tmp_path / "out", Maker.DISTILL, "other")


def test_sets_of_operators_stay_where_they_are_used_by_whatever_name() -> None:
    branch = _model(_node("Trilu", "", "inside"), "inside").graph
    choice = helper.make_node("If", ["yes"], ["y"], domain="ai.onnx", then_branch=branch, else_branch=branch)
    model = _model(choice, "y")
    assert _sets(model, "ai.onnx", "ai.onnx.ml") == ["ai.onnx"]
    branch.node[0].domain = "com.microsoft"
    choice.attribute[0].g.CopyFrom(branch)
    assert _sets(_model(choice, "y"), "", "com.microsoft", "ai.onnx.ml") == ["", "com.microsoft"]


def test_sets_of_functions_stay() -> None:
    twice = helper.make_function(
        "own",
        "Twice",
        ["x"],
        ["y"],
        [_node("Gelu", "com.microsoft", "y")],
        [helper.make_opsetid("com.microsoft", 1)],
    )
    model = _model(_node("Twice", "own", "y"), "y")
    model.functions.append(twice)
    assert _sets(model, "", "own", "com.microsoft") == ["own", "com.microsoft"]


def test_traces_inside_branches_and_functions_go() -> None:
    branch = _model(_node("Relu", "", "inside"), "inside").graph
    branch.node[0].metadata_props.add(key="stack_trace", value="/home/somebody/secret.py")
    model = _model(helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch), "y")
    assert b"secret.py" not in signed(model, Maker.DISTILL)


def test_a_signed_network_answers() -> None:
    network = signed(onnx.load_from_string(small_network()), Maker.QUANTIZE)
    assert onnx.load_from_string(network).producer_name == "chueok lab quantize"
    assert [value.name for value in open_session(network).get_inputs()] == ["crops"]


def _node(kind: str, domain: str, output: str) -> NodeProto:
    return helper.make_node(kind, ["x"], [output], domain=domain)


def _model(node: NodeProto, output: str) -> ModelProto:
    answer = helper.make_tensor_value_info(output, TensorProto.FLOAT, [2, 2])
    return helper.make_model(helper.make_graph([node], "graph", [], [answer]))


def _sets(model: ModelProto, *declared: str) -> list[str]:
    """Which of the declared sets of operators a signed network still declares."""
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, 1) for domain in declared)
    return [entry.domain for entry in onnx.load_from_string(signed(model, Maker.DISTILL)).opset_import]
