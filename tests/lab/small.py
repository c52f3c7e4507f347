"""A face network small enough for tests, with all that a student has, and crops for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from PIL import Image

from chueok.vision.models.card import ModelCard, Recipe
from chueok.vision.models.manifest import write_manifest

SIDE, CHANNELS, DIMENSION = 112, 16, 12


def small_network(tail: str = "unit") -> bytes:
    """Convolutions with batch norms, a shortcut, all places into one, a last convolution; `tail` is what follows it.

    "unit": flattened and normalised; "bare": the last layer is a matrix and its product is the output.
    """
    chance = np.random.default_rng(0)
    weights: dict[str, NDArray[np.float32]] = {
        "mean": np.full(1, 127.5, np.float32),
        "scale": np.full(1, 64, np.float32),
    }

    def weight(name: str, *shape: int) -> str:
        spread = float(np.prod(shape[1:])) ** -0.5
        weights[name] = (chance.standard_normal(shape) * spread).astype(np.float32)
        return name

    def convolution(name: str, source: str, inputs: int, kernel: int, **attributes: Any) -> NodeProto:
        return helper.make_node(
            "Conv", [source, weight(name, CHANNELS, inputs, kernel, kernel)], [f"{name}_out"], **attributes
        )

    def norm(name: str) -> NodeProto:
        for part, low in (("gain", 0.5), ("shift", -0.2), ("mean", -0.2), ("spread", 0.5)):
            weights[f"{name}_{part}"] = chance.uniform(low, low + 1, CHANNELS).astype(np.float32)
        parts = [f"{name}_{part}" for part in ("gain", "shift", "mean", "spread")]
        return helper.make_node("BatchNormalization", [f"{name}_out", *parts], [f"{name}_norm"])

    nodes = [
        helper.make_node("Sub", ["crops", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        convolution("first", "scaled", 3, 7, strides=[7, 7]),
        norm("first"),
        helper.make_node("Relu", ["first_norm"], ["first_relu"]),
        convolution("second", "first_relu", CHANNELS, 3, pads=[1, 1, 1, 1]),
        norm("second"),
        helper.make_node("Add", ["first_relu", "second_norm"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["sum_relu"]),
        convolution("gather", "sum_relu", 1, 16, group=CHANNELS),
        norm("gather"),
        *_tail(tail, weight),
    ]
    model = _model(nodes, weights)
    model.metadata_props.add(key="stack_trace", value="/home/somebody/secret.py")
    return bytes(model.SerializeToString())


def _tail(tail: str, weight: Callable[..., str]) -> list[NodeProto]:
    if tail == "bare":
        return [
            helper.make_node("Flatten", ["gather_norm"], ["flat"]),
            helper.make_node("Gemm", ["flat", weight("last", DIMENSION, CHANNELS)], ["embeddings"], transB=1),
        ]
    return [
        helper.make_node("Conv", ["gather_norm", weight("last", DIMENSION, CHANNELS, 1, 1)], ["last_out"]),
        helper.make_node("Flatten", ["last_out"], ["flat"]),
        helper.make_node("LpNormalization", ["flat"], ["embeddings"], axis=1),
    ]


def _model(nodes: Sequence[NodeProto], weights: dict[str, NDArray[np.float32]]) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", DIMENSION])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def described(folder: Path, network: bytes, name: str = "small") -> Path:
    """The network in a folder with its manifest; the manifest's path."""
    card = ModelCard(
        name=name,
        description="a small network",
        licence="MIT",
        file=f"{name}.onnx",
        size=len(network),
        sha256=hashlib.sha256(network).hexdigest(),
        architecture="onnx",
        dimension=DIMENSION,
        recipe=Recipe(crop="arcface", pixels=SIDE, mirror=True),
        thresholds={"1e-2": 0.25, "1e-3": 0.5},
        impostor_pairs=1000,
    )
    folder.mkdir(exist_ok=True)
    (folder / card.file).write_bytes(network)
    write_manifest(card, folder / f"{name}.toml")
    return folder / f"{name}.toml"


def write_crops(folder: Path, count: int, hidden: int = 0) -> Path:
    """Smooth pictures, the right quarter of each without alpha; `hidden` is the colour that lies there unseen."""
    folder.mkdir()
    chance = np.random.default_rng(1)
    for number in range(count):
        coarse = chance.integers(0, 256, (6, 6, 4), dtype=np.uint8)
        picture = np.array(Image.fromarray(coarse, "RGBA").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        picture[..., 3] = 255
        picture[:, SIDE * 3 // 4 :] = (hidden, hidden, hidden, 0)
        Image.fromarray(picture, "RGBA").save(folder / f"{number:03}.png")
    return folder
