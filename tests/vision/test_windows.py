"""Windows cut with Pillow from smaller copies are close to what MTCNN is shown."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.vision import portraits

from chueok.vision.means import Means
from chueok.vision.windows import Windows

GREY_LEVEL = 1 / 128  # of a pixel's value, as networks see it


@pytest.fixture
def portrait() -> NDArray[np.uint8]:
    with Image.open(portraits.EILEEN_COLLINS) as photo:
        return np.asarray(photo.convert("RGB"))


def with_copies(image: NDArray[np.uint8]) -> Windows:
    windows = Windows(image)
    windows.shrink(image.shape[1] * 2 // 5, image.shape[0] * 2 // 5)
    for _ in range(4):
        windows.halve()
    return windows


@pytest.mark.parametrize("size", [24, 48])
@pytest.mark.parametrize("side", [20, 36, 60, 100, 250, 500])
def test_a_window_is_what_means_over_the_photo_are(portrait: NDArray[np.uint8], side: int, size: int) -> None:
    window = np.array([[7, 11, 7 + side, 11 + side]])
    got, expected = with_copies(portrait).cut(window, size), Means(portrait).cut(window, size)
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    assert np.abs(got - expected).mean() < 8 * GREY_LEVEL
    assert abs(np.mean(got - expected)) < 3 * GREY_LEVEL


def test_copies_tell_how_many_pixels_one_of_theirs_is() -> None:
    windows = Windows(np.zeros((427, 641, 3), np.uint8))
    copy, scale = windows.shrink(321, 214)
    assert (copy.shape, scale) == ((214, 321, 3), (641 / 321, 427 / 214))
    copy, scale = windows.halve()
    assert (copy.shape, scale) == ((107, 161, 3), (2 * 641 / 321, 2 * 427 / 214))


def test_a_window_at_the_end_of_a_copy_of_odd_size_stays_in_it() -> None:
    windows = with_copies(np.full((333, 517, 3), 200, np.uint8))
    got = windows.cut(np.array([[17, 33, 517, 333], [300, 133, 517, 333]]), 24)
    np.testing.assert_allclose(got, (200 - 127.5) / 128, atol=1e-6)


def test_beyond_the_image_a_window_is_black() -> None:
    windows = with_copies(np.full((300, 400, 3), 200, np.uint8))
    got = windows.cut(np.array([[-100, 0, 100, 200], [350, 250, 450, 350]]), 24)[:, 0]
    black, white = -127.5 / 128, (200 - 127.5) / 128
    np.testing.assert_allclose(got[0], np.tile([black] * 12 + [white] * 12, (24, 1)), atol=1e-6)
    np.testing.assert_allclose(
        got[1], np.where(np.add.outer(np.arange(24) > 11, np.arange(24) > 11), black, white), atol=1e-6
    )


def test_no_windows_are_an_empty_batch() -> None:
    cut = Windows(np.zeros((5, 5, 3), np.uint8)).cut(np.empty((0, 4), np.int64), 48)
    assert cut.shape == (0, 3, 48, 48)
