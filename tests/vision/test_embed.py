"""Embedding through ONNX: the input recipe to the letter, batches, bad networks, and parity with torch."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tests.vision import portraits

from chueok.errors import ModelInvalid, ModelMissing
from chueok.records import Box, Detection
from chueok.vision.align import ARCFACE_TEMPLATE
from chueok.vision.embed import BATCH, OnnxEmbedder, needs_compile, open_embedder
from chueok.vision.models.card import ModelCard, Recipe
from chueok.vision.models.registry import BUILT_IN

Pixels = NDArray[np.uint8]
SIDE = 16
RECIPE = Recipe(crop="arcface", pixels=SIDE)


def corner_network(batch: int | str = "n", factor: float = 1.0) -> bytes:
    """A network that answers with the first row's first two pixels: 3 channels x 2, times `factor`."""
    indices = numpy_helper.from_array(np.array([0, 0, 0, 0], np.int64), "begin")
    ends = numpy_helper.from_array(np.array([1 << 40, 3, 1, 2], np.int64), "end")
    shape = numpy_helper.from_array(np.array([-1, 6], np.int64), "shape")
    scale = numpy_helper.from_array(np.array(factor, np.float32), "factor")
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["faces", "begin", "end"], ["corner"]),
            helper.make_node("Reshape", ["corner", "shape"], ["flat"]),
            helper.make_node("Mul", ["flat", "factor"], ["embedding"]),
        ],
        "corner",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 6])],
        [indices, ends, shape, scale],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(model.SerializeToString())


def card_for(network: bytes, recipe: Recipe = RECIPE) -> ModelCard:
    return ModelCard(
        name="corner",
        description="",
        licence="MIT",
        file="corner.onnx",
        size=len(network),
        sha256=hashlib.sha256(network).hexdigest(),
        architecture="onnx",
        dimension=6,
        recipe=recipe,
    )


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., OnnxEmbedder]:
    """Opens a corner network by a recipe, as `open_embedder` opens any."""

    def open_it(recipe: Recipe = RECIPE, **changes: Any) -> OnnxEmbedder:
        network = corner_network(**changes)
        (tmp_path / "corner.onnx").write_bytes(network)
        return open_embedder(card_for(network, recipe), tmp_path, tmp_path / "cache")

    return open_it


def crops(count: int) -> list[Pixels]:
    return list(np.random.default_rng(7).integers(1, 256, (count, SIDE, SIDE, 3), dtype=np.uint8))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def corners(faces: list[Pixels]) -> NDArray[np.float64]:
    """What the corner network should see of crops: red of two pixels, green of two, blue of two."""
    return np.array([face[0, :2].T.ravel() for face in faces], np.float64)


def test_the_network_sees_red_first_and_unscaled(opened: Callable[..., OnnxEmbedder]) -> None:
    faces = crops(3)
    assert np.allclose(opened().embed(faces), unit(corners(faces)), atol=1e-6)


def test_mean_and_scale_are_applied_per_channel(opened: Callable[..., OnnxEmbedder]) -> None:
    faces = crops(3)
    recipe = replace(RECIPE, mean=(10.0, 20.0, 30.0), scale=(2.0, 4.0, 8.0))
    wanted = (corners(faces) - np.repeat([10, 20, 30], 2)) / np.repeat([2, 4, 8], 2)
    assert np.allclose(opened(recipe).embed(faces), unit(wanted), atol=1e-6)


def test_a_blue_first_network_gets_blue_first(opened: Callable[..., OnnxEmbedder]) -> None:
    faces = crops(3)
    swapped = corners([face[..., ::-1] for face in faces])
    assert np.allclose(opened(replace(RECIPE, bgr=True)).embed(faces), unit(swapped), atol=1e-6)


def test_a_mirrored_recipe_sums_the_crop_and_its_mirror_image(opened: Callable[..., OnnxEmbedder]) -> None:
    faces = crops(BATCH + 5)
    wanted = corners(faces) + corners([face[:, ::-1] for face in faces])
    assert np.allclose(opened(replace(RECIPE, mirror=True)).embed(faces), unit(wanted), atol=1e-6)


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
def test_batches_do_not_show(opened: Callable[..., OnnxEmbedder], count: int) -> None:
    faces = crops(count)
    assert np.allclose(opened().embed(faces), unit(corners(faces)), atol=1e-6)


def test_a_graph_of_one_face_per_call_is_called_for_each(opened: Callable[..., OnnxEmbedder]) -> None:
    faces = crops(5)
    assert np.allclose(opened(batch=1).embed(faces), unit(corners(faces)), atol=1e-6)


@pytest.mark.parametrize("factor", [0.0, float("nan"), float("inf")])
def test_an_answer_without_direction_is_refused(opened: Callable[..., OnnxEmbedder], factor: float) -> None:
    with pytest.raises(ModelInvalid, match="'corner' answered with numbers that have no direction"):
        opened(factor=factor).embed(crops(2))


def test_a_network_of_another_input_is_refused(opened: Callable[..., OnnxEmbedder]) -> None:
    with pytest.raises(
        ModelInvalid, match=r"'faces' as tensor\(float\) of shape \['n', 3, 16, 16\].*3, 20, 20"
    ):
        opened(replace(RECIPE, pixels=20))


def test_a_network_of_another_output_is_refused(tmp_path: Path) -> None:
    network = corner_network()
    (tmp_path / "corner.onnx").write_bytes(network)
    with pytest.raises(ModelInvalid, match=r"'embedding' as .* \['n', 6\], but its card says .* \(n, 5,\)"):
        open_embedder(replace(card_for(network), dimension=5), tmp_path, tmp_path)


