"""Close-ups and tight crops: found, and found in the right place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.vision.portraits import EILEEN_COLLINS, GRACE_HOPPER

from chueok.records import Box, Detection
from chueok.vision.closeup import find_faces
from chueok.vision.detect import open_detector

POINTS = ((0.0, 0.0),) * 5


class Recorded:
    """Answers with the faces given, one list a look, and keeps what it was shown."""

    def __init__(self, *looks: list[Detection]) -> None:
        self._looks = list(looks)
        self.shown: list[NDArray[np.uint8]] = []

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        self.shown.append(image)
        return self._looks.pop(0)


def face(x: float, y: float, side: float) -> Detection:
    return Detection(Box(x, y, side, side), 0.99, POINTS)


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.full((400, 600, 3), 200, np.uint8)


def test_faces_with_room_are_looked_at_once(picture: NDArray[np.uint8]) -> None:
    found = [face(100, 50, 280), face(10, 10, 30)]
    assert find_faces(Recorded(found), picture) == found


def test_a_face_that_fills_its_picture_is_placed_by_the_second_look(picture: NDArray[np.uint8]) -> None:
    beside = face(5, 5, 40)
    # shown: 192 x 128 pixels with borders of 77 and 51
    detector = Recorded([face(150, 40, 300), beside], [face(77 + 50, 51 + 10, 110), face(0, 0, 20)])
    large, small = find_faces(detector, picture)
    assert (large.box.x, large.box.y) == pytest.approx((50 * 3.125, 10 * 3.125))
    assert large.box.size == pytest.approx(110 * 3.125)
    assert large.landmarks[0] == pytest.approx((-77 * 3.125, -51 * 3.125))
    assert small == beside
    again = detector.shown[1]
    assert again.shape == (128 + 2 * 51, 192 + 2 * 77, 3)
    assert not again[:51].any() and not again[:, :77].any()
    assert (again[51:-51, 77:-77] == 200).all()


def test_what_the_second_look_does_not_see_stays(picture: NDArray[np.uint8]) -> None:
    found = [face(150, 40, 300)]
    assert find_faces(Recorded(found, []), picture) == found


def test_a_picture_without_faces_gains_no_small_ones(picture: NDArray[np.uint8]) -> None:
    assert find_faces(Recorded([], [face(100, 80, 40)]), picture) == []


@pytest.mark.weights
@pytest.mark.parametrize("portrait", [GRACE_HOPPER, EILEEN_COLLINS])
def test_a_tight_crop_of_a_face_shows_it_where_the_whole_photo_does(
    networks_cache: Path, portrait: Path
) -> None:
    detector = open_detector(networks_cache)
    with Image.open(portrait) as image:
        whole = np.array(image.convert("RGB"))
    known = detector.detect(whole)[0]
    box = known.box
    left, top, right, bottom = (round(edge) for edge in (box.x, box.y, box.x + box.width, box.y + box.height))
    tight = np.ascontiguousarray(whole[top:bottom, left:right])
    (found,) = find_faces(detector, tight)
    errors = np.subtract(found.moved(left, top).landmarks, known.landmarks)
    assert np.abs(errors).max() < 0.03 * box.width
