"""Timing: a median over rounds, warm, by turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tests.fakes import ColourEmbedder

from chueok.lab.timing import milliseconds

CROP = np.zeros((112, 112, 3), np.uint8)


class Clock:
    """Stands still but for what embedders add."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(ColourEmbedder):
    """Takes the given seconds, one call after the other."""

    def __init__(self, clock: Clock, seconds: Sequence[float]) -> None:
        self._clock = clock
        self._seconds = iter(seconds)

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self._clock.now += next(self._seconds)
        assert len(crops) == 1
        return super().embed(crops)


def test_the_median_of_the_second_of_two_calls_counts() -> None:
    clock = Clock()
    slow = Slow(clock, [9, 0.004, 9, 0.003, 9, 0.5])
    fast = Slow(clock, [9, 0.002, 9, 0.001, 9, 0.001])
    np.testing.assert_allclose(milliseconds([slow, fast], CROP, 3, clock=clock), (4, 1))


def test_of_no_embedder_there_is_nothing_to_say() -> None:
    assert milliseconds([], CROP, 3) == ()
