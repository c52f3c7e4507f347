"""Of the boxes of one place a network is shown the best first, the others only where that leaves doubt."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from chueok.vision.candidates import Candidates
from chueok.vision.judge import in_turn, touching
from chueok.vision.windows import Windows

PLACE = np.array([[10, 10, 50, 50], [12, 10, 52, 50], [10, 14, 50, 54]], np.float32)
ELSEWHERE = np.array([[200, 10, 240, 50]], np.float32)


class Saying:
    """A network that says the same of every box left of the hundredth pixel, and that the others are no face."""

    def __init__(self, said: float) -> None:
        self.said = said
        self.asked: list[list[list[float]]] = []

    def __call__(self, boxes: NDArray[np.float32]) -> tuple[Candidates, NDArray[np.float32]]:
        self.asked.append(boxes.tolist())
        scores = np.where(boxes[:, 0] < 100, self.said, 0.001).astype(np.float32)
        return Candidates(boxes, scores, np.zeros_like(boxes)), boxes


@pytest.mark.parametrize(
    ("said", "settled", "more"),
    [(0.01, 0.98, 0), (0.5, 0.98, 2), (0.99, 0.98, 0), (0.99, math.inf, 2), (0.01, math.inf, 0)],
)
def test_only_doubt_brings_the_other_boxes_of_a_place(said: float, settled: float, more: int) -> None:
    network = Saying(said)
    found, others = in_turn(network, np.vstack([PLACE, ELSEWHERE]), 0.5, settled)
    first = [PLACE[0].tolist(), ELSEWHERE[0].tolist()]
    assert network.asked == ([first, PLACE[1:].tolist()] if more else [first])
    assert len(found.boxes) == len(others) == 2 + more


def test_where_no_place_is_shared_all_are_shown_at_once() -> None:
    network = Saying(0.5)
    in_turn(network, PLACE, 1)
    assert network.asked == [PLACE.tolist()]


def test_of_no_boxes_nothing_is_said() -> None:
    found, others = in_turn(Saying(0.5), np.empty((0, 4), np.float32), 0.5)
    assert len(found.boxes) == len(others) == 0


def test_what_shows_nothing_of_the_image_takes_no_place() -> None:
    boxes = np.array(
        [[-20, 0, 0.5, 20.5], [-15, 0, 8, 23], [90, 90, 120, 120], [101, 0, 130, 29]], np.float32
    )
    assert touching(Windows(np.zeros((100, 100, 3), np.uint8)), boxes).tolist() == boxes[1:3].tolist()
