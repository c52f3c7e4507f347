"""A network with eight-bit weights and activations, from one in float: the work on the graph.

Static quantisation as in Jacob et al. 2018, arXiv 1712.05877, by ONNX Runtime's tool: batch norms are folded into
their convolutions, then weights get a scale a channel, and activations one a tensor, from what inputs bring about.

The figures beside the choices are mean similarities to the float network's embeddings on 1,000 other crops, and in
brackets what the worst 1 % stay below, of students of mobilefacenet with 1.9 million weights.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chueok.errors import UsageError
from chueok.lab.delivery import Maker, signed
from chueok.vision.runtime import ERRORS_ONLY, silence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto

_WEIGHTED = ("Conv", "Gemm", "MatMul")  # operators with weights
_WARNINGS = 2  # ONNX Runtime's default, ORT_LOGGING_LEVEL_WARNING
_ROUNDED = ("QuantizeLinear", "DequantizeLinear")


def eight_bit(network: bytes, inputs: NDArray[np.float32], maker: Maker = Maker.QUANTIZE) -> bytes:
    """The network in eight bits, calibrated with inputs (n, 3, s, s) float32; one self-contained ONNX file.

    Names and shapes of its input and output stay. Raises UsageError for a network there is nothing to round in.
    """
    silence()
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="chueok-") as name, _quiet():
        original, folded, small = (Path(name) / f"{step}.onnx" for step in ("original", "folded", "small"))
        original.write_bytes(network)
        quant_pre_process(original, folded, skip_symbolic_shape=True)
        graph = _named(onnx.load(folded), folded)
        quantize_static(
            folded,
            small,
            _Feed(_input(graph), inputs),
            quant_format=QuantFormat.QDQ,
            # Processors of the x86 kind multiply u8 by s8 fast; u8 by u8 and s8 by s8 took as long as float
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,  # channels differ in size: one scale a layer would leave the small ones few steps
            # Processors without VNNI add two such products in 16 bits, where 2 * 255 * 127 does not fit: their answers
            # would be wrong. 2 * 255 * 64 fits, so seven bits are right everywhere. 0.9974 became 0.9965; time
            # and size stayed (quantize_static's documentation, "Choosing parameters for CPU inference")
            reduce_range=True,
            # Ranges go from the smallest value to the largest. Cutting off 0.001 % added 0.0003 but took 5 GB of
            # memory, 0.1 % lost 0.004; symmetric ranges lost 0.002; with moving averages the worst face fell from
            # 0.997 to 0.989
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=_kept_float(graph),
        )
        model = onnx.load(small)
    _unround_answer(model.graph)
    return signed(model, maker)


def _named(model: ModelProto, path: Path) -> GraphProto:
    """The graph, saved with a name for every operator: the tool tells them apart by it. Raises UsageError."""
    import onnx

    for number, node in enumerate(model.graph.node):
        if node.op_type in _ROUNDED:
            raise UsageError("this model is quantised already; give the one in float that it was made from")
        node.name = f"{number}-{node.op_type}"
    onnx.save(model, path)
    return model.graph


def _input(graph: GraphProto) -> str:
    """The name of the input that is no weight: older graphs list both."""
    weights = {tensor.name for tensor in graph.initializer}
    (name,) = (value.name for value in graph.input if value.name not in weights)
    return str(name)


def _kept_float(graph: GraphProto) -> list[str]:
    """Names of the operators that stay as they are: to the first convolution, and behind the last weights.

    The beginning in float: 0.9965 became 0.9974, for 1.5 kB and no time that could be measured.
    """
    nodes = list(graph.node)
    first, last = _ends(graph)
    return [node.name for node in nodes[: first + 1] + nodes[last + 1 :]]


def _ends(graph: GraphProto) -> tuple[int, int]:
    """Where the first and the last operator with weights stand. Raises UsageError where there is none."""
    places = [number for number, node in enumerate(graph.node) if node.op_type in _WEIGHTED]
    if not places:
        raise UsageError("this model has no convolution and no matrix to quantise")
    return places[0], places[-1]


def _unround_answer(graph: GraphProto) -> None:
    """Take away the rounding right behind the last weights, whose other inputs stay rounded.

    Else the answer is rounded to 256 steps. 0.9974 became 0.9985 (0.996), for nothing; more layers in float would add
    0.0001 and 50 to 200 kB.
    """
    nodes = list(graph.node)
    _, last = _ends(graph)
    (answer,) = nodes[last].output
    same = {answer}
    for node in nodes[last + 1 :]:
        if node.op_type in _ROUNDED and node.input[0] in same:
            same.add(node.output[0])
            graph.node.remove(node)
    (final,) = same & {output.name for output in graph.output} or {answer}
    nodes[last].output[0] = final
    for node in graph.node:
        node.input[:] = [final if name in same else name for name in node.input]


@contextmanager
def _quiet() -> Iterator[None]:
    """The tool advises through the root logger and its sessions' own; what matters here is raised or measured."""
    import onnxruntime

    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(_WARNINGS)
        logging.disable(before)


class _Feed:
    """What the tool calibrates with, one crop a call: some graphs take no more."""

    def __init__(self, name: str, inputs: NDArray[np.float32]) -> None:
        self._calls = iter([{name: inputs[number : number + 1]} for number in range(len(inputs))])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next call's input; None at the end."""
        return next(self._calls, None)
