"""Means over rectangles are those of adaptive average pooling."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chueok.vision.means import Means

SIDES = st.integers(1, 40)


def picture(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pooled(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float64]:
    """The definition, pixel by pixel: (3, height, width), -1..1."""
    out = np.empty((3, height, width))
    for row in range(height):
        top, bottom = row * len(image) // height, math.ceil((row + 1) * len(image) / height)
        for column in range(width):
            left = column * image.shape[1] // width
            right = math.ceil((column + 1) * image.shape[1] / width)
            out[:, row, column] = image[top:bottom, left:right].mean(axis=(0, 1))
    return (out - 127.5) / 128


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 99))
def test_a_resized_image_is_its_adaptive_average(h: int, w: int, height: int, width: int, seed: int) -> None:
    image = picture(h, w, seed)
    got = Means(image).shrunk(height, width, 0, height)
    assert got.shape == (1, 3, height, width)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[0], pooled(image, height, width), atol=1e-6)


def test_some_rows_are_those_of_the_whole() -> None:
    means = Means(picture(50, 40, 0))
    whole = means.shrunk(31, 17, 0, 31)
    np.testing.assert_array_equal(means.shrunk(31, 17, 5, 23), whole[:, :, 5:23])


def test_windows_are_cut_and_resized() -> None:
    image = picture(60, 70, 1)
    windows = np.array([[0, 0, 70, 60], [3, 4, 4, 5], [10, 20, 33, 59], [69, 0, 70, 60]])
    got = Means(image).cut(windows, 24)
    for (left, top, right, bottom), crop in zip(windows, got, strict=True):
        np.testing.assert_allclose(crop, pooled(image[top:bottom, left:right], 24, 24), atol=1e-6)


def test_no_windows_are_an_empty_batch() -> None:
    assert Means(picture(5, 5, 0)).cut(np.empty((0, 4), np.int64), 48).shape == (0, 3, 48, 48)


def test_sums_beyond_32_bits_wrap_harmlessly() -> None:
    image = np.full((4200, 4200, 3), 255, np.uint8)  # 4.5e9 per channel
    got = Means(image).cut(np.array([[0, 0, 4200, 4200], [4100, 4100, 4200, 4200]]), 24)
    np.testing.assert_array_equal(got, np.full((2, 3, 24, 24), np.float32(127.5 / 128)))
