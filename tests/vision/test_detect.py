"""Our MTCNN finds what facenet_pytorch's finds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.vision import portraits

from chueok.errors import UsageError
from chueok.records import Detection
from chueok.vision import detect
from chueok.vision.detect import MtcnnDetector, detector_is_compiled, open_detector
from chueok.vision.means import Means
from chueok.vision.models.compile import compiled
from chueok.vision.runtime import open_session

pytestmark = pytest.mark.weights

# One or two of each album: portraits, a family, groups, grey stills, a face over the border, 11 megapixels shrunk
PHOTOS = [
    "azure_family/photos/identification1.jpg",
    "azure_family/photos/Family2-Man1.jpg",
    "leaders/photos/Obama_1.png",
    "kpop_events/photos/bona3.jpg",
]
SIDE = 800  # pixels; tests must stay short. `python -m benchmarks.detection` compares all photos, at 1280


@pytest.fixture(scope="module")
def detector(networks_cache: Path) -> MtcnnDetector:
    return open_detector(networks_cache, probability=0.7)


@pytest.fixture(scope="module")
def reference() -> Any:
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)
    return MTCNN(keep_all=True, min_face_size=20)


def load(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as photo:
        picture = photo.convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture)


def as_rows(faces: list[Detection]) -> NDArray[np.float64]:
    """Edges, probability and landmarks, one row a face: (n, 15)."""
    rows = [
        (
            f.box.x,
            f.box.y,
            f.box.x + f.box.width,
            f.box.y + f.box.height,
            f.probability,
            *sum(f.landmarks, ()),
        )
        for f in faces
    ]
    return np.array(rows).reshape(-1, 15)


def assert_parity(detector: MtcnnDetector, reference: Any, image: NDArray[np.uint8]) -> None:
    boxes, probabilities, landmarks = reference.detect(Image.fromarray(image), landmarks=True)
    expected = np.hstack([boxes, np.vstack(probabilities), landmarks.reshape(-1, 10)]).astype(float)
    np.testing.assert_allclose(as_rows(detector.detect(image)), expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", PHOTOS)
def test_faces_are_those_of_facenet_pytorch(
    detector: MtcnnDetector, reference: Any, shared: Path, name: str
) -> None:
    assert_parity(detector, reference, load(shared / "albums" / name))


@pytest.mark.parametrize("portrait", [portraits.GRACE_HOPPER, portraits.EILEEN_COLLINS])
def test_faces_are_those_of_facenet_pytorch_on_every_machine(
    detector: MtcnnDetector, reference: Any, portrait: Path
) -> None:
    assert_parity(detector, reference, load(portrait))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("pnet", [(1, 3, 12, 12), (1, 3, 13, 50), (3, 3, 37, 90)]),
        ("rnet", [(1, 3, 24, 24), (7, 3, 24, 24)]),
        ("onet", [(1, 3, 48, 48), (7, 3, 48, 48)]),
    ],
)
def test_rearranged_networks_compute_what_torch_does(
    networks_cache: Path, reference: Any, name: str, shapes: list[tuple[int, ...]]
) -> None:
    import torch

    paths = dict(zip(("pnet", "rnet", "onet"), compiled(networks_cache, detect._networks()), strict=True))
    session = open_session(paths[name])
    for shape in shapes:
        image = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        with torch.no_grad():
            *others, probabilities = getattr(reference, name)(torch.from_numpy(image))
        (got,) = session.run(None, {"image": image})
        np.testing.assert_allclose(got[:, :-1], np.concatenate(others, axis=1), atol=1e-5)
        np.testing.assert_allclose(detect._probability(got[:, -1]), probabilities[:, 1], atol=1e-5)


def test_a_doubtful_face_needs_a_low_probability(
    detector: MtcnnDetector, networks_cache: Path, shared: Path
) -> None:
    image = load(shared / "albums" / PHOTOS[2])
    everyone = detector.detect(image)
    sure = open_detector(networks_cache, probability=0.999).detect(image)
    assert 0 < len(sure) < len(everyone)
    assert sure == [face for face in everyone if face.probability >= 0.999]


def test_narrow_strips_find_the_same(
    detector: MtcnnDetector, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = load(shared / "albums" / PHOTOS[0])
    whole = as_rows(detector.detect(image))
    monkeypatch.setattr(detect, "_STRIP_PIXELS", 1)
    np.testing.assert_allclose(as_rows(detector.detect(image)), whole, atol=0.01, rtol=0)


def test_a_larger_smallest_face_is_looked_for_in_a_smaller_copy(
    networks_cache: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.asarray(Image.fromarray(load(shared / "albums" / PHOTOS[0])).resize((1600, 1067)))
    detector = open_detector(networks_cache)
    whole = [face for face in detector.detect(image) if face.box.size >= 40]
    searched: list[tuple[int, ...]] = []

    def recorded(picture: NDArray[np.uint8]) -> Means:
        searched.append(picture.shape)
        return Means(picture)

    monkeypatch.setattr(detect, "Means", recorded)
    found = [face for face in detector.detect(image, min_face=32) if face.box.size >= 40]
    assert searched == [(534, 800, 3)]
    assert len(found) == len(whole) > 0
    from_the_left = [sorted(faces, key=lambda face: face.box.x) for faces in (found, whole)]
    for ours, theirs in zip(*from_the_left, strict=True):
        tolerance = 0.1 * theirs.box.size  # another pyramid
        np.testing.assert_allclose(ours.landmarks, theirs.landmarks, atol=tolerance, rtol=0)


@pytest.mark.parametrize("shape", [(1, 1), (19, 19), (20, 20), (21, 900), (11, 500), (300, 400)])
def test_nobody_is_found_in_noise(detector: MtcnnDetector, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detector.detect(image) == []


def test_too_small_a_face_is_a_usage_error(networks_cache: Path) -> None:
    with pytest.raises(UsageError, match="11 pixels are too small"):
        open_detector(networks_cache).detect(np.zeros((50, 50, 3), np.uint8), min_face=11)


def test_detecting_loads_no_torch(networks_cache: Path) -> None:
    assert detector_is_compiled(networks_cache)
    script = (
        "import sys, numpy; from pathlib import Path; from chueok.vision.detect import open_detector;"
        "found = open_detector(Path(sys.argv[1])).detect(numpy.zeros((90, 90, 3), numpy.uint8));"
        "print(found, [name for name in ('torch', 'facenet_pytorch', 'onnx') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(networks_cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[] []\n", "")
