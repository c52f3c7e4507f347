"""Crops are laid over colours to the nearest number."""

from __future__ import annotations

import numpy as np

from chueok.lab.backgrounds import BLACK, on_background


def test_every_colour_of_every_alpha_is_the_nearest_number() -> None:
    alpha, colour = np.mgrid[:256, :256]
    crops = np.stack([colour, colour, colour, alpha], axis=-1).astype(np.uint8)[np.newaxis]
    on_black = (2 * alpha * colour + 255) // 510  # never halfway: twice the product is even, 255 is odd
    assert (on_background(crops, BLACK) == on_black[np.newaxis, ..., np.newaxis]).all()


def test_every_crop_has_its_own_colour() -> None:
    crops = np.zeros((2, 1, 2, 4), np.uint8)
    crops[:, :, 0] = (9, 8, 7, 255)
    colours = np.array([(10, 20, 30), (40, 50, 60)], np.uint8)
    laid = on_background(crops, colours)
    assert laid.tolist() == [[[[9, 8, 7], [10, 20, 30]]], [[[9, 8, 7], [40, 50, 60]]]]
    assert laid.dtype == np.uint8
