"""Crops: the similarity to the template, borders, large faces, and facenet's box."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from chueok.records import Box, Point
from chueok.vision.align import ARCFACE_TEMPLATE, arcface_crop, box_crop

TEMPLATE = np.array(ARCFACE_TEMPLATE)
Pixels = NDArray[np.uint8]


def smooth(width: int, height: int, seed: int = 0) -> Pixels:
    """A picture without sharp edges, so that bilinear sampling is nearly exact everywhere."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def points(array: NDArray[np.float64]) -> list[Point]:
    return [(float(x), float(y)) for x, y in array]


def moved(angle: float, scale: float, x: float, y: float) -> NDArray[np.float64]:
    """The template turned by `angle` (radians), enlarged and shifted: landmarks of such a face."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(TEMPLATE @ turn.T + [x, y])


def umeyama(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Umeyama 1991, eq. 38-43, by singular values: the 2 x 3 map source -> target. The oracle."""
    centred, wanted = source - source.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(wanted.T @ centred / len(source))
    sign = np.diag([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / centred.var(0).sum()
    shift = target.mean(0) - scale * rotation @ source.mean(0)
    return np.column_stack([scale * rotation, shift])


def sampled(image: Pixels, to_crop: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The crop by definition: each crop pixel is looked up in the picture, bilinearly."""
    inverse = np.linalg.inv(np.vstack([to_crop, [0, 0, 1]]))
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    x, y, _ = inverse @ np.stack([across.ravel(), down.ravel(), np.ones(size * size)])
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = (x - left)[:, None], (y - top)[:, None]
    rows = [image[top + j, left + i].astype(float) for j in (0, 1) for i in (0, 1)]
    mixed = rows[0] * (1 - u) * (1 - v) + rows[1] * u * (1 - v) + rows[2] * (1 - u) * v + rows[3] * u * v
    return np.asarray(mixed.reshape(size, size, 3))


def test_a_face_on_the_template_is_cut_unchanged() -> None:
    image = smooth(112, 112)
    assert np.array_equal(arcface_crop(image, ARCFACE_TEMPLATE), image)


@settings(max_examples=40, deadline=None)
@given(
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(0.3, 1.9),
    noise=st.lists(st.floats(-3, 3), min_size=10, max_size=10),
)
def test_the_crop_is_umeyamas_least_squares_fit(angle: float, scale: float, noise: Sequence[float]) -> None:
    image = smooth(640, 640)
    centre = moved(angle, scale, 0, 0).mean(0)
    landmarks = moved(angle, scale, *(320 - centre)) + np.reshape(noise, (5, 2)) * scale
    crop = arcface_crop(image, points(landmarks))
    wanted = sampled(image, umeyama(landmarks, TEMPLATE), 112)
    assert np.abs(crop - wanted).max() <= 2


def test_a_face_upside_down_is_turned_upright() -> None:
    image = smooth(300, 300)
    landmarks = moved(0, 1.2, 70, 70)
    upright = arcface_crop(image, points(landmarks))
    turned = arcface_crop(np.ascontiguousarray(image[::-1, ::-1]), points(299 - landmarks))
    assert np.abs(upright.astype(int) - turned).max() <= 2


def test_another_crop_size_scales_the_template() -> None:
    image = smooth(400, 400)
    landmarks = points(moved(0.2, 2.0, 60, 60))
    small = np.asarray(Image.fromarray(arcface_crop(image, landmarks, 224)).reduce(2))
    assert np.abs(small.astype(int) - arcface_crop(image, landmarks)).mean() < 2


def test_a_large_face_is_averaged_not_picked() -> None:
    """A chessboard of single pixels is grey from afar; sampling without averaging would leave it speckled."""
    chessboard = np.indices((1200, 1200)).sum(0) % 2 * 255
    image = np.repeat(chessboard[..., None], 3, axis=2).astype(np.uint8)
    crop = arcface_crop(image, points(moved(0.3, 7.0, 250, 200)))
    assert crop.std() < 4
    assert abs(crop.mean() - 127.5) < 2


def test_a_large_face_stays_in_place() -> None:
    image = smooth(900, 900)
    landmarks = moved(0.1, 5.4, 150, 100)
    wanted = sampled(image, umeyama(landmarks, TEMPLATE), 112)
    assert np.abs(arcface_crop(image, points(landmarks)) - wanted).mean() < 1.5


def test_beyond_the_pictures_border_is_black() -> None:
    image = np.full((112, 112, 3), 200, np.uint8)
    crop = arcface_crop(image, points(TEMPLATE - [56, 0]))
    assert (crop[:, :55] == 0).all()
    assert (crop[:, 57:] == 200).all()


def test_only_the_faces_neighbourhood_of_a_huge_picture_is_touched() -> None:
    image = np.zeros((5000, 10000, 3), np.uint8)  # 150 MB; zeros cost no memory until they are read
    tracemalloc.start()
    arcface_crop(image, points(moved(0.4, 2.0, 7000, 3000)))
    box_crop(image, Box(7000, 3000, 200, 260))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "landmarks",
    [
        [(50.0, 40.0)] * 5,
        [(-900.0, -900.0)] * 5,
        points(TEMPLATE * [-1, 1] + [112, 0]),  # mirrored
        points(TEMPLATE * 1e-9 + 30),
        points(TEMPLATE * 1e9),
        points(TEMPLATE + 1e7),
    ],
)
def test_absurd_landmarks_still_give_a_crop(landmarks: list[Point]) -> None:
    crop = arcface_crop(smooth(200, 150), landmarks)
    assert (crop.shape, crop.dtype) == ((112, 112, 3), np.dtype(np.uint8))


def test_coinciding_landmarks_give_their_surroundings() -> None:
    image = smooth(300, 300)
    crop = arcface_crop(image, [(150.0, 150.0)] * 5)
    left, top = np.round(150 - TEMPLATE.mean(0)).astype(int)
    assert np.abs(crop.astype(int) - image[top : top + 112, left : left + 112]).max() <= 3


@pytest.mark.parametrize(
    "box", [Box(-50, -50, 20, 20), Box(500, 20, 40, 40), Box(10, 10, 0.2, 0.2), Box(-5, -5, 500, 500)]
)
def test_absurd_boxes_still_give_a_crop(box: Box) -> None:
    crop = box_crop(smooth(200, 150), box)
    assert (crop.shape, crop.dtype) == ((160, 160, 3), np.dtype(np.uint8))


@pytest.mark.weights  # torch and facenet_pytorch, whose crop is the oracle
@pytest.mark.parametrize("margin", [0, 14, 32])
@pytest.mark.parametrize(
    "edges", [(30.7, 20.2, 110.9, 131.4), (-12.3, -4.0, 60.5, 90.1), (150, 90, 230, 180)]
)
def test_the_box_crop_is_facenet_pytorchs(edges: tuple[float, float, float, float], margin: int) -> None:
    from facenet_pytorch.models.utils.detect_face import extract_face

    image = smooth(200, 150)
    left, top, right, bottom = edges
    oracle = extract_face(Image.fromarray(image), np.array(edges), 160, margin).permute(1, 2, 0).numpy()
    crop = box_crop(image, Box(left, top, right - left, bottom - top), 160, margin)
    assert np.array_equal(crop, oracle.astype(np.uint8))
