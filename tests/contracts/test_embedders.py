"""One suite over every embedder: what vision.base.Embedder promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chueok.records import Box, Detection
from chueok.vision.base import Embedder
from chueok.vision.embed import open_embedder
from chueok.vision.models.registry import BUILT_IN

FACE = Detection(Box(40, 30, 80, 100), 0.99, ((62, 70), (98, 70), (80, 92), (66, 110), (94, 110)))
CORNER_FACE = Detection(Box(-20, -20, 60, 80), 0.97, ((0, 8), (24, 8), (12, 24), (3, 36), (21, 36)))


@pytest.fixture(scope="module", params=["lite", pytest.param("mobilefacenet", marks=pytest.mark.weights)])
def embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    folder = tmp_path_factory.mktemp(request.param)
    card = BUILT_IN[request.param]
    if not card.packaged:
        shared: Path = request.getfixturevalue("shared")
        shutil.copy(shared / "models" / card.file, folder)
    return open_embedder(card, folder, folder / "cache")


@pytest.fixture
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (200, 160, 3), dtype=np.uint8)


def test_it_has_a_name_and_a_dimension(embedder: Embedder) -> None:
    assert (embedder.name, embedder.dimension) == (
        embedder.name.strip().lower(),
        BUILT_IN[embedder.name].dimension,
    )


@pytest.mark.parametrize("face", [FACE, CORNER_FACE])
def test_crops_are_square_rgb(embedder: Embedder, image: NDArray[np.uint8], face: Detection) -> None:
    crop = embedder.crop(image, face)
    assert (crop.shape, crop.dtype) == ((crop.shape[0], crop.shape[0], 3), np.dtype(np.uint8))


def test_cropping_leaves_the_picture_alone(embedder: Embedder, image: NDArray[np.uint8]) -> None:
    before = image.copy()
    image.flags.writeable = False
    embedder.crop(image, FACE)
    assert np.array_equal(image, before)


def test_rows_are_unit_float32(embedder: Embedder, image: NDArray[np.uint8]) -> None:
    vectors = embedder.embed([embedder.crop(image, face) for face in (FACE, CORNER_FACE)])
    assert (vectors.shape, vectors.dtype) == ((2, embedder.dimension), np.dtype(np.float32))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_crops_give_no_rows(embedder: Embedder) -> None:
    vectors = embedder.embed([])
    assert (vectors.shape, vectors.dtype) == ((0, embedder.dimension), np.dtype(np.float32))


def test_a_faces_embedding_does_not_depend_on_its_company(
    embedder: Embedder, image: NDArray[np.uint8]
) -> None:
    wanted, other = embedder.crop(image, FACE), embedder.crop(image, CORNER_FACE)
    alone = embedder.embed([wanted])[0]
    in_company = embedder.embed([other] * 39 + [wanted])[39]
    assert float(alone @ in_company) > 0.9999


def test_the_same_crop_gives_the_same_embedding(embedder: Embedder, image: NDArray[np.uint8]) -> None:
    crop = embedder.crop(image, FACE)
    assert np.array_equal(embedder.embed([crop]), embedder.embed([crop]))
