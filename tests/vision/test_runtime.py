"""Opening networks: nothing but verified bytes is run, and nothing is reported to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper

from chueok.errors import ModelInvalid, ModelMissing
from chueok.vision.models.registry import BUILT_IN, PACKAGED_WEIGHTS
from chueok.vision.models.selfcontained import DATA_LOCATION, EXTERNAL_DATA, LEADS, check_self_contained
from chueok.vision.runtime import open_session


def kernel() -> TensorProto:
    return numpy_helper.from_array(np.ones((2, 1, 2, 2), np.float32), "kernel")


def outside(location: str = "weights.bin") -> TensorProto:
    """The same kernel, its numbers in another file."""
    tensor = kernel()
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def graph(tensor: TensorProto | None = None) -> GraphProto:
    return helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["answer"])],
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, 2, 3, 3])],
        [tensor or kernel()],
    )


def model(made: GraphProto) -> ModelProto:
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def with_attribute(attribute: AttributeProto) -> ModelProto:
    made = model(graph())
    made.graph.node[0].attribute.append(attribute)
    return made


def as_initializer() -> ModelProto:
    return model(graph(outside()))


def as_constant() -> ModelProto:
    return with_attribute(helper.make_attribute("value", outside()))


def in_a_list() -> ModelProto:
    return with_attribute(helper.make_attribute("values", [kernel(), outside()]))


def in_a_branch() -> ModelProto:
    return with_attribute(helper.make_attribute("then_branch", graph(outside())))


def in_branches() -> ModelProto:
    return with_attribute(helper.make_attribute("branches", [graph(), graph(outside())]))


def in_a_function() -> ModelProto:
    node = helper.make_node("Constant", [], ["c"], value=outside())
    made = model(graph())
    made.functions.append(helper.make_function("own", "f", [], ["c"], [node], [helper.make_opsetid("", 17)]))
    return made


def in_a_functions_default() -> ModelProto:
    made = in_a_function()
    made.functions[0].ClearField("node")
    made.functions[0].attribute_proto.append(helper.make_attribute("value", outside()))
    return made


def sparse() -> ModelProto:
    made = model(graph())
    made.graph.sparse_initializer.add().indices.CopyFrom(outside())
    return made


def in_training() -> ModelProto:
    made = model(graph())
    made.training_info.add().algorithm.CopyFrom(graph(outside()))
    return made


@pytest.mark.parametrize(
    "made",
    [
        as_initializer,
        as_constant,
        in_a_list,
        in_a_branch,
        in_branches,
        in_a_function,
        in_a_functions_default,
        sparse,
        in_training,
    ],
)
def test_numbers_in_another_file_are_refused_wherever_they_are_named(
    made: Callable[[], ModelProto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.ones(8, np.float32).tofile("weights.bin")
    with pytest.raises(ModelInvalid, match="the model keeps a part of its numbers in other files"):
        open_session(made().SerializeToString())


def test_a_reference_alone_is_refused_whatever_the_place_says() -> None:
    tensor = outside()
    tensor.data_location = TensorProto.DEFAULT
    with pytest.raises(ModelInvalid, match="other files"):
        open_session(model(graph(tensor)).SerializeToString())


@pytest.mark.parametrize("location", ["weights.bin", "../album/weights.bin"])
def test_a_reference_that_our_own_look_overlooked_is_not_followed(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second lock. The first one is taken away, since no network is known that gets past it."""
    (tmp_path / "album").mkdir()
    monkeypatch.chdir(tmp_path / "album")
    np.ones(8, np.float32).tofile("weights.bin")
    monkeypatch.setattr("chueok.vision.runtime.check_self_contained", lambda network, name: None)
    with pytest.raises(ModelInvalid, match="is damaged or is not an ONNX model"):
        open_session(model(graph(outside(location))).SerializeToString())


def test_a_network_in_onnx_runtimes_own_format_is_refused() -> None:
    """It cannot be walked; these bytes are a valid ONNX model too: an unknown field in front."""
    disguise = bytes([0x82, 0x7D, 4, 0]) + b"ORTM"  # field 2000, four bytes: \0ORT; then M
    with pytest.raises(ModelInvalid):
        open_session(disguise + model(graph()).SerializeToString())


def test_every_way_to_a_tensor_is_known() -> None:
    """What onnx says leads from a model to tensors, compared with what is walked."""
    inner: dict[str, dict[int, str]] = {}
    waiting = [ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.name not in inner:
            ways = [field for field in message.fields if field.message_type]
            inner[message.name] = {field.number: field.message_type.name for field in ways}
            waiting += [field.message_type for field in ways]
    leading = {"TensorProto"}
    while more := {kind for kind, ways in inner.items() if leading & set(ways.values())} - leading:
        leading |= more
    leads = {
        kind: {number: name for number, name in inner[kind].items() if name in leading}
        for kind in leading - {"TensorProto"}
    }
    numbers = TensorProto.DESCRIPTOR.fields_by_name
    assert leads == LEADS
    assert (numbers["external_data"].number, numbers["data_location"].number) == (
        EXTERNAL_DATA,
        DATA_LOCATION,
    )


def test_damaged_networks_are_refused_and_nothing_else_happens() -> None:
    whole = model(graph()).SerializeToString()
    check_self_contained(whole, "it")
    for cut in range(1, len(whole)):
        try:
            check_self_contained(whole[:cut], "it")
        except ModelInvalid as error:
            assert str(error) == "it is damaged or is not an ONNX model; install it again."
    for junk in (b"\xff" * 40, b"\x0b", b"\x3a\x05abc", b"weights"):
        with pytest.raises(ModelInvalid, match="is damaged or is not an ONNX model"):
            open_session(junk)


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"none.onnx cannot be read: No such file"):
        open_session(tmp_path / "none.onnx")


# ---- telemetry ---------------------------------------------------------------------------------

OPENS = """
import os, shutil, sys, tempfile
from pathlib import Path
home = Path(os.environ["HOME"])
if sys.argv[2] == "a program that imported it before":
    import onnxruntime  # writes a device id, which chueok cannot prevent: swept away, so that a new one would show
    for path in home.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
import numpy
from chueok.vision.runtime import open_session
session = open_session(Path(sys.argv[1]))
(wanted,) = session.get_inputs()
session.run(None, {wanted.name: numpy.zeros((1, 3, 112, 112), numpy.float32)})
"""


@pytest.mark.parametrize("order", ["chueok alone", "a program that imported it before"])
def test_a_session_leaves_nothing_on_the_machine(order: str, tmp_path: Path) -> None:
    folders = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        **{name: str(tmp_path / name) for name in folders},
    }
    lite = PACKAGED_WEIGHTS / BUILT_IN["lite"].file
    command = [sys.executable, "-c", OPENS, str(lite), order]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == []
