"""One suite over every detector: what vision.base.Detector promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.fakes import SquareDetector, draw

from chueok.vision.base import Detector
from chueok.vision.detect import open_detector

MTCNN = pytest.param("mtcnn", marks=pytest.mark.weights)


@pytest.fixture(scope="module", params=["squares", MTCNN])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def detector(kind: str, request: pytest.FixtureRequest) -> Detector:
    if kind == "squares":
        return SquareDetector()
    cache: Path = request.getfixturevalue("networks_cache")
    return open_detector(cache)


@pytest.fixture(scope="module")
def group(kind: str, request: pytest.FixtureRequest) -> NDArray[np.uint8]:
    """A picture of several people, as this detector knows them."""
    if kind == "squares":
        return np.asarray(draw(["mom", "dad"]))
    shared: Path = request.getfixturevalue("shared")
    with Image.open(shared / "albums/azure_family/photos/identification1.jpg") as photo:
        return np.asarray(photo.convert("RGB"))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (11, 500), (500, 11), (12, 12), (20, 20), (300, 400)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_nobody_is_found_where_there_is_nothing(
    detector: Detector, shape: tuple[int, int], value: int
) -> None:
    assert detector.detect(np.full((*shape, 3), value, np.uint8)) == []


def test_largest_face_first(detector: Detector, group: NDArray[np.uint8]) -> None:
    areas = [face.box.width * face.box.height for face in detector.detect(group)]
    assert len(areas) >= 2
    assert areas == sorted(areas, reverse=True)


def test_a_face_has_five_landmarks_in_its_box(detector: Detector, group: NDArray[np.uint8]) -> None:
    for face in detector.detect(group):
        box = face.box
        inside = [box.x < x < box.x + box.width and box.y < y < box.y + box.height for x, y in face.landmarks]
        assert inside == [True] * 5


def test_eyes_come_before_mouth_and_left_before_right(detector: Detector, group: NDArray[np.uint8]) -> None:
    for face in detector.detect(group):
        left_eye, right_eye, nose, mouth_left, mouth_right = face.landmarks
        assert left_eye[0] < right_eye[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_probabilities_are_probabilities(detector: Detector, group: NDArray[np.uint8]) -> None:
    assert all(0.5 < face.probability <= 1 for face in detector.detect(group))


def test_numbers_are_plain_floats(detector: Detector, group: NDArray[np.uint8]) -> None:
    face = detector.detect(group)[0]
    numbers = [face.box.x, face.box.width, face.probability, *face.landmarks[0]]
    assert {type(number) for number in numbers} <= {int, float}


def test_the_same_picture_gets_the_same_answer(detector: Detector, group: NDArray[np.uint8]) -> None:
    assert detector.detect(group) == detector.detect(group.copy())


def test_the_picture_is_only_read(detector: Detector, group: NDArray[np.uint8]) -> None:
    locked = group.copy()
    locked.setflags(write=False)
    assert detector.detect(locked) == detector.detect(group)


def test_memory_layout_does_not_matter(detector: Detector, group: NDArray[np.uint8]) -> None:
    assert detector.detect(np.asfortranarray(group)) == detector.detect(group)