def test_a_size_that_only_shows_in_the_answer_is_checked_there(tmp_path: Path) -> None:
    model = onnx.load_from_string(corner_network())
    model.graph.initializer.append(numpy_helper.from_array(np.array([True] * 4 + [False] * 2), "keep"))
    model.graph.node.append(helper.make_node("Compress", ["embedding", "keep"], ["short"], axis=1))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("short", TensorProto.FLOAT, ["n", "d"]))
    network = bytes(model.SerializeToString())
    (tmp_path / "corner.onnx").write_bytes(network)
    with pytest.raises(ModelInvalid, match=r"answers 2 faces with numbers of shape \(2, 4\).*says 6"):
        open_embedder(card_for(network), tmp_path, tmp_path).embed(crops(2))


def test_weights_changed_by_one_bit_are_never_run(tmp_path: Path) -> None:
    network = bytearray(corner_network())
    card = card_for(bytes(network))
    network[-1] ^= 1
    (tmp_path / "corner.onnx").write_bytes(network)
    with pytest.raises(ModelInvalid, match="It is not used; run: chueok model fetch corner"):
        open_embedder(card, tmp_path, tmp_path)


def test_a_file_with_the_right_hash_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corner.onnx").write_bytes(b"certainly no network")
    with pytest.raises(ModelInvalid):
        open_embedder(card_for(b"certainly no network"), tmp_path, tmp_path)


def test_missing_weights_are_named_with_the_command_that_gets_them(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="Run: chueok model fetch facenet"):
        open_embedder(BUILT_IN["facenet"], tmp_path, tmp_path)
    with pytest.raises(ModelMissing):
        needs_compile(BUILT_IN["facenet"], tmp_path, tmp_path)


def test_a_box_recipe_cuts_by_the_box_and_a_template_recipe_by_the_landmarks(
    opened: Callable[..., OnnxEmbedder],
) -> None:
    image = np.zeros((112, 112, 3), np.uint8)
    image[20:40, 20:40] = 255
    face = Detection(Box(20, 20, 20, 20), 0.99, ARCFACE_TEMPLATE)
    assert opened(replace(RECIPE, crop="box")).crop(image, face).min() == 255
    assert opened().crop(image, face).min() == 0  # the whole picture: 112 pixels on 16


def test_only_torch_networks_need_compiling(tmp_path: Path) -> None:
    assert not needs_compile(BUILT_IN["lite"], tmp_path, tmp_path)


# ---- real networks -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces(shared: Path) -> list[Pixels]:
    """Real faces: the middle of LFW's pictures, at full size."""
    import tarfile

    with tarfile.open(shared / "faces/lfw/images.tar") as tar:
        members = [member for member in tar if member.isfile()][:6]
        pictures = [
            Image.open(file).convert("RGB") for member in members if (file := tar.extractfile(member))
        ]
    return [np.asarray(picture)[60:190, 60:190] for picture in pictures]


@pytest.fixture(scope="module")
def portrait_faces() -> list[Pixels]:
    """Faces that every machine has, and their mirror images, which are other faces to a network."""
    boxes = {portraits.GRACE_HOPPER: (170, 60, 370, 290), portraits.EILEEN_COLLINS: (165, 60, 280, 190)}
    found = [np.asarray(Image.open(path).convert("RGB").crop(box)) for path, box in boxes.items()]
    return [*found, *(face[:, ::-1] for face in found)]


def resized(faces: list[Pixels], side: int) -> list[Pixels]:
    return [np.asarray(Image.fromarray(face).resize((side, side))) for face in faces]


@pytest.mark.weights
def test_mobilefacenet_through_onnx_is_the_torch_module(
    faces: list[Pixels], shared: Path, tmp_path: Path
) -> None:
    import torch

    from chueok.vision.models.mobilefacenet import MobileFaceNet

    card = BUILT_IN["mobilefacenet"]
    shutil.copy(shared / "models" / card.file, tmp_path)
    assert needs_compile(card, tmp_path, tmp_path)
    embedder = open_embedder(card, tmp_path, tmp_path)
    assert not needs_compile(card, tmp_path, tmp_path)

    module = MobileFaceNet().eval()
    module.load_state_dict(torch.load(tmp_path / card.file, map_location="cpu", weights_only=True))
    cut = resized(faces, 112)
    inputs = torch.tensor(np.stack(cut)).permute(0, 3, 1, 2) / 255
    inputs = (inputs - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    with torch.no_grad():
        oracle = torch.nn.functional.normalize(module(inputs) + module(inputs.flip(3)))
    assert np.abs(embedder.embed(cut) - oracle.numpy()).max() <= 1e-4


@pytest.mark.weights
def test_facenet_through_onnx_is_the_torch_module(portrait_faces: list[Pixels], tmp_path: Path) -> None:
    """With seeded weights, a classifier as in the real checkpoint, and running statistics that are not trivial."""
    import torch
    from facenet_pytorch import InceptionResnetV1
    from facenet_pytorch.models.mtcnn import fixed_image_standardization

    torch.manual_seed(20180402)
    module = InceptionResnetV1(pretrained=None, classify=True, num_classes=11).eval()
    cut = resized(portrait_faces, 160)
    inputs = fixed_image_standardization(torch.tensor(np.stack(cut)).permute(0, 3, 1, 2).float())
    with torch.no_grad():
        module.train()(inputs)  # moves the batch norms' running statistics away from 0 and 1
    weights = tmp_path / "seeded.pt"
    torch.save(module.state_dict(), weights)
    data = weights.read_bytes()
    card = replace(
        BUILT_IN["facenet"],
        file="seeded.pt",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    module.classify = False
    with torch.no_grad():
        oracle = module.eval()(inputs).numpy()
    assert np.abs(open_embedder(card, tmp_path, tmp_path).embed(cut) - oracle).max() <= 1e-4
